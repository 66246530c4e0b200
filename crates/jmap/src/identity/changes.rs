//! `Identity/changes` (RFC 8621 6.2).

use serde_json::Value;

use super::id_of;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::changes::{ChangesArgs, Told};
use crate::{args, state};

/// `Identity/changes`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let max = args.max()?;
    let since = state::since_number(&args.since_state)?;
    let changes = cx.verbs.identities.changes(account, since, max)?;
    let changes = changes.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    Ok(Told::numbered(&changes, |id| id_of(account, id)).response(&args))
}
