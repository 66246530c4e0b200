//! Undoing a recall while the copies are kept.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use tern_base::{AccountId, Timestamp};
use tern_mailbox::limits::VAULT_CHUNK_BYTES;
use tern_mailbox::{Lineage, Vaulted};
use tern_policy::{Decision, DenyReason, Operation, Verdict as PolicyVerdict};
use tern_store::{StoreError, Transaction, Verdict};

use crate::audit::by_requester;
use crate::audit::{Act, audit_entry, copies_alone};
use crate::late::{Lines, not_gone_in};
use crate::request::ATTEMPTS;
use crate::stand_in::note_due_in;
use crate::there::is_as_judged_in;
use crate::{
    CopyOutcome, Reason, Recall, RecallError, RecallId, Recalls, Request, Requester, Selector,
    State, Subject, tables,
};

/// What whoever asks too late is told.
const TOO_LATE: &str = "the time within which its sender can undo it is over; who may restore any \
                        message still can, while the copies are kept";

/// Copies that one transaction puts back.
const CHUNK: usize = 128;

/// The lines of other recalls to which copies are handed over.
type KnownLines = HashMap<RecallId, Lines>;

impl Recalls {
    /// Asks to undo a recall. On return it is durable that it will be undone; the caller goes on
    /// with [`Recalls::run`]. Asking again changes nothing.
    pub fn restore(
        &self,
        id: RecallId,
        requester: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let recall = self.recall(id)?;
        match recall.state {
            State::Done => {}
            State::Restoring | State::Restored => return Ok(()),
            other => return Err(RecallError::WrongState(other.code())),
        }
        for _ in 0..ATTEMPTS {
            let role_changes = tern_directory::role_changes(&*self.engine)?;
            let policies = self.may_restore(&recall, requester, now)?;
            let asked = (requester, policies.as_str());
            let begun = self.begin_restore(&recall, asked, role_changes, now);
            // After an error too: a commit whose answer was lost may be done.
            self.sealing.reload_seal(recall.digest, id.tag())?;
            if begun? {
                return Ok(());
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Takes the seal away, so that what is kept can be put back; `false` where who may do what has changed
    /// since it was judged.
    fn begin_restore(
        &self,
        recall: &Recall,
        (requester, policies): (&Requester, &str),
        role_changes: u64,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, recall.id)?;
            if recall.state != State::Done {
                return Ok(Verdict::Abandon(true));
            }
            if !is_as_judged_in(txn, requester, role_changes)? {
                return Ok(Verdict::Abandon(false));
            }
            self.sealing
                .unseal_in(txn, recall.digest, recall.id.tag())?;
            recall.state = State::Restoring;
            recall.changed();
            recall.put_in(txn)?;
            let mut entry =
                audit_entry(&recall, "restore", "recall.restore", now).detail("policies", policies);
            by_requester(&mut entry, requester);
            tern_audit::append_in(txn, entry)?;
            Ok(Verdict::Commit(true))
        })
    }

    /// What the policy says of undoing it, asked by somebody.
    pub(crate) fn asked_to_restore(
        &self,
        recall: &Recall,
        requester: &Requester,
        now: Timestamp,
    ) -> Result<PolicyVerdict, RecallError> {
        let submission = self.submission_of(recall)?;
        let selector = Selector::Submission(submission.id);
        let request = Request::new(recall.id, selector, requester.clone());
        let asked = (Operation::Restore, None, 0);
        let mut question = self.question(asked, &request, &submission, now)?;
        if let Some(message) = &mut question.message {
            let taken_back = recall.finished.unwrap_or(recall.requested);
            message.recalled_ms = Some(now.millis_since(taken_back));
        }
        Ok(self.policy.decide(&question))
    }

    /// The policies that let somebody undo it; a refusal is on record.
    fn may_restore(
        &self,
        recall: &Recall,
        requester: &Requester,
        now: Timestamp,
    ) -> Result<String, RecallError> {
        if !self.is_there(requester)? {
            return Err(RecallError::NotAllowed("the account is removed"));
        }
        let verdict = self.asked_to_restore(recall, requester, now)?;
        let code = verdict.decision.code();
        let policies: Vec<String> = verdict.policies.iter().map(ToString::to_string).collect();
        let policies = policies.join(" ");
        if verdict.decision == Decision::Allow {
            return Ok(policies);
        }
        let refused = ("recall.restore-refused", code);
        self.record_refused(recall, requester, refused, &policies, now)?;
        Err(RecallError::NotAllowed(match verdict.decision {
            Decision::Deny(DenyReason::TooOld) => TOO_LATE,
            _ => code,
        }))
    }

    pub(crate) fn restore_all(&self, recall: &Recall, now: Timestamp) -> Result<(), RecallError> {
        // Whoever took the seal away may not have lived to forget it.
        self.sealing.reload_seal(recall.digest, recall.id.tag())?;
        let mut known = KnownLines::new();
        // What was put back comes last: it depends on what else the account has.
        for put_back in [false, true] {
            let mut after = None;
            loop {
                let page = self.sealing.vaulted(recall.id.tag(), after, CHUNK)?;
                let Some(last) = page.last() else { break };
                after = Some((last.account, last.message));
                self.restore_page(recall, &page, put_back, &mut known, now)?;
            }
        }
        let (mut restored, mut purged) = (0u64, 0u64);
        self.each_outcome(recall.id, |_, outcome| {
            restored += u64::from(outcome.restored.is_some());
            purged += u64::from(outcome.purged.is_some());
        })?;
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, recall.id)?;
            if recall.state != State::Restoring {
                return Ok(Verdict::Abandon(()));
            }
            recall.state = State::Restored;
            recall.restored = Some(now);
            recall.changed();
            recall.put_in(txn)?;
            let entry = audit_entry(&recall, "restored", "recall.restored", now)
                .detail("restored", restored)
                .detail("no-longer-kept", purged);
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// Restores those copies of a page that a client put back after the recall, or the others.
    fn restore_page(
        &self,
        recall: &Recall,
        page: &[Vaulted],
        put_back: bool,
        known: &mut KnownLines,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let wanted = |copy: &&Vaulted| is_put_back(recall, copy) == put_back;
        let copies: Vec<&Vaulted> = page.iter().filter(wanted).collect();
        let mut rest = copies.as_slice();
        while !rest.is_empty() {
            let done = self.restore_chunk(recall, rest, known, now)?;
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// Restores as many copies as fit one transaction; answers how many were looked at.
    fn restore_chunk(
        &self,
        recall: &Recall,
        copies: &[&Vaulted],
        known: &mut KnownLines,
        now: Timestamp,
    ) -> Result<usize, RecallError> {
        let accounts: Vec<_> = copies.iter().map(|copy| copy.account).collect();
        self.mailboxes.transact(&accounts, |txn| {
            if self.recall_in(txn, recall.id)?.state != State::Restoring {
                return Ok(Verdict::Abandon(copies.len()));
            }
            let mut given = BTreeSet::new();
            let mut restored = Vec::with_capacity(copies.len());
            let mut looked_at = 0;
            for copy in copies {
                if looked_at > 0 && txn.size() >= VAULT_CHUNK_BYTES {
                    break;
                }
                looked_at += 1;
                // It is a second copy of what is restored anyway, unless the account has no other.
                let second = is_put_back(recall, copy)
                    && (given.contains(&copy.account) || has_other(txn, recall, copy.account)?);
                if second {
                    continue;
                }
                if let Some(outcome) = self.restore_one_in(txn, recall, copy, known, now)? {
                    if copy.row.message.digest == recall.digest {
                        given.insert(copy.account);
                    }
                    restored.extend(outcome);
                }
            }
            self.audit_outcomes(txn, recall, Act::Restored, &restored, copies_alone, now)?;
            Ok::<_, RecallError>(Verdict::Commit(looked_at))
        })
    }

    /// Restores one copy; answers its outcome, if it has one, when it is back.
    fn restore_one_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        copy: &Vaulted,
        known: &mut KnownLines,
        now: Timestamp,
    ) -> Result<Option<Option<(Subject, CopyOutcome)>>, RecallError> {
        let (account, message) = (copy.account, copy.message);
        if self.hand_over_in(txn, recall, copy, known, now)?
            || self.sealing.restore_in(txn, account, message)?.is_none()
        {
            return Ok(None);
        }
        let subject = Subject::Copy(account, message);
        let key = tables::outcome(recall.id, subject);
        let Some(row) = txn.get(&key)? else {
            return Ok(Some(None));
        };
        let outcome = CopyOutcome {
            restored: Some(now),
            ..CopyOutcome::decode(&row)?
        };
        txn.put(key, outcome.encode());
        txn.delete(tables::stand_in(recall.id, account, message));
        self.take_away_in(txn, (account, outcome.stand_in), None, now)?;
        Ok(Some(Some((subject, outcome))))
    }

    /// A copy that another recall of the same letter covers too does not come back: it stays in
    /// the vault on behalf of that one. Answers whether it does.
    fn hand_over_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        copy: &Vaulted,
        known: &mut KnownLines,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let (account, message, tag) = (copy.account, copy.message, recall.id.tag());
        let row = &copy.row.message;
        let other = self.sealing.other_seal_in(txn, account, row, tag, now)?;
        let Some(other) = other else {
            return Ok(false);
        };
        self.sealing.retag_in(txn, account, message, other)?;
        let mut other = self.recall_in(txn, RecallId(other.0))?;
        let subject = Subject::Copy(account, message);
        let key = tables::outcome(recall.id, subject);
        let Some(outcome) = txn.get(&key)? else {
            return Ok(true);
        };
        let outcome = CopyOutcome::decode(&outcome)?;
        let handed_over = CopyOutcome {
            handed_over: Some(other.id),
            stand_in: None,
            ..outcome.clone()
        };
        txn.put(key, handed_over.encode());
        let carriage = row.carriage_of(other.digest);
        let mut outcome = outcome.carried(carriage);
        txn.delete(tables::stand_in(recall.id, account, message));
        let stand_in = outcome.stand_in.take();
        self.take_away_in(txn, (account, stand_in), Some(other.id), now)?;
        note_due_in(txn, &other, subject, &outcome);
        txn.put(tables::outcome(other.id, subject), outcome.encode());
        // Whose client put a copy back may have deleted the first one all the same.
        if outcome.reason != Reason::PutBack && carriage.is_none() {
            let lines = match known.entry(other.id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(Lines::of(&self.targets_of(&other)?)),
            };
            let gone = [
                Reason::DeletedUnread,
                Reason::DeletedAfterServing,
                Reason::RemovedUnread,
                Reason::RemovedAfterServing,
            ];
            not_gone_in(txn, other.id, lines, account, |line| {
                line.outcome.is_withdrawn() || gone.contains(&line.reason)
            })?;
        }
        other.changed();
        other.put_in(txn)?;
        let handed = [(subject, outcome)];
        self.audit_outcomes(txn, &other, Act::Settled, &handed, copies_alone, now)?;
        Ok(true)
    }
}

/// Whether a client put a copy back after the recall. What carries it is another message.
pub(crate) fn is_put_back(recall: &Recall, copy: &Vaulted) -> bool {
    let row = &copy.row.message;
    copy.row.late && row.lineage == Lineage::Copied && row.digest == recall.digest
}

/// Whether an account has, or had until the recall, a copy that nobody put back, or has been given
/// back one that somebody did. Covered by the account's head, which a restore changes.
fn has_other(
    txn: &Transaction<'_>,
    recall: &Recall,
    account: AccountId,
) -> Result<bool, RecallError> {
    let mut next = Some(tables::copy_outcomes_of(recall.id, account));
    while let Some(range) = next {
        let page = txn.scan(&range, 1_000)?;
        for (_, row) in &page.rows {
            let outcome = CopyOutcome::decode(row)?;
            let whole = outcome.carriage.is_none();
            if whole && (outcome.reason != Reason::PutBack || outcome.restored.is_some()) {
                return Ok(true);
            }
        }
        next = page.next;
    }
    Ok(false)
}
