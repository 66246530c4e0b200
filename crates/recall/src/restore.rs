//! Undoing a recall while the copies are kept.

use tern_audit::Actor as AuditActor;
use tern_base::Timestamp;
use tern_mailbox::{Lineage, Vaulted};
use tern_policy::{Decision, Operation};
use tern_store::{Transaction, Verdict};

use crate::handle::audit_entry;
use crate::{
    CopyOutcome, Reason, Recall, RecallError, RecallId, Recalls, Request, Requester, Selector,
    State, tables,
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
            recall.put_in(txn, true);
            let mut entry = audit_entry(&recall, "restore", "recall.restore", now);
            entry.actor = match requester.account {
                Some(account) => AuditActor::Account {
                    account,
                    address: requester.name.clone(),
                },
                None => AuditActor::Operator(requester.name.clone()),
            };
            entry.on_behalf_of = None;
            entry.protocol = Some(requester.authentication.protocol.clone());
            entry.peer.clone_from(&requester.authentication.peer);
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
        let verdict = self.decide(Operation::Restore, &request, &submission, None, now)?;
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
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = self.recall_in(txn, recall.id)?;
            if recall.state != State::Restoring {
                return Ok(Verdict::Abandon(()));
            }
            recall.state = State::Restored;
            recall.restored = Some(now);
            recall.report_due = true;
            recall.put_in(txn, false);
            tern_audit::append_in(
                txn,
                audit_entry(&recall, "restored", "recall.restored", now),
            )?;
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
            for copy in &copies {
                let (account, message) = (copy.account, copy.message);
                if self.hand_over_in(txn, recall, copy, now)? {
                    continue;
                }
                if self.mailboxes.restore_in(txn, account, message)?.is_none() {
                    continue;
                }
                let key = tables::copy_outcome(recall.id, account, message);
                if let Some(row) = txn.get(&key)? {
                    let outcome = CopyOutcome {
                        restored: Some(now),
                        ..CopyOutcome::decode(&row)?
                    };
                    txn.put(key, outcome.encode());
                }
            }
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
        let other = RecallId(other.0);
        let Some(outcome) = txn.get(&tables::copy_outcome(recall.id, account, message))? else {
            return Ok(true);
        };
        txn.put(tables::copy_outcome(other, account, message), outcome);
        if let Some(submission) = self.recall_in(txn, other)?.submission {
            let targets = crate::submission::targets(&*self.engine, submission)?;
            let deleted = [Reason::DeletedUnread, Reason::DeletedAfterServing];
            crate::late::not_gone_in(txn, other, &targets, account, &deleted)?;
        }
        Ok(true)
    }
}
