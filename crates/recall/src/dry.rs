//! A dry run: what a request would come to, told to whoever would ask, and no more than that.

use tern_base::Timestamp;

use crate::request::{record, refusal_of};
use crate::{Awaited, RecallError, Recalls, Refusal, Request, State, Submission, ToldOutcome};

/// What a request would come to now.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The message.
    pub submission: Submission,
    /// How many copies would end how, as far as the requester may see it.
    pub outcomes: Vec<(ToldOutcome, u64)>,
    /// What it would wait for first.
    pub awaits: Option<Awaited>,
}

impl Recalls {
    /// What a request would come to now, without doing it; `Err` of the refusal that it would meet.
    pub fn dry_run(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Result<DryRun, Refusal>, RecallError> {
        let (facts, plan) = match self.plan(request, now)? {
            Ok(planned) => planned,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let found = facts.submission;
        let request = &*self.looked_for(request, &found)?;
        let requester = &request.requester;
        let recall = record(request, Some(&found), State::Running, None, now);
        let outcomes = self.told(&recall, &plan.tally(), requester, now)?;
        let asked = self.asked(requester.account)?;
        let verdict = self.verdict_on(request, &found, &asked, now)?;
        let awaits = self.awaited(&verdict, requester, now)?;
        let refusal = refusal_of(&verdict).filter(|_| awaits.is_none());
        Ok(match refusal {
            Some(refusal) => Err(refusal),
            None => Ok(DryRun {
                submission: found,
                outcomes,
                awaits,
            }),
        })
    }
}
