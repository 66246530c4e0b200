//! `Quota` (RFC 9425): how much of its room an account uses.
//!
//! An account has one quota, of octets, or none. A state is the account's newest modseq and the bound,
//! since an operator can change that and nothing else.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_mailbox::rows::AccountHead;
use tern_session::ids;

use crate::Verbs;
use crate::args::{self, UnsignedInt};
use crate::context::Context;
use crate::error::MethodError;
use crate::push::Told;
use crate::standard::changes::ChangesArgs;
use crate::standard::get::{self, GetArgs, Wanted};

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
            "hardLimit": head.quota_bytes, "scope": "account", "name": "Mail",
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
    Ok(get::response(
        &args.account_id,
        &state(&head),
        list.collect(),
        &not_found,
    ))
}

/// `Quota/changes`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    if args.max_changes == Some(UnsignedInt(0)) {
        return Err(MethodError::invalid_arguments(
            "maxChanges must be greater than 0",
        ));
    }
    let head = cx.verbs.mailboxes.account_head(account)?;
    let since = args.since_state.split_once('-');
    let number = |text: &str| text.parse::<u64>().ok();
    let since = since.and_then(|(modseq, bound)| Some((number(modseq)?, number(bound)?)));
    let (modseq, bound) = since.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    if modseq > head.modseq.0 {
        return Err(MethodError::CANNOT_CALCULATE_CHANGES);
    }
    let mine = || vec![id(account)];
    let (mut created, mut updated, mut destroyed) = (Vec::new(), Vec::new(), Vec::new());
    match (bound > 0, head.quota_bytes > 0) {
        (false, true) => created = mine(),
        (true, false) => destroyed = mine(),
        (true, true) if state(&head) != args.since_state => updated = mine(),
        _ => {}
    }
    let only_used = (!updated.is_empty() && bound == head.quota_bytes).then_some(["used"]);
    Ok(json!({
        "accountId": args.account_id, "oldState": args.since_state, "newState": state(&head),
        "hasMoreChanges": false, "created": created, "updated": updated, "destroyed": destroyed,
        "updatedProperties": only_used,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueryArgs {
    account_id: String,
    #[serde(default)]
    filter: Option<Filter>,
    #[serde(default)]
    sort: Option<Vec<Comparator>>,
    #[serde(default)]
    position: i64,
    #[serde(default)]
    anchor: Option<String>,
    #[serde(default)]
    anchor_offset: i64,
    #[serde(default)]
    limit: Option<UnsignedInt>,
    #[serde(default)]
    calculate_total: bool,
}

/// RFC 9425 5.3: conditions, without operators, since there is one quota.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    resource_type: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comparator {
    property: String,
}

/// `Quota/query`
pub(crate) fn query(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    for sort in args.sort.iter().flatten() {
        if !["name", "used"].contains(&sort.property.as_str()) {
            return Err(MethodError::unsupported_sort(
                "quotas sort by name and used",
            ));
        }
    }
    let head = cx.verbs.mailboxes.account_head(account)?;
    let mut fits = head.quota_bytes > 0;
    if let Some(filter) = &args.filter {
        if let Some(name) = filter.others.keys().next() {
            return Err(MethodError::unsupported_filter(format!(
                "there is no condition {name:?}"
            )));
        }
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|it| it == value);
        let named = filter
            .name
            .as_deref()
            .is_none_or(|name| "Mail".contains(name));
        fits &= named
            && is(&filter.scope, "account")
            && is(&filter.resource_type, "octets")
            && is(&filter.kind, "Email");
    }
    let mut ids: Vec<String> = if fits { vec![id(account)] } else { Vec::new() };
    let total = ids.len();
    if let Some(anchor) = &args.anchor {
        if !ids.contains(anchor) {
            return Err(MethodError::ANCHOR_NOT_FOUND);
        }
        if args.anchor_offset > 0 {
            ids.clear();
        }
    } else if args.position > 0 {
        ids.clear();
    }
    ids.truncate(args.limit.map_or(usize::MAX, UnsignedInt::as_usize));
    let mut response = json!({
        "accountId": args.account_id, "queryState": state(&head), "canCalculateChanges": false,
        "position": 0, "ids": ids,
    });
    if let (true, Value::Object(all)) = (args.calculate_total, &mut response) {
        all.insert("total".to_owned(), total.into());
    }
    Ok(response)
}

/// `Quota/queryChanges`
pub(crate) fn query_changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Args {
        account_id: String,
    }
    let args: Args = args::read(args)?;
    cx.account(&args.account_id)?;
    // RFC 8620 5.6: the query says so.
    Err(MethodError::CANNOT_CALCULATE_CHANGES)
}
