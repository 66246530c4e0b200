//! `Quota` (RFC 9425): how much of its room an account uses.
//!
//! An account has one quota, of octets, or none. A state is the account's newest modseq and the bound,
//! since an operator can change that and nothing else.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_mailbox::rows::AccountHead;
use tern_session::ids;

use crate::Verbs;
use crate::args;
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::push::Told;
use crate::standard::changes::{self, ChangesArgs};
use crate::standard::filter::Filter;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::standard::listed::{self, Order};
use crate::standard::query::{Comparator, QueryArgs, QueryChangesArgs};
use crate::state::Delta;

const PROPERTIES: [&str; 10] = [
    "id",
    "resourceType",
    "used",
    "hardLimit",
    "scope",
    "name",
    "types",
    "warnLimit",
    "softLimit",
    "description",
];

/// The name of an account's quota.
const NAME: &str = "Mail";

/// The id of an account's quota.
fn id(account: AccountId) -> String {
    format!("Q{}", ids::account_id(account))
}

fn state(head: &AccountHead) -> String {
    format!("{}-{}", head.modseq, head.quota_bytes)
}

/// What a listener is told of: the octets used and the bound, where there is one.
pub(crate) fn told(verbs: &Verbs<'_>, account: AccountId) -> Result<Told, MethodError> {
    let head = verbs.mailboxes.account_head(account)?;
    let mark = match head.quota_bytes {
        0 => String::new(),
        bound => format!("{}-{bound}", head.used_bytes),
    };
    let state = state(&head);
    Ok(Told { mark, state })
}

fn object(account: AccountId, head: &AccountHead) -> Option<Value> {
    (head.quota_bytes > 0).then(|| {
        json!({
            "id": id(account), "resourceType": "octets", "used": head.used_bytes,
            "hardLimit": head.quota_bytes, "scope": "account", "name": NAME,
            "types": ["Email"], "warnLimit": null, "softLimit": null, "description": null,
        })
    })
}

/// `Quota/get`
pub(crate) fn get(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let wanted = Wanted::of(args.properties.as_deref(), &PROPERTIES)?;
    let head = cx.verbs.mailboxes.account_head(account)?;
    let quota = object(account, &head);
    let mut not_found = Vec::new();
    let is_asked = match &args.ids {
        None => true,
        Some(ids) => {
            not_found = cx.each_once(ids)?;
            let asked = not_found.len();
            not_found.retain(|asked| quota.is_none() || *asked != id(account));
            not_found.len() < asked
        }
    };
    let list = quota
        .into_iter()
        .filter(|_| is_asked)
        .map(|quota| wanted.select(quota));
    let list = Objects::of(cx, list)?;
    Ok(get::response(
        &args.account_id,
        &state(&head),
        list,
        &not_found,
    ))
}

/// What changed of the account's only quota since a state.
fn delta(
    account: AccountId,
    head: &AccountHead,
    since: &str,
) -> Result<(Delta<AccountId>, Option<[&'static str; 1]>), MethodError> {
    let number = |text: &str| text.parse::<u64>().ok();
    let known = since.split_once('-');
    let known = known.and_then(|(modseq, bound)| Some((number(modseq)?, number(bound)?)));
    let known = known.filter(|(modseq, _)| *modseq <= head.modseq.0);
    let (_, bound) = known.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    let mut delta = Delta::default();
    match (bound > 0, head.quota_bytes > 0) {
        (false, true) => delta.create(account),
        (true, false) => delta.destroy(account),
        (true, true) if state(head) != since => delta.update(account),
        _ => {}
    }
    let is_only_used = !delta.updated.is_empty() && bound == head.quota_bytes;
    Ok((delta, is_only_used.then_some(["used"])))
}

/// `Quota/changes`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    args.max()?;
    let head = cx.verbs.mailboxes.account_head(account)?;
    let (delta, updated_properties) = delta(account, &head, &args.since_state)?;
    let texts = |ids: BTreeSet<AccountId>| ids.into_iter().map(id).collect();
    let told = changes::Told {
        state: state(&head),
        has_more: false,
        created: texts(delta.created),
        updated: texts(delta.updated),
        destroyed: texts(delta.destroyed),
    };
    let mut response = told.response(&args);
    // RFC 9425 5.2
    response["updatedProperties"] = json!(updated_properties);
    Ok(response)
}

/// A condition on a Quota (RFC 9425 5.3).
enum Condition {
    All(Vec<Condition>),
    Name(String),
    /// A property that is this, or not.
    Is(bool),
}

impl Condition {
    fn read(members: &Map<String, Value>) -> Result<Self, MethodError> {
        let one = |(name, value): (&String, &Value)| {
            let wrong = || MethodError::invalid_arguments(format!("{name} is no text"));
            let text = value.as_str().ok_or_else(wrong)?;
            Ok(match name.as_str() {
                "name" => Self::Name(text.to_owned()),
                "scope" => Self::Is(text == "account"),
                "resourceType" => Self::Is(text == "octets"),
                "type" => Self::Is(text == "Email"),
                _ => {
                    return Err(MethodError::unsupported_filter(format!(
                        "there is no condition {name:?}"
                    )));
                }
            })
        };
        Ok(Self::All(
            members.iter().map(one).collect::<Result<_, _>>()?,
        ))
    }

    fn is_met(&self) -> bool {
        match self {
            Self::All(all) => all.iter().all(Self::is_met),
            Self::Name(text) => NAME.contains(text.as_str()),
            Self::Is(it) => *it,
        }
    }
}

/// The quota of an account, where there is one that passes.
fn find(
    account: AccountId,
    head: &AccountHead,
    filter: Option<&Value>,
    sort: Option<&[Comparator]>,
) -> Result<Vec<AccountId>, MethodError> {
    // One is in any order.
    Order::read(sort, |step| match step.property.as_str() {
        "name" | "used" => Ok(()),
        _ => Err(step.unsupported()),
    })?;
    let filter = Filter::read(filter, &Condition::read)?;
    let passes = head.quota_bytes > 0 && filter.passes(&Condition::is_met);
    Ok(passes.then_some(account).into_iter().collect())
}

/// `Quota/query`
pub(crate) fn query(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: QueryArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let head = cx.verbs.mailboxes.account_head(account)?;
    let found = find(account, &head, args.filter.as_ref(), args.sort.as_deref())?;
    listed::query(cx, &mut args, &state(&head), &found, id)
}

/// `Quota/queryChanges`
pub(crate) fn query_changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let head = cx.verbs.mailboxes.account_head(account)?;
    let found = find(account, &head, args.filter.as_ref(), args.sort.as_deref())?;
    let (mut delta, _) = delta(account, &head, &args.since_query_state)?;
    // What can change of it, no filter looks at, and one is in any order.
    delta.updated.clear();
    listed::changes(cx, &args, &state(&head), &found, &delta, id)
}
