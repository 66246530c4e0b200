//! Letters that can be told apart wherever an octet of them shows up.
//!
//! Subject, text and attachment of each letter carry marks with its number; the text is nothing
//! but marks, so that no 32 octets of it leave unseen.

use tern_base::{ContentDigest, EmailAddress, OriginId, Timestamp};

use crate::server::TOKEN_KEY;

/// Where in a letter a mark stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The subject.
    Subject,
    /// The text.
    Body,
    /// The first attachment.
    Attachment,
    /// The second one.
    Second,
}

impl Part {
    /// Where in the message it is, by the order of its parts from the whole of it; `None` where it is no
    /// attachment.
    pub(crate) const fn position(self) -> Option<u8> {
        match self {
            Self::Subject | Self::Body => None,
            Self::Attachment => Some(2),
            Self::Second => Some(3),
        }
    }

    /// The name of its file.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Second => "b.bin",
            _ => "a.bin",
        }
    }
}

/// One letter.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) number: u32,
    /// The recipients of its envelope.
    pub(crate) recipients: Vec<EmailAddress>,
    pub(crate) content: Vec<u8>,
    pub(crate) digest: ContentDigest,
    /// The letters inside it, the outermost first, each with the transaction that had sent it out where its
    /// token says so.
    pub(crate) carried: Vec<(ContentDigest, Option<OriginId>)>,
    /// Whether it has the two attachments.
    pub(crate) has_attachments: bool,
    /// The letter that it is with something added, whose marks stand in it.
    pub(crate) bears: Option<u32>,
    /// The letter that this transaction sent out and that it is, come back: where it comes from outside.
    pub(crate) returned: Option<(ContentDigest, OriginId)>,
}

/// How long a letter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    WithAttachments,
    /// So long that its content is staged before the commit.
    Large,
}

/// The octets of one mark.
const MARK: usize = 8;

pub(crate) fn mark(part: Part, number: u32) -> String {
    let letter = match part {
        Part::Subject => 'S',
        Part::Body => 'B',
        Part::Attachment => 'A',
        Part::Second => 'C',
    };
    format!("#{letter}{number:05}#")
}

/// Octets that a scan must see again with the next piece, so that no mark is lost at the cut.
pub(crate) const CARRY: usize = MARK - 1;

/// Every mark in some octets, in order, each letter and part once in a row.
pub(crate) fn marks(bytes: &[u8]) -> Vec<(Part, u32)> {
    let mut found = Vec::new();
    for window in bytes.windows(MARK) {
        let [b'#', part, digits @ .., b'#'] = window else {
            continue;
        };
        let part = match part {
            b'S' => Part::Subject,
            b'B' => Part::Body,
            b'A' => Part::Attachment,
            b'C' => Part::Second,
            _ => continue,
        };
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|d| d.parse().ok());
        if let Some(number) = number
            && found.last() != Some(&(part, number))
        {
            found.push((part, number));
        }
    }
    found
}

/// What a letter is made of.
pub(crate) struct Draft<'a> {
    pub(crate) number: u32,
    pub(crate) mail_from: &'a str,
    pub(crate) recipients: Vec<EmailAddress>,
    pub(crate) size: Size,
    /// The Message-ID of another sender's letter, where one is to be imitated.
    pub(crate) message_id: Option<u32>,
    /// The letter that it forwards as an attachment, in place of any other, with the transaction that had
    /// brought it to whoever forwards it.
    pub(crate) forwards: Option<&'a (Letter, Option<OriginId>)>,
    pub(crate) now: Timestamp,
}

impl Letter {
    /// The letter as somebody has it to whom this transaction brought it.
    pub(crate) fn as_sent_by(&self, origin: Option<OriginId>) -> Vec<u8> {
        let token = origin.map(|of| tern_recall::token::issue(&TOKEN_KEY, of, self.digest));
        let field = token.map(|token| format!("{}: {token}\r\n", tern_recall::token::HEADER));
        [field.unwrap_or_default().as_bytes(), &self.content].concat()
    }

    pub(crate) fn compose(draft: Draft<'_>, content_key: &[u8; 32]) -> Self {
        let Draft {
            number, mail_from, ..
        } = draft;
        let to: Vec<String> = draft.recipients.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "From: <{mail_from}>\r\nTo: {}\r\nSubject: {} hello\r\nDate: {}\r\n\
             Message-ID: <{}@letters.test>\r\nMIME-Version: 1.0\r\n",
            to.join(", "),
            mark(Part::Subject, number),
            draft.now.rfc5322(),
            draft.message_id.unwrap_or(number),
        );
        let line = format!("{}\r\n", mark(Part::Body, number).repeat(8));
        let lines = match draft.size {
            Size::Large => 2 * tern_store::limits::BLOB_PIECE / line.len() + 40,
            _ => 6,
        };
        if let Some((letter, of)) = draft.forwards {
            let cut = format!("fwd{number}");
            text.push_str(&format!(
                "Content-Type: multipart/mixed; boundary={cut}\r\n\r\n--{cut}\r\n\r\n"
            ));
            text.push_str(&line.repeat(lines));
            text.push_str(&format!("--{cut}\r\nContent-Type: message/rfc822\r\n\r\n"));
            text.push_str(&String::from_utf8_lossy(&letter.as_sent_by(*of)));
            text.push_str(&format!("--{cut}--\r\n"));
        } else if draft.size == Size::WithAttachments {
            text.push_str("Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\n\r\n");
            text.push_str(&line.repeat(lines));
            for part in [Part::Attachment, Part::Second] {
                text.push_str(&format!(
                    "--cut\r\nContent-Type: application/octet-stream\r\n\
                     Content-Disposition: attachment; filename={}\r\n\r\n",
                    part.file()
                ));
                text.push_str(&format!("{}\r\n", mark(part, number).repeat(8)).repeat(4));
            }
            text.push_str("--cut--\r\n");
        } else {
            text.push_str("\r\n");
            text.push_str(&line.repeat(lines));
        }
        let content = text.into_bytes();
        let inner = draft.forwards.iter();
        let inner = inner.flat_map(|(letter, of)| {
            let itself = std::iter::once((letter.digest, *of));
            itself.chain(letter.carried.iter().copied())
        });
        Self {
            number,
            carried: inner.collect(),
            has_attachments: draft.size == Size::WithAttachments && draft.forwards.is_none(),
            bears: None,
            returned: None,
            recipients: draft.recipients,
            digest: tern_mime::content_digest(content_key, &content),
            content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_across_any_cut_that_is_carried_over() {
        let text = format!(
            "x{}y{}",
            mark(Part::Subject, 7),
            mark(Part::Body, 12).repeat(3)
        );
        let whole = [(Part::Subject, 7), (Part::Body, 12)];
        assert_eq!(marks(text.as_bytes()), whole);
        for cut in 0..text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            let carried = &head[head.len().saturating_sub(CARRY)..];
            let mut found = marks(head);
            found.extend(marks(&[carried, tail].concat()));
            found.dedup();
            assert_eq!(found, whole, "cut at {cut}");
        }
    }
}
