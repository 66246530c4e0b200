//! Undoing a recall while the copies are kept.

use tern_base::Timestamp;
use tern_mailbox::{Lineage, Vaulted};
use tern_policy::{Decision, Operation};
use tern_store::{Transaction, Verdict};

use crate::audit::{Act, audit_entry};
use crate::request::by_requester;
use crate::{
    CopyOutcome, Reason, Recall, RecallError, RecallId, Recalls, Request, Requester, Selector,
    State, Subject, tables,
};

/// Copies that one transaction puts back.
const CHUNK: usize = 128;

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
        self.may_restore(&recall, requester, now)?;
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, id)?;
            if recall.state != State::Done {
                return Ok(Verdict::Abandon(()));
            }
            self.mailboxes.unseal_in(txn, recall.digest, id.tag())?;
            recall.state = State::Restoring;
            recall.changed();
            recall.put_in(txn);
            let mut entry = audit_entry(&recall, "restore", "recall.restore", now);
            by_requester(&mut entry, requester);
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })?;
        self.mailboxes.forget_seal(recall.digest, id.tag());
        Ok(())
    }

    fn may_restore(
        &self,
        recall: &Recall,
        requester: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let submission = self.submission_of(recall)?;
        let request = Request {
            id: recall.id,
            selector: Selector::Submission(submission.id),
            requester: requester.clone(),
            chosen: Vec::new(),
            reason: None,
        };
        let verdict = self.decide((Operation::Restore, None, 0), &request, &submission, now)?;
        match verdict.decision {
            Decision::Allow => Ok(()),
            decision => Err(RecallError::NotAllowed(decision.code())),
        }
    }

    pub(crate) fn restore_all(&self, recall: &Recall, now: Timestamp) -> Result<(), RecallError> {
        let mut after = None;
        loop {
            let page = self.mailboxes.vaulted(recall.id.tag(), after, CHUNK)?;
            let Some(last) = page.last() else { break };
            after = Some((last.account, last.message));
            self.restore_chunk(recall, &page, now)?;
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
            recall.put_in(txn);
            let entry = audit_entry(&recall, "restored", "recall.restored", now)
                .detail("restored", restored)
                .detail("no-longer-kept", purged);
            tern_audit::append_in(txn, entry)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    fn restore_chunk(
        &self,
        recall: &Recall,
        page: &[Vaulted],
        now: Timestamp,
    ) -> Result<(), RecallError> {
        // What a client put back after the recall is a second copy of what is restored anyway.
        let put_back =
            |copy: &&Vaulted| copy.row.late && copy.row.message.lineage == Lineage::Copied;
        let copies: Vec<&Vaulted> = page.iter().filter(|copy| !put_back(copy)).collect();
        let accounts: Vec<_> = copies.iter().map(|copy| copy.account).collect();
        self.mailboxes.transact(&accounts, |txn| {
            if self.recall_in(txn, recall.id)?.state != State::Restoring {
                return Ok(Verdict::Abandon(()));
            }
            let mut restored = Vec::with_capacity(copies.len());
            for copy in &copies {
                let (account, message) = (copy.account, copy.message);
                if self.hand_over_in(txn, recall, copy, now)? {
                    continue;
                }
                if self.mailboxes.restore_in(txn, account, message)?.is_none() {
                    continue;
                }
                let subject = Subject::Copy(account, message);
                let key = tables::outcome(recall.id, subject);
                if let Some(row) = txn.get(&key)? {
                    let outcome = CopyOutcome {
                        restored: Some(now),
                        ..CopyOutcome::decode(&row)?
                    };
                    txn.put(key, outcome.encode());
                    restored.push((subject, outcome));
                }
            }
            self.audit_outcomes(txn, recall, Act::Restored, &restored, &[], now)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }

    /// A copy that another recall of the same letter covers too does not come back: it stays in
    /// the vault on behalf of that one. Answers whether it does.
    fn hand_over_in(
        &self,
        txn: &mut Transaction<'_>,
        recall: &Recall,
        copy: &Vaulted,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        let (account, message, tag) = (copy.account, copy.message, recall.id.tag());
        let row = &copy.row.message;
        let other = self
            .mailboxes
            .other_seal_in(txn, row.digest, account, row.origin, tag, now)?;
        let Some(other) = other else {
            return Ok(false);
        };
        self.mailboxes.retag_in(txn, account, message, other)?;
        let mut other = self.recall_in(txn, RecallId(other.0))?;
        let subject = Subject::Copy(account, message);
        let Some(outcome) = txn.get(&tables::outcome(recall.id, subject))? else {
            return Ok(true);
        };
        txn.put(tables::outcome(other.id, subject), outcome.clone());
        if let Some(submission) = other.submission {
            let targets = crate::submission::targets(&*self.engine, submission)?;
            let deleted = [Reason::DeletedUnread, Reason::DeletedAfterServing];
            crate::late::not_gone_in(txn, other.id, &targets, account, &deleted)?;
        }
        other.changed();
        other.put_in(txn);
        let handed = [(subject, CopyOutcome::decode(&outcome)?)];
        self.audit_outcomes(txn, &other, Act::Settled, &handed, &[], now)?;
        Ok(true)
    }
}
