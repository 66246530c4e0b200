//! Copies that arrived after the recall and were stopped: each is noted once, with its outcome.

use std::collections::{BTreeSet, HashMap};

use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{Lineage, SealTag};
use tern_store::{Transaction, Verdict};

use crate::audit::{Act, copies_alone};
use crate::outcome_of::{Known, outcome_of};
use crate::{
    CopyOutcome, Destination, Reason, Recall, RecallError, RecallId, Recalls, Subject, Target,
    tables,
};

/// Late copies that one transaction takes note of.
const PAGE: usize = 256;

impl Recalls {
    /// Gives every late copy of a recall its outcome and brings the report up to date. Called
    /// when a delivery or an append was stopped by the seal of this tag; answers how many were new.
    pub fn refresh_late(&self, tag: SealTag, now: Timestamp) -> Result<usize, RecallError> {
        let found = self.note_late(tag, now)? + self.note_stopped(tag, now)?;
        if found > 0 {
            self.run(RecallId(tag.0), now)?;
        }
        Ok(found)
    }

    /// The same for every late copy that nobody was told of, or could not note. A recall that fails does
    /// not keep back those of others; the first failure is answered.
    pub(crate) fn refresh_all_late(&self, now: Timestamp) -> Result<(), RecallError> {
        let mut tags: BTreeSet<SealTag> = self.sealing.late_tags()?.into_iter().collect();
        tags.extend(self.stopped_tags()?);
        let mut failure = None;
        for tag in tags {
            if let Err(error) = self.refresh_late(tag, now) {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    pub(crate) fn note_late(&self, tag: SealTag, now: Timestamp) -> Result<usize, RecallError> {
        let mut late = self.sealing.late_copies(tag, PAGE)?;
        if late.is_empty() {
            return Ok(0);
        }
        let recall = self.recall(RecallId(tag.0))?;
        let lines = Lines::of(&self.targets_of(&recall)?);
        let mut found = 0;
        while !late.is_empty() {
            found += tern_store::transact(&*self.engine, |txn| {
                let mut fresh = Vec::new();
                for (account, message) in &late {
                    let noted = self.note_late_in(txn, &recall, &lines, *account, *message)?;
                    let subject = Subject::Copy(*account, *message);
                    fresh.extend(noted.map(|outcome| (subject, outcome)));
                }
                self.audit_outcomes(txn, &recall, Act::Settled, &fresh, copies_alone, now)?;
                if !fresh.is_empty() {
                    let mut recall = self.recall_in(txn, recall.id)?;
                    recall.changed();
                    recall.put_in(txn)?;
                }
                Ok::<_, RecallError>(Verdict::Commit(fresh.len()))
            })?;
            late = self.sealing.late_copies(tag, PAGE)?;
        }
        Ok(found)
    }

    fn note_late_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        lines: &Lines,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<CopyOutcome>, RecallError> {
        let tag = recall.id.tag();
        let row = self.sealing.note_late_in(txn, tag, account, message)?;
        let Some(row) = row.filter(|row| row.tag == tag) else {
            return Ok(None);
        };
        let key = tables::outcome(recall.id, Subject::Copy(account, message));
        if txn.get(&key)?.is_some() {
            return Ok(None);
        }
        let put_back = row.message.lineage == Lineage::Copied;
        let carriage = row.message.carriage_of(recall.digest);
        let Some(outcome) = outcome_of(Known::Stopped { put_back }, row.withdrawn) else {
            return Ok(None);
        };
        let mut outcome = outcome.carried(carriage);
        outcome.mailboxes = row.message.placements.iter().map(|(id, _)| *id).collect();
        txn.put(key, outcome.encode());
        crate::stand_in::note_due_in(txn, recall, Subject::Copy(account, message), &outcome);
        if !put_back && carriage.is_none() {
            // What another recall holds of them is another copy, of which the line still tells.
            let wrongly = [Reason::DeletedUnread, Reason::RemovedUnread];
            not_gone_in(txn, recall.id, lines, account, |line| {
                wrongly.contains(&line.reason)
            })?;
        }
        Ok(Some(outcome))
    }
}

/// Which lines of a recall are an account's: asked for each of its copies, of which there may be as many
/// as lines.
pub(crate) struct Lines(HashMap<AccountId, Vec<u32>>);

impl Lines {
    pub(crate) fn of(targets: &[Target]) -> Self {
        let mut lines: HashMap<AccountId, Vec<u32>> = HashMap::new();
        for (n, target) in (0..).zip(targets) {
            if let Destination::Account(account) = target.destination {
                lines.entry(account).or_default().push(n);
            }
        }
        Self(lines)
    }

    fn of_account(&self, account: AccountId) -> impl Iterator<Item = u32> + '_ {
        self.0.get(&account).into_iter().flatten().copied()
    }
}

/// A recipient whose copy had not arrived yet when the recall was finished was taken for one who
/// had deleted it: the copy that was stopped, or handed over by another recall, is the one outcome
/// that stays. `wrongly` says which lines this shows to be wrong.
pub(crate) fn not_gone_in(
    txn: &mut Transaction<'_>,
    id: RecallId,
    lines: &Lines,
    account: AccountId,
    wrongly: impl Fn(&CopyOutcome) -> bool,
) -> Result<(), RecallError> {
    for n in lines.of_account(account) {
        let key = tables::outcome(id, Subject::Target(n));
        let Some(row) = txn.get(&key)? else { continue };
        if wrongly(&CopyOutcome::decode(&row)?) {
            txn.delete(key);
        }
    }
    Ok(())
}
