//! `Core/echo` (RFC 8620 4).

use serde_json::Value;

use crate::context::Context;
use crate::error::MethodError;

/// Answers what it is given.
pub(crate) fn run(_cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    Ok(args)
}
