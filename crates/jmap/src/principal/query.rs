//! `Principal/query` and `Principal/queryChanges` (RFC 9670 2.4, 2.5).
//!
//! Invariant: who did not change stands where they stood among their kind.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tern_base::AccountId;
use tern_directory::{Principal, PrincipalId, Seen};
use tern_session::ids;

use super::{id_of, kind, parse_id, since, state_of};
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::filter::Filter;
use crate::standard::query::{Collation, Comparator, QueryArgs, QueryChangesArgs};
use crate::{args, limits, session};

/// A condition on a Principal. Texts are in lower case.
#[derive(Clone, Debug, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    /// Accounts that are named and that the caller has.
    Accounts(Vec<AccountId>),
    Email(String),
    Name(String),
    /// In any of the texts.
    Text(String),
    Kind(String),
    /// Nobody's is known.
    TimeZone,
}

impl Condition {
    fn read(has: &[AccountId], members: &Map<String, Value>) -> Result<Self, MethodError> {
        let one = |(name, value): (&String, &Value)| Self::property(has, name, value);
        Ok(Self::All(
            members.iter().map(one).collect::<Result<_, _>>()?,
        ))
    }

    fn property(has: &[AccountId], name: &str, value: &Value) -> Result<Self, MethodError> {
        let wrong = || MethodError::invalid_arguments(format!("{name} can't be that in a filter"));
        let text = || value.as_str().map(str::to_lowercase).ok_or_else(wrong);
        Ok(match name {
            "accountIds" => {
                let ids = value.as_array().ok_or_else(wrong)?;
                let ids: Option<Vec<&str>> = ids.iter().map(Value::as_str).collect();
                let ids = ids.ok_or_else(wrong)?.into_iter();
                let named: Vec<AccountId> = ids.filter_map(ids::parse_account_id).collect();
                Self::Accounts(named.into_iter().filter(|id| has.contains(id)).collect())
            }
            "email" => Self::Email(text()?),
            "name" => Self::Name(text()?),
            "text" => Self::Text(text()?),
            // RFC 9670 2.4.1: exactly as given.
            "type" => Self::Kind(value.as_str().ok_or_else(wrong)?.to_owned()),
            "timeZone" => text().map(|_| Self::TimeZone)?,
            _ => {
                return Err(MethodError::unsupported_filter(format!(
                    "there is no condition {name:?}"
                )));
            }
        })
    }

    fn is_met_by(&self, one: &Principal) -> bool {
        let in_name = |text: &str| one.name.to_lowercase().contains(text);
        let in_email = |text: &str| one.address.to_string().to_lowercase().contains(text);
        match self {
            Self::All(all) => all.iter().all(|condition| condition.is_met_by(one)),
            Self::Accounts(of) => of.iter().any(|of| one.id == PrincipalId::Account(*of)),
            Self::Email(text) => in_email(text),
            Self::Name(text) => in_name(text),
            Self::Text(text) => in_name(text) || in_email(text),
            Self::Kind(wanted) => kind(one.id) == wanted,
            Self::TimeZone => false,
        }
    }
}

/// By what property.
#[derive(Clone, Copy)]
enum By {
    Name(Collation),
    Email(Collation),
}

/// What is asked.
struct Query {
    filter: Filter<Condition>,
    order: Vec<(By, bool)>,
}

impl Query {
    fn read(
        has: &[AccountId],
        filter: Option<&Value>,
        sort: Option<&[Comparator]>,
    ) -> Result<Self, MethodError> {
        let step = |step: &Comparator| {
            let by = match step.property.as_str() {
                "name" => By::Name(step.collation()?),
                "email" => By::Email(step.collation()?),
                _ => return Err(step.unsupported()),
            };
            Ok((by, step.is_ascending))
        };
        Ok(Self {
            filter: Filter::read(filter, &|members| Condition::read(has, members))?,
            order: Comparator::check(sort)?
                .iter()
                .map(step)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The results, in order.
    fn find(&self, seen: &Seen) -> Vec<PrincipalId> {
        let passes = |one: &&Principal| self.filter.passes(&|condition| condition.is_met_by(one));
        let key = |one: &Principal| -> Vec<String> {
            let of = |(by, _): &(By, bool)| match by {
                By::Name(collation) => collation.key(&one.name),
                By::Email(collation) => collation.key(&one.address.to_string()),
            };
            self.order.iter().map(of).collect()
        };
        let found = seen.iter().filter(passes);
        let mut found: Vec<(Vec<String>, PrincipalId)> =
            found.map(|one| (key(one), one.id)).collect();
        found.sort_by(|(a, a_id), (b, b_id)| self.compare(a, b).then(a_id.cmp(b_id)));
        found.into_iter().map(|(_, id)| id).collect()
    }

    fn compare(&self, a: &[String], b: &[String]) -> Ordering {
        let steps = self.order.iter().zip(a.iter().zip(b));
        let mut orders = steps.map(|((_, is_ascending), (a, b))| match is_ascending {
            true => a.cmp(b),
            false => b.cmp(a),
        });
        let decisive = orders.find(|order| *order != Ordering::Equal);
        decisive.unwrap_or(Ordering::Equal)
    }
}

/// The accounts that the caller has.
fn accounts_of(cx: &Context<'_>) -> Result<Vec<AccountId>, MethodError> {
    let others = session::others(cx.verbs, cx.caller)?;
    let others = others.iter().map(|other| other.account);
    Ok(others.chain([cx.caller.account]).collect())
}

/// `Principal/query`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let query = Query::read(
        &accounts_of(cx)?,
        args.filter.as_ref(),
        args.sort.as_deref(),
    )?;
    let seen = cx.verbs.principals.seen_by(account)?;
    let found = query.find(&seen);
    let window = args.window(found.len(), |anchor| {
        let id = parse_id(anchor)?;
        found.iter().position(|one| *one == id)
    })?;
    let told = found.get(window.clone()).unwrap_or_default();
    let told = told.iter().map(|id| id_of(*id)).collect();
    let state = state_of(cx, seen.state());
    args.response(cx, &state, &window, told, found.len())
}

/// `Principal/queryChanges`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let query = Query::read(
        &accounts_of(cx)?,
        args.filter.as_ref(),
        args.sort.as_deref(),
    )?;
    let since = since(cx, &args.since_query_state)?;
    let principals = cx.verbs.principals;
    for _ in 0..limits::RECORD_ATTEMPTS {
        let changes = principals.changes(account, since, usize::MAX)?;
        let changes = changes.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
        let seen = principals.seen_by(account)?;
        if seen.state() != changes.state {
            continue;
        }
        let found = query.find(&seen);
        // Whoever was there and changed may stand elsewhere, or nowhere.
        let removed = changes.destroyed.iter().chain(&changes.updated);
        let removed = removed.map(|id| id_of(*id)).collect();
        let new: BTreeSet<&PrincipalId> = changes.created.iter().chain(&changes.updated).collect();
        let places = found.iter().zip(0..);
        let added = places.filter(|(id, _)| new.contains(id));
        let added = added.map(|(id, place)| (id_of(*id), place)).collect();
        let state = state_of(cx, seen.state());
        return args.response(cx, &state, removed, added, found.len());
    }
    Err(MethodError::SERVER_UNAVAILABLE)
}
