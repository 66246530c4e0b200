//! Which message a mail is about that asks for a recall.
//!
//! A message that is attached says it by its content, else by its Message-ID. A mail without one
//! says it by a Message-ID in its subject or text, else by what it answers. Where the text names
//! more than one message that its sender has sent, none is meant: to guess would be to take back
//! the wrong one.
//!
//! Refuses to look into what an attached message carries, answers or quotes.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest};
use tern_mime::ParsedMessage;
use tern_store::{Read, StoreError};

use crate::outlook::Titled;
use crate::submission::{by_digest, by_message_id_hash, message_id_hash};
use crate::{Submission, limits};

/// What a mail names a message by. Of Message-IDs only what they are found by is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The letter that is attached.
    letter: Option<ContentDigest>,
    /// Message-IDs that the mail states: one of them is meant.
    stated: Vec<[u8; 16]>,
    /// Message-IDs that the mail answers, the nearest first.
    answered: Vec<[u8; 16]>,
    /// What a recall message of Outlook is about.
    titled: Option<Titled>,
}

impl Named {
    /// By one Message-ID, without angle brackets.
    pub fn by_message_id(message_id: &str) -> Self {
        Self {
            stated: vec![message_id_hash(message_id)],
            ..Self::default()
        }
    }

    /// What a mail names, whose digests are under this key.
    pub fn by_mail(key: &[u8; 32], mail: &ParsedMessage, content: &[u8]) -> Self {
        if let Some(attached) = tern_mime::first_attached(mail, content) {
            let message_id = tern_mime::parse(&attached).message_id;
            return Self {
                letter: Some(tern_mime::content_digest(key, &attached)),
                stated: message_id.iter().map(|id| message_id_hash(id)).collect(),
                ..Self::default()
            };
        }
        let subject = mail.envelope.subject.as_deref().unwrap_or_default();
        let mut text = tern_mime::decode_header_text(subject);
        text.push('\n');
        text += &tern_mime::decoded_text(&mail.body, content, limits::MAX_NAMING_TEXT);
        let mut stated: Vec<[u8; 16]> = Vec::new();
        for id in words_like_ids(&text) {
            let hash = message_id_hash(id);
            if stated.len() < limits::MAX_NAMED && !stated.contains(&hash) {
                stated.push(hash);
            }
        }
        let answered = mail.thread_ids.iter().rev();
        Self {
            letter: None,
            stated,
            answered: answered.map(|id| message_id_hash(id)).collect(),
            titled: None,
        }
    }

    /// What a recall message of Outlook is about that went to these recipients.
    pub fn by_outlook(mail: &ParsedMessage, recipients: &[String]) -> Self {
        let answered = mail.thread_ids.iter().rev();
        Self {
            answered: answered.map(|id| message_id_hash(id)).collect(),
            titled: Titled::by_mail(mail, recipients),
            ..Self::default()
        }
    }

    /// The submission of an account that is meant.
    pub(crate) fn find(
        &self,
        reader: &dyn Read,
        account: AccountId,
    ) -> Result<Option<Submission>, StoreError> {
        if let Some(letter) = self.letter
            && let Some(found) = by_digest(reader, account, letter)?
        {
            return Ok(Some(found));
        }
        let mut stated = None::<Submission>;
        for hash in &self.stated {
            let found = by_message_id_hash(reader, account, hash)?;
            if found.is_some() && stated.is_some() {
                return Ok(None);
            }
            stated = stated.or(found);
        }
        if stated.is_some() {
            return Ok(stated);
        }
        for hash in &self.answered {
            if let Some(found) = by_message_id_hash(reader, account, hash)? {
                return Ok(Some(found));
            }
        }
        match &self.titled {
            Some(titled) => titled.find(reader, account),
            None => Ok(None),
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.option(self.letter, |w, letter| {
            w.array(&letter.0);
        });
        for hashes in [&self.stated, &self.answered] {
            w.list(hashes, |w, hash| {
                w.array(hash);
            });
        }
        w.option(self.titled.as_ref(), |w, titled| titled.write(w));
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            letter: r.option(|r| r.array().map(ContentDigest))?,
            stated: r.list(Reader::array)?,
            answered: r.list(Reader::array)?,
            titled: r.option(Titled::read)?,
        })
    }
}

/// Words with an `@` inside, free of what people put around a Message-ID.
fn words_like_ids(text: &str) -> impl Iterator<Item = &str> {
    let around =
        |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '"' | ',' | ';');
    text.split(around)
        .map(|word| word.trim_matches(['.', ':', '\'']))
        .filter(|word| word.len() <= tern_mime::limits::MAX_MESSAGE_ID_BYTES)
        .filter(|word| matches!(word.split_once('@'), Some((left, right)) if !left.is_empty() && !right.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(mail: &str) -> Named {
        let mail = mail.replace('\n', "\r\n").into_bytes();
        Named::by_mail(&[1; 32], &tern_mime::parse(&mail), &mail)
    }

    fn hashes(ids: &[&str]) -> Vec<[u8; 16]> {
        ids.iter().map(|id| message_id_hash(id)).collect()
    }

    #[test]
    fn an_attached_message_is_named_by_itself_and_not_by_what_it_carries() {
        let letter = "From: a@x\nReferences: <older@x>\nMessage-ID: <1@x>\n\nsee <2@x>\n";
        let mail = format!(
            "Subject: <3@x>\nIn-Reply-To: <4@x>\nMIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntake back <5@x>\n--b\n\
             Content-Type: message/rfc822\n\n{letter}\n--b--\n"
        );
        let named = named(&mail);
        let digest = tern_mime::content_digest(&[1; 32], letter.as_bytes());
        assert_eq!(named.letter, Some(digest));
        assert_eq!(named.stated, hashes(&["1@x"]));
        assert!(named.answered.is_empty());
        let mut w = Writer::default();
        named.write(&mut w);
        let bytes = w.finish();
        assert_eq!(Named::read(&mut Reader::new(&bytes)), Ok(named));
    }

    #[test]
    fn text_states_ids_however_they_are_written() {
        let named = named(
            "Subject: =?utf-8?q?recall_=3C1@x=3E?=\nReferences: <old@x> <near@x>\n\n\
             Message-ID: 2@x.\n(3@x), \"4@x\" <1@x> mail@ @x\n",
        );
        assert_eq!(named.letter, None);
        assert_eq!(named.stated, hashes(&["1@x", "2@x", "3@x", "4@x"]));
        assert_eq!(named.answered, hashes(&["near@x", "old@x"]));
    }
}
