//! What somebody can do with a recall as it stands: told to clients that offer it.
//!
//! Invariant: asking what there is changes nothing and is not on record; whoever then does it is asked again.

use tern_base::Timestamp;
use tern_policy::Decision;

use crate::{RecallError, RecallId, Recalls, Requester, State};

/// What somebody can do with a recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Show a second factor.
    Confirm,
    /// Approve it.
    Approve,
    /// Say no to it.
    Decline,
    /// Want it no longer.
    Cancel,
    /// Undo it.
    Restore,
}

impl Step {
    /// Its name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Cancel => "cancel",
            Self::Restore => "restore",
        }
    }
}

impl Recalls {
    /// Whether somebody may answer now, yes or no, for whom a recall waits: to be asked before they show a second
    /// factor for it. What they may not is on record.
    ///
    /// # Errors
    /// What [`Recalls::approve`] would say.
    pub fn may_answer(
        &self,
        id: RecallId,
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let held = self.held(id)?;
        self.approver(&held, by, now)?;
        match held.recall.state {
            State::AwaitingApproval if self.is_expired(&held, now) => {
                Err(RecallError::WrongState(State::Expired.code()))
            }
            State::AwaitingApproval => Ok(()),
            other => Err(RecallError::WrongState(other.code())),
        }
    }

    /// What somebody can do with a recall as it stands.
    pub fn steps(
        &self,
        id: RecallId,
        by: &Requester,
        now: Timestamp,
    ) -> Result<Vec<Step>, RecallError> {
        let recall = self.recall(id)?;
        if recall.state == State::Done {
            let verdict = self.asked_to_restore(&recall, by, now)?;
            let may = verdict.decision == Decision::Allow;
            return Ok(may.then_some(Step::Restore).into_iter().collect());
        }
        if !recall.state.is_waiting() {
            return Ok(Vec::new());
        }
        let held = self.held(id)?;
        if self.is_expired(&held, now) {
            return Ok(Vec::new());
        }
        let asked = by.account.is_some() && by.account == held.wait.requester.account;
        Ok(match (recall.state, asked) {
            (State::AwaitingStepUp, true) => vec![Step::Confirm, Step::Cancel],
            (_, true) => vec![Step::Cancel],
            (State::AwaitingApproval, false) => match self.may_approve(&held, by, now) {
                Ok(()) => vec![Step::Approve, Step::Decline],
                Err(RecallError::NotAllowed(_)) => Vec::new(),
                Err(error) => return Err(error),
            },
            _ => Vec::new(),
        })
    }
}
