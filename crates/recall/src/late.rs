//! Copies that arrived after the recall and were stopped: found in the vault, given an outcome.

use tern_base::Timestamp;
use tern_mailbox::{Lineage, SealTag};
use tern_store::Verdict;

use crate::{CopyOutcome, Outcome, Reason, RecallError, RecallId, Recalls, tables};

/// Vault rows that one read brings.
const PAGE: usize = 256;

impl Recalls {
    /// Gives every late copy of a recall its outcome and brings the report up to date. Called
    /// when a delivery or an append was stopped by the seal of this tag; answers how many were new.
    pub fn refresh_late(&self, tag: SealTag, now: Timestamp) -> Result<usize, RecallError> {
        let recall = self.recall(RecallId(tag.0))?;
        let mut found = 0;
        let mut after = None;
        loop {
            let page = self.mailboxes.vaulted(tag, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = Some((last.account, last.message));
            let late: Vec<_> = page.iter().filter(|copy| copy.row.late).collect();
            found += tern_store::transact(&*self.engine, |txn| {
                let mut fresh = Vec::new();
                for copy in &late {
                    let key = tables::copy_outcome(recall.id, copy.account, copy.message);
                    if txn.get(&key)?.is_some() {
                        continue;
                    }
                    let reason = match copy.row.message.lineage {
                        Lineage::Copied => Reason::PutBack,
                        _ => Reason::LateDelivery,
                    };
                    let mut outcome =
                        CopyOutcome::new(Outcome::BlockedLate, reason, copy.row.withdrawn);
                    outcome.mailboxes = copy
                        .row
                        .placements
                        .iter()
                        .map(|place| place.mailbox)
                        .collect();
                    txn.put(key, outcome.encode());
                    fresh.push((copy.account, copy.message, outcome));
                }
                if fresh.is_empty() {
                    return Ok(Verdict::Abandon(0));
                }
                self.audit_outcomes(txn, &recall, &fresh, now)?;
                let mut recall = self.recall_in(txn, recall.id)?;
                recall.report_due = true;
                recall.put_in(txn, true);
                Ok::<_, RecallError>(Verdict::Commit(fresh.len()))
            })?;
        }
        if found > 0 {
            self.run(recall.id, now)?;
        }
        Ok(found)
    }
}
