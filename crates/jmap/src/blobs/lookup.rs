//! `Blob/lookup` (RFC 9404 4.3): which objects a blob belongs to.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_session::ids;

use crate::args;
use crate::blob::Found;
use crate::blob_id::Whole;
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::object;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    type_names: Vec<String>,
    ids: Vec<String>,
}

/// The types that blobs are looked up in.
pub(crate) const TYPES: [&str; 3] = ["Email", "Mailbox", "Thread"];

/// `Blob/lookup`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    if let Some(name) = args
        .type_names
        .iter()
        .find(|name| !TYPES.contains(&name.as_str()))
    {
        return Err(MethodError::unknown_data_type(name));
    }
    let (view, _) = scope.view(cx.verbs.mailboxes)?;
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    for id in cx.each_once(&args.ids)? {
        let whole = Found::whole_of(cx.verbs.mailboxes, &mut cx.work, &scope, &id)?;
        let Some(whole) = whole else {
            not_found.push(id);
            continue;
        };
        let held = match whole {
            Whole::Message(message) => view.get(message),
            Whole::Upload(_) => None,
        };
        let mut matched = Map::new();
        for name in &args.type_names {
            let ids: Vec<String> = match (name.as_str(), held) {
                ("Email", Some(held)) => vec![ids::email_id(account, held.message)],
                ("Thread", Some(held)) => vec![ids::thread_id(account, held.thread)],
                ("Mailbox", Some(held)) => held
                    .mailboxes()
                    .map(|it| ids::mailbox_id(account, it))
                    .collect(),
                _ => Vec::new(),
            };
            matched.insert(name.clone(), json!(ids));
        }
        list.push(cx, json!({"id": id, "matchedIds": matched}))?;
    }
    Ok(object([
        ("accountId", args.account_id.into()),
        ("list", list.into()),
        ("notFound", not_found.into()),
    ]))
}
