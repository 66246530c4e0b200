//! ShareNotification (RFC 9670 3): that somebody's rights to something shared have changed.
//!
//! Nothing is shared on this server, so there is none: every answer says so. The type is here because
//! the capability of principals is that of these, too.

use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::standard::changes::{ChangesArgs, Told};
use crate::standard::filter::Filter;
use crate::standard::get::{self, GetArgs, Wanted};
use crate::standard::query::{Comparator, QueryArgs, QueryChangesArgs};
use crate::standard::set::{Outcomes, SetArgs};
use crate::{args, date};

const PROPERTIES: [&str; 9] = [
    "id",
    "created",
    "changedBy",
    "objectType",
    "objectAccountId",
    "objectId",
    "oldRights",
    "newRights",
    "name",
];

/// The only state there is.
const STATE: &str = "0";

fn check_state(since: &str) -> Result<(), MethodError> {
    match since == STATE {
        true => Ok(()),
        false => Err(MethodError::CANNOT_CALCULATE_CHANGES),
    }
}

/// `ShareNotification/get`
pub(crate) fn get(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    cx.account(&args.account_id)?;
    Wanted::of(args.properties.as_deref(), &PROPERTIES)?;
    let asked = args.ids.as_deref().unwrap_or_default();
    let not_found = cx.each_once(asked)?;
    Ok(get::response(
        &args.account_id,
        STATE,
        Vec::new(),
        &not_found,
    ))
}

/// `ShareNotification/changes`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    cx.account(&args.account_id)?;
    args.max()?;
    check_state(&args.since_state)?;
    let told = Told {
        state: STATE.to_owned(),
        has_more: false,
        created: Vec::new(),
        updated: Vec::new(),
        destroyed: Vec::new(),
    };
    Ok(told.response(&args))
}

/// `ShareNotification/set` (RFC 9670 3.5): destroying is all that a client may do.
pub(crate) fn set(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: SetArgs = args::read(args)?;
    cx.account(&args.account_id)?;
    args.check(STATE)?;
    let forbidden = || SetError::new("forbidden", "the server alone makes notifications");
    let mut outcomes = Outcomes::default();
    for (creation, _) in args.create.take().unwrap_or_default() {
        outcomes.create(cx, &creation, Err(forbidden()));
    }
    let updates = args.update.take().unwrap_or_default();
    outcomes.update_each(cx, &args, updates, |_, _, _| Err(forbidden()));
    outcomes.destroy_each(cx, &args, |_, _| Err(SetError::not_found()));
    Ok(outcomes.response(&args.account_id, STATE, STATE))
}

/// Refuses a filter or an order that the type does not have (RFC 9670 3.6).
fn check_query(filter: Option<&Value>, sort: Option<&[Comparator]>) -> Result<(), MethodError> {
    Filter::read(filter, &|members: &Map<String, Value>| {
        for (name, value) in members {
            let is_right = match name.as_str() {
                "after" | "before" => {
                    value.is_null() || value.as_str().and_then(date::parse_utc).is_some()
                }
                "objectType" | "objectAccountId" => value.is_string(),
                _ => {
                    let why = format!("there is no condition {name:?}");
                    return Err(MethodError::unsupported_filter(why));
                }
            };
            if !is_right {
                let why = format!("{name} can't be that in a filter");
                return Err(MethodError::invalid_arguments(why));
            }
        }
        Ok(())
    })?;
    let mut steps = Comparator::check(sort)?.iter();
    match steps.find(|step| step.property != "created") {
        Some(step) => Err(step.unsupported()),
        None => Ok(()),
    }
}

/// `ShareNotification/query`
pub(crate) fn query(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryArgs = args::read(args)?;
    cx.account(&args.account_id)?;
    check_query(args.filter.as_ref(), args.sort.as_deref())?;
    let window = args.window(0, |_| None)?;
    args.response(cx, STATE, &window, Vec::new(), 0)
}

/// `ShareNotification/queryChanges`
pub(crate) fn query_changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: QueryChangesArgs = args::read(args)?;
    cx.account(&args.account_id)?;
    check_query(args.filter.as_ref(), args.sort.as_deref())?;
    check_state(&args.since_query_state)?;
    args.response(cx, STATE, Vec::new(), Vec::new(), 0)
}
