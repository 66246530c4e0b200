//! Since when something of a recall is left to do: what was put on record from then on is still
//! needed.

use tern_base::Timestamp;
use tern_store::{StoreError, Transaction};

use crate::{RecallError, Recalls};

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
