//! `Identity/get` (RFC 8621 6.1).

use serde_json::Value;

use super::{PROPERTIES, object, parse_id};
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::{args, state};

/// `Identity/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let wanted = Wanted::of(args.properties.as_deref(), &PROPERTIES)?;
    let (newest, all) = cx.verbs.identities.all(account)?;
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    match &args.ids {
        None => {
            for identity in &all {
                list.push(cx, wanted.select(object(account, identity)))?;
            }
        }
        Some(ids) => {
            for id in cx.each_once(ids)? {
                let identity = parse_id(account, &id);
                match all.iter().find(|it| Some(it.id) == identity) {
                    Some(found) => list.push(cx, wanted.select(object(account, found)))?,
                    None => not_found.push(id),
                }
            }
        }
    }
    let state = state::of_number(newest);
    Ok(get::response(&args.account_id, &state, list, &not_found))
}
