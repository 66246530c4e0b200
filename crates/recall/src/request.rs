//! Asking for a recall: what a request says, and the way from it to its answer.
//!
//! Invariant: the answer is durable before it is given, and asking again under the same id is answered
//! by what is on record. What the policy says is in [`crate::question`], how the seal falls in
//! [`crate::grant`], what is refused in [`crate::refused`].

use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};
use tern_policy::{Authentication, Decision, Selection};
use tern_store::StoreError;

use crate::decided::Decided;
use crate::grant::{NotSealed, Standing};
use crate::question::refusal_of;
use crate::{
    Attachment, Awaited, BatchId, Notices, Reach, Recall, RecallError, RecallId, Recalls, Refusal,
    State, Submission, limits, submission,
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
    pub(crate) fn unfit(&self) -> Option<Refusal> {
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
    pub(crate) fn notices(&self, found: Option<&Submission>) -> Notices {
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

/// How often a request is decided again because somebody sends the same letter meanwhile, or the
/// same account asks for something else.
pub(crate) const ATTEMPTS: usize = 20;

impl Recalls {
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
        let judged = self.judged_by(found, role_changes)?;
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
            let standing = Standing::New(&asked);
            return self.seal(request, (found, &judged), &decided, standing, now);
        };
        match self.awaited(&verdict, &request.requester, now)? {
            Some(awaited) if unfit.is_none() => {
                self.wait(request, found, awaited, (&decided, &asked), now)
            }
            _ => Ok(self.refuse(request, Some(found), refusal, Some(&decided), now)?),
        }
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
}

/// What a request waits for that is granted for a later time.
pub(crate) fn planned(request: &Request, now: Timestamp) -> Option<Awaited> {
    let at = request.expires.filter(|at| *at > now)?;
    Some(Awaited::Time { at })
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
