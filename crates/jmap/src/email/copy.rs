//! `Email/copy` (RFC 8621 4.7).
//!
//! A caller has one account here, and what is copied goes from one account to another: there is nothing
//! that it can be called with and succeed, and each way to call it has its error.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::args;
use crate::context::Context;
use crate::error::MethodError;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    from_account_id: String,
    #[serde(default)]
    #[expect(dead_code, reason = "read, so that a wrong type is told")]
    if_from_in_state: Option<String>,
    account_id: String,
    #[serde(default)]
    #[expect(dead_code, reason = "as above")]
    if_in_state: Option<String>,
    #[expect(dead_code, reason = "as above")]
    create: Map<String, Value>,
    #[serde(default)]
    #[expect(dead_code, reason = "as above")]
    on_success_destroy_original: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "as above")]
    destroy_from_if_in_state: Option<String>,
}

/// `Email/copy`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    Err(cx.not_from(account, &args.from_account_id))
}
