//! Asking for a recall: who asks is checked, the policy decides, and the seal falls in one write.

use tern_audit::Actor as AuditActor;
use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};
use tern_mailbox::{ExposureLevel, Origins, Seal};
use tern_policy::{
    Authentication, Decision, Mode, Operation, Options, Question, Selection, Surroundings,
    Verdict as PolicyVerdict,
};
use tern_store::{StoreError, Transaction, Verdict};

use crate::arrival::remember_in;
use crate::asked::{Asked, Refused, asked_in};
use crate::audit::audit_entry;
use crate::decided::Decided;
use crate::free::Freed;
use crate::hold::head_in;
use crate::plan::{outside, spare};
use crate::there::is_as_judged_in;
use crate::{
    Attachment, Awaited, BatchId, Facts, Notices, Outcome, Plan, Reach, Recall, RecallError,
    RecallId, Recalls, Refusal, State, Submission, Target, limits, plan, rivals, submission,
    tables,
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

impl Selector {
    /// The Message-ID that it names, if it names one that a message can have.
    fn named(&self) -> Option<String> {
        match self {
            Self::Submission(_) | Self::Letter(_, _, None) => None,
            Self::MessageId(_, id) | Self::Letter(_, _, Some(id)) => {
                tern_mime::clean_message_id(id)
            }
        }
    }
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
    /// Which copies, by their state.
    pub selection: Selection,
    /// How far beyond the letter itself.
    pub reach: Reach,
    /// The one attachment to take out of the message; none for the whole of it.
    pub attachment: Option<Attachment>,
    /// Who is told of it when it is done.
    pub notices: Notices,
    /// The retract that it is a part of.
    pub batch: Option<BatchId>,
    /// The message answers another that is taken back, which is why it is asked for.
    pub as_answer: bool,
    /// Why.
    pub reason: Option<String>,
    /// The Message-ID of the corrected message that takes its place, without angle brackets; none
    /// where it is withdrawn and no more.
    pub replacement: Option<String>,
    /// When it begins, where a time is set for it, when the message is sent or later; none for at once.
    pub expires: Option<Timestamp>,
}

impl Request {
    /// Why it asks for what can't be done, whoever asks.
    fn unfit(&self) -> Option<Refusal> {
        if chosen_on_record(&self.chosen).len() < self.chosen.len() {
            return Some(Refusal::PolicyDenied);
        }
        self.attachment.as_ref().and_then(Attachment::refusal)
    }

    /// Whether its time was set when the message was sent, by the message itself: to think of a time
    /// afterwards is to think of taking it back afterwards.
    pub(crate) fn is_set_when_sent(&self, found: &Submission) -> bool {
        self.expires.is_some() && self.id.is_expiry_of(found)
    }

    /// Who is told, for the message that it is about.
    fn notices(&self, found: Option<&Submission>) -> Notices {
        // A time that is set later is a recall like any other but for the time.
        let expires = found.is_some_and(|found| self.is_set_when_sent(found));
        let is_plain = self.replacement.is_none() && !expires;
        self.notices.resolved(is_plain, found)
    }
}

impl Request {
    /// A request for every copy, with nothing chosen.
    pub fn new(id: RecallId, selector: Selector, requester: Requester) -> Self {
        Self {
            id,
            selector,
            requester,
            chosen: Vec::new(),
            selection: Selection::Any,
            reach: Reach::default(),
            attachment: None,
            notices: Notices::default(),
            batch: None,
            as_answer: false,
            reason: None,
            replacement: None,
            expires: None,
        }
    }
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// Sealed: from now on no covered copy is served.
    Sealed(RecallId),
    /// The message is being recalled already, by this one.
    Joined(RecallId),
    /// It is on record and waits: nothing is sealed yet.
    Waiting(RecallId, Awaited),
    /// It was refused; the refusal is on record under the request's id.
    Refused(RecallId, Refusal),
}

impl Requested {
    /// The recall that the answer is about.
    pub const fn id(&self) -> RecallId {
        match self {
            Self::Sealed(id) | Self::Joined(id) | Self::Waiting(id, _) | Self::Refused(id, _) => {
                *id
            }
        }
    }
}

/// How many of the first recipients' queue items are cancelled in the commit of the seal itself;
/// the queue asks the seal before it hands out any of the rest.
const SEALED_WITH_ITEMS: usize = 200;
/// How often a request is decided again because somebody sends the same letter meanwhile, or the
/// same account asks for something else.
pub(crate) const ATTEMPTS: usize = 20;

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
        // Whether it is taken back already, or has that attachment, is told only to those whom the policy
        // lets plan it at all: whoever received a message can name it.
        let exposed = Some(self.exposed(&found, request.reach)?);
        let verdict = self.decide((Operation::Plan, exposed, 0), request, &found, now)?;
        if let (Decision::Deny(_), Some(refusal)) = (verdict.decision, refusal_of(&verdict)) {
            return Ok(Err(refusal));
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

    /// Asks for a recall. On return the answer is durable; when it is [`Requested::Sealed`] the
    /// caller goes on with [`Recalls::run`].
    pub fn request(&self, request: &Request, now: Timestamp) -> Result<Requested, RecallError> {
        if let Some(answer) = self.answered_before(request.id)? {
            return Ok(answer);
        }
        let Some(found) = self.select(&request.selector)? else {
            return self.refuse(request, None, Refusal::NotFound, None, now);
        };
        let request = &*self.looked_for_if_let(request, &found, now)?;
        for _ in 0..ATTEMPTS {
            match self.answer(request, &found, now) {
                Err(NotSealed::Meanwhile) => {}
                Err(NotSealed::Joined(id)) => {
                    let answer = self.answered_before(id)?;
                    return Ok(answer.unwrap_or(Requested::Joined(id)));
                }
                Err(NotSealed::Refused(refusal)) => {
                    return self.refuse(request, Some(&found), refusal, None, now);
                }
                Err(NotSealed::Recall(error)) => return Err(error),
                Ok(answer) => return Ok(answer),
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Decides by what the account has asked for until now, and by who has sent the letter until
    /// now: the seal falls only if neither has changed.
    fn answer(
        &self,
        request: &Request,
        found: &Submission,
        now: Timestamp,
    ) -> Result<Requested, NotSealed> {
        if !self.is_there(&request.requester)? {
            let gone = Refusal::NotEnabled;
            return Ok(self.refuse(request, Some(found), gone, None, now)?);
        }
        let role_changes = tern_directory::role_changes(&*self.engine)?;
        let asked = self.asked(request.requester.account)?;
        let verdict = self.verdict_on(request, found, &asked, now)?;
        let decided = Decided::from(&verdict);
        // Whether it runs already, or has that attachment, is told only to those whom the policy lets ask
        // at all.
        let unfit = request.unfit();
        let refusal = match verdict.decision {
            Decision::Deny(_) => refusal_of(&verdict),
            _ => unfit.or(refusal_of(&verdict)),
        };
        let Some(refusal) = refusal else {
            if let Some(planned) = planned(request, now) {
                return self.wait(request, found, planned, (&decided, &asked), now);
            }
            let standing = Standing::New(&asked, role_changes);
            return self.seal(request, found, &decided, standing, now);
        };
        match self.awaited(&verdict, &request.requester, now)? {
            Some(awaited) if unfit.is_none() => {
                self.wait(request, found, awaited, (&decided, &asked), now)
            }
            _ => Ok(self.refuse(request, Some(found), refusal, Some(&decided), now)?),
        }
    }

    /// What the policy says of a request that is made now, by an account that has asked for this until now.
    pub(crate) fn verdict_on(
        &self,
        request: &Request,
        found: &Submission,
        asked: &Asked,
        now: Timestamp,
    ) -> Result<PolicyVerdict, RecallError> {
        let exposed = Some(self.exposed(found, request.reach)?);
        let facts = (Operation::Recall, exposed, asked.granted_before(now));
        let mut question = self.question(facts, request, found, now)?;
        question.frozen = self.would_freeze(request, found, asked, now)?;
        Ok(self.policy.decide(&question))
    }

    /// How many copies had their body served. Nothing else of the copies is looked at before the
    /// seal, so that its time does not grow with their number.
    pub(crate) fn exposed(&self, found: &Submission, reach: Reach) -> Result<u64, RecallError> {
        let origins = rivals::origins(&*self.engine, found)?;
        let served = self.served(found.digest, &origins, reach)?;
        let exposed = served.iter().filter(|(account, _, exposure)| {
            *account != found.account && exposure.level > ExposureLevel::Headers
        });
        Ok(exposed.count() as u64)
    }

    fn answered_before(&self, id: RecallId) -> Result<Option<Requested>, RecallError> {
        match self.recall(id) {
            Err(RecallError::NoRecall) => Ok(None),
            Err(error) => Err(error),
            Ok(recall) => Ok(Some(self.answer_on_record(&recall)?)),
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
            message.unread = Some(self.unread(request.reach, submission)?);
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
            if txn.get(&tables::recall(request.id))?.is_some() {
                return Ok(Verdict::Abandon(Requested::Refused(request.id, refusal)));
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

    /// The seal: record, tombstone, cover, cancelled queue items and audit entry in one commit.
    pub(crate) fn seal(
        &self,
        request: &Request,
        submission: &Submission,
        decided: &Decided,
        standing: Standing<'_>,
        now: Timestamp,
    ) -> Result<Requested, NotSealed> {
        let state = State::Running;
        let mut new = record(request, Some(submission), state, Some(decided), now);
        new.changed();
        new.also = self.also(submission, &new)?;
        let engine = &*self.engine;
        let letter_key = tables::letter(submission.digest);
        let letter = engine.get(&letter_key)?;
        let targets = self.targets_for_seal(request, submission)?;
        let (holds, visible) = self.visible(submission, request.reach, now)?;
        let sender = self.sender(&new)?;
        let seal = Seal {
            tag: request.id.tag(),
            cover: spare(
                self.named(submission, &request.chosen)?,
                &(self.spared(request.selection, request.reach, submission)? | visible),
            ),
            outside: outside(submission, &targets, &request.chosen),
            origins: match request.is_set_when_sent(submission) {
                // What a header says of its own message holds for no other.
                true => Origins::Only(vec![submission.id]),
                false => rivals::origins(engine, submission)?,
            },
            attached: request.reach == Reach::Attached,
            part: new.part(),
            active: true,
            until: now.plus_millis(self.settings.tombstone_ms()),
        };
        self.mailboxes.seal(submission.digest, seal, |txn| {
            let changed = txn.get(&letter_key)? != letter || head_in(txn)? != holds;
            if changed || !is_as_judged_in(txn, &request.requester, standing.role_changes())? {
                return Err(NotSealed::Meanwhile);
            }
            remember_in(txn, submission.id)?;
            let recall = match &standing {
                Standing::New(asked, _) => {
                    self.join_in(txn, &new, now)?;
                    self.grant_in(txn, (request, submission), asked, &new, now)?;
                    let (of, verdict) = ((&new, sender.as_deref()), ("allow", Some(decided)));
                    audit_request(txn, request, of, verdict, now)?;
                    new.clone()
                }
                Standing::Freed(freed) => {
                    if let Some(running) = self.joined_in(txn, &new, now)? {
                        return Err(NotSealed::Joined(running));
                    }
                    let mut recall = freed.act_in(self, txn)?;
                    freed.unfreeze_in(self, txn, now)?;
                    recall.state = state;
                    recall.also.clone_from(&new.also);
                    recall.policies.clone_from(&decided.policies);
                    audit_verdict(txn, &recall, ("allow", Some(decided)), now)?;
                    recall
                }
            };
            recall.put_in(txn)?;
            self.list_in(txn, &recall)?;
            txn.put(tables::kept(now, request.id), Vec::new());
            self.settle_first_in(txn, &recall, &targets, SEALED_WITH_ITEMS, now)?;
            Ok(())
        })?;
        Ok(Requested::Sealed(request.id))
    }

    /// The address of the account that sent what a recall is of.
    pub(crate) fn sender(&self, recall: &Recall) -> Result<Option<String>, RecallError> {
        recall.owner.map(|owner| self.address(owner)).transpose()
    }

    /// The targets that a seal has to know: those of chosen recipients among all, else the first whose
    /// queue items fall with it.
    fn targets_for_seal(
        &self,
        request: &Request,
        submission: &Submission,
    ) -> Result<Vec<Target>, StoreError> {
        let engine = &*self.engine;
        match (request.chosen.is_empty(), submission.outside) {
            (true, 0) => Ok(Vec::new()),
            (true, _) => submission::first_targets(engine, submission.id, SEALED_WITH_ITEMS),
            (false, _) => submission::targets(engine, submission.id),
        }
    }

    /// Finds out, for a request that is new, whether it is on record already, or what it asks for.
    pub(crate) fn join_in(
        &self,
        txn: &mut Transaction<'_>,
        asked: &Recall,
        now: Timestamp,
    ) -> Result<(), NotSealed> {
        if let Some(running) = self.joined_in(txn, asked, now)? {
            return Err(NotSealed::Joined(running));
        }
        // The same request, asked twice at once.
        match txn.get(&tables::recall(asked.id))? {
            Some(_) => Err(NotSealed::Joined(asked.id)),
            None => Ok(()),
        }
    }
}

/// What a request waits for that is granted for a later time.
pub(crate) fn planned(request: &Request, now: Timestamp) -> Option<Awaited> {
    let at = request.expires.filter(|at| *at > now)?;
    Some(Awaited::Time { at })
}

/// How a request comes to be granted.
#[derive(Clone, Copy)]
pub(crate) enum Standing<'a> {
    /// At once, to an account that had asked for so much before, when roles had changed so often.
    New(&'a Asked, u64),
    /// After it has waited.
    Freed(&'a Freed),
}

impl Standing<'_> {
    /// How often roles had changed when it was judged.
    const fn role_changes(&self) -> u64 {
        match self {
            Self::New(_, role_changes) => *role_changes,
            Self::Freed(freed) => freed.role_changes,
        }
    }
}

/// Why a request was not granted.
pub(crate) enum NotSealed {
    /// The message is being recalled already, by this one.
    Joined(RecallId),
    /// Somebody has sent the letter, or the account has asked for something or is being removed, or a
    /// hold was changed, since it was looked.
    Meanwhile,
    /// The requester has as many waiting recalls as one may have, the submission as many recalls, or what
    /// came in was forgotten since it was looked.
    Refused(Refusal),
    /// It could not be done.
    Recall(RecallError),
}

impl<E: Into<RecallError>> From<E> for NotSealed {
    fn from(error: E) -> Self {
        Self::Recall(error.into())
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

pub(crate) fn refusal_of(verdict: &PolicyVerdict) -> Option<Refusal> {
    match verdict.decision {
        Decision::Allow => None,
        Decision::Deny(reason) => Some(reason.into()),
        Decision::StepUp { .. } => Some(Refusal::StepUpRequired),
        Decision::Approval { .. } => Some(Refusal::ApprovalRequired),
    }
}

/// As many of the recipients that are asked for as a record has room for.
fn chosen_on_record(chosen: &[String]) -> &[String] {
    let mut length = 0;
    let fitting = chosen.iter().take(limits::MAX_CHOSEN).take_while(|one| {
        length += one.len();
        length <= limits::MAX_CHOSEN_BYTES
    });
    chosen.get(..fitting.count()).unwrap_or_default()
}

pub(crate) fn record(
    request: &Request,
    found: Option<&Submission>,
    state: State,
    decided: Option<&Decided>,
    now: Timestamp,
) -> Recall {
    let reason = request
        .reason
        .as_ref()
        .map(|text| text.chars().take(limits::MAX_REASON).collect());
    let owner = found.and_then(Submission::submitter);
    let mut recall = Recall {
        id: request.id,
        submission: found.map(|found| found.id),
        also: Vec::new(),
        digest: found.map_or(ContentDigest([0; 16]), |found| found.digest),
        owner,
        followers: Vec::new(),
        requester: request.requester.name.clone(),
        protocol: request.requester.authentication.protocol.clone(),
        requested: now,
        reason,
        replacement: request.replacement.clone(),
        expires: request.expires,
        chosen: chosen_on_record(&request.chosen).to_vec(),
        selection: request.selection,
        reach: request.reach,
        attachment: request.attachment.clone(),
        notices: request.notices(found),
        noticed: 0,
        batch: request.batch,
        as_answer: request.as_answer,
        state,
        policies: decided
            .map(|decided| decided.policies.clone())
            .unwrap_or_default(),
        finished: None,
        restored: None,
        report: None,
        generation: 0,
        reported: 0,
        settled: 0,
        unsettled: false,
        subject: found.map(|found| found.subject.clone()).unwrap_or_default(),
        message_id: found.map_or_else(
            || request.selector.named().unwrap_or_default(),
            |found| found.message_id.clone(),
        ),
    };
    recall.follow(owner.into_iter().chain(request.requester.account));
    recall
}

pub(crate) fn audit_request(
    txn: &mut Transaction<'_>,
    request: &Request,
    (recall, sender): (&Recall, Option<&str>),
    (verdict, decided): (&str, Option<&Decided>),
    now: Timestamp,
) -> Result<(), RecallError> {
    let mut entry = audit_entry(recall, "request", "recall.request", now)
        .detail("verdict", verdict)
        .detail("policies", recall.policies.join(" "))
        .detail("message-id", recall.message_id.as_str());
    by_requester(&mut entry, &request.requester);
    if let Some(decided) = decided {
        decided.put_in(txn, recall.id);
        entry = entry.detail("inputs", decided.digest());
    }
    if let Some(id) = recall.submission {
        // By which a store that has forgotten the message knows it again.
        entry = entry
            .detail("submission", id.to_string())
            .detail("letter", recall.digest.to_string());
        if let Some(sender) = sender {
            entry = entry.detail("sender", sender);
        }
    }
    if let Some(reason) = &recall.reason {
        entry = entry.detail("reason", reason.as_str());
    }
    // Whole: a store that has forgotten the recall is told by it whom to take the message back from.
    entry = entry.names("chosen", &recall.chosen);
    if let Some(attachment) = &recall.attachment {
        entry = entry.detail("attachment", attachment.to_string());
        if let Ok(found) = &attachment.found {
            entry = entry.detail("attachment-part", found.number.as_str());
        }
    }
    if recall.reach != Reach::default() {
        entry = entry.detail("reach", recall.reach.code());
    }
    if recall.selection != Selection::Any {
        entry = entry.detail("only", recall.selection.code());
    }
    entry = entry.detail("notice", recall.notices.code());
    if let Some(text) = &recall.notices.text {
        entry = entry.detail("notice-text", text.as_str());
    }
    if let Some(batch) = recall.batch {
        entry = entry.detail("batch", batch.to_string());
    }
    if recall.as_answer {
        entry = entry.detail("as-answer", "yes");
    }
    tern_audit::append_in(txn, entry)?;
    Ok(())
}

/// Puts on record what was decided when the question was asked again.
pub(crate) fn audit_verdict(
    txn: &mut Transaction<'_>,
    recall: &Recall,
    (verdict, decided): (&str, Option<&Decided>),
    now: Timestamp,
) -> Result<(), RecallError> {
    let step = format!("verdict {}", recall.generation);
    let mut entry = audit_entry(recall, &step, "recall.verdict", now).detail("verdict", verdict);
    if let Some(decided) = decided {
        decided.put_in(txn, recall.id);
        entry = entry
            .detail("policies", recall.policies.join(" "))
            .detail("inputs", decided.digest());
    }
    tern_audit::append_in(txn, entry)?;
    Ok(())
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

/// Says who asked, and how they proved who they are.
pub(crate) fn by_requester(entry: &mut tern_audit::Draft, requester: &Requester) {
    let facts = &requester.authentication;
    entry.actor = match requester.account {
        Some(account) => AuditActor::Account {
            account,
            address: requester.name.clone(),
        },
        None => AuditActor::Operator(requester.name.clone()),
    };
    entry.on_behalf_of = None;
    entry.protocol = Some(facts.protocol.clone());
    entry.peer.clone_from(&facts.peer);
    entry.authentication = Some(tern_audit::Authentication {
        mechanism: facts.mechanism.clone(),
        factors: facts.factors.clone(),
        ..tern_audit::Authentication::default()
    });
}
