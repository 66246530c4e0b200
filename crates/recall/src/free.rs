//! A recall that can't be granted yet waits, and is freed, declined, cancelled or expires.
//!
//! Whoever frees one (its requester by a second factor, others by their approval) makes the question
//! be asked again. What the requester did counts from when they did it: the age of the message, the
//! hour, how fresh their factor was. What others did counts as it is now: who has read it, who holds
//! which role, who has approved. So the answer may be another thing to wait for, or no.
//!
//! Invariants:
//! - An act upon a waiting recall, what follows from it and their audit entries are one transaction.
//! - Nobody approves what they asked for, nor what takes back their own message.
//! - Each person's approval counts once, and for as long as they may give it ([`crate::approver`]).

use tern_audit::Draft;
use tern_base::{AccountId, Timestamp};
use tern_policy::{Decision, Operation, Verdict as PolicyVerdict};
use tern_store::{StoreError, Transaction, Verdict};

use crate::arrival::remember_in;
use crate::asked::Asked;
use crate::audit::audit_entry;
use crate::audit::{audit_request, audit_verdict, by_requester};
use crate::decided::Decided;
use crate::grant::{NotSealed, Standing};
use crate::question::refusal_of;
use crate::request::{ATTEMPTS, planned, record};
use crate::status::each_row;
use crate::wait::{Held, begin_in, end_in};
use crate::{
    Approval, Awaited, Ended, Recall, RecallError, RecallId, Recalls, Refusal, Request, Requested,
    Requester, Selector, State, Submission, Wait, limits, tables,
};
use crate::{reason, tell};

/// What was begun, or has expired, since its time had come.
#[derive(Debug, Default)]
pub struct Due {
    /// How many.
    pub begun: usize,
    /// Whether there are more, for the next time.
    pub more: bool,
    /// The first failure, which kept back none of the others.
    pub failure: Option<RecallError>,
}

impl Recalls {
    /// What a request has to wait for by this verdict; none where waiting is in vain: an operator
    /// at the server has no second factor to show, nor has an account that has none set up.
    pub(crate) fn awaited(
        &self,
        verdict: &PolicyVerdict,
        requester: &Requester,
        now: Timestamp,
    ) -> Result<Option<Awaited>, RecallError> {
        Ok(match (verdict.decision, requester.account) {
            (Decision::StepUp { .. }, Some(account)) => self.for_factor(account, now)?,
            // The page that asks for the factor asks for the reason.
            (_, Some(account)) if reason::is_wanted(verdict) && tell::is_mute(requester) => {
                self.for_factor(account, now)?
            }
            (
                Decision::Approval {
                    approvers,
                    expires_after_ms,
                },
                _,
            ) => Some(Awaited::Approval {
                approvers,
                until: now.plus_millis(expires_after_ms),
            }),
            _ => None,
        })
    }

    fn for_factor(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<Awaited>, RecallError> {
        let factors = tern_directory::factors(&*self.engine, account, now)?;
        Ok(factors.is_set_up().then(|| Awaited::StepUp {
            until: now.plus_millis(self.settings.step_up_ms()),
        }))
    }

    /// A request begins to wait; answers that, or the recall that it joins.
    pub(crate) fn wait(
        &self,
        request: &Request,
        found: &Submission,
        awaited: Awaited,
        (decided, asked): (&Decided, &Asked),
        now: Timestamp,
    ) -> Result<Requested, NotSealed> {
        let wait = Wait {
            awaited,
            requester: request.requester.clone(),
            requests_before: asked.granted_before(now),
            approvals: Vec::new(),
            ended: None,
            told: false,
        };
        let mut recall = record(request, Some(found), awaited.state(), Some(decided), now);
        recall.changed();
        let code = decided.code.as_str();
        let sender = self.sender(&recall)?;
        tern_store::transact(&*self.engine, |txn| {
            if let Some(waiting) = self.waiting_in(txn, &wait.requester, &recall)? {
                let answer = self.answer_on_record(&waiting)?;
                return Ok(Verdict::Abandon(answer));
            }
            if let Some(refusal) = self.waits_enough_in(txn, &wait.requester, recall.state)? {
                return Err(NotSealed::Refused(refusal));
            }
            remember_in(txn, found.id)?;
            self.join_in(txn, &recall, now)?;
            self.grant_in(txn, (request, found), asked, &recall, now)?;
            recall.put_in(txn)?;
            begin_in(txn, &recall, &wait);
            let verdict = (code, Some(decided));
            audit_request(txn, request, (&recall, sender.as_deref()), verdict, now)?;
            Ok(Verdict::Commit(Requested::Waiting(recall.id, awaited)))
        })
    }

    /// The requester has shown a second factor, which the caller has verified: `totp`,
    /// `recovery-code`. On return the answer is durable; when it is [`Requested::Sealed`] the caller
    /// goes on with [`Recalls::run`].
    ///
    /// # Errors
    /// [`RecallError::NoRecall`] for any account but the requester's, whether it is there or not.
    pub fn stepped_up(
        &self,
        id: RecallId,
        account: AccountId,
        factor: &str,
        peer: Option<String>,
        now: Timestamp,
    ) -> Result<Requested, RecallError> {
        self.free(id, now, |held| {
            if held.wait.requester.account != Some(account) {
                return Err(RecallError::NoRecall);
            }
            if held.recall.state != State::AwaitingStepUp {
                return Ok(None);
            }
            let mut wait = held.wait.clone();
            let facts = &mut wait.requester.authentication;
            facts.step_up_age_ms = Some(0);
            if !facts.factors.iter().any(|shown| shown == factor) {
                facts.factors.push(factor.to_owned());
            }
            let mut entry = act_entry(held, "recall.step-up", now).detail("factor", factor);
            by_requester(&mut entry, &wait.requester);
            if peer.is_some() {
                entry.peer.clone_from(&peer);
            }
            Ok(Some((wait, entry)))
        })
    }

    /// Somebody else approves a waiting recall. Who has approved it already changes nothing by
    /// approving it again. On return the answer is durable; when it is [`Requested::Sealed`] the
    /// caller goes on with [`Recalls::run`].
    pub fn approve(
        &self,
        id: RecallId,
        by: &Requester,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Requested, RecallError> {
        self.has_waited(id, by)?;
        self.free(id, now, |held| {
            self.approver(held, by, now)?;
            let mut wait = held.wait.clone();
            if wait.counted().any(|one| one.is_by(by)) {
                return Ok(None);
            }
            match held.recall.state {
                State::AwaitingApproval => {}
                // Nothing was approved, and nobody is to think so.
                State::AwaitingStepUp | State::Planned => {
                    return Err(RecallError::WrongState(held.recall.state.code()));
                }
                _ => return Ok(None),
            }
            let approval = Approval {
                by: by.clone(),
                at: now,
                reason: reason.map(shortened),
                lapsed: false,
            };
            let mut entry = act_entry(held, "recall.approve", now);
            if let Some(reason) = &approval.reason {
                entry = entry.detail("reason", reason.as_str());
            }
            by_requester(&mut entry, by);
            // What is given again stands in place of what counts no more.
            wait.approvals.retain(|one| !one.is_by(by));
            wait.approvals.push(approval);
            Ok(Some((wait, entry)))
        })
    }

    /// Somebody who may approve a waiting recall says no: it is over.
    pub fn decline(
        &self,
        id: RecallId,
        by: &Requester,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let state = State::Refused(Refusal::ApprovalRequired);
        self.has_waited(id, by)?;
        self.end(id, state, |held| {
            self.approver(held, by, now)?;
            match held.recall.state {
                State::AwaitingApproval => {}
                other => return Err(RecallError::WrongState(other.code())),
            }
            let mut entry = act_entry(held, "recall.decline", now);
            by_requester(&mut entry, by);
            Ok((ended(Some(by), reason, now), entry))
        })
    }

    /// Its requester, or an operator, no longer wants a waiting recall.
    ///
    /// # Errors
    /// [`RecallError::NoRecall`] for any other account, whether it is there or not.
    pub fn cancel(&self, id: RecallId, by: &Requester, now: Timestamp) -> Result<(), RecallError> {
        self.has_waited(id, by)?;
        self.end(id, State::Cancelled, |held| {
            if by.account.is_some() && by.account != held.wait.requester.account {
                return Err(RecallError::NoRecall);
            }
            let mut entry = act_entry(held, "recall.cancel", now);
            by_requester(&mut entry, by);
            Ok((ended(Some(by), None, now), entry))
        })
    }

    /// Of a recall that never waited an operator, who may know of any, is told how it stands.
    fn has_waited(&self, id: RecallId, by: &Requester) -> Result<(), RecallError> {
        if by.account.is_some() || self.wait_of(id)?.is_some() {
            return Ok(());
        }
        Err(RecallError::WrongState(self.recall(id)?.state.code()))
    }

    /// Ends what has waited too long, and begins what was planned for now, as much as is done in one
    /// go. To be called now and then.
    pub fn begin_due(&self, now: Timestamp) -> Result<Due, RecallError> {
        let mut due = Vec::new();
        each_row(&*self.engine, tables::waits_until_by(now), |key, _| {
            due.push(tables::read_waits_until(key)?);
            Ok(())
        })?;
        let mut done = Due::default();
        // One that can't begin keeps back none of those behind it.
        for id in due {
            if done.begun == limits::DUE_AT_ONCE {
                done.more = true;
                break;
            }
            match self.expire_one(id, now) {
                Ok(()) => done.begun += 1,
                // Somebody was quicker.
                Err(RecallError::WrongState(_)) => {}
                Err(error) => drop(done.failure.get_or_insert(error)),
            }
        }
        Ok(done)
    }

    /// When the next of what waits expires or begins, after this time.
    pub fn next_due_after(&self, time: Timestamp) -> Result<Option<Timestamp>, RecallError> {
        let page = self.engine.scan(&tables::waits_until_after(time), 1)?;
        let first = page.rows.first();
        Ok(first.map(|(key, _)| tables::read_until(key)).transpose()?)
    }

    fn expire_one(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        let recall = self.recall(id)?;
        if recall.state == State::Planned {
            return self.come_due(id, now);
        }
        // What was taken back by another recall meanwhile has not come to nothing.
        let state = match self.joined(&recall, now)? {
            Some(_) => State::Refused(Refusal::AlreadyRecalled),
            None => State::Expired,
        };
        self.end(id, state, |held| {
            if !self.is_expired(held, now) {
                return Err(RecallError::WrongState(held.recall.state.code()));
            }
            Ok((
                ended(None, None, now),
                act_entry(held, "recall.expire", now),
            ))
        })
    }

    /// The time has come that was set for a recall: it begins, if the policy still lets it.
    fn come_due(&self, id: RecallId, now: Timestamp) -> Result<(), RecallError> {
        self.free(id, now, |held| {
            if held.recall.state != State::Planned {
                return Ok(None);
            }
            let entry = act_entry(held, "recall.due", now);
            Ok(Some((held.wait.clone(), entry)))
        })?;
        Ok(())
    }

    /// Whether a recall has waited too long: also one that waits for a factor until later than it
    /// could, since the clock was ahead when it began to.
    pub(crate) fn is_expired(&self, held: &Held, now: Timestamp) -> bool {
        if held.recall.state == State::Planned {
            return false;
        }
        let until = held.wait.awaited.until();
        let latest = now.plus_millis(
            self.settings
                .step_up_ms()
                .saturating_add(limits::CLOCK_SLACK_MS),
        );
        let ahead = matches!(held.wait.awaited, Awaited::StepUp { .. }) && until > latest;
        until <= now || ahead
    }

    /// Asks the question again after an act upon a waiting recall; `None` of an act that changes
    /// nothing.
    fn free(
        &self,
        id: RecallId,
        now: Timestamp,
        act: impl Fn(&Held) -> Result<Option<(Wait, Draft)>, RecallError>,
    ) -> Result<Requested, RecallError> {
        for _ in 0..ATTEMPTS {
            // Read before anybody is judged by it.
            let role_changes = tern_directory::role_changes(&*self.engine)?;
            let mut held = self.held(id)?;
            if held.recall.state.is_waiting() && self.is_expired(&held, now) {
                // Also where this is not for them to know: they get the answer below.
                self.expire_one(id, now)?;
                continue;
            }
            // First: whose approval counts no more can give it again.
            let lapsed = self.judge_approvals(&mut held, now)?;
            let Some((wait, mut entry)) = act(&held)? else {
                return match held.recall.state {
                    State::Cancelled | State::Expired => {
                        Err(RecallError::WrongState(held.recall.state.code()))
                    }
                    _ => self.answer_on_record(&held.recall),
                };
            };
            if !lapsed.is_empty() {
                entry = entry.detail("lapsed", lapsed.join(" "));
            }
            let freed = Freed {
                held,
                wait,
                entry,
                role_changes,
            };
            let answer = match self.ask_again(&freed, now) {
                Err(NotSealed::Joined(_)) => {
                    self.refuse_freed(&freed, Refusal::AlreadyRecalled, None, now)
                }
                Err(NotSealed::Refused(refusal)) => self.refuse_freed(&freed, refusal, None, now),
                answer => answer,
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(NotSealed::Recall(error)) => return Err(error),
                // Somebody has done something meanwhile.
                Err(_) => {}
            }
        }
        Err(StoreError::Busy.into())
    }

    fn ask_again(&self, freed: &Freed, now: Timestamp) -> Result<Requested, NotSealed> {
        let (recall, wait) = (&freed.held.recall, &freed.wait);
        let found = self.submission_of(recall)?;
        let judged = self.judged_by(&found, freed.role_changes)?;
        let request = request_of(recall, &wait.requester);
        if !self.is_there(&wait.requester)? {
            return self.refuse_freed(freed, Refusal::NotEnabled, None, now);
        }
        let origins = self.origins(&found, recall.is_set_when_sent(&found))?;
        let exposed = Some(self.exposed((&found, &origins), recall.reach)?);
        let facts = (Operation::Recall, exposed, wait.requests_before);
        let mut question = self.question(facts, &request, &found, recall.requested)?;
        question.approvals = wait.counted().count() as u32;
        if let Some(account) = wait.requester.account {
            question.frozen = self.frozen(account)?.is_some();
        }
        let verdict = self.policy.decide(&question);
        let decided = Decided::from(&verdict);
        let Some(refusal) = refusal_of(&verdict) else {
            if let Some(planned) = planned(&request, now) {
                return self.wait_on(freed, planned, &decided, now);
            }
            let standing = Standing::Freed(freed);
            return self.seal(&request, (&found, &judged), &decided, standing, now);
        };
        match self.awaited(&verdict, &wait.requester, now)? {
            Some(awaited) => self.wait_on(freed, awaited, &decided, now),
            None => self.refuse_freed(freed, refusal, Some(&decided), now),
        }
    }

    /// It waits for something else, or for more of the same.
    fn wait_on(
        &self,
        freed: &Freed,
        awaited: Awaited,
        decided: &Decided,
        now: Timestamp,
    ) -> Result<Requested, NotSealed> {
        // Each approval leaves the rest no more time than there was, and a link stays what it was.
        let awaited = match (freed.held.wait.awaited, awaited) {
            (Awaited::StepUp { until }, Awaited::StepUp { .. }) => Awaited::StepUp { until },
            (Awaited::Approval { until, .. }, Awaited::Approval { approvers, .. }) => {
                Awaited::Approval { approvers, until }
            }
            (_, awaited) => awaited,
        };
        let same = awaited.state() == freed.held.recall.state;
        let wait = Wait {
            awaited,
            told: freed.wait.told && same,
            ..freed.wait.clone()
        };
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = freed.act_in(self, txn)?;
            recall.state = awaited.state();
            recall.policies.clone_from(&decided.policies);
            recall.put_in(txn)?;
            begin_in(txn, &recall, &wait);
            audit_verdict(txn, &recall, (&decided.code, Some(decided)), now)?;
            Ok(Verdict::Commit(Requested::Waiting(recall.id, awaited)))
        })
    }

    fn refuse_freed(
        &self,
        freed: &Freed,
        refusal: Refusal,
        decided: Option<&Decided>,
        now: Timestamp,
    ) -> Result<Requested, NotSealed> {
        tern_store::transact(&*self.engine, |txn| {
            let mut recall = freed.act_in(self, txn)?;
            recall.state = State::Refused(refusal);
            if let Some(decided) = decided {
                recall.policies.clone_from(&decided.policies);
            }
            recall.put_in(txn)?;
            audit_verdict(txn, &recall, (refusal.code(), decided), now)?;
            Ok(Verdict::Commit(Requested::Refused(recall.id, refusal)))
        })
    }

    /// Ends the waiting without asking anything.
    fn end(
        &self,
        id: RecallId,
        state: State,
        act: impl Fn(&Held) -> Result<(Ended, Draft), RecallError>,
    ) -> Result<(), RecallError> {
        for _ in 0..ATTEMPTS {
            // Read before anybody is judged by it.
            let role_changes = tern_directory::role_changes(&*self.engine)?;
            let held = self.held(id)?;
            let (ended, entry) = act(&held)?;
            if !held.recall.state.is_waiting() {
                return Err(RecallError::WrongState(held.recall.state.code()));
            }
            let wait = Wait {
                ended: Some(ended),
                ..held.wait.clone()
            };
            let entry = match &wait.ended {
                Some(Ended {
                    reason: Some(reason),
                    ..
                }) => entry.detail("reason", reason.as_str()),
                _ => entry,
            };
            let freed = Freed {
                held,
                wait,
                entry,
                role_changes,
            };
            let done = tern_store::transact(&*self.engine, |txn| {
                let mut recall = freed.act_in(self, txn)?;
                recall.state = state;
                recall.put_in(txn)?;
                Ok::<_, NotSealed>(Verdict::Commit(()))
            });
            match done {
                Ok(()) => return Ok(()),
                Err(NotSealed::Recall(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Err(StoreError::Busy.into())
    }
}

/// A waiting recall, and what somebody did.
pub(crate) struct Freed {
    held: Held,
    wait: Wait,
    entry: Draft,
    /// How often roles had changed when it was judged who may.
    pub(crate) role_changes: u64,
}

impl Freed {
    /// Puts the act on record and takes the recall off the lists of those that wait. Answers its
    /// record, which the caller puts into another state and writes.
    pub(crate) fn act_in(
        &self,
        recalls: &Recalls,
        txn: &mut Transaction<'_>,
    ) -> Result<Recall, NotSealed> {
        if tern_directory::role_changes_in(txn)? != self.role_changes {
            return Err(NotSealed::Meanwhile);
        }
        end_in(txn, &self.held)?;
        let id = self.held.recall.id;
        txn.put(tables::wait(id), self.wait.encode());
        tern_audit::append_in(txn, self.entry.clone())?;
        let mut recall = recalls.recall_in(txn, id)?;
        let approvals = self.wait.approvals.iter();
        recall.follow(approvals.filter_map(|approval| approval.by.account));
        recall.changed();
        Ok(recall)
    }
}

impl Freed {
    /// Whoever approves a recall of a frozen account has looked: it is frozen no more. Who approved it before it was
    /// frozen has not.
    pub(crate) fn unfreeze_in(
        &self,
        recalls: &Recalls,
        txn: &mut Transaction<'_>,
        now: Timestamp,
    ) -> Result<(), RecallError> {
        let (requester, last) = (self.wait.requester.account, self.wait.counted().last());
        if let (Some(account), Some(approval)) = (requester, last)
            && let Some(frozen) = recalls.frozen_in(txn, account)?
            && frozen.was_known(approval.at, now)
        {
            recalls.unfreeze_in(txn, account, &approval.by, now)?;
        }
        Ok(())
    }
}

/// The request of a recall that is on record.
pub(crate) fn request_of(recall: &Recall, requester: &Requester) -> Request {
    Request {
        id: recall.id,
        selector: match recall.submission {
            Some(id) => Selector::Submission(id),
            None => Selector::Submission(tern_base::OriginId([0; 16])),
        },
        requester: requester.clone(),
        chosen: recall.chosen.clone(),
        selection: recall.selection,
        reach: recall.reach,
        attachment: recall.attachment.clone(),
        notices: recall.notices.clone(),
        batch: recall.batch,
        as_answer: recall.as_answer,
        reason: recall.reason.clone(),
        replacement: recall.replacement.clone(),
        expires: recall.expires,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(limits::MAX_REASON).collect()
}

fn ended(by: Option<&Requester>, reason: Option<&str>, now: Timestamp) -> Ended {
    Ended {
        by: by.map(|by| by.name.clone()),
        at: now,
        reason: reason.map(shortened),
    }
}

/// The entry of an act upon a waiting recall, whose step no other act of it has.
fn act_entry(held: &Held, action: &str, now: Timestamp) -> Draft {
    let step = format!("{action} {}", held.recall.generation);
    audit_entry(&held.recall, &step, action, now)
}
