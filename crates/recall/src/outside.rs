//! Copies that wait to leave: cancelled, or said to have left.

use std::ops::Range;

use tern_base::Timestamp;
use tern_queue::{Cancelled, QueueId};
use tern_store::Transaction;

use crate::plan::{finished_item_outcome, is_chosen};
use crate::submission::Destination;
use crate::{CopyOutcome, Outcome, Reason, Recall, RecallError, Recalls, Target, tables};

impl Recalls {
    /// Settles the queue items of a range of a submission's targets, within a transaction. A
    /// target that has a settled outcome is left alone.
    pub(crate) fn settle_outside_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        targets: &[Target],
        range: Range<usize>,
        now: Timestamp,
    ) -> Result<u64, RecallError> {
        let mut pending = 0;
        let all = targets.iter().enumerate();
        for (n, target) in all.skip(range.start).take(range.len()) {
            let Destination::Outside { item, .. } = target.destination else {
                continue;
            };
            if !is_chosen(target, &recall.chosen) {
                continue;
            }
            let key = tables::target_outcome(recall.id, n as u32);
            let before = txn
                .get(&key)?
                .map(|row| CopyOutcome::decode(&row))
                .transpose()?;
            if before
                .as_ref()
                .is_some_and(|outcome| outcome.outcome != Outcome::Pending)
            {
                continue;
            }
            let outcome = self.cancel_item_in(txn, item, now)?;
            pending += u64::from(outcome.outcome == Outcome::Pending);
            if before.is_none_or(|before| before.outcome != outcome.outcome) {
                txn.put(key, outcome.encode());
            }
        }
        Ok(pending)
    }

    fn cancel_item_in(
        &self,
        txn: &mut Transaction<'_>,
        item: QueueId,
        now: Timestamp,
    ) -> Result<CopyOutcome, RecallError> {
        let (outcome, reason) = match tern_queue::cancel_in(txn, item, now)? {
            Cancelled::Cancelled {
                item,
                may_have_left,
                ..
            } => {
                self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
                if may_have_left {
                    (Outcome::Relayed, Reason::MaybeTakenOutside)
                } else {
                    (Outcome::Prevented, Reason::Queued)
                }
            }
            Cancelled::InFlight { .. } => (Outcome::Pending, Reason::InFlight),
            Cancelled::AlreadyFinished(row) => finished_item_outcome(row.ending, row.lost_attempts),
            Cancelled::Gone => (Outcome::Relayed, Reason::TakenOutside),
        };
        Ok(CopyOutcome::new(outcome, reason, now))
    }
}
