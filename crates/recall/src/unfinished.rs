//! What is left to do: since when something of a recall is, so that what was put on record from then on is
//! still needed, and how much of one there may be, by which small ones have their turn before large ones.

use tern_base::Timestamp;
use tern_mailbox::Cover;
use tern_store::{StoreError, Transaction};

use crate::{RecallError, RecallId, Recalls, submission};

impl Recalls {
    /// When the oldest recall was asked for that is not over.
    pub fn oldest_unfinished(&self) -> Result<Option<Timestamp>, RecallError> {
        let mut oldest = None;
        self.each_recall(|recall| {
            let ended = recall.state.is_over() || recall.state.is_void();
            if recall.is_open() || !ended {
                let asked = recall.requested;
                oldest = Some(oldest.map_or(asked, |oldest: Timestamp| oldest.min(asked)));
            }
        })?;
        Ok(oldest)
    }

    /// How many accounts and addresses elsewhere a recall speaks of, at the most: by a few rows, however many
    /// there are.
    pub fn width(&self, id: RecallId) -> Result<u64, RecallError> {
        let recall = self.recall(id)?;
        let seal = self.sealing.seal_of(recall.digest, id.tag())?;
        if let Some(Cover::Only(accounts)) = seal.map(|seal| seal.cover) {
            return Ok(accounts.len());
        }
        let mut width = 0;
        for sending in recall.sendings() {
            let found = submission::submission(&*self.engine, sending)?;
            width += found.map_or(0, |found| {
                u64::from(found.accounts) + u64::from(found.outside)
            });
        }
        Ok(width)
    }

    /// Whether no hold is in force; the transaction depends on the answer.
    pub fn is_free_of_holds_in(
        &self,
        txn: &mut Transaction<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let all = self.holds.all_in(txn)?;
        Ok(!all.iter().any(|hold| hold.is_in_force(now)))
    }
}
