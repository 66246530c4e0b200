//! What content of messages is read with, whichever command does it.
//!
//! Invariant: what is held of a message beyond a little is a part of the memory that all sessions share, and of
//! that of whoever reads.

use tern_base::AccountId;
use tern_mailbox::{MailboxError, Mailboxes};
use tern_session::{ContentMemory, Reservation};
use tern_store::StoreError;

/// Where content is, and in whose memory it is held.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) mailboxes: &'a Mailboxes,
    pub(super) memory: &'a dyn ContentMemory,
    /// Whose messages they are.
    pub(super) owner: AccountId,
    /// Who reads them, and holds what is made of them.
    pub(super) holder: AccountId,
}

impl Reading<'_> {
    /// Sets memory aside for so many octets, where they are more than may be held without.
    pub(super) fn reserve(
        &self,
        octets: u64,
        free: u64,
    ) -> Result<Option<Reservation>, MailboxError> {
        if octets <= free {
            return Ok(None);
        }
        let reserved = self.memory.reserve(Some(self.holder), octets);
        reserved.map(Some).ok_or(StoreError::Busy.into())
    }
}
