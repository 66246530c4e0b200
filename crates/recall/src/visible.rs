//! Who sees how much of a recall: the policy decides, for the command line and the report alike.
//!
//! Invariant: whoever may not see a recall gets the answer for one that does not exist. Where
//! exposure is told as numbers only, nothing that is shown says it of a single recipient.

use tern_base::Timestamp;
use tern_policy::{Authentication, Permission, Question, Visibility};

use crate::{
    Answers, Decided, Recall, RecallError, RecallId, Recalls, Refusal, Request, Requester,
    SenderStatus, Status, Submission, Tally, ToldOutcome, submission,
};

/// A recall as somebody may see it.
#[derive(Clone, Debug)]
pub enum View {
    /// Every copy, with what was served of it.
    Full(Box<Status>),
    /// What became of each address that the sender wrote, or less.
    Limited(Box<SenderStatus>),
}

impl Recalls {
    /// How a recall stands, as far as somebody may see it, with at most `limit` copies or addresses
    /// one by one. Whoever may see nothing is told that there is no such recall.
    pub fn view(
        &self,
        id: RecallId,
        viewer: &Requester,
        limit: usize,
        now: Timestamp,
    ) -> Result<View, RecallError> {
        let recall = self.recall(id)?;
        let seen = self.visibility(&recall, viewer, now)?;
        match seen.ok_or(RecallError::NoRecall)? {
            Visibility::Full => {
                let mut status = self.status(id, limit)?;
                status.answers = self.answers(&recall, viewer, Visibility::Full, now)?;
                Ok(View::Full(Box::new(status)))
            }
            seen => {
                let mut status = self.sender_status(id, limit)?.limited_to(seen);
                status.answers = self.answers(&recall, viewer, seen, now)?;
                Ok(View::Limited(Box::new(status)))
            }
        }
    }

    /// How many copies of a recall ended how, or would, as far as somebody may see it.
    pub fn told(
        &self,
        recall: &Recall,
        tally: &Tally,
        viewer: &Requester,
        now: Timestamp,
    ) -> Result<Vec<(ToldOutcome, u64)>, RecallError> {
        Ok(tally.told(self.visibility(recall, viewer, now)?))
    }

    /// How many copies of a message would end how, as far as somebody may see it who asks about it.
    pub fn told_of(
        &self,
        found: &Submission,
        tally: &Tally,
        viewer: &Requester,
        now: Timestamp,
    ) -> Result<Vec<(ToldOutcome, u64)>, RecallError> {
        let is_owner = viewer.account.is_some() && viewer.account == found.submitter();
        Ok(tally.told(self.visibility_of(found, viewer, is_owner, now)?))
    }

    /// The verdict that a request would get now, as far as somebody may see what it was given.
    pub fn would_be_as_seen(
        &self,
        request: &Request,
        viewer: &Requester,
        now: Timestamp,
    ) -> Result<Result<Decided, Refusal>, RecallError> {
        let (decided, found) = (
            self.would_be(request, now)?,
            self.select(&request.selector)?,
        );
        let (Ok(decided), Some(found)) = (&decided, found) else {
            return Ok(decided);
        };
        let seen = self.visibility_of(&found, viewer, false, now)?;
        Ok(Ok(decided.as_seen(seen)))
    }

    /// The verdict that is on record, as far as somebody may see what it was given.
    pub fn decided_as_seen(
        &self,
        id: RecallId,
        viewer: &Requester,
        now: Timestamp,
    ) -> Result<Option<Decided>, RecallError> {
        let seen = self.visibility(&self.recall(id)?, viewer, now)?;
        Ok(self.decided(id)?.map(|decided| decided.as_seen(seen)))
    }

    /// Whether somebody may see anything of what became of the copies of a recall.
    pub fn is_seen_by(
        &self,
        recall: &Recall,
        viewer: &Requester,
        now: Timestamp,
    ) -> Result<bool, RecallError> {
        Ok(self.visibility(recall, viewer, now)?.is_some())
    }

    /// How a recall stands for one of those who follow it, and how much of it they may see; where that is
    /// nothing, as with those who were asked to approve it, it says of no copy what became of it.
    pub fn report_as(
        &self,
        id: RecallId,
        reader: &Requester,
        limit: usize,
        now: Timestamp,
    ) -> Result<(SenderStatus, Option<Visibility>), RecallError> {
        let recall = self.recall(id)?;
        let seen = self.visibility(&recall, reader, now)?;
        let status = match seen {
            Some(seen) => self.seen_as(&recall, (reader, seen), limit, now)?,
            None => SenderStatus {
                visibility: Visibility::Outcomes,
                tally: Tally::default(),
                submitted: self.submission_found(&recall)?.map(|found| found.submitted),
                addressed: Vec::new(),
                more: 0,
                on_their_way: 0,
                wait: self.wait_of(id)?,
                copies: Vec::new(),
                more_copies: 0,
                answers: Answers::default(),
                recall,
            },
        };
        Ok((status, seen))
    }

    fn seen_as(
        &self,
        recall: &Recall,
        (reader, seen): (&Requester, Visibility),
        limit: usize,
        now: Timestamp,
    ) -> Result<SenderStatus, RecallError> {
        let mut status = self.sender_status(recall.id, limit)?.limited_to(seen);
        if seen == Visibility::Full {
            let full = self.status(recall.id, limit)?;
            (status.copies, status.more_copies) = (full.lines, full.more);
        }
        status.answers = self.answers(recall, reader, seen, now)?;
        Ok(status)
    }

    /// The report for the sender: with what was served, where policy lets them see that.
    pub(crate) fn report_for(
        &self,
        recall: &Recall,
        owner: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<SenderStatus, RecallError> {
        let reader = Requester {
            account: recall.owner,
            name: owner.to_owned(),
            authentication: Authentication {
                protocol: String::from("report"),
                ..Authentication::default()
            },
        };
        let seen = self.visibility(recall, &reader, now)?;
        // It is theirs, so something is seen; a policy that can't say shows the least.
        let seen = seen.unwrap_or(Visibility::Outcomes);
        self.seen_as(recall, (&reader, seen), limit, now)
    }

    fn visibility(
        &self,
        recall: &Recall,
        viewer: &Requester,
        now: Timestamp,
    ) -> Result<Option<Visibility>, RecallError> {
        let is_owner = viewer.account.is_some() && viewer.account == recall.owner;
        let found = match recall.submission {
            Some(id) => submission::submission(&*self.engine, id)?,
            None => None,
        };
        let Some(found) = found else {
            // About no message that is known: there is nothing to see of anybody else.
            let sees = is_owner || viewer.account.is_none();
            return Ok(sees.then_some(Visibility::Outcomes));
        };
        let asked = match viewer.account {
            // Whoever has got the address of somebody who is gone is somebody else.
            Some(account) => {
                recall.followers.contains(&account) && self.address(account)? == recall.requester
            }
            None => false,
        };
        self.visibility_of(&found, viewer, is_owner || asked, now)
    }

    /// How much of what was served of a message somebody may see, who is a party to it or not.
    fn visibility_of(
        &self,
        found: &Submission,
        viewer: &Requester,
        is_party: bool,
        now: Timestamp,
    ) -> Result<Option<Visibility>, RecallError> {
        let actor = self.actor(viewer, found.account)?;
        let (permission, authentication) =
            (Permission::ReportExposure, viewer.authentication.clone());
        let question = Question {
            message: Some(self.message_facts((found, found), None, now)?),
            ..Question::of_permission(permission, actor, authentication, now)
        };
        Ok(self.policy.visibility(&question, is_party))
    }
}
