//! `Principal/get` (RFC 9670 2.1).

use serde_json::Value;

use super::{PROPERTIES, object, parse_id, state_of};
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::{args, limits, session};

/// `Principal/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let wanted = Wanted::of(args.properties.as_deref(), &PROPERTIES)?;
    let seen = cx.verbs.principals.seen_by(account)?;
    let caller = cx.caller;
    let others = session::others(cx.verbs, caller)?;
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    match &args.ids {
        None => {
            for principal in seen.iter() {
                if list.len() == limits::MAX_OBJECTS_IN_GET {
                    return Err(MethodError::REQUEST_TOO_LARGE);
                }
                list.push(cx, wanted.select(object(caller, &others, principal)))?;
            }
        }
        Some(ids) => {
            for id in cx.each_once(ids)? {
                match parse_id(&id).and_then(|id| seen.get(id)) {
                    Some(principal) => {
                        list.push(cx, wanted.select(object(caller, &others, principal)))?;
                    }
                    None => not_found.push(id),
                }
            }
        }
    }
    let state = state_of(cx, seen.state());
    Ok(get::response(&args.account_id, &state, list, &not_found))
}
