//! Copies that arrived after the recall and were stopped: found in the vault, given an outcome.

use tern_base::{AccountId, Timestamp};
use tern_mailbox::{Lineage, SealTag};
use tern_store::{Transaction, Verdict};

use crate::{
    CopyOutcome, Destination, Outcome, Reason, RecallError, RecallId, Recalls, Target, submission,
    tables,
};

/// Vault rows that one read brings.
const PAGE: usize = 256;

impl Recalls {
    /// Gives every late copy of a recall its outcome and brings the report up to date. Called
    /// when a delivery or an append was stopped by the seal of this tag; answers how many were new.
    pub fn refresh_late(&self, tag: SealTag, now: Timestamp) -> Result<usize, RecallError> {
        let recall = self.recall(RecallId(tag.0))?;
        let targets = match recall.submission {
            Some(id) => submission::targets(&*self.engine, id)?,
            None => Vec::new(),
        };
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
                    if reason == Reason::LateDelivery {
                        not_gone_in(txn, recall.id, &targets, copy.account)?;
                    }
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

/// A recipient whose copy had not arrived yet when the recall was finished was taken for one who
/// had deleted it: the copy that was stopped is the one outcome that stays.
fn not_gone_in(
    txn: &mut Transaction<'_>,
    id: RecallId,
    targets: &[Target],
    account: AccountId,
) -> Result<(), RecallError> {
    let to = Destination::Account(account);
    let of_account = targets
        .iter()
        .enumerate()
        .filter(|(_, target)| target.destination == to);
    for (n, _) in of_account {
        let key = tables::target_outcome(id, n as u32);
        let Some(row) = txn.get(&key)? else { continue };
        if CopyOutcome::decode(&row)?.reason == Reason::DeletedUnread {
            txn.delete(key);
        }
    }
    Ok(())
}
