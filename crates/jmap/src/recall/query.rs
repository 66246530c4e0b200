//! `Recall/query` and `Recall/queryChanges` (docs/jmap-recall.md 3.6, 3.7).
//!
//! Invariants:
//! - What is found is what the account follows, as `Recall/get` tells it. A condition on what a reader
//!   sees only with a part of the report is met by no recall of which they see none, whatever they ask.
//! - What decides how much they see is in no log of changes, and neither is what becomes of an Email: a
//!   query with such a condition is asked anew.

use serde_json::{Map, Value};
use tern_base::{AccountId, ContentDigest, Timestamp};
use tern_mailbox::MailboxError;
use tern_recall::{Recall, RecallError, RecallId, Requester, Selector, State};
use tern_session::ids;

use super::{changes as news, id, requester};
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::filter::Filter;
use crate::standard::listed::{self, Key, Order};
use crate::standard::query::{Collation, Comparator, QueryArgs, QueryChangesArgs};
use crate::{args, date, limits, state};

/// A condition on a Recall.
enum Condition {
    All(Vec<Condition>),
    State(&'static str),
    RequestedBy(String),
    RequestedVia(String),
    Before(Timestamp),
    After(Timestamp),
    /// A part of the subject, in lower case.
    Subject(String),
    Submission(String),
    MessageId(String),
    Batch(String),
    /// The letter that an Email is; none where there is no such Email.
    Email(Option<(ContentDigest, Option<String>)>),
}

impl Condition {
    fn read(
        cx: &Context<'_>,
        account: AccountId,
        members: &Map<String, Value>,
    ) -> Result<Self, MethodError> {
        let one = |(name, value): (&String, &Value)| Self::property(cx, account, name, value);
        let all = members.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self::All(all))
    }

    fn property(
        cx: &Context<'_>,
        account: AccountId,
        name: &str,
        value: &Value,
    ) -> Result<Self, MethodError> {
        let wrong = || MethodError::invalid_arguments(format!("{name} can't be that in a filter"));
        let text = || value.as_str().ok_or_else(wrong);
        let time = || date::parse_utc(text()?).ok_or_else(wrong);
        Ok(match name {
            "state" => Self::State(state_of(text()?).ok_or_else(wrong)?),
            "requestedBy" => Self::RequestedBy(text()?.to_owned()),
            "requestedVia" => Self::RequestedVia(text()?.to_owned()),
            "before" => Self::Before(time()?),
            "after" => Self::After(time()?),
            "subject" => Self::Subject(text()?.to_lowercase()),
            "submissionId" => Self::Submission(text()?.to_owned()),
            "messageId" => Self::MessageId(text()?.to_owned()),
            "batchId" => Self::Batch(text()?.to_owned()),
            "emailId" => Self::Email(letter(cx, account, text()?)?),
            _ => {
                return Err(MethodError::unsupported_filter(format!(
                    "there is no condition {name:?}"
                )));
            }
        })
    }

    /// Whether it is about what is told only to those who see something of the copies.
    fn is_on_report(&self) -> bool {
        match self {
            Self::All(all) => all.iter().any(Self::is_on_report),
            Self::Submission(_) | Self::MessageId(_) | Self::Batch(_) | Self::Email(_) => true,
            _ => false,
        }
    }

    fn is_met_by(&self, account: AccountId, followed: &Followed) -> bool {
        let recall = &followed.recall;
        if !matches!(self, Self::All(_)) && self.is_on_report() && !followed.is_seen {
            return false;
        }
        match self {
            Self::All(all) => all.iter().all(|one| one.is_met_by(account, followed)),
            Self::State(code) => recall.state.code() == *code,
            Self::RequestedBy(name) => recall.requester.eq_ignore_ascii_case(name),
            Self::RequestedVia(protocol) => recall.protocol == *protocol,
            // As it is told.
            Self::Before(at) => recall.requested.as_secs() * 1_000 < at.0,
            Self::After(at) => recall.requested.as_secs() * 1_000 >= at.0,
            Self::Subject(text) => recall.subject_text().to_lowercase().contains(text),
            Self::Submission(id) => recall.submission.is_some_and(|it| it.to_string() == *id),
            Self::MessageId(id) => !id.is_empty() && recall.message_id == *id,
            Self::Batch(id) => recall.batch.is_some_and(|it| it.to_string() == *id),
            Self::Email(letter) => letter.as_ref().is_some_and(|(digest, message_id)| {
                let is_own = recall.owner == Some(account) && !recall.message_id.is_empty();
                let is_named = is_own && message_id.as_ref() == Some(&recall.message_id);
                recall.digest == *digest || is_named
            }),
        }
    }
}

/// The name of a state that a recall can be in.
fn state_of(text: &str) -> Option<&'static str> {
    STATES.into_iter().find(|code| *code == text)
}

/// Every state's name.
const STATES: [&str; 10] = [
    State::AwaitingStepUp.code(),
    State::AwaitingApproval.code(),
    State::Planned.code(),
    State::Running.code(),
    State::Done.code(),
    "refused",
    State::Cancelled.code(),
    State::Expired.code(),
    State::Restoring.code(),
    State::Restored.code(),
];

/// What an Email of the account is matched by, as when it is asked to be taken back.
fn letter(
    cx: &Context<'_>,
    account: AccountId,
    email: &str,
) -> Result<Option<(ContentDigest, Option<String>)>, MethodError> {
    let Some(message) = ids::parse_email_id(account, cx.resolved(email)) else {
        return Ok(None);
    };
    match cx.verbs.recalls.letter_at(account, message) {
        Ok(Selector::Letter(_, digest, message_id)) => Ok(Some((digest, message_id))),
        Ok(_) => Ok(None),
        Err(RecallError::Mailbox(MailboxError::NoMessage | MailboxError::Sealed)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A recall that the account follows.
struct Followed {
    recall: Recall,
    /// Whether the reader sees something of the copies. Known where it is asked about.
    is_seen: bool,
}

enum By {
    Requested,
    Finished,
    Requester(Collation),
    Subject(Collation),
    State(Collation),
}

impl By {
    fn read(step: &Comparator) -> Result<Self, MethodError> {
        match step.property.as_str() {
            "requestedAt" => Ok(Self::Requested),
            "finishedAt" => Ok(Self::Finished),
            "requestedBy" => Ok(Self::Requester(step.collation()?)),
            "subject" => Ok(Self::Subject(step.collation()?)),
            "state" => Ok(Self::State(step.collation()?)),
            _ => Err(step.unsupported()),
        }
    }

    fn key(&self, recall: &Recall) -> Key {
        match self {
            Self::Requested => Key::Number(Some(recall.requested.as_secs())),
            Self::Finished => Key::Number(recall.finished.map(Timestamp::as_secs)),
            Self::Requester(by) => Key::Text(by.key(&recall.requester)),
            Self::Subject(by) => Key::Text(by.key(&recall.subject_text())),
            Self::State(by) => Key::Text(by.key(recall.state.code())),
        }
    }
}

struct Query {
    filter: Filter<Condition>,
    order: Order<By>,
    is_on_report: bool,
}

impl Query {
    fn read(
        cx: &Context<'_>,
        account: AccountId,
        filter: Option<&Value>,
        sort: Option<&[Comparator]>,
    ) -> Result<Self, MethodError> {
        let filter = Filter::read(filter, &|members| Condition::read(cx, account, members))?;
        Ok(Self {
            is_on_report: filter.any(&Condition::is_on_report),
            order: Order::read(sort, By::read)?,
            filter,
        })
    }

    /// The results, in order, and the state that they are of. Without an order, the first asked for
    /// comes first.
    fn find(
        &self,
        cx: &Context<'_>,
        account: AccountId,
    ) -> Result<(u64, Vec<RecallId>), MethodError> {
        let by = requester(cx, account)?;
        let (state, mut all) = at_one_moment(cx, account)?;
        all.sort_by_key(|recall| (recall.requested, recall.id.0));
        let mut shown = Vec::new();
        for recall in all {
            let followed = Followed {
                is_seen: self.is_on_report && is_seen(cx, &recall, &by)?,
                recall,
            };
            let is_met = |condition: &Condition| condition.is_met_by(account, &followed);
            if self.filter.passes(&is_met) {
                shown.push(followed.recall);
            }
        }
        let sorted = self.order.sort(shown, |recall, by| by.key(recall));
        Ok((state, sorted.into_iter().map(|recall| recall.id).collect()))
    }
}

fn is_seen(cx: &Context<'_>, recall: &Recall, by: &Requester) -> Result<bool, RecallError> {
    cx.verbs.recalls.is_seen_by(recall, by, cx.now)
}

/// The recalls that an account follows, and the number of the last news that they are of.
fn at_one_moment(cx: &Context<'_>, account: AccountId) -> Result<(u64, Vec<Recall>), MethodError> {
    let recalls = cx.verbs.recalls;
    for _ in 0..limits::RECORD_ATTEMPTS {
        let last = recalls.last_news(account)?;
        let ids = recalls.followed(account)?.into_iter();
        let all = ids.map(|id| recalls.recall(id)).collect::<Result<_, _>>()?;
        if recalls.last_news(account)? == last {
            return Ok((last, all));
        }
    }
    Err(MethodError::SERVER_UNAVAILABLE)
}

/// `Recall/query`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: QueryArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let query = Query::read(cx, account, args.filter.as_ref(), args.sort.as_deref())?;
    let (last, found) = query.find(cx, account)?;
    let mut response = listed::query(cx, &mut args, &state::of_number(last), &found, id::of)?;
    response["canCalculateChanges"] = (!query.is_on_report).into();
    Ok(response)
}

/// `Recall/queryChanges`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let query = Query::read(cx, account, args.filter.as_ref(), args.sort.as_deref())?;
    let (last, found) = query.find(cx, account)?;
    let since = news::since(&args.since_query_state, last)?;
    if query.is_on_report {
        return Err(MethodError::CANNOT_CALCULATE_CHANGES);
    }
    let news = cx
        .verbs
        .recalls
        .news(account, since, limits::MAX_CHANGES + 1)?;
    let mut news = news.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    if news.len() > limits::MAX_CHANGES {
        return Err(MethodError::CANNOT_CALCULATE_CHANGES);
    }
    // What came while the results were read is for the next time.
    news.retain(|news| news.number <= last);
    let delta = super::changes::delta(&news);
    listed::changes(cx, &args, &state::of_number(last), &found, &delta, id::of)
}
