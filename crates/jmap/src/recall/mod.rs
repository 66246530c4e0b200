//! Recalls as a type (docs/jmap-recall.md): asked for, confirmed, approved, followed and undone.
//!
//! Invariants:
//! - Each way to ask is the one [`tern_recall::Recalls::request`]; the actor is the caller, by the
//!   connection that they are on.
//! - A recall is seen by the accounts that are told of it, and by whoever may approve it while it waits
//!   for that; to anybody else it is `notFound`. Of copies they see what policy lets them.
//! - A recall is never destroyed: what was asked, decided and done stays on record.

pub(crate) mod changes;
pub(crate) mod get;
pub(crate) mod plan;
pub(crate) mod query;
pub(crate) mod restore;
pub(crate) mod set;

mod act;
mod ask;
mod desk;
mod id;
mod object;
mod refused;
mod report;
mod seen;

use serde_json::{Value, json};
use tern_base::AccountId;
use tern_recall::{RecallError, RecallId, Requester, Step};

use crate::context::Context;
use crate::error::MethodError;
use crate::push::Told;
use crate::{Verbs, limits, state};

pub use desk::{NoDesk, RecallDesk};

/// What the capability says of an account.
pub(crate) fn about() -> Value {
    json!({
        "maxRecipientsChosen": tern_recall::limits::MAX_CHOSEN,
        "maxSizeRequestId": limits::MAX_REQUEST_ID,
        "maxLengthReason": tern_recall::limits::MAX_REASON,
        "maxLengthNoticeText": tern_recall::limits::MAX_NOTICE_TEXT,
        "maxReported": limits::MAX_REPORTED,
    })
}

/// What listeners are told of the type.
pub(crate) fn told(verbs: &Verbs<'_>, account: AccountId) -> Result<Told, MethodError> {
    let state = state::of_recalls(verbs.recalls, account)?;
    Ok(Told {
        mark: state.clone(),
        state,
    })
}

/// The caller, as whoever asks for something.
fn requester(cx: &Context<'_>, account: AccountId) -> Result<Requester, RecallError> {
    let connection = cx.caller.connection();
    cx.verbs.recalls.connected(account, &connection, cx.now)
}

/// Whether a recall is there for an account.
fn is_there(
    cx: &Context<'_>,
    account: AccountId,
    id: RecallId,
    by: &Requester,
) -> Result<bool, RecallError> {
    let recalls = cx.verbs.recalls;
    if recalls.is_followed(account, id)? {
        return Ok(true);
    }
    match recalls.steps(id, by, cx.now) {
        Ok(steps) => Ok(steps.contains(&Step::Approve)),
        Err(RecallError::NoRecall) => Ok(false),
        Err(error) => Err(error),
    }
}
