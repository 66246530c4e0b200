//! Who may approve a recall that waits, and whose approval still counts when it takes effect.
//!
//! Invariants:
//! - Nobody approves what they asked for, nor what takes back their own message, whatever the policy says.
//! - An approval counts if whoever gave it could give it now: their account is there and not disabled, and
//!   policy lets them by the roles that they hold now. How they had proved who they are, and when, is as it
//!   was when they did. Given before the account was frozen that asks, it does not count: nobody has looked since.
//! - Whose approval has lapsed is on record, and it stays lapsed: they can give it again.

use tern_base::Timestamp;
use tern_policy::{Decision, Operation, Permission, Verdict as PolicyVerdict};

use crate::free::request_of;
use crate::wait::Held;
use crate::{Approval, RecallError, Recalls, Requester, Wait};

impl Approval {
    /// Whether it was given by this person.
    pub(crate) fn is_by(&self, by: &Requester) -> bool {
        match by.account {
            Some(_) => self.by.account == by.account,
            None => self.by.account.is_none() && self.by.name == by.name,
        }
    }
}

impl Wait {
    /// The approvals that count.
    pub fn counted(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.iter().filter(|approval| !approval.lapsed)
    }
}

impl Recalls {
    /// Whether somebody may approve a waiting recall.
    pub(crate) fn may_approve(
        &self,
        held: &Held,
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let asked = &held.wait.requester;
        let own = by.account == asked.account && (by.account.is_some() || by.name == asked.name);
        let senders = by.account.is_some() && by.account == held.recall.owner;
        if own || senders {
            return Err(RecallError::NotAllowed("nobody approves what is their own"));
        }
        if !self.is_there(by)? {
            return Err(RecallError::NotAllowed("the account is removed"));
        }
        match self.asked_to_approve(held, by, now)?.decision {
            Decision::Allow => Ok(()),
            decision => Err(RecallError::NotAllowed(decision.code())),
        }
    }

    /// What the policy says of an approval by somebody.
    fn asked_to_approve(
        &self,
        held: &Held,
        by: &Requester,
        now: Timestamp,
    ) -> Result<PolicyVerdict, RecallError> {
        let found = self.submission_of(&held.recall)?;
        let request = request_of(&held.recall, by);
        let facts = (Operation::Use(Permission::RecallApprove), None, 0);
        let mut question = self.question(facts, &request, &found, now)?;
        let asked = self.actor(&held.wait.requester, found.account)?;
        question.requester = Some(asked.name);
        let others = held.wait.counted().filter(|one| !one.is_by(by));
        question.approvals = others.count() as u32;
        Ok(self.policy.decide(&question))
    }

    /// Marks the approvals that count no more. Answers whose they are.
    pub(crate) fn judge_approvals(
        &self,
        held: &mut Held,
        now: Timestamp,
    ) -> Result<Vec<String>, RecallError> {
        let frozen = match held.wait.requester.account {
            Some(account) => self.frozen(account)?,
            None => None,
        };
        let mut lapsed = Vec::new();
        for n in 0..held.wait.approvals.len() {
            let Some(approval) = held.wait.approvals.get(n).filter(|one| !one.lapsed) else {
                continue;
            };
            // Whoever approved it before has not looked at why the account is frozen.
            let frozen = frozen.as_ref();
            let knew = frozen.is_none_or(|frozen| frozen.was_known(approval.at, now));
            if knew && self.still_counts(held, approval)? {
                continue;
            }
            lapsed.push(approval.by.name.clone());
            if let Some(approval) = held.wait.approvals.get_mut(n) {
                approval.lapsed = true;
            }
        }
        Ok(lapsed)
    }

    fn still_counts(&self, held: &Held, approval: &Approval) -> Result<bool, RecallError> {
        if let Some(account) = approval.by.account {
            // One that is disabled may be so because it was somebody else's hand.
            let known = tern_directory::account(&*self.engine, account)?;
            if known.is_none_or(|known| known.disabled) {
                return Ok(false);
            }
        }
        match self.may_approve(held, &approval.by, approval.at) {
            Err(RecallError::NotAllowed(_)) => Ok(false),
            may => may.map(|()| true),
        }
    }
}
