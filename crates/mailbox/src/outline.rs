//! What a list shows of a message, as a person reads it: the texts by which messages are sorted and
//! searched.
//!
//! Invariant: what a message says never changes, so an outline is good for as long as its message is
//! there; who asks has found it in a view. A message that is sealed has none.

use std::sync::Arc;

use tern_base::{AccountId, MessageId, Timestamp};
use tern_mime::{Address, MessageView, decode_header_text};
use tern_store::StoreError;

use crate::{MailboxError, Mailboxes, MessageRow, limits};

/// The texts of a message that lists show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// From, a line `name <address>` for each.
    pub from: Box<str>,
    /// To, in the same way.
    pub to: Box<str>,
    /// Cc, in the same way.
    pub cc: Box<str>,
    /// Bcc, in the same way.
    pub bcc: Box<str>,
    /// Subject.
    pub subject: Box<str>,
    /// The base subject (RFC 5256 2.1), where it is another text.
    base_subject: Option<Box<str>>,
    /// The Date field.
    pub sent_at: Option<Timestamp>,
    /// Whether a list shows a paper clip.
    pub has_attachment: bool,
}

impl Outline {
    pub(crate) fn of(parsed: &MessageView<'_>) -> Self {
        let envelope = &parsed.envelope;
        let subject = decoded(envelope.subject.unwrap_or_default());
        let base = parsed.base_subject;
        Self {
            from: lines(envelope.from.as_deref()),
            to: lines(envelope.to.as_deref()),
            cc: lines(envelope.cc.as_deref()),
            bcc: lines(envelope.bcc.as_deref()),
            base_subject: (base != subject).then(|| base.into()),
            subject: subject.into(),
            sent_at: parsed.sent_at,
            has_attachment: parsed.has_attachment,
        }
    }

    /// The base subject (RFC 5256 2.1).
    pub fn base_subject(&self) -> &str {
        self.base_subject.as_deref().unwrap_or(&self.subject)
    }

    /// All of it as one text, for a search that may find it anywhere (RFC 8621 4.4.1 `text`).
    pub fn whole(&self) -> String {
        let Self {
            from,
            to,
            cc,
            bcc,
            subject,
            ..
        } = self;
        format!("{subject}\n{from}{to}{cc}{bcc}")
    }

    /// Bytes that it takes, roughly: for the bound of whoever keeps many.
    pub fn weight(&self) -> u64 {
        const AROUND: usize = 64;
        let texts = [&self.from, &self.to, &self.cc, &self.bcc, &self.subject];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        (size_of::<Self>() + AROUND + texts + self.base_subject().len()) as u64
    }
}

/// The first address of a list, as it is compared: its name, or else the address (RFC 8621 4.4.2).
fn first_of(lines: &str) -> &str {
    let line = lines.lines().next().unwrap_or_default();
    match line.rsplit_once('<') {
        Some((name, address)) if name.trim().is_empty() => address.trim_end_matches('>'),
        Some((name, _)) => name.trim(),
        None => line,
    }
}

impl Outline {
    /// By whom, as a list compares it: the name, or else the address, of the first.
    pub fn first_from(&self) -> &str {
        first_of(&self.from)
    }

    /// To whom, in the same way.
    pub fn first_to(&self) -> &str {
        first_of(&self.to)
    }
}

/// A header value as a person reads it.
fn decoded(raw: &[u8]) -> String {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let value = raw.trim_ascii();
    let is_encoded = value.windows(2).any(|pair| pair == b"=?");
    match std::str::from_utf8(value) {
        Ok(text) if !is_encoded && value.iter().all(plain) => text.to_owned(),
        _ => decode_header_text(raw),
    }
}

fn lines(addresses: Option<&[Address<&[u8]>]>) -> Box<str> {
    let mut out = String::new();
    for address in addresses.unwrap_or_default() {
        if out.len() > limits::MAX_OUTLINE_LIST {
            break;
        }
        let Some(spec) = address.addr_spec() else {
            // Where a group begins, its name; where it ends, nothing.
            if let Some(group) = address.mailbox {
                out.push_str(&decoded(group));
                out.push_str(":\n");
            }
            continue;
        };
        if let Some(name) = address.name {
            out.push_str(&decoded(name).replace(['\r', '\n'], " "));
            out.push(' ');
        }
        out.push('<');
        out.push_str(&spec);
        out.push_str(">\n");
    }
    out.into()
}

impl Mailboxes {
    /// The outlines of messages, in the order of `ids`: `None` for one that is not there, or sealed.
    pub fn outlines(
        &self,
        account: AccountId,
        ids: &[MessageId],
    ) -> Result<Vec<Option<Arc<Outline>>>, MailboxError> {
        let known = ids.iter().map(|id| self.outlines.get(&(account, *id)));
        let mut all: Vec<Option<Arc<Outline>>> = known.collect();
        let mut missing: Vec<(MessageId, &mut Option<Arc<Outline>>)> = ids
            .iter()
            .copied()
            .zip(&mut all)
            .filter(|(_, slot)| slot.is_none())
            .collect();
        for missing in missing.chunks_mut(limits::OUTLINES_PER_READ) {
            let ids: Vec<MessageId> = missing.iter().map(|(id, _)| *id).collect();
            let rows = self.messages(account, &ids)?;
            let there = rows.into_iter().zip(missing.iter_mut());
            let there = there.filter_map(|(row, slot)| Some((row?.ok()?, slot)));
            let (rows, slots): (Vec<MessageRow>, Vec<_>) = there.unzip();
            let structures = self.structures(&rows.iter().collect::<Vec<_>>())?;
            for ((row, (id, slot)), structure) in rows.iter().zip(slots).zip(structures) {
                let structure = match structure {
                    Some(structure) => structure,
                    None => self.structure(row)?,
                };
                let parsed = structure.view().ok_or(StoreError::Damaged)?;
                let outline = Arc::new(Outline::of(&parsed));
                self.outlines.insert((account, *id), Arc::clone(&outline));
                **slot = Some(outline);
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(message: &str) -> Outline {
        let structure = tern_mime::Structure::of(&tern_mime::parse(message.as_bytes()));
        Outline::of(&structure.view().expect("a structure"))
    }

    #[test]
    fn an_outline_is_what_a_person_reads() {
        let one = outline(
            "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>, b@example.org\r\nTo: c@example.org\r\n\
             Cc: Friends: d@example.org;\r\nSubject: Re: =?utf-8?q?caf=C3=A9?=\r\n\
             Date: Tue, 10 Jul 2018 01:03:11 +0000\r\n\r\nText",
        );
        assert_eq!(&*one.from, "Jürgen <j@example.org>\n<b@example.org>\n");
        assert_eq!(
            (one.first_from(), one.first_to()),
            ("Jürgen", "c@example.org")
        );
        assert_eq!(&*one.cc, "Friends:\n<d@example.org>\n");
        assert_eq!((&*one.subject, one.base_subject()), ("Re: café", "café"));
        assert_eq!(one.sent_at, Some(Timestamp(1_531_184_591_000)));
        let none = outline("\r\n");
        assert_eq!((none.first_from(), none.base_subject()), ("", ""));
        assert!(!none.has_attachment);
    }
}
