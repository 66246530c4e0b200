//! `Recall/restore`: recalls are undone while their copies are kept.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_recall::Requester;

use super::refused::failed;
use super::set::{after, found, told};
use super::{id, requester};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::{args, limits, state};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    ids: Vec<String>,
}

/// `Recall/restore`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    if args.ids.len() > limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let by = requester(cx, account)?;
    let old = cx.verbs.recalls.last_news(account)?;
    let (mut restored, mut not_restored) = (Map::new(), Map::new());
    for text in cx.each_once(&args.ids)? {
        match restore(cx, account, &by, &text) {
            Ok(now) => drop(restored.insert(text, now)),
            Err(error) => drop(not_restored.insert(text, error.into_json())),
        }
    }
    let own: BTreeSet<_> = restored.keys().filter_map(|id| id::parse(id)).collect();
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({
        "accountId": args.account_id, "oldState": state::of_number(old),
        "newState": state::of_number(after(cx.verbs.recalls, account, old, &own)),
        "restored": map(restored), "notRestored": map(not_restored),
    }))
}

fn restore(
    cx: &Context<'_>,
    account: AccountId,
    by: &Requester,
    text: &str,
) -> Result<Value, SetError> {
    let recall = found(cx, account, by, text)?;
    cx.verbs
        .recalls
        .restore(recall, by, cx.now)
        .map_err(failed)?;
    cx.verbs.desk.carry_out(recall, cx.now);
    told(cx, account, recall)
}
