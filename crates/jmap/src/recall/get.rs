//! `Recall/get`.

use serde_json::Value;

use super::{id, is_there, object, requester};
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::{args, limits, state};

/// `Recall/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let wanted = Wanted::of(args.properties.as_deref(), &object::PROPERTIES)?;
    let recalls = cx.verbs.recalls;
    let by = requester(cx, account)?;
    // Looked at first: what changes meanwhile is told again by `Recall/changes`.
    let state = state::of_recalls(recalls, account)?;
    let asked = match &args.ids {
        Some(ids) => cx.each_once(ids)?,
        None => recalls.followed(account)?.into_iter().map(id::of).collect(),
    };
    if asked.len() > limits::MAX_OBJECTS_IN_GET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    for text in asked {
        match id::parse(&text) {
            Some(recall) if is_there(cx, account, recall, &by)? => {
                let object = wanted.select(object::of(cx, account, recall)?);
                list.push(cx, object)?;
            }
            _ => not_found.push(text),
        }
    }
    Ok(get::response(&args.account_id, &state, list, &not_found))
}
