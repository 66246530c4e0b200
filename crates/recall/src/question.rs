//! What the policy is asked about a request, and what it says.
//!
//! Invariant: nothing of the copies is looked at before the seal but what a policy needs to know, so that
//! the time to the seal does not grow with their number.

use tern_base::Timestamp;
use tern_mailbox::{ExposureLevel, Origins};
use tern_policy::{
    Decision, Mode, Operation, Options, Question, Surroundings, Verdict as PolicyVerdict,
};

use crate::asked::Asked;
use crate::{Reach, RecallError, Recalls, Refusal, Request, Submission, rivals};

impl Recalls {
    /// What the policy says of a request that is made now, by an account that has asked for this until now.
    pub(crate) fn verdict_on(
        &self,
        request: &Request,
        found: &Submission,
        asked: &Asked,
        now: Timestamp,
    ) -> Result<PolicyVerdict, RecallError> {
        let origins = self.origins(found, request.is_set_when_sent(found))?;
        let exposed = Some(self.exposed((found, &origins), request.reach)?);
        let facts = (Operation::Recall, exposed, asked.granted_before(now));
        let mut question = self.question(facts, request, found, now)?;
        question.frozen = self.would_freeze(request, found, asked, now)?;
        Ok(self.policy.decide(&question))
    }

    /// How many copies had their body served. Nothing else of the copies is looked at before the
    /// seal, so that its time does not grow with their number.
    pub(crate) fn exposed(
        &self,
        (found, origins): (&Submission, &Origins),
        reach: Reach,
    ) -> Result<u64, RecallError> {
        let served = self.served(found.digest, origins, reach)?;
        let exposed = served.iter().filter(|(account, _, exposure)| {
            *account != found.account && exposure.level > ExposureLevel::Headers
        });
        Ok(exposed.count() as u64)
    }

    /// What the policy says of an operation, the number of exposed copies, and the requests that
    /// were granted to this account in the hour before.
    pub(crate) fn decide(
        &self,
        facts: (Operation, Option<u64>, u32),
        request: &Request,
        submission: &Submission,
        now: Timestamp,
    ) -> Result<PolicyVerdict, RecallError> {
        let question = self.question(facts, request, submission, now)?;
        Ok(self.policy.decide(&question))
    }

    /// The message that a request is judged by: with whatever else it takes back.
    pub(crate) fn judged(
        &self,
        request: &Request,
        submission: &Submission,
    ) -> Result<Submission, RecallError> {
        Ok(match request.is_set_when_sent(submission) {
            true => submission.clone(),
            false => rivals::together(&*self.engine, submission)?,
        })
    }

    /// The question of [`Recalls::decide`].
    pub(crate) fn question(
        &self,
        (operation, exposed, requests_last_hour): (Operation, Option<u64>, u32),
        request: &Request,
        submission: &Submission,
        now: Timestamp,
    ) -> Result<Question, RecallError> {
        let requester = &request.requester;
        let judged = self.judged(request, submission)?;
        let mut message = self.message_facts((submission, &judged), exposed, now)?;
        let asks = matches!(operation, Operation::Plan | Operation::Recall);
        // Looked at only where it is asked for: its time grows with the copies.
        if asks && self.policy.looks_at_unread() {
            let origins = self.origins(submission, request.is_set_when_sent(submission))?;
            message.unread = Some(self.unread(request.reach, (submission, &origins))?);
        }
        Ok(Question {
            operation,
            now,
            actor: self.actor(requester, submission.account)?,
            authentication: requester.authentication.clone(),
            // Where and when is known to the server, whose policy adds it.
            surroundings: Surroundings::default(),
            message: Some(message),
            options: Options {
                chosen_recipients: match request.chosen.is_empty() {
                    true => None,
                    false => Some(self.recipients_of(request, submission)?.into()),
                },
                selection: request.selection,
                reach: request.reach.code(),
                reason: request.reason.clone(),
                as_answer: request.as_answer,
                mode: match (request.expires, &request.replacement) {
                    (Some(at), _) if request.is_set_when_sent(submission) => Mode::ExpireAt(at),
                    (_, Some(_)) => Mode::Replace,
                    (_, None) => Mode::Withdraw,
                },
                notice: request.notices(Some(submission)).whom(),
                attachment: request.attachment.as_ref().map(|one| one.name().to_owned()),
            },
            approvals: 0,
            requester: None,
            requests_last_hour,
            frozen: false,
        })
    }
}

/// The refusal that a verdict comes to, if it does not allow.
pub(crate) fn refusal_of(verdict: &PolicyVerdict) -> Option<Refusal> {
    match verdict.decision {
        Decision::Allow => None,
        Decision::Deny(reason) => Some(reason.into()),
        Decision::StepUp { .. } => Some(Refusal::StepUpRequired),
        Decision::Approval { .. } => Some(Refusal::ApprovalRequired),
    }
}
