//! `Principal/set` (RFC 9670 2.3): nothing of it is allowed, which the RFC leaves to the server.

use serde_json::Value;
use tern_directory::Seen;

use super::{parse_id, state_of};
use crate::args;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::standard::set::{Outcomes, SetArgs};

/// `Principal/set`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let seen = cx.verbs.principals.seen_by(account)?;
    let state = state_of(cx, seen.state());
    args.check(&state)?;
    let mut outcomes = Outcomes::default();
    for (creation, _) in args.create.take().unwrap_or_default() {
        outcomes.create(cx, &creation, Err(forbidden()));
    }
    let updates = args.update.take().unwrap_or_default();
    outcomes.update_each(cx, &args, updates, |_, id, _| Err(refused(&seen, id)));
    outcomes.destroy_each(cx, &args, |_, id| Err(refused(&seen, id)));
    Ok(outcomes.response(&args.account_id, &state, &state))
}

fn forbidden() -> SetError {
    SetError::new(
        "forbidden",
        "the operators of the server keep the directory",
    )
}

fn refused(seen: &Seen, id: &str) -> SetError {
    match parse_id(id).and_then(|id| seen.get(id)) {
        Some(_) => forbidden(),
        None => SetError::not_found(),
    }
}
