//! `EmailSubmission/changes` (RFC 8621 7.2).

use serde_json::{Value, json};
use tern_base::OriginId;

use super::id_of;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::changes::ChangesArgs;
use crate::{args, state};

/// `EmailSubmission/changes`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let max = args.max()?;
    let since = state::since_number(&args.since_state)?;
    let changes = cx.verbs.outbox.changes(account, since, max)?;
    let changes = changes.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)?;
    let texts = |ids: &[OriginId]| -> Value {
        let text = |id: &OriginId| id_of(account, *id);
        ids.iter().map(text).collect()
    };
    Ok(json!({
        "accountId": args.account_id,
        "oldState": args.since_state,
        "newState": state::of_number(changes.state),
        "hasMoreChanges": changes.has_more,
        "created": texts(&changes.created),
        "updated": texts(&changes.updated),
        "destroyed": texts(&changes.destroyed),
    }))
}
