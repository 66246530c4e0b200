//! `EmailSubmission/query` and `EmailSubmission/queryChanges` (RFC 8621 7.3, 7.4).
//!
//! Invariant: of what is asked about, `undoStatus` alone can change. A submission of which that is not
//! asked stands where it stood.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tern_base::{AccountId, OriginId, Timestamp};
use tern_delivery::Sending;
use tern_directory::IdentityId;
use tern_session::ids;

use super::{id_of, undo_status};
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::filter::Filter;
use crate::standard::listed::{self, Key, Order};
use crate::standard::query::{Collation, Comparator, QueryArgs, QueryChangesArgs};
use crate::state::Delta;
use crate::{args, date, identity, state};

/// A condition on an EmailSubmission.
enum Condition {
    All(Vec<Condition>),
    Identities(HashSet<String>),
    Emails(HashSet<String>),
    Threads(HashSet<String>),
    UndoStatus(String),
    Before(Timestamp),
    After(Timestamp),
}

impl Condition {
    fn read(cx: &Context<'_>, members: &Map<String, Value>) -> Result<Self, MethodError> {
        let one = |(name, value): (&String, &Value)| Self::property(cx, name, value);
        let all = members.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self::All(all))
    }

    fn property(cx: &Context<'_>, name: &str, value: &Value) -> Result<Self, MethodError> {
        let wrong = || MethodError::invalid_arguments(format!("{name} can't be that in a filter"));
        let ids = || {
            let list = value.as_array().ok_or_else(wrong)?.iter();
            let ids = list.map(|id| Some(cx.resolved(id.as_str()?).to_owned()));
            ids.collect::<Option<HashSet<String>>>().ok_or_else(wrong)
        };
        let text = || value.as_str().ok_or_else(wrong);
        let time = || date::parse_utc(text()?).ok_or_else(wrong);
        Ok(match name {
            "identityIds" => Self::Identities(ids()?),
            "emailIds" => Self::Emails(ids()?),
            "threadIds" => Self::Threads(ids()?),
            "undoStatus" => match text()? {
                status @ ("pending" | "final" | "canceled") => Self::UndoStatus(status.to_owned()),
                _ => return Err(wrong()),
            },
            "before" => Self::Before(time()?),
            "after" => Self::After(time()?),
            _ => {
                return Err(MethodError::unsupported_filter(format!(
                    "there is no condition {name:?}"
                )));
            }
        })
    }

    fn is_met_by(&self, account: AccountId, sending: &Sending) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.is_met_by(account, sending)),
            Self::Identities(ids) => {
                ids.contains(&identity::id_of(account, IdentityId(sending.identity)))
            }
            Self::Emails(ids) => ids.contains(&ids::email_id(account, sending.email)),
            Self::Threads(ids) => ids.contains(&ids::thread_id(account, sending.thread)),
            Self::UndoStatus(status) => undo_status(sending.stage) == status,
            // Sent at that time or after it, as it is told.
            Self::Before(at) => sending.send_at.as_secs() * 1_000 < at.0,
            Self::After(at) => sending.send_at.as_secs() * 1_000 >= at.0,
        }
    }

    fn is_on_undo_status(&self) -> bool {
        match self {
            Self::All(all) => all.iter().any(Self::is_on_undo_status),
            Self::UndoStatus(_) => true,
            _ => false,
        }
    }
}

enum By {
    Email(Collation),
    Thread(Collation),
    SentAt,
}

impl By {
    fn read(step: &Comparator) -> Result<Self, MethodError> {
        match step.property.as_str() {
            "emailId" => Ok(Self::Email(step.collation()?)),
            "threadId" => Ok(Self::Thread(step.collation()?)),
            // RFC 8621 7.3 names the property so, which is `sendAt` elsewhere.
            "sentAt" | "sendAt" => Ok(Self::SentAt),
            _ => Err(step.unsupported()),
        }
    }

    fn key(&self, account: AccountId, sending: &Sending) -> Key {
        match self {
            Self::Email(by) => Key::Text(by.key(&ids::email_id(account, sending.email))),
            Self::Thread(by) => Key::Text(by.key(&ids::thread_id(account, sending.thread))),
            Self::SentAt => Key::Number(Some(sending.send_at.as_secs())),
        }
    }
}

struct Query {
    filter: Filter<Condition>,
    order: Order<By>,
}

impl Query {
    fn read(
        cx: &Context<'_>,
        filter: Option<&Value>,
        sort: Option<&[Comparator]>,
    ) -> Result<Self, MethodError> {
        Ok(Self {
            filter: Filter::read(filter, &|members| Condition::read(cx, members))?,
            order: Order::read(sort, By::read)?,
        })
    }

    /// The results among these, in order; without one, the oldest first.
    fn find(&self, account: AccountId, all: Vec<Sending>) -> Vec<OriginId> {
        let meets = |sending: &Sending| {
            let is_met = |condition: &Condition| condition.is_met_by(account, sending);
            self.filter.passes(&is_met)
        };
        let shown = all.into_iter().filter(meets).collect();
        let sorted = self
            .order
            .sort(shown, |sending, by| by.key(account, sending));
        sorted.into_iter().map(|sending| sending.id).collect()
    }
}

/// `EmailSubmission/query`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: QueryArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let query = Query::read(cx, args.filter.as_ref(), args.sort.as_deref())?;
    let (newest, all) = cx.verbs.outbox.all(account)?;
    let found = query.find(account, all);
    let state = state::of_number(newest);
    listed::query(cx, &mut args, &state, &found, |id| id_of(account, id))
}

/// `EmailSubmission/queryChanges`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let query = Query::read(cx, args.filter.as_ref(), args.sort.as_deref())?;
    let since = state::since_number(&args.since_query_state)?;
    let known = cx.verbs.outbox.all_since(account, since)?;
    let known = known.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    let mut delta = Delta::from(&known.changes);
    if !query.filter.any(&Condition::is_on_undo_status) {
        delta.updated.clear();
    }
    let found = query.find(account, known.all);
    let state = state::of_number(known.changes.state);
    let text = |id| id_of(account, id);
    listed::changes(cx, &args, &state, &found, &delta, text)
}
