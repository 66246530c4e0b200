//! `EmailSubmission/get` (RFC 8621 7.1).

use serde_json::Value;

use super::{PROPERTIES, object, parse_id, source};
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::{args, limits, state};

/// `EmailSubmission/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let wanted = Wanted::of(args.properties.as_deref(), &PROPERTIES)?;
    let wants = |name: &str| {
        let asked = args.properties.as_ref();
        asked.is_none_or(|asked| asked.iter().any(|it| it == name))
    };
    let of = source(cx.verbs);
    let (newest, all) = of.0.all(account)?;
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    match &args.ids {
        None if all.len() > limits::MAX_OBJECTS_IN_GET => {
            return Err(MethodError::REQUEST_TOO_LARGE);
        }
        None => {
            for sending in &all {
                let object = object(&of, account, sending, wants)?;
                list.push(cx, wanted.select(object))?;
            }
        }
        Some(ids) => {
            for id in cx.each_once(ids)? {
                let known = parse_id(account, &id);
                match all.iter().find(|sending| Some(sending.id) == known) {
                    Some(found) => {
                        let object = object(&of, account, found, wants)?;
                        list.push(cx, wanted.select(object))?;
                    }
                    None => not_found.push(id),
                }
            }
        }
    }
    let state = state::of_number(newest);
    Ok(get::response(&args.account_id, &state, list, &not_found))
}
