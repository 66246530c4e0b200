//! What became of every recipient without a copy here: cancelled in the queue, said to have left,
//! or gone already.
//!
//! A cursor in the record runs over the submission's targets, as far as their delivery has come:
//! each gets its outcome in the transaction that moves the cursor past it. A delivery to many may
//! still be under way when the recall is done; the cursor follows it.

use std::collections::BTreeSet;
use std::ops::Range;

use roaring::RoaringBitmap;
use tern_base::{AccountId, OriginId, Timestamp};
use tern_queue::{Cancelled, QueueId};
use tern_store::{Transaction, Verdict};

use crate::audit::{Act, audit_entry, own_targets};
use crate::chosen::is_chosen;
use crate::plan::{finished_item_outcome, left_outcome, target_outcome, undone_outcome};
use crate::submission::{targets as targets_at, under_way_in};
use crate::taken::Elsewhere;
use crate::{
    CopyOutcome, Destination, Facts, Outcome, Reason, Recall, RecallError, RecallId, Recalls,
    State, Subject, Target, tables,
};

/// Targets whose outcomes one transaction settles.
const CHUNK: usize = 500;

/// What the outcomes of targets rest on besides the facts.
struct Known {
    /// Accounts of which a copy has its outcome.
    holders: BTreeSet<AccountId>,
    /// Accounts with a copy in a mailbox that the seal leaves.
    left: RoaringBitmap,
    /// Accounts whose copies a hold forbids to hide.
    visible: RoaringBitmap,
}

impl Recalls {
    /// Gives every target that the delivery has reached, and that has none yet, its outcome.
    /// Answers whether these are all. While it is being undone nothing is settled: its seal is gone, and
    /// what has come since is to stay; once it is undone that is said.
    pub(crate) fn settle_targets(&self, id: RecallId, now: Timestamp) -> Result<bool, RecallError> {
        loop {
            // Whose copy was stopped on arrival is no recipient without one.
            self.note_late(id.tag(), now)?;
            let recall = self.recall(id)?;
            if recall.state == State::Restoring {
                return Ok(false);
            }
            let facts = self.facts(self.submission_of(&recall)?, &recall.also, recall.part())?;
            let known = self.known(&recall, &facts, now)?;
            let mut generation = recall.generation;
            let end = facts.reached.min(facts.targets.len());
            let from = recall.settled as usize;
            if from >= end {
                return Ok(end == facts.targets.len());
            }
            for start in (from..end).step_by(CHUNK) {
                let range = start..(start + CHUNK).min(end);
                let done = self.settle_chunk(&recall, generation, &facts, &known, range, now)?;
                match done {
                    Some(next) => generation = next,
                    // Something happened to the recall since it was read: look again.
                    None => break,
                }
            }
        }
    }

    fn known(&self, recall: &Recall, facts: &Facts, now: Timestamp) -> Result<Known, RecallError> {
        let mut holders = BTreeSet::new();
        self.each_outcome(recall.id, |subject, outcome| {
            if let Subject::Copy(account, _) = subject
                && outcome.carriage.is_none()
            {
                holders.insert(account);
            }
        })?;
        let (cover, origins) = self.covered(recall, facts)?;
        let left = facts.copies.iter().filter(|copy| {
            let theirs = copy.carrier.is_none() && origins.covers(copy.origin);
            theirs && !cover.covers(copy.account)
        });
        let left = left.map(|copy| copy.account.0).collect();
        let (_, visible) = self.visible(&facts.submission, recall.reach, now)?;
        Ok(Known {
            holders,
            left,
            visible,
        })
    }

    /// Answers the record's generation then; `None` when it is not what it was.
    fn settle_chunk(
        &self,
        recall: &Recall,
        generation: u64,
        facts: &Facts,
        known: &Known,
        range: Range<usize>,
        now: Timestamp,
    ) -> Result<Option<u64>, RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let mut fresh = self.recall_in(txn, recall.id)?;
            let same = (fresh.generation, fresh.settled as usize, fresh.state)
                == (generation, range.start, recall.state);
            if !same {
                return Ok(Verdict::Abandon(None));
            }
            let mut settled = Vec::new();
            let elsewhere = self.elsewhere_in(txn, recall, facts)?;
            let known = (known, &elsewhere);
            let chunk = facts.targets.iter().enumerate();
            for (n, target) in chunk.skip(range.start).take(range.len()) {
                let subject = Subject::Target(n as u32);
                let key = tables::outcome(recall.id, subject);
                // Those of the first few were settled with the seal.
                if txn.get(&key)?.is_some() {
                    continue;
                }
                if let Some(outcome) = self.settle_in(txn, recall, facts, known, target, now)? {
                    txn.put(key, outcome.encode());
                    settled.push((subject, outcome));
                }
            }
            let named = own_targets(&facts.targets);
            self.audit_outcomes(txn, recall, Act::Settled, &settled, named, now)?;
            fresh.settled = range.end as u32;
            if fresh.state.is_over() && !settled.is_empty() {
                fresh.changed();
            }
            fresh.put_in(txn)?;
            Ok::<_, RecallError>(Verdict::Commit(Some(fresh.generation)))
        })
    }

    fn settle_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        facts: &Facts,
        (known, elsewhere): (&Known, &Elsewhere),
        target: &Target,
        now: Timestamp,
    ) -> Result<Option<CopyOutcome>, RecallError> {
        if matches!(recall.state, State::Restored) {
            let chosen = &recall.chosen;
            return Ok(undone_outcome(facts, target, chosen, &known.holders, now));
        }
        if let Destination::Outside { item, .. } = target.destination
            && is_chosen(target, &recall.chosen)
        {
            return self.cancel_item_in(txn, item, now).map(Some);
        }
        let outcome = target_outcome(facts, target, &recall.chosen, &known.holders, now);
        let gone = outcome
            .as_ref()
            .is_some_and(|o| o.outcome == Outcome::AlreadyGone);
        match target.destination {
            Destination::Account(account) if gone => {
                // It came under the seal, which does not cover it.
                if known.left.contains(account.0) {
                    let is_held = known.visible.contains(account.0);
                    return Ok(Some(left_outcome(is_held, recall.selection, now)));
                }
                let taken = self.taken_elsewhere_in(txn, recall, facts, elsewhere, account, now)?;
                if taken.is_none() && !self.mailboxes.has_account_in(txn, account)? {
                    return Ok(outcome.map(CopyOutcome::with_account_removed));
                }
                Ok(taken.or(outcome))
            }
            _ => Ok(outcome),
        }
    }

    /// Settles the queue's items among the first targets, with the seal itself. Those whom the
    /// delivery has not reached have none yet.
    pub(crate) fn settle_first_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        targets: &[Target],
        most: usize,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let Some(submission) = recall.submission else {
            return Ok(());
        };
        let way = under_way_in(txn, submission)?;
        let reached = way.map_or(most, |way| most.min(way.reached as usize));
        let mut settled = Vec::new();
        for (n, target) in targets.iter().enumerate().take(reached) {
            let Destination::Outside { item, .. } = target.destination else {
                continue;
            };
            if is_chosen(target, &recall.chosen) {
                let subject = Subject::Target(n as u32);
                let outcome = self.cancel_item_in(txn, item, now)?;
                txn.put(tables::outcome(recall.id, subject), outcome.encode());
                settled.push((subject, outcome));
            }
        }
        let named = own_targets(targets);
        self.audit_outcomes(txn, recall, Act::Settled, &settled, named, now)
    }

    pub(crate) fn cancel_item_in(
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

    /// Looks again at what is missing or pending, where anything is. After the retry time what is
    /// still unknown of an attempt to relay is said so.
    pub(crate) fn settle_again(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        if !self.recall(id)?.unsettled {
            return Ok(());
        }
        let all = self.settle_targets(id, now)?;
        let pending = self.retry_pending(&self.recall(id)?, now)?;
        let recall = self.recall(id)?;
        if pending > 0 || !all {
            return Ok(());
        }
        let tally = self.tally(id)?;
        tern_store::transact(&*self.engine, |txn| {
            let mut fresh = self.recall_in(txn, id)?;
            if fresh.generation != recall.generation || !fresh.unsettled {
                return Ok(Verdict::Abandon(()));
            }
            fresh.unsettled = false;
            fresh.put_in(txn)?;
            let mut entry = audit_entry(&fresh, "settled", "recall.settled", now);
            for (outcome, count) in tally.iter() {
                entry = entry.detail(outcome.code(), count);
            }
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// Looks again at pending outcomes; answers how many still are.
    fn retry_pending(&self, recall: &Recall, now: Timestamp) -> Result<usize, RecallError> {
        let open = self.pending_items(recall)?;
        // What waited for somebody, or for its time, was asked for long before anything was stopped.
        let since = recall.finished.unwrap_or(recall.requested);
        let given_up = now.millis_since(since) > self.settings.retry_ms();
        let mut left = 0;
        for chunk in open.chunks(CHUNK) {
            left += tern_store::transact(&*self.engine, |txn| {
                let mut settled = Vec::new();
                for (subject, item, _) in chunk {
                    let key = tables::outcome(recall.id, *subject);
                    let known = txn.get(&key)?.map(|row| CopyOutcome::decode(&row));
                    let Some(known) = known.transpose()?.filter(is_pending) else {
                        continue;
                    };
                    let mut outcome = self.cancel_item_in(txn, *item, now)?;
                    if is_pending(&outcome) && given_up {
                        let lost = (Outcome::Relayed, Reason::MaybeTakenOutside);
                        outcome = CopyOutcome::new(lost.0, lost.1, now);
                    }
                    if !is_pending(&outcome) {
                        let outcome = outcome.carried(known.carriage);
                        txn.put(key, outcome.encode());
                        settled.push((*subject, outcome));
                    }
                }
                let mut fresh = self.recall_in(txn, recall.id)?;
                if !settled.is_empty() {
                    fresh.changed();
                    fresh.put_in(txn)?;
                }
                let named = |subject| {
                    let found = chunk.iter().find(|(of, ..)| *of == subject);
                    found.map(|(.., target)| target)
                };
                self.audit_outcomes(txn, &fresh, Act::Settled, &settled, named, now)?;
                Ok::<_, RecallError>(Verdict::Commit(chunk.len() - settled.len()))
            })?;
        }
        Ok(left)
    }

    /// The queue's items whose outcomes are pending, with where they lead.
    fn pending_items(
        &self,
        recall: &Recall,
    ) -> Result<Vec<(Subject, QueueId, Target)>, RecallError> {
        let mut open = Vec::new();
        self.each_outcome_elsewhere(recall.id, |subject, outcome| {
            if is_pending(&outcome) {
                open.push(subject);
            }
        })?;
        let mut found = Vec::with_capacity(open.len());
        // In the order of their keys: those of one submission stand together.
        let mut led: Option<(Option<OriginId>, Vec<Target>)> = None;
        for subject in open {
            let (of, position) = match subject {
                Subject::Target(position) => (None, position),
                Subject::Onward(origin, position) => (Some(origin), position),
                Subject::Copy(..) => continue,
            };
            let targets = match led.take() {
                Some((known, targets)) if known == of => targets,
                _ => match of {
                    None => self.targets_of(recall)?,
                    Some(origin) => targets_at(&*self.engine, origin)?,
                },
            };
            if let Some(target) = targets.get(position as usize)
                && let Destination::Outside { item, .. } = target.destination
            {
                found.push((subject, item, target.clone()));
            }
            led = Some((of, targets));
        }
        Ok(found)
    }
}

fn is_pending(outcome: &CopyOutcome) -> bool {
    outcome.outcome == Outcome::Pending
}
