//! `Principal/changes` (RFC 9670 2.2).

use serde_json::Value;

use super::{id_of, since, state_of};
use crate::args;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::changes::{ChangesArgs, Told};

/// `Principal/changes`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let max = args.max()?;
    let since = since(cx, &args.since_state)?;
    let changes = cx.verbs.principals.changes(account, since, max)?;
    let changes = changes.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    let state = state_of(cx, changes.state);
    let told = Told {
        state,
        ..Told::numbered(&changes, id_of)
    };
    Ok(told.response(&args))
}
