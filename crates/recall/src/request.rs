//! Asking for a recall: who asks is checked, the policy decides, and the seal falls in one write.

use tern_audit::Actor as AuditActor;
use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};
use tern_mailbox::{ExposureLevel, Seal, SealTag};
use tern_policy::{
    Authentication, Decision, Operation, Options, Question, Surroundings, Verdict as PolicyVerdict,
};
use tern_store::{StoreError, Transaction, Verdict};

use crate::decided::Decided;
use crate::handle::audit_entry;
use crate::plan::{cover, origins};
use crate::{
    Facts, Outcome, Plan, Recall, RecallError, RecallId, Recalls, Refusal, State, Submission,
    Target, plan, submission, tables,
};

/// Which message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A submission by its id.
    Submission(OriginId),
    /// The newest submission of an account with this Message-ID, without angle brackets.
    MessageId(AccountId, String),
    /// The newest submission of an account that is this letter, or has this Message-ID.
    Letter(AccountId, ContentDigest, Option<String>),
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Their account; none for an operator at the server.
    pub account: Option<AccountId>,
    /// Their name.
    pub name: String,
    /// How they proved who they are.
    pub authentication: Authentication,
}

/// A request for a recall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the requester: asking again with the same id is the same request.
    pub id: RecallId,
    /// Which message.
    pub selector: Selector,
    /// Who asks.
    pub requester: Requester,
    /// The recipients to take it from, by address as the sender wrote it; none for all.
    pub chosen: Vec<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// Sealed: from now on no covered copy is served.
    Sealed(RecallId),
    /// The message is being recalled already, by this one.
    Joined(RecallId),
    /// It was refused; the refusal is on record under the request's id.
    Refused(RecallId, Refusal),
}

impl Requested {
    /// The recall that the answer is about.
    pub const fn id(&self) -> RecallId {
        match self {
            Self::Sealed(id) | Self::Joined(id) | Self::Refused(id, _) => *id,
        }
    }
}

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 1_000;
/// Most recipients that can be chosen one by one.
const MAX_CHOSEN: usize = 1_000;
/// What the rate is counted over, in milliseconds.
const RATE_WINDOW_MS: u64 = 60 * 60 * 1000;

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
        if self.recall_of(found.id)?.is_some() {
            return Ok(Err(Refusal::AlreadyRecalled));
        }
        let facts = self.facts(found)?;
        let plan = plan(&facts, &request.chosen, now);
        let exposed = Some(plan.tally().of(Outcome::WithdrawnExposed));
        let verdict = self.decide(Operation::Plan, request, &facts.submission, exposed, now)?;
        Ok(match refusal_of(&verdict) {
            Some(refusal) => Err(refusal),
            None => Ok((facts, plan)),
        })
    }

    /// Asks for a recall. On return the answer is durable; when it is [`Requested::Sealed`] the
    /// caller goes on with [`Recalls::run`].
    pub fn request(&self, request: &Request, now: Timestamp) -> Result<Requested, RecallError> {
        if let Some(answer) = self.answered_before(request.id)? {
            return Ok(answer);
        }
        let Some(found) = self.select(&request.selector)? else {
            return self.refuse(request, None, Refusal::NotFound, None, now);
        };
        let exposed = Some(self.exposed(&found)?);
        let verdict = self.decide(Operation::Recall, request, &found, exposed, now)?;
        let decided = Decided::from(&verdict);
        // Whether it runs already is told only to those whom the policy lets ask at all.
        let too_many = request.chosen.len() > MAX_CHOSEN;
        let refusal = refusal_of(&verdict).or(too_many.then_some(Refusal::PolicyDenied));
        match refusal {
            Some(refusal) => self.refuse(request, Some(&found), refusal, Some(&decided), now),
            None => self.seal(request, &found, &decided, now),
        }
    }

    /// How many copies had their body served. Nothing else of the copies is looked at before the
    /// seal, so that its time does not grow with their number.
    pub(crate) fn exposed(&self, found: &Submission) -> Result<u64, RecallError> {
        let served = self.mailboxes.exposures(found.digest)?;
        let exposed = served.iter().filter(|(account, _, exposure)| {
            *account != found.account && exposure.level > ExposureLevel::Headers
        });
        Ok(exposed.count() as u64)
    }

    fn answered_before(&self, id: RecallId) -> Result<Option<Requested>, RecallError> {
        match self.recall(id) {
            Err(RecallError::NoRecall) => Ok(None),
            Err(error) => Err(error),
            Ok(Recall {
                state: State::Refused(refusal),
                ..
            }) => Ok(Some(Requested::Refused(id, refusal))),
            Ok(_) => Ok(Some(Requested::Joined(id))),
        }
    }

    pub(crate) fn select(&self, selector: &Selector) -> Result<Option<Submission>, RecallError> {
        let engine = &*self.engine;
        Ok(match selector {
            Selector::Submission(id) => submission::submission(engine, *id)?,
            Selector::MessageId(account, id) => submission::by_message_id(engine, *account, id)?,
            Selector::Letter(account, digest, message_id) => {
                match submission::by_digest(engine, *account, *digest)? {
                    Some(found) => Some(found),
                    None => match message_id {
                        Some(id) => submission::by_message_id(engine, *account, id)?,
                        None => None,
                    },
                }
            }
        })
    }

    /// The recall of a submission, if there is one that was not undone.
    fn recall_of(&self, submission: OriginId) -> Result<Option<RecallId>, RecallError> {
        let row = self.engine.get(&tables::of_submission(submission))?;
        let Some(id) = row.and_then(|row| row.try_into().ok()).map(RecallId) else {
            return Ok(None);
        };
        let undone = matches!(self.recall(id)?.state, State::Restored);
        Ok((!undone).then_some(id))
    }

    pub(crate) fn decide(
        &self,
        operation: Operation,
        request: &Request,
        submission: &Submission,
        exposed: Option<u64>,
        now: Timestamp,
    ) -> Result<PolicyVerdict, RecallError> {
        let requester = &request.requester;
        Ok(self.policy.decide(&Question {
            operation,
            now,
            actor: self.actor(requester, submission.account)?,
            authentication: requester.authentication.clone(),
            // Where and when is known to the server, whose policy adds it.
            surroundings: Surroundings::default(),
            message: Some(self.message_facts(submission, exposed, now)?),
            options: Options {
                chosen_recipients: match request.chosen.len() {
                    0 => None,
                    chosen => Some(chosen as u64),
                },
                reason: request.reason.clone(),
                ..Options::default()
            },
            approvals: 0,
            requester: None,
            requests_last_hour: self.requests_last_hour(requester.account, now)?,
        }))
    }

    fn requests_last_hour(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
    ) -> Result<u32, RecallError> {
        let Some(account) = account else { return Ok(0) };
        let since = Timestamp(now.0.saturating_sub(RATE_WINDOW_MS));
        let page = self
            .engine
            .scan(&tables::of_account_since(account, since), 1_000)?;
        // A refused request carries no mark: it does not count.
        Ok(page
            .rows
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .count() as u32)
    }

    fn refuse(
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
        let recall = Recall {
            owner: requester.or(own.map(|found| found.account)),
            report_due: requester.is_some(),
            ..record(request, own, State::Refused(refusal), decided, now)
        };
        tern_store::transact(&*self.engine, |txn| {
            if txn.get(&tables::recall(request.id))?.is_some() {
                return Ok(Verdict::Abandon(()));
            }
            recall.put_in(txn, false);
            if let Some(account) = requester {
                txn.put(tables::of_account(account, now, request.id), Vec::new());
            }
            audit_request(txn, request, &recall, (refusal.code(), decided), now)?;
            Ok::<_, RecallError>(Verdict::Commit(()))
        })?;
        Ok(Requested::Refused(request.id, refusal))
    }

    /// The seal: record, tombstone, cover, cancelled queue items and audit entry in one commit.
    fn seal(
        &self,
        request: &Request,
        submission: &Submission,
        decided: &Decided,
        now: Timestamp,
    ) -> Result<Requested, RecallError> {
        let state = State::Running;
        let mut recall = record(request, Some(submission), state, Some(decided), now);
        recall.report_due = true;
        let engine = &*self.engine;
        let targets = if request.chosen.is_empty() && submission.outside == 0 {
            Vec::new()
        } else {
            submission::targets(engine, submission.id)?
        };
        for _ in 0..SEAL_ATTEMPTS {
            let sealed = self.seal_once(request, submission, (&recall, decided), &targets, now);
            match sealed {
                Ok(()) => return Ok(Requested::Sealed(request.id)),
                Err(SealFailed::Joined(running)) => return Ok(Requested::Joined(running)),
                Err(SealFailed::SentMeanwhile) => {}
                Err(SealFailed::Recall(error)) => return Err(error),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Seals by what is known of who else has sent the letter; not at all if somebody sends it
    /// meanwhile.
    fn seal_once(
        &self,
        request: &Request,
        submission: &Submission,
        (recall, decided): (&Recall, &Decided),
        targets: &[Target],
        now: Timestamp,
    ) -> Result<(), SealFailed> {
        let engine = &*self.engine;
        let latest_key = tables::latest(submission.digest);
        let latest = engine.get(&latest_key)?;
        let rivals = submission::by_others(engine, submission.account, submission.digest)?;
        let seal = Seal {
            tag: SealTag(request.id.0),
            cover: cover(submission.account, targets, &request.chosen),
            origins: origins(submission.id, &rivals),
            active: true,
            until: now.plus_millis(self.settings.tombstone_ms),
        };
        self.mailboxes.seal(submission.digest, seal, |txn| {
            if txn.get(&latest_key)? != latest {
                return Err(SealFailed::SentMeanwhile);
            }
            if let Some(running) = self.running_in(txn, submission.id)? {
                return Err(SealFailed::Joined(running));
            }
            // The same request, asked twice at once.
            if txn.get(&tables::recall(request.id))?.is_some() {
                return Err(SealFailed::Joined(request.id));
            }
            recall.put_in(txn, true);
            txn.put(tables::of_submission(submission.id), request.id.0.to_vec());
            if let Some(account) = request.requester.account {
                txn.put(tables::of_account(account, now, request.id), vec![1]);
            }
            self.settle_outside_in(txn, recall, targets, 0..SEALED_WITH_ITEMS, now)?;
            audit_request(txn, request, recall, ("allow", Some(decided)), now)?;
            Ok(())
        })
    }

    /// The recall of a submission that is on record, unless it was undone.
    fn running_in(
        &self,
        txn: &mut Transaction<'_>,
        submission: OriginId,
    ) -> Result<Option<RecallId>, RecallError> {
        let row = txn.get(&tables::of_submission(submission))?;
        let Some(id) = row.and_then(|row| row.try_into().ok()).map(RecallId) else {
            return Ok(None);
        };
        let undone = matches!(self.recall_in(txn, id)?.state, State::Restored);
        Ok((!undone).then_some(id))
    }
}

/// How many outside recipients' queue items are cancelled in the commit of the seal itself; the
/// queue asks the seal before it hands out any of the rest.
const SEALED_WITH_ITEMS: usize = 200;

/// How often a seal is tried again because somebody sends the same letter meanwhile.
const SEAL_ATTEMPTS: usize = 20;

enum SealFailed {
    Joined(RecallId),
    /// Somebody has sent the letter since it was looked who had.
    SentMeanwhile,
    Recall(RecallError),
}

impl<E: Into<RecallError>> From<E> for SealFailed {
    fn from(error: E) -> Self {
        Self::Recall(error.into())
    }
}

fn refusal_of(verdict: &PolicyVerdict) -> Option<Refusal> {
    match verdict.decision {
        Decision::Allow => None,
        Decision::Deny(reason) => Some(reason.into()),
        Decision::StepUp { .. } => Some(Refusal::StepUpRequired),
        Decision::Approval { .. } => Some(Refusal::ApprovalRequired),
    }
}

fn record(
    request: &Request,
    found: Option<&Submission>,
    state: State,
    decided: Option<&Decided>,
    now: Timestamp,
) -> Recall {
    let reason = request
        .reason
        .as_ref()
        .map(|text| text.chars().take(MAX_REASON).collect());
    Recall {
        id: request.id,
        submission: found.map(|found| found.id),
        digest: found.map_or(ContentDigest([0; 16]), |found| found.digest),
        owner: found.map(|found| found.account),
        requester: request.requester.name.clone(),
        protocol: request.requester.authentication.protocol.clone(),
        requested: now,
        reason,
        chosen: request.chosen.iter().take(MAX_CHOSEN).cloned().collect(),
        state,
        policies: decided
            .map(|decided| decided.policies.clone())
            .unwrap_or_default(),
        finished: None,
        restored: None,
        report: None,
        report_due: false,
        subject: found.map(|found| found.subject.clone()).unwrap_or_default(),
        message_id: found
            .map(|found| found.message_id.clone())
            .unwrap_or_default(),
    }
}

fn audit_request(
    txn: &mut Transaction<'_>,
    request: &Request,
    recall: &Recall,
    (verdict, decided): (&str, Option<&Decided>),
    now: Timestamp,
) -> Result<(), RecallError> {
    let requester = &request.requester;
    let facts = &requester.authentication;
    let mut entry = audit_entry(recall, "request", "recall.request", now)
        .detail("verdict", verdict)
        .detail("policies", recall.policies.join(" "))
        .detail("message-id", recall.message_id.as_str());
    entry.actor = match requester.account {
        Some(account) => AuditActor::Account {
            account,
            address: requester.name.clone(),
        },
        None => AuditActor::Operator(requester.name.clone()),
    };
    entry.on_behalf_of = None;
    entry.peer.clone_from(&facts.peer);
    entry.authentication = Some(tern_audit::Authentication {
        mechanism: facts.mechanism.clone(),
        factors: facts.factors.clone(),
        ..tern_audit::Authentication::default()
    });
    if let Some(decided) = decided {
        decided.put_in(txn, recall.id);
        entry = entry.detail("inputs", decided.digest());
    }
    if let Some(id) = recall.submission {
        entry = entry.detail("submission", id.to_string());
    }
    if let Some(reason) = &recall.reason {
        entry = entry.detail("reason", reason.as_str());
    }
    if !recall.chosen.is_empty() {
        entry = entry.detail("chosen", recall.chosen.join(" "));
    }
    tern_audit::append_in(txn, entry)?;
    Ok(())
}
