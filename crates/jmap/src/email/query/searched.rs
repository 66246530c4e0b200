//! The text of a stored message in which words are looked for.
//!
//! Invariant: what is attached is not read for it, however large it is, but for what stands in the same
//! piece of the store.

use std::borrow::Cow;
use std::ops::Range;

use tern_base::AccountId;
use tern_mailbox::{MailboxError, Mailboxes, MessageRow};
use tern_mime::Structure;
use tern_store::StoreError;
use tern_store::limits::BLOB_PIECE;

use crate::limits;

/// A text, and how many octets were read and decoded for it.
pub(in crate::email) struct Searched {
    pub(in crate::email) text: String,
    pub(in crate::email) work: u64,
}

impl Searched {
    /// Reads the text of a message.
    pub(in crate::email) fn read(
        mailboxes: &Mailboxes,
        account: AccountId,
        row: &MessageRow,
        structure: &Structure,
    ) -> Result<Self, MailboxError> {
        let root = structure.body().ok_or(StoreError::Damaged)?;
        let (prefix, size) = (row.prefix.len() as u64, u64::from(row.size));
        let (mut at, mut window, mut work) = (0..0, Vec::new(), 0);
        let read = |range: Range<u32>| {
            let wanted = prefix + u64::from(range.start)..prefix + u64::from(range.end);
            work += wanted.end.saturating_sub(wanted.start);
            if wanted.start < at.start || wanted.end > at.end {
                // What is wanted next stands behind it.
                let end = wanted.end.max(wanted.start + BLOB_PIECE as u64).min(size);
                at = wanted.start..end;
                window = mailboxes.read(account, row, at.clone())?.0;
                work += window.len() as u64;
            }
            let start = wanted.start.saturating_sub(at.start) as usize;
            let end = wanted.end.saturating_sub(at.start) as usize;
            let found = window.get(start..end).unwrap_or_default();
            Ok::<_, MailboxError>(Cow::Owned(found.to_vec()))
        };
        let text = tern_mime::decoded_text_of(&root, limits::MAX_SEARCHED_TEXT, read)?;
        Ok(Self { text, work })
    }
}
