//! An act upon a recall that waits: its requester confirms or cancels it, others approve or decline it.
//!
//! Invariant: a code of a second factor is looked at only once the recall is found to wait for one of the
//! caller's, and for nothing that would be missing still; nobody approves or declines without one that was right
//! ([`Vouched`]), whatever becomes of the recall meanwhile.

use serde::Deserialize;
use serde_json::Value;
use tern_base::AccountId;
use tern_recall::{RecallError, RecallId, Requested, Requester, Said, State};

use super::refused::{code_refused, failed, refused};
use crate::context::Context;
use crate::error::SetError;

/// The `action` of an update.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type", deny_unknown_fields)]
enum Action {
    Confirm {
        code: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Approve {
        code: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Decline {
        code: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Cancel {},
}

/// Does it, and carries out what follows.
pub(super) fn act(
    cx: &Context<'_>,
    account: AccountId,
    by: &Requester,
    (recall, action): (RecallId, &Value),
) -> Result<(), SetError> {
    let action: Action = serde_json::from_value(action.clone())
        .map_err(|why| SetError::invalid_properties(&["action"], why.to_string()))?;
    let (recalls, now) = (cx.verbs.recalls, cx.now);
    let answer = match &action {
        Action::Confirm { code, reason } => {
            Some(confirm(cx, account, recall, (code, reason.as_deref()))?)
        }
        Action::Approve { code, reason } => {
            let vouched = vouched(cx, by, recall, code)?;
            Some(approve(cx, vouched, reason.as_deref())?)
        }
        Action::Decline { code, reason } => {
            let vouched = vouched(cx, by, recall, code)?;
            decline(cx, vouched, reason.as_deref())?;
            None
        }
        Action::Cancel {} => {
            let done = recalls.cancel(recall, by, now);
            done.map(|()| None).map_err(failed)?
        }
    };
    cx.verbs.desk.carry_out(recall, now);
    match answer {
        Some(Requested::Refused(id, refusal)) => Err(refused(refusal, Some(id))),
        _ => Ok(()),
    }
}

/// Somebody who may answer for others, whose code was right.
struct Vouched<'a> {
    recall: RecallId,
    by: &'a Requester,
}

/// Looks at a code of whoever answers for others. Where they can't answer, none is used up.
fn vouched<'a>(
    cx: &Context<'_>,
    by: &'a Requester,
    recall: RecallId,
    code: &str,
) -> Result<Vouched<'a>, SetError> {
    let may = cx.verbs.recalls.may_answer(recall, by, cx.now);
    may.map_err(failed)?;
    show_code(cx, code, recall)?;
    Ok(Vouched { recall, by })
}

fn approve(
    cx: &Context<'_>,
    Vouched { recall, by }: Vouched<'_>,
    reason: Option<&str>,
) -> Result<Requested, SetError> {
    let answer = cx.verbs.recalls.approve(recall, by, reason, cx.now);
    answer.map_err(failed)
}

fn decline(
    cx: &Context<'_>,
    Vouched { recall, by }: Vouched<'_>,
    reason: Option<&str>,
) -> Result<(), SetError> {
    let done = cx.verbs.recalls.decline(recall, by, reason, cx.now);
    done.map_err(failed)
}

fn show_code(cx: &Context<'_>, code: &str, recall: RecallId) -> Result<&'static str, SetError> {
    let shown = cx.verbs.desk.show_code(cx.caller, code, recall, cx.now);
    let shown = shown.ok_or_else(|| SetError::new("serverFail", "codes can't be looked at"))?;
    shown.map_err(code_refused)
}

fn confirm(
    cx: &Context<'_>,
    account: AccountId,
    recall: RecallId,
    (code, reason): (&str, Option<&str>),
) -> Result<Requested, SetError> {
    let (recalls, now) = (cx.verbs.recalls, cx.now);
    let waiting = recalls.waiting(recall, now).map_err(failed)?;
    let waiting = waiting.filter(|it| it.wait.requester.account == Some(account));
    match waiting.map(|it| it.recall.state) {
        Some(State::AwaitingStepUp) => {}
        Some(other) => return Err(failed(RecallError::WrongState(other.code()))),
        None => {
            let why = "it waits for no second factor of yours";
            return Err(SetError::new("wrongState", why));
        }
    }
    let said = reason.unwrap_or_default();
    // No code is used up by what would not be enough.
    if recalls.wants_reason(recall).map_err(failed)? && said.trim().is_empty() {
        return Err(refused(tern_recall::Refusal::ReasonRequired, None));
    }
    let factor = show_code(cx, code, recall)?;
    recalls
        .say(recall, account, &Said::why(said), now)
        .map_err(failed)?;
    let peer = Some(cx.caller.address.clone());
    let answer = recalls.stepped_up(recall, account, factor, peer, now);
    answer.map_err(failed)
}
