//! Where in a message's octets a section is, and reading it.
//!
//! Invariant: ranges count from the start of the message as served: the prefix of this recipient,
//! then the content, whose parsed offsets are shifted by the prefix. The prefix belongs to the
//! header.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use tern_mailbox::{Ahead, MailboxError, MessageRow};
use tern_mime::limits::MAX_HEADER_BYTES;
use tern_mime::{MessageView, Structure};
use tern_session::Reservation;

use super::super::budget::StepBudget;
use super::super::reading::Reading;
use super::binary::Marks;
use crate::fetch::{BodySection, SectionText};
use crate::limits::CONTENT_PIECE;

/// What a section is made of.
pub(super) enum Source {
    /// There is no such section: NIL.
    Nothing,
    /// Octets of the message as they stand.
    Octets(Range<u64>),
    /// Octets that were made from the message, and the memory that was set aside for them.
    Made(Vec<u8>, Option<Reservation>),
    /// The part's transfer encoding is not known (RFC 3516 4.3).
    UnknownEncoding,
}

/// What content is read with.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) stored: Reading<'a>,
    pub(super) budget: &'a StepBudget,
    /// Where the part that was decoded last can be gone on with.
    pub(super) marks: &'a Cell<Marks>,
}

/// A message whose content is read.
pub(super) struct Content<'a> {
    pub(super) by: Reader<'a>,
    pub(super) row: &'a MessageRow,
    /// Where it was read ahead.
    pub(super) structure: Option<&'a Arc<Structure>>,
    /// Its octets, likewise.
    pub(super) ahead: Option<&'a Ahead>,
}

impl<'a> Content<'a> {
    /// Reads octets; refused once the message is sealed.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Cow<'a, [u8]>, MailboxError> {
        let (mailboxes, account, row) = (self.by.stored.mailboxes, self.by.stored.owner, self.row);
        let octets = match self.ahead {
            Some(ahead) => mailboxes.serve(account, row, ahead, &range)?,
            None => Cow::Owned(mailboxes.read(account, row, range)?.0),
        };
        self.by.budget.octets(octets.len() as u64);
        Ok(octets)
    }

    /// The structure of the content.
    pub(super) fn structure(&self) -> Result<Arc<Structure>, MailboxError> {
        let ahead = self.structure.cloned();
        let mailboxes = self.by.stored.mailboxes;
        self.by.budget.structure(mailboxes, self.row, ahead)
    }

    /// Sets memory aside for what is made of so many octets, from their reading until the client has taken
    /// it.
    pub(super) fn reserve(&self, octets: u64) -> Result<Option<Reservation>, MailboxError> {
        self.by.stored.reserve(octets, CONTENT_PIECE)
    }

    /// The section that `BODY[…]` names (RFC 9051 6.4.5.1).
    pub(super) fn section(&self, section: &BodySection) -> Result<Source, MailboxError> {
        let whole = 0..u64::from(self.row.size);
        if section.path.is_empty() && section.text == SectionText::All {
            return Ok(Source::Octets(cut(whole, section.partial)));
        }
        let structure = self.structure()?;
        let Some(range) = structure
            .view()
            .and_then(|view| range(self.row, section, &view))
        else {
            return Ok(Source::Nothing);
        };
        let (names, not) = match &section.text {
            SectionText::HeaderFields(names) => (names, false),
            SectionText::HeaderFieldsNot(names) => (names, true),
            _ => return Ok(Source::Octets(cut(range, section.partial))),
        };
        // One octet more tells that the header goes on.
        let end = range.end.min(range.start + MAX_HEADER_BYTES as u64 + 1);
        let reserved = self.reserve(end - range.start)?;
        let header = self.read(range.start..end)?;
        let looks = header.len() as u64 * u64::from(names.len().checked_ilog2().unwrap_or(0));
        self.by.budget.octets(looks);
        let fields = tern_mime::header_fields(&header, names, not);
        Ok(made(fields, section.partial, reserved))
    }
}

/// The octets of a section; of the whole header for HEADER.FIELDS.
pub(super) fn range(
    row: &MessageRow,
    section: &BodySection,
    parsed: &MessageView<'_>,
) -> Option<Range<u64>> {
    let prefix = row.prefix.len() as u64;
    let found = tern_mime::section(parsed, &section.path)?;
    let in_content = match section.text {
        SectionText::All => Some(found.whole),
        SectionText::Mime => found.mime,
        SectionText::Text => found.text,
        SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
            let header = found.header?;
            let start = if section.path.is_empty() {
                0
            } else {
                prefix + u64::from(header.start)
            };
            return Some(start..prefix + u64::from(header.end));
        }
    };
    in_content.map(|range| prefix + u64::from(range.start)..prefix + u64::from(range.end))
}

/// RFC 9051 6.4.5: a partial that reaches past the end is cut there, one behind it is empty.
pub(super) fn cut(range: Range<u64>, partial: Option<(u64, u64)>) -> Range<u64> {
    let Some((offset, length)) = partial else {
        return range;
    };
    let start = range.start.saturating_add(offset).min(range.end);
    start..start.saturating_add(length).min(range.end)
}

/// What is served of octets that were made. A piece that is small enough to be held anyway gives the memory
/// back.
fn made(mut made: Vec<u8>, partial: Option<(u64, u64)>, reserved: Option<Reservation>) -> Source {
    let Range { start, end } = cut(0..made.len() as u64, partial);
    // Both lie within the vector, whose length is a usize.
    made.truncate(end as usize);
    made.drain(..start as usize);
    made.shrink_to_fit();
    let reserved = reserved.filter(|_| made.len() as u64 > CONTENT_PIECE);
    Source::Made(made, reserved)
}
