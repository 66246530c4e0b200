//! A dry run: what a request would come to, told to whoever would ask, and no more than that.

use tern_base::Timestamp;
use tern_policy::{Decision, Operation, Selection};
use tern_store::Verdict;

use crate::asked::asked_in;
use crate::question::refusal_of;
use crate::request::record;
use crate::{
    Awaited, Facts, Outcome, Plan, RecallError, Recalls, Refusal, Request, State, Submission,
    ToldOutcome, plan,
};

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
    /// What a recall would do now, without doing it; `Err` of the refusal that it would meet.
    pub fn plan(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Result<(Facts, Plan), Refusal>, RecallError> {
        let Some(found) = self.select(&request.selector)? else {
            return Ok(Err(Refusal::NotFound));
        };
        // That somebody else sent it is not told either: it would say that there is such a message. Whether it is taken back already, or has that attachment, is told only to those whom the policy
        // lets plan it at all: whoever received a message can name it.
        let origins = self.origins(&found, request.is_set_when_sent(&found))?;
        let exposed = Some(self.exposed((&found, &origins), request.reach)?);
        let verdict = self.decide((Operation::Plan, exposed, 0), request, &found, now)?;
        if let (Decision::Deny(_), Some(refusal)) = (verdict.decision, refusal_of(&verdict)) {
            return Ok(Err(match refusal {
                Refusal::NotYours => Refusal::NotFound,
                other => other,
            }));
        }
        let request = &*self.looked_for(request, &found)?;
        let asked = record(request, Some(&found), State::Running, None, now);
        if self.joined(&asked, now)?.is_some() {
            return Ok(Err(Refusal::AlreadyRecalled));
        }
        let facts = self.facts_now(found, &asked, now)?;
        let plan = plan(&facts, &request.chosen, now);
        let exposed = Some(plan.tally().of(Outcome::WithdrawnExposed));
        let question = (Operation::Plan, exposed, 0);
        let verdict = self.decide(question, request, &facts.submission, now)?;
        Ok(match refusal_of(&verdict).or(request.unfit()) {
            Some(refusal) => Err(refusal),
            None => Ok((facts, plan)),
        })
    }

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
        if let Some(refusal) = refusal {
            return Ok(Err(refusal));
        }
        self.count_look(request, now)?;
        Ok(Ok(DryRun {
            submission: found,
            outcomes,
            awaits,
        }))
    }

    /// Counts a dry run as a request where it asks for copies by their state: how many would be taken says
    /// which of them were read, as a request does, which is on record.
    fn count_look(&self, request: &Request, now: Timestamp) -> Result<(), RecallError> {
        let Some(account) = request.requester.account else {
            return Ok(());
        };
        if request.selection == Selection::Any {
            return Ok(());
        }
        tern_store::transact(&*self.engine, |txn| {
            let mut asked = asked_in(txn, account)?;
            asked.grant(0, now);
            asked.put_in(txn, account);
            Ok::<_, RecallError>(Verdict::Commit(()))
        })
    }
}
