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
use crate::outcome_of::{Here, Item, Known, Led, Place, outcome_of};
use crate::submission::{targets as targets_at, under_way_in};
use crate::taken::Elsewhere;
use crate::{
    CopyOutcome, Destination, Facts, Outcome, Recall, RecallError, RecallId, Recalls, State,
    Subject, Target, tables,
};

/// Targets whose outcomes one transaction settles.
const CHUNK: usize = 500;

/// What the outcomes of targets rest on besides the facts.
struct Found {
    /// Accounts of which a copy has its outcome.
    holders: BTreeSet<AccountId>,
    /// Accounts with a copy in a mailbox that the seal leaves.
    left: RoaringBitmap,
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
            let facts = self.facts_of(&recall)?;
            let found = self.found_of(&recall, &facts)?;
            let mut generation = recall.generation;
            let end = facts.reached.min(facts.targets.len());
            let from = recall.settled as usize;
            if from >= end {
                return Ok(end == facts.targets.len());
            }
            for start in (from..end).step_by(CHUNK) {
                let range = start..(start + CHUNK).min(end);
                let done = self.settle_chunk(&recall, generation, (&facts, &found), range, now)?;
                match done {
                    Some(next) => generation = next,
                    // Something happened to the recall since it was read: look again.
                    None => break,
                }
            }
        }
    }

    fn found_of(&self, recall: &Recall, facts: &Facts) -> Result<Found, RecallError> {
        let mut holders = BTreeSet::new();
        self.each_outcome(recall.id, |subject, outcome| {
            if let Subject::Copy(account, _) = subject
                && outcome.carriage.is_none()
            {
                holders.insert(account);
            }
        })?;
        let left = facts
            .copies
            .iter()
            .filter(|copy| copy.carrier.is_none() && !facts.cover.covers(copy.account));
        let left = left.map(|copy| copy.account.0).collect();
        Ok(Found { holders, left })
    }

    /// Answers the record's generation then; `None` when it is not what it was.
    fn settle_chunk(
        &self,
        recall: &Recall,
        generation: u64,
        (facts, found): (&Facts, &Found),
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
            let found = (found, &elsewhere);
            let chunk = facts.targets.iter().enumerate();
            for (n, target) in chunk.skip(range.start).take(range.len()) {
                let subject = Subject::Target(n as u32);
                let key = tables::outcome(recall.id, subject);
                // Those of the first few were settled with the seal.
                if txn.get(&key)?.is_some() {
                    continue;
                }
                let known = self.known_in(txn, recall, facts, found, target, now)?;
                if let Some(outcome) = outcome_of(Known::Led(known), now) {
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

    /// What is known of a target that the delivery has reached; what it sends outside is cancelled.
    fn known_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        facts: &Facts,
        (found, elsewhere): (&Found, &Elsewhere),
        target: &Target,
        now: Timestamp,
    ) -> Result<Led, RecallError> {
        let chosen = is_chosen(target, &recall.chosen);
        let undone = recall.state == State::Restored;
        let is_asked_for = chosen && !undone;
        let place = match target.destination {
            Destination::Nowhere => Place::Nowhere,
            Destination::Outside { item, .. } if is_asked_for => {
                Place::Outside(self.cancel_item_in(txn, item, now)?)
            }
            Destination::Outside { item, .. } => Place::Outside(Item::of(facts.items.get(&item))),
            Destination::Account(account)
                if account == facts.submission.account || found.holders.contains(&account) =>
            {
                Place::Told
            }
            Destination::Account(_) if !is_asked_for => Place::Here(Here::default()),
            // It came under the seal, which does not cover it.
            Destination::Account(account) if found.left.contains(account.0) => Place::Here(Here {
                stays: facts.why_it_stays(account, None),
                ..Here::default()
            }),
            Destination::Account(account) => {
                let taken = self.taken_elsewhere_in(txn, recall, facts, elsewhere, account, now)?;
                Place::Here(Here {
                    stays: None,
                    removed: taken.is_none() && !self.mailboxes.has_account_in(txn, account)?,
                    elsewhere: taken,
                    exposure: facts.exposure_of(account),
                })
            }
        };
        Ok(Led {
            chosen,
            reached: true,
            undone,
            place,
        })
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
                let led = Led {
                    chosen: true,
                    reached: true,
                    undone: false,
                    place: Place::Outside(self.cancel_item_in(txn, item, now)?),
                };
                if let Some(outcome) = outcome_of(Known::Led(led), now) {
                    txn.put(tables::outcome(recall.id, subject), outcome.encode());
                    settled.push((subject, outcome));
                }
            }
        }
        let named = own_targets(targets);
        self.audit_outcomes(txn, recall, Act::Settled, &settled, named, now)
    }

    /// Cancels what leaves for another server; answers how it stood.
    pub(crate) fn cancel_item_in(
        &self,
        txn: &mut Transaction<'_>,
        item: QueueId,
        now: Timestamp,
    ) -> Result<Item, RecallError> {
        let was = tern_queue::cancel_in(txn, item, now)?;
        if let Cancelled::Cancelled { item, .. } = &was {
            self.mailboxes.unlink_blob_in(txn, item.blob, now)?;
        }
        Ok(Item::cancelled(&was))
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
                    let item = match self.cancel_item_in(txn, *item, now)? {
                        // The attempt counts as one that broke off.
                        Item::InFlight if given_up => Item::Waits {
                            may_have_left: true,
                        },
                        item => item,
                    };
                    let outcome = outcome_of(Known::Onward { stays: None, item }, now);
                    if let Some(outcome) = outcome.filter(|outcome| !is_pending(outcome)) {
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
