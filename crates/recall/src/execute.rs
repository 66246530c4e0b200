//! Carrying out what was sealed: in chunks, each a transaction, each safe to run again.

use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{CopyRow, Mailboxes, Sealing, Withdrawn};
use tern_store::{Transaction, Verdict};

use crate::audit::{Act, audit_entry, copies_alone};
use crate::outcome_of::{Known, outcome_of};
use crate::stand_in::note_due_in;
use crate::status::each_row;
use crate::{
    CopyOutcome, Extent, Facts, Outcome, Recall, RecallError, RecallId, Recalls, State, Subject,
    tables,
};

/// Copies that one transaction withdraws: so few that whoever wants a processor meanwhile gets one within a
/// millisecond or two, when the withdrawal waits for its commit.
const CHUNK: usize = 64;
/// About the longest row that says what became of a withdrawn copy, or of one of its mailboxes,
/// and an entry of the audit log, in bytes.
const OUTCOME_BYTES: usize = 400;
const AUDIT_BYTES: usize = 2_048;
const _: () = assert!(
    CHUNK * OUTCOME_BYTES + crate::audit::ONE_BY_ONE * AUDIT_BYTES
        < tern_mailbox::limits::VAULT_CHUNK_REST
);
/// How often copies that were made meanwhile are looked for before it is left to the next run.
const MAX_PASSES: usize = 20;

impl Recalls {
    /// Does what is left to do of a recall, up to the report.
    pub fn run(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        let mut recall = self.recall(id)?;
        if recall.state.is_waiting() {
            self.tell(id, now)?;
        }
        if recall.state == State::Running {
            if let Some(facts) = self.withdraw_all(&recall, now)? {
                self.put_stand_ins(&recall, now)?;
                self.finish(&recall, &facts, now)?;
            }
            recall = self.recall(id)?;
        }
        if recall.state == State::Restoring {
            self.note_late(recall.id.tag(), now)?;
            self.note_stopped(recall.id.tag(), now)?;
            self.restore_all(&recall, now)?;
            recall = self.recall(id)?;
        }
        if recall.state.is_over() {
            self.settle_again(id, now)?;
            recall = self.recall(id)?;
        }
        // Before the report, which says who got one; where they fail there is a report all the same.
        let notified = self.notify(&recall, now);
        // After the last look at the record: whatever lets a place fall due changes it, and is told of
        // once the place is taken.
        let recall = self.recall(id)?;
        if recall.state == State::Done {
            self.put_stand_ins(&recall, now)?;
        }
        if recall.is_report_due() {
            self.write_report(&recall, now)?;
            self.wake_followers(id)?;
        }
        notified
    }

    /// Withdraws from the other end while [`Recalls::run`] is at it on another thread, and returns
    /// when they have met; at once where there are fewer copies than `least`. Nothing depends on it:
    /// whatever is left is `run`'s.
    pub fn assist(&self, id: RecallId, least: usize, now: Timestamp) -> Result<(), RecallError> {
        let recall = self.recall(id)?;
        let seal = self.sealing.seal_of(recall.digest, id.tag())?;
        let (State::Running, Some(seal)) = (recall.state, seal) else {
            return Ok(());
        };
        let mut covered = self.copies_and_carriers(recall.digest, &seal.origins)?;
        covered.retain(|copy| seal.covers(copy.account, copy.origin, copy.carriage()));
        if covered.len() < least {
            return Ok(());
        }
        for chunk in covered.chunks(CHUNK).skip(1).rev() {
            if !self.is_left(&recall, chunk)? {
                break;
            }
            self.withdraw_chunk(&recall, chunk, now)?;
        }
        Ok(())
    }

    /// Does what is left to do of every recall, the small ones first. To be called at start and now and then.
    /// One that fails does not keep the others from being done; the first failure is answered.
    pub fn run_open(&self, now: Timestamp) -> Result<usize, RecallError> {
        let mut failure = self.begin_due(now).map_or_else(Some, |due| due.failure);
        if let Err(error) = self.alert(now) {
            failure.get_or_insert(error);
        }
        let mut ids = Vec::new();
        each_row(&*self.engine, tables::whole(tables::OPEN), |key, _| {
            let id = key.get(1..).and_then(|id| id.try_into().ok());
            ids.push(RecallId(id.ok_or(tern_store::StoreError::Damaged)?));
            Ok(())
        })?;
        // Where it can't be told how much there is, that is told when it is done.
        ids.sort_by_cached_key(|id| self.width(*id).unwrap_or(u64::MAX));
        for id in &ids {
            if let Err(error) = self.run(*id, now) {
                failure.get_or_insert(error);
            }
        }
        if let Err(error) = self.refresh_all_late(now) {
            failure.get_or_insert(error);
        }
        failure.map_or(Ok(ids.len()), Err)
    }

    /// Withdraws until no covered copy is left, and answers the facts that show it: while copies
    /// are withdrawn, an owner can still make a second message of one. `None` when another run
    /// was quicker.
    fn withdraw_all(&self, recall: &Recall, now: Timestamp) -> Result<Option<Facts>, RecallError> {
        for _ in 0..MAX_PASSES {
            let facts = self.facts_of(recall)?;
            let covers = |copy: &&CopyRow| {
                facts.cover.covers(copy.account) && recall.reach.reaches(copy.carriage())
            };
            let covered: Vec<CopyRow> = facts.copies.iter().filter(covers).cloned().collect();
            if self.recall(recall.id)?.state != State::Running {
                return Ok(None);
            }
            if covered.is_empty() {
                return Ok(Some(facts));
            }
            for chunk in covered.chunks(CHUNK) {
                let mut rest = chunk;
                while !rest.is_empty() && self.is_left(recall, rest)? {
                    let done = self.withdraw_chunk(recall, rest, now)?;
                    rest = rest.get(done..).unwrap_or_default();
                }
            }
        }
        Err(tern_store::StoreError::Busy.into())
    }

    /// Whether copies look as if nobody had withdrawn them yet. What an owner deleted at their ends
    /// is found by the next pass.
    fn is_left(&self, recall: &Recall, chunk: &[CopyRow]) -> Result<bool, RecallError> {
        for copy in chunk.first().into_iter().chain(chunk.last()) {
            if self.mailboxes.has_copy(recall.digest, copy)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Withdraws as many of these copies as fit one transaction; answers how many that were.
    fn withdraw_chunk(
        &self,
        recall: &Recall,
        chunk: &[CopyRow],
        now: Timestamp,
    ) -> Result<usize, RecallError> {
        let copies: Vec<(AccountId, MessageId)> = chunk
            .iter()
            .map(|copy| (copy.account, copy.message))
            .collect();
        let accounts: Vec<AccountId> = copies.iter().map(|copy| copy.0).collect();
        // The audit entry makes one chunk follow another; what comes before it need not.
        let mut lane = None;
        self.mailboxes.transact_unasked(&accounts, |txn| {
            // Undone or finished meanwhile by another run of the same recall.
            if self.recall_in(txn, recall.id)?.state != State::Running {
                return Ok(Verdict::Abandon(copies.len()));
            }
            let tag = recall.id.tag();
            let withdrawn = self.sealing.withdraw_in(txn, &copies, tag, now)?;
            let done = withdrawn.len();
            let withdrawn: Vec<Withdrawn> = withdrawn.into_iter().flatten().collect();
            let outcomes = put_outcomes(txn, recall, chunk, &withdrawn, now);
            lane = lane.take().or_else(|| self.mailboxes.enter_common_lane());
            self.audit_outcomes(txn, recall, Act::Settled, &outcomes, copies_alone, now)?;
            Ok::<_, RecallError>(Verdict::Commit(done))
        })
    }

    /// Gives everything that was not withdrawn its outcome, and closes the withdrawal.
    fn finish(&self, recall: &Recall, facts: &Facts, now: Timestamp) -> Result<(), RecallError> {
        self.keep_others(recall, facts, now)?;
        self.settle_onward(recall, facts, now)?;
        let all = self.settle_targets(recall.id, now)?;
        let tally = self.tally(recall.id)?;
        let unsettled = !all || tally.of(Outcome::Pending) > 0;
        let done = tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, recall.id)?;
            if recall.state != State::Running {
                return Ok(Verdict::Abandon(()));
            }
            self.sealing
                .settle_seal_in(txn, recall.digest, recall.id.tag())?;
            recall.state = State::Done;
            recall.finished = Some(now);
            recall.unsettled = unsettled;
            recall.changed();
            recall.put_in(txn)?;
            let mut entry = audit_entry(&recall, "done", "recall.done", now)
                .detail("withdrawn", Extent::of(&tally).code());
            for (outcome, count) in tally.iter() {
                entry = entry.detail(outcome.code(), count);
            }
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        });
        // After an error too: a commit whose answer was lost may be done.
        self.sealing.reload_seal(recall.digest, recall.id.tag())?;
        done
    }

    /// Records the copies that stay: the sender's own, and those of recipients not chosen, spared, or
    /// under a hold that forbids to hide them.
    fn keep_others(
        &self,
        recall: &Recall,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let theirs: Vec<&CopyRow> = facts.copies.iter().collect();
        for chunk in theirs.chunks(CHUNK) {
            tern_store::transact(&*self.engine, |txn| {
                let mut kept = Vec::with_capacity(chunk.len());
                for copy in chunk {
                    let stays = facts.why_it_stays(copy.account, copy.carriage());
                    let known = stays.map(|why| Known::Copy {
                        stays: Some(why),
                        exposure: None,
                    });
                    let Some(outcome) = known.and_then(|known| outcome_of(known, now)) else {
                        continue;
                    };
                    let outcome = outcome.carried(copy.carriage());
                    let subject = Subject::Copy(copy.account, copy.message);
                    let key = tables::outcome(recall.id, subject);
                    if txn.get(&key)?.is_none() {
                        txn.put(key, outcome.encode());
                        kept.push((subject, outcome));
                    }
                }
                self.audit_outcomes(txn, recall, Act::Settled, &kept, copies_alone, now)?;
                Ok::<_, RecallError>(Verdict::Commit(()))
            })?;
        }
        Ok(())
    }

    /// The mailboxes that recalls work on.
    pub(crate) const fn sealing(&self) -> &Sealing {
        &self.sealing
    }

    pub(crate) fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
    }
}

/// Writes the outcome rows of withdrawn copies.
fn put_outcomes(
    txn: &mut Transaction<'_>,
    recall: &Recall,
    chunk: &[CopyRow],
    withdrawn: &[Withdrawn],
    now: Timestamp,
) -> Vec<(Subject, CopyOutcome)> {
    let mut outcomes = Vec::with_capacity(withdrawn.len());
    for copy in withdrawn {
        let is_it = |row: &&CopyRow| (row.account, row.message) == (copy.account, copy.message);
        let carriage = chunk.iter().find(is_it).and_then(CopyRow::carriage);
        let mut outcome = CopyOutcome::withdrawn(copy.exposure.clone(), now).carried(carriage);
        outcome.mailboxes = copy
            .placements
            .iter()
            .map(|(mailbox, _)| *mailbox)
            .collect();
        let subject = Subject::Copy(copy.account, copy.message);
        txn.put(tables::outcome(recall.id, subject), outcome.encode());
        note_due_in(txn, recall, subject, &outcome);
        outcomes.push((subject, outcome));
    }
    outcomes
}
