//! What somebody was not allowed to do is on record as what they did would be: a request that is refused,
//! and an act upon a recall that is not theirs.
//!
//! Invariant: nothing about another account's message goes into what the requester can read.

use tern_base::Timestamp;
use tern_store::{Transaction, Verdict};

use crate::asked::{Refused, asked_in};
use crate::audit::{audit_entry, audit_request, by_requester};
use crate::decided::Decided;
use crate::request::record;
use crate::wait::Held;
use crate::{
    Recall, RecallError, RecallId, Recalls, Refusal, Request, Requested, Requester, State,
    Submission, tables,
};

impl Recalls {
    /// Puts a refusal on record.
    pub(crate) fn refuse(
        &self,
        request: &Request,
        found: Option<&Submission>,
        refusal: Refusal,
        decided: Option<&Decided>,
        now: Timestamp,
    ) -> Result<Requested, RecallError> {
        // Nothing about another account's message goes into what the requester can read.
        let requester = request.requester.account;
        let own = found.filter(|found| requester.is_none_or(|account| account == found.account));
        let mut recall = record(request, own, State::Refused(refusal), decided, now);
        recall.owner = requester.or(recall.owner);
        recall.generation = u64::from(requester.is_some());
        tern_store::transact(&*self.engine, |txn| {
            // The same request, asked twice at once: it is as was answered first.
            if txn.get(&tables::recall(request.id))?.is_some() {
                let known = self.recall_in(txn, request.id)?;
                return Ok(Verdict::Abandon(self.answer_on_record(&known)?));
            }
            let mut recall = recall.clone();
            let Some(account) = requester else {
                return refuse_in(txn, request, &recall, decided, now);
            };
            let mut asked = asked_in(txn, account)?;
            let refused = asked.refuse(request.id, now);
            let mut by = recall.clone();
            if let Refused::Counted(stands, _) = refused {
                by.id = stands;
            }
            self.limit_in(txn, account, &mut asked, &by, now)?;
            asked.put_in(txn, account);
            match refused {
                Refused::OnRecord => {}
                Refused::FirstOfMany => recall.state = State::Refused(Refusal::RateLimited),
                Refused::Counted(by, count) => {
                    // Now and then the log is told how many there were.
                    if count.is_power_of_two() {
                        audit_flood(txn, request, by, count, now)?;
                    }
                    let answer = Requested::Refused(by, Refusal::RateLimited);
                    return Ok(Verdict::Commit(answer));
                }
            }
            refuse_in(txn, request, &recall, decided, now)
        })
    }

    /// Whether somebody may approve or decline a waiting recall; a no is on record.
    pub(crate) fn approver(
        &self,
        held: &Held,
        by: &Requester,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        match self.may_approve(held, by, now) {
            Err(RecallError::NotAllowed(why)) => {
                self.record_refused(&held.recall, by, ("recall.approve-refused", why), "", now)?;
                Err(RecallError::NotAllowed(why))
            }
            answer => answer,
        }
    }

    /// Puts on record what was not done, why, and by which policies.
    pub(crate) fn record_refused(
        &self,
        recall: &Recall,
        by: &Requester,
        (action, why): (&str, &str),
        policies: &str,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        // Each attempt is one of its own, whatever was asked before.
        let step = format!("{action} {} {}", by.name, now.0);
        let mut entry = audit_entry(recall, &step, action, now).detail("verdict", why);
        if !policies.is_empty() {
            entry = entry.detail("policies", policies);
        }
        by_requester(&mut entry, by);
        tern_audit::append(&*self.engine, &entry)?;
        Ok(())
    }
}

/// Puts a refusal on record.
fn refuse_in(
    txn: &mut Transaction<'_>,
    request: &Request,
    recall: &Recall,
    decided: Option<&Decided>,
    now: Timestamp,
) -> Result<Verdict<Requested>, RecallError> {
    recall.put_in(txn)?;
    let State::Refused(refusal) = recall.state else {
        return Err(RecallError::WrongState(recall.state.code()));
    };
    let verdict = (refusal.code(), decided);
    audit_request(txn, request, (recall, None), verdict, now)?;
    Ok(Verdict::Commit(Requested::Refused(request.id, refusal)))
}

/// Puts on record that so many requests were refused, for all of which one refusal stands.
fn audit_flood(
    txn: &mut Transaction<'_>,
    request: &Request,
    by: RecallId,
    count: u64,
    now: Timestamp,
) -> Result<(), RecallError> {
    let refusal = State::Refused(Refusal::RateLimited);
    let mut recall = record(request, None, refusal, None, now);
    recall.id = by;
    let step = format!("refusals {count}");
    let mut entry = audit_entry(&recall, &step, "recall.refusals", now).detail("requests", count);
    by_requester(&mut entry, &request.requester);
    tern_audit::append_in(txn, entry)?;
    Ok(())
}
