//! Carrying out what was sealed: in chunks, each a transaction, each safe to run again.

use std::collections::BTreeSet;

use tern_base::{AccountId, MessageId, Timestamp};
use tern_mailbox::{CopyRow, Cover, Mailboxes, Origins, SealTag, Withdrawn};
use tern_store::{Transaction, Verdict};

use crate::handle::audit_entry;
use crate::plan::{cover, origins, target_outcome};
use crate::status::each_row;
use crate::{
    CopyOutcome, Destination, Extent, Facts, Outcome, Reason, Recall, RecallError, RecallId,
    Recalls, State, Target, tables,
};

/// Copies that one transaction withdraws.
const CHUNK: usize = 256;
/// How often copies that were made meanwhile are looked for before it is left to the next run.
const MAX_PASSES: usize = 20;
/// Targets whose outcomes one transaction settles.
const TARGET_CHUNK: usize = 500;
/// Up to so many copies of a chunk get an audit entry each; a larger chunk gets one entry with
/// the count and a digest of its outcome rows.
const AUDITED_ONE_BY_ONE: usize = 32;

impl Recalls {
    /// Does what is left to do of a recall, up to the report.
    pub fn run(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        let mut recall = self.recall(id)?;
        if recall.state == State::Running {
            if let Some(facts) = self.withdraw_all(&recall, now)? {
                self.finish(&recall, &facts, now)?;
            }
            recall = self.recall(id)?;
        }
        if recall.state == State::Restoring {
            self.note_late(recall.id.tag(), now)?;
            self.restore_all(&recall, now)?;
            recall = self.recall(id)?;
        }
        if recall.state.is_over() {
            self.retry_pending(&recall, now)?;
            recall = self.recall(id)?;
        }
        if recall.report_due {
            self.write_report(&recall, now)?;
        }
        Ok(())
    }

    /// Withdraws from the other end while [`Recalls::run`] is at it on another thread, and returns
    /// when they have met. Nothing depends on it: whatever is left is `run`'s.
    pub fn assist(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        let recall = self.recall(id)?;
        let seal = self.mailboxes.seal_of(recall.digest, id.tag())?;
        let (State::Running, Some(seal)) = (recall.state, seal) else {
            return Ok(());
        };
        let mut covered = self.mailboxes.copies(recall.digest)?;
        covered.retain(|copy| seal.cover.covers(copy.account) && seal.origins.covers(copy.origin));
        for chunk in covered.chunks(CHUNK).skip(1).rev() {
            if !self.is_left(&recall, chunk)? {
                break;
            }
            self.withdraw_chunk(&recall, chunk, now)?;
        }
        Ok(())
    }

    /// Does what is left to do of every recall. To be called at start and now and then. One that
    /// fails does not keep the others from being done; the first failure is answered.
    pub fn run_open(&self, now: Timestamp) -> Result<usize, RecallError> {
        let mut ids = Vec::new();
        each_row(&*self.engine, tables::whole(tables::OPEN), |key, _| {
            let id = key.get(1..).and_then(|id| id.try_into().ok());
            ids.push(RecallId(id.ok_or(tern_store::StoreError::Damaged)?));
            Ok(())
        })?;
        let mut failure = None;
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
            let facts = self.facts(self.submission_of(recall)?)?;
            let (cover, origins) = self.covered(recall, &facts)?;
            let covers =
                |copy: &&CopyRow| cover.covers(copy.account) && origins.covers(copy.origin);
            let covered: Vec<CopyRow> = facts.copies.iter().filter(covers).cloned().collect();
            if self.recall(recall.id)?.state != State::Running {
                return Ok(None);
            }
            if covered.is_empty() {
                return Ok(Some(facts));
            }
            for chunk in covered.chunks(CHUNK) {
                if self.is_left(recall, chunk)? {
                    self.withdraw_chunk(recall, chunk, now)?;
                }
            }
        }
        Err(tern_store::StoreError::Busy.into())
    }

    /// Whose copies, brought by what: as it was sealed. The same letter may have been sent again
    /// since, which changes nothing.
    pub(crate) fn covered(
        &self,
        recall: &Recall,
        facts: &Facts,
    ) -> Result<(Cover, Origins), RecallError> {
        let seal = self.mailboxes.seal_of(recall.digest, recall.id.tag())?;
        Ok(match seal {
            Some(seal) => (seal.cover, seal.origins),
            None => (
                cover(facts.submission.account, &facts.targets, &recall.chosen),
                origins(facts.submission.id, &facts.rivals),
            ),
        })
    }

    /// Whether a chunk looks as if nobody had withdrawn it yet. A chunk is withdrawn whole, so its
    /// ends tell; what an owner deleted there is found by the next pass.
    fn is_left(&self, recall: &Recall, chunk: &[CopyRow]) -> Result<bool, RecallError> {
        for copy in chunk.first().into_iter().chain(chunk.last()) {
            let (account, message) = (copy.account, copy.message);
            if self.mailboxes.has_copy(recall.digest, account, message)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn withdraw_chunk(
        &self,
        recall: &Recall,
        chunk: &[CopyRow],
        now: Timestamp,
    ) -> Result<(), RecallError> {
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
                return Ok(Verdict::Abandon(()));
            }
            let (digest, tag) = (recall.digest, recall.id.tag());
            let withdrawn = self.mailboxes.withdraw_in(txn, digest, &copies, tag, now)?;
            let withdrawn: Vec<Withdrawn> = withdrawn.into_iter().flatten().collect();
            let outcomes = put_outcomes(txn, recall, &withdrawn, now);
            lane = lane.take().or_else(|| self.mailboxes.enter_common_lane());
            self.audit_outcomes(txn, recall, &outcomes, now)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    pub(crate) fn audit_outcomes(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        outcomes: &[(AccountId, MessageId, CopyOutcome)],
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let Some((first, message, _)) = outcomes.first() else {
            return Ok(());
        };
        if outcomes.len() > AUDITED_ONE_BY_ONE {
            let rows: Vec<u8> = outcomes
                .iter()
                .flat_map(|(account, message, outcome)| {
                    [
                        tables::copy_outcome(recall.id, *account, *message),
                        outcome.encode(),
                    ]
                    .concat()
                })
                .collect();
            let digest = tern_mime::blob_id(&[0; 32], &rows);
            let exposed = outcomes
                .iter()
                .filter(|o| o.2.outcome == Outcome::WithdrawnExposed);
            let step = format!("outcomes {first} {message}");
            let entry = audit_entry(recall, &step, "recall.outcomes", now)
                .detail("copies", outcomes.len() as u64)
                .detail("withdrawn-exposed", exposed.count() as u64)
                .detail("first-account", u64::from(first.0))
                .detail("rows-blake3", digest.to_string());
            tern_audit::append_in(txn, entry)?;
            return Ok(());
        }
        for (account, message, outcome) in outcomes {
            let code = outcome.outcome.code();
            let step = format!("outcome {account} {message} {code}");
            let entry = audit_entry(recall, &step, "recall.outcome", now)
                .detail("account", self.address(*account)?)
                .detail("message", message.0)
                .detail("outcome", code)
                .detail("reason", outcome.reason.code());
            tern_audit::append_in(txn, entry)?;
        }
        Ok(())
    }

    /// Gives everything that was not withdrawn its outcome, and closes the withdrawal.
    fn finish(&self, recall: &Recall, facts: &Facts, now: Timestamp) -> Result<(), RecallError> {
        let pending = self.settle_targets(recall, facts, now)?;
        self.keep_others(recall, facts, now)?;
        let tally = self.tally(recall.id)?;
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, recall.id)?;
            if recall.state != State::Running {
                return Ok(Verdict::Abandon(()));
            }
            self.mailboxes
                .settle_seal_in(txn, recall.digest, recall.id.tag())?;
            recall.state = State::Done;
            recall.finished = Some(now);
            recall.report_due = true;
            recall.put_in(txn, pending > 0);
            let mut entry = audit_entry(&recall, "done", "recall.done", now)
                .detail("withdrawn", Extent::of(&tally).code());
            for (outcome, count) in tally.iter() {
                entry = entry.detail(outcome.code(), count);
            }
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })?;
        Ok(())
    }

    /// Settles every target that has no copy here; answers how many are pending.
    fn settle_targets(
        &self,
        recall: &Recall,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<u64, RecallError> {
        let (_, origins) = self.covered(recall, facts)?;
        let theirs = facts
            .copies
            .iter()
            .filter(|copy| origins.covers(copy.origin));
        let mut holders: BTreeSet<AccountId> = theirs.map(|copy| copy.account).collect();
        self.each_copy_outcome(recall.id, |account, _, _| {
            holders.insert(account);
        })?;
        let mut others = self.mailboxes.seal_tags(recall.digest)?;
        others.retain(|tag| *tag != recall.id.tag());
        let mut pending = 0;
        for start in (0..facts.targets.len()).step_by(TARGET_CHUNK) {
            let range = start..(start + TARGET_CHUNK).min(facts.targets.len());
            pending += tern_store::transact(&*self.engine, |txn| {
                let outside =
                    self.settle_outside_in(txn, recall, &facts.targets, range.clone(), now)?;
                for (n, target) in facts.targets.iter().enumerate().take(range.end).skip(start) {
                    let outcome = target_outcome(facts, target, &recall.chosen, &holders, now);
                    let outcome = match outcome {
                        Some(gone) if gone.outcome == Outcome::AlreadyGone => Some(
                            self.taken_by_another(recall, facts, target, &others, now)?
                                .unwrap_or(gone),
                        ),
                        outcome => outcome,
                    };
                    let key = tables::target_outcome(recall.id, n as u32);
                    if let Some(outcome) = outcome
                        && txn.get(&key)?.is_none()
                    {
                        txn.put(key, outcome.encode());
                    }
                }
                Ok::<_, RecallError>(Verdict::Commit(outside))
            })?;
        }
        Ok(pending)
    }

    /// A recipient without a copy did not delete it where another recall of the same letter has
    /// taken it: the same letter may have been sent twice.
    fn taken_by_another(
        &self,
        recall: &Recall,
        facts: &Facts,
        target: &Target,
        others: &[SealTag],
        now: Timestamp,
    ) -> Result<Option<CopyOutcome>, RecallError> {
        let Destination::Account(account) = target.destination else {
            return Ok(None);
        };
        debug_assert!(!others.contains(&recall.id.tag()));
        for tag in others {
            if let Some(message) = self.mailboxes.vaulted_of(*tag, account)?.first() {
                let exposure = facts.exposures.get(&(account, *message)).cloned();
                return Ok(Some(CopyOutcome::withdrawn(exposure, now)));
            }
        }
        Ok(None)
    }

    /// Records the copies that stay: the sender's own, and those of recipients not chosen.
    fn keep_others(
        &self,
        recall: &Recall,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let (_, origins) = self.covered(recall, facts)?;
        let theirs: Vec<&CopyRow> = facts
            .copies
            .iter()
            .filter(|copy| origins.covers(copy.origin))
            .collect();
        for chunk in theirs.chunks(CHUNK) {
            tern_store::transact(&*self.engine, |txn| {
                for copy in chunk {
                    let own = copy.account == facts.submission.account;
                    let reason = if own {
                        Reason::OwnCopy
                    } else {
                        Reason::NotChosen
                    };
                    let outcome = CopyOutcome::new(Outcome::KeptByPolicy, reason, now);
                    let key = tables::copy_outcome(recall.id, copy.account, copy.message);
                    if txn.get(&key)?.is_none() {
                        txn.put(key, outcome.encode());
                    }
                }
                Ok::<_, RecallError>(Verdict::Commit(()))
            })?;
        }
        Ok(())
    }

    /// Looks again at what was pending; after the retry time what is still unknown is said so.
    fn retry_pending(&self, recall: &Recall, now: Timestamp) -> Result<(), RecallError> {
        let mut open = Vec::new();
        self.each_target_outcome(recall.id, |n, outcome| {
            if outcome.outcome == Outcome::Pending {
                open.push(n);
            }
        })?;
        if open.is_empty() {
            return Ok(());
        }
        let facts = self.facts(self.submission_of(recall)?)?;
        let given_up = now.millis_since(recall.requested) > self.settings.retry_ms;
        tern_store::transact(&*self.engine, |txn| {
            let mut still = 0;
            for n in &open {
                let at = *n as usize..*n as usize + 1;
                let pending = self.settle_outside_in(txn, recall, &facts.targets, at, now)?;
                if pending > 0 && given_up {
                    let lost = CopyOutcome::new(Outcome::Relayed, Reason::MaybeTakenOutside, now);
                    txn.put(tables::target_outcome(recall.id, *n), lost.encode());
                } else {
                    still += pending;
                }
            }
            let mut recall = self.recall_in(txn, recall.id)?;
            recall.report_due |= still < open.len() as u64;
            recall.put_in(txn, still > 0);
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// The mailboxes that recalls work on.
    pub(crate) fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
    }
}

/// Writes the outcome rows of withdrawn copies.
fn put_outcomes(
    txn: &mut Transaction<'_>,
    recall: &Recall,
    withdrawn: &[Withdrawn],
    now: Timestamp,
) -> Vec<(AccountId, MessageId, CopyOutcome)> {
    let mut outcomes = Vec::with_capacity(withdrawn.len());
    for copy in withdrawn {
        let mut outcome = CopyOutcome::withdrawn(copy.exposure.clone(), now);
        outcome.mailboxes = copy
            .placements
            .iter()
            .map(|(mailbox, _)| *mailbox)
            .collect();
        txn.put(
            tables::copy_outcome(recall.id, copy.account, copy.message),
            outcome.encode(),
        );
        outcomes.push((copy.account, copy.message, outcome));
    }
    outcomes
}
