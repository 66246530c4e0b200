//! `PushSubscription/get` (RFC 8620 7.2.1).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{PRIVATE, TOLD, object, parse_id};
use crate::args;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::get::Wanted;

/// There is neither an account nor a state.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetArgs {
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(default)]
    properties: Option<Vec<String>>,
}

/// `PushSubscription/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let mut asked = args.properties.iter().flatten();
    if asked.any(|name| PRIVATE.contains(&name.as_str())) {
        return Err(MethodError::FORBIDDEN);
    }
    let wanted = Wanted::of(args.properties.as_deref(), &TOLD)?;
    let account = cx.caller.account;
    let mut all = cx.verbs.subscriptions.all(account, cx.now)?;
    all.retain(|it| it.credential == cx.caller.credential);
    let mut not_found = Vec::new();
    if let Some(ids) = &args.ids {
        let mut asked = Vec::new();
        for id in cx.each_once(ids)? {
            let known = parse_id(account, &id);
            match all.iter().find(|it| Some(it.id) == known) {
                Some(found) => asked.push(found.clone()),
                None => not_found.push(id),
            }
        }
        all = asked;
    }
    let told = all.iter().map(|it| wanted.select(object(account, it)));
    Ok(json!({"list": told.collect::<Vec<_>>(), "notFound": not_found}))
}
