//! Contents of many messages, read together before each is served.
//!
//! Invariant: what was read ahead is served by [`Mailboxes::serve`] alone, which asks for seals at
//! that moment. Refuses to report what cannot be read: whoever serves the message reads it then, and
//! is told.

use std::borrow::Cow;
use std::ops::Range;

use tern_base::AccountId;

use crate::limits::MAX_AHEAD;
use crate::rows::MessageRow;
use crate::{MailboxError, Mailboxes};

/// The content of a message, to be served by [`Mailboxes::serve`].
#[derive(Debug)]
pub struct Ahead(Vec<u8>);

impl Mailboxes {
    /// The contents of messages, in the order of `rows`. `None` for one that is longer than
    /// [`MAX_AHEAD`], or that can't be read: [`Mailboxes::read`] tells why.
    pub fn read_ahead(&self, rows: &[&MessageRow]) -> Vec<Option<Ahead>> {
        let short: Vec<bool> = rows
            .iter()
            .map(|row| content_length(row) <= MAX_AHEAD)
            .collect();
        let wanted = rows.iter().zip(&short).filter(|(_, short)| **short);
        let pieces: Vec<_> = wanted.map(|(row, _)| (row.blob, 0)).collect();
        let read = self.engine.blob_pieces(&pieces).unwrap_or_default();
        let mut read = read.into_iter();
        let rows = rows.iter().zip(short);
        rows.map(|(row, short)| {
            let content = if short { read.next().flatten() } else { None };
            let whole = content.filter(|content| content.len() as u64 == content_length(row));
            whole.map(Ahead)
        })
        .collect()
    }

    /// Octets of a message that was read ahead, as [`Mailboxes::read`] answers them.
    pub fn serve<'a>(
        &self,
        account: AccountId,
        row: &'a MessageRow,
        ahead: &'a Ahead,
        range: &Range<u64>,
    ) -> Result<Cow<'a, [u8]>, MailboxError> {
        if self.is_sealed(account, row) {
            return Err(MailboxError::Sealed);
        }
        let size = u64::from(row.size);
        let (start, end) = (range.start.min(size), range.end.min(size));
        // Both are lengths in memory.
        let prefix = row.prefix.len();
        let (start, end) = (start as usize, (end as usize).max(start as usize));
        let head = row.prefix.get(start..end.min(prefix)).unwrap_or_default();
        let tail = start.saturating_sub(prefix)..end.saturating_sub(prefix);
        let tail = ahead.0.get(tail).unwrap_or_default();
        Ok(match head {
            [] => Cow::Borrowed(tail),
            head => Cow::Owned([head, tail].concat()),
        })
    }
}

/// The octets of a message without those of its recipient.
fn content_length(row: &MessageRow) -> u64 {
    u64::from(row.size).saturating_sub(row.prefix.len() as u64)
}
