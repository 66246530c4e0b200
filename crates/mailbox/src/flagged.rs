//! Whether copies bear a flag: of many accounts together, by the rows of their placements.
//!
//! Invariant: no view is made. To ask about one copy in each of many mailboxes costs a row or three of each,
//! whatever else is in them, and puts out of memory nothing that a session reads by.
//!
//! Refuses to say anything of what is sealed.

use tern_base::{AccountId, MailboxId};
use tern_store::Read;

use crate::flags::SystemFlag;
use crate::rows::{CopyRow, MessageRow, PlacementRow};
use crate::{MailboxError, Sealing, tables};

/// Copies that are looked at together.
const CHUNK: usize = 256;

impl Sealing {
    /// Whether each of these copies bears a flag in any mailbox of its account, in their order; `None` for one
    /// that is not there any more, or is sealed.
    pub fn bear_flag(
        &self,
        copies: &[CopyRow],
        flag: SystemFlag,
    ) -> Result<Vec<Option<bool>>, MailboxError> {
        let mut all = Vec::with_capacity(copies.len());
        for chunk in copies.chunks(CHUNK) {
            // One moment: a message that is moved meanwhile has its placement.
            let snapshot = self.0.engine.snapshot()?;
            self.chunk_bears(&*snapshot, chunk, flag, &mut all)?;
        }
        Ok(all)
    }

    fn chunk_bears(
        &self,
        reader: &(impl Read + ?Sized),
        copies: &[CopyRow],
        flag: SystemFlag,
        all: &mut Vec<Option<bool>>,
    ) -> Result<(), MailboxError> {
        let first = all.len();
        let key = |copy: &CopyRow| tables::message(copy.account, copy.message);
        let keys: Vec<Vec<u8>> = copies.iter().map(key).collect();
        // Where each is shown, by its position among these.
        let mut places: Vec<(usize, AccountId, MailboxId)> = Vec::new();
        let mut keys_of_places = Vec::new();
        for (n, (copy, row)) in copies.iter().zip(reader.get_many(&keys)?).enumerate() {
            let row = row.map(|row| MessageRow::decode(&row)).transpose()?;
            let row = row.filter(|row| !self.0.is_sealed(copy.account, row));
            all.push(row.as_ref().map(|_| false));
            for (mailbox, uid) in row.iter().flat_map(|row| &row.placements) {
                places.push((n, copy.account, *mailbox));
                keys_of_places.push(tables::placement(copy.account, *mailbox, *uid));
            }
        }
        let rows = reader.get_many(&keys_of_places)?;
        let mut bearing = Vec::new();
        for (place, row) in places.into_iter().zip(rows) {
            let row = row.map(|row| PlacementRow::decode(&row)).transpose()?;
            if row.is_some_and(|row| row.flags.has(flag)) {
                bearing.push(place);
            }
        }
        // What is in a mailbox that was deleted, and has not gone yet, is in none.
        let key = |(_, account, mailbox): &(usize, AccountId, MailboxId)| {
            tables::mailbox(*account, *mailbox)
        };
        let keys: Vec<Vec<u8>> = bearing.iter().map(key).collect();
        for ((n, ..), mailbox) in bearing.iter().zip(reader.get_many(&keys)?) {
            if let Some(bears) = all.get_mut(first + n).filter(|_| mailbox.is_some()) {
                *bears = Some(true);
            }
        }
        Ok(())
    }
}
