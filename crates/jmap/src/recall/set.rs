//! `Recall/set`: to create is to ask, to update is to act upon one that waits; nothing is destroyed.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_recall::{RecallError, RecallId, Recalls, Requested, Requester};

use super::refused::{failed, refused};
use super::{act, ask, id, is_there, object, requester};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::{args, limits, state};

/// What a client is told of a recall that it has asked for or acted upon.
const TOLD: [&str; 8] = [
    "id",
    "state",
    "withdrawn",
    "outcomes",
    "waiting",
    "approvals",
    "ended",
    "actions",
];

/// `Recall/set`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let by = requester(cx, account)?;
    let old = cx.verbs.recalls.last_news(account)?;
    let old_state = state::of_number(old);
    args.check(&old_state)?;
    let (mut outcomes, mut own) = (Outcomes::default(), BTreeSet::new());
    for (creation, asked) in args.create.take().unwrap_or_default() {
        let outcome = create(cx, account, &by, &asked);
        // One that was refused is there, too, and its id is told.
        let refused = outcome
            .as_ref()
            .err()
            .and_then(|error| error.get("recallId"));
        own.extend(refused.and_then(Value::as_str).and_then(id::parse));
        outcomes.create(cx, &creation, outcome);
    }
    let updates = args.update.take().unwrap_or_default();
    outcomes.update_each(cx, &args, updates, |cx, id, patch| {
        update(cx, account, &by, (id, patch))
    });
    outcomes.destroy_each(cx, &args, |cx, id| {
        found(cx, account, &by, id).and_then(|_| {
            let why = "what was asked, decided and done stays on record";
            Err(SetError::new("forbidden", why))
        })
    });
    own.extend(outcomes.touched().filter_map(id::parse));
    let new_state = state::of_number(after(cx.verbs.recalls, account, old, &own));
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

/// The number up to which there is no news after `old` but of these recalls; see [`state::after_own`].
pub(super) fn after(
    recalls: &Recalls,
    account: AccountId,
    old: u64,
    own: &BTreeSet<RecallId>,
) -> u64 {
    let news = recalls.news(account, old, limits::MAX_CHANGES);
    let known = news.ok().flatten().unwrap_or_default().into_iter();
    let known = known.take_while(|news| own.contains(&news.recall));
    known.last().map_or(old, |news| news.number)
}

fn create(
    cx: &mut Context<'_>,
    account: AccountId,
    by: &Requester,
    asked: &Value,
) -> Result<(String, Value), SetError> {
    let request = ask::read(cx, account, by.clone(), asked)?;
    cx.work.take(limits::WORK_PER_PLAN)?;
    let recalls = cx.verbs.recalls;
    // Under the id of a request there may be one already: then this is the same request.
    let was_there = recalls.is_followed(account, request.id).map_err(failed)?;
    let answer = recalls.request(&request, cx.now).map_err(failed)?;
    cx.verbs.desk.carry_out(answer.id(), cx.now);
    if let Requested::Refused(recall, refusal) = answer {
        cx.work.took(limits::WORK_PER_REFUSED);
        return Err(refused(refusal, Some(recall)));
    }
    let joined = was_there || answer.id() != request.id;
    let mut told = told(cx, account, answer.id())?;
    if let Value::Object(all) = &mut told {
        all.insert("isJoined".to_owned(), joined.into());
    }
    Ok((id::of(answer.id()), told))
}

fn update(
    cx: &mut Context<'_>,
    account: AccountId,
    by: &Requester,
    (text, patch): (&str, &Value),
) -> Result<Value, SetError> {
    let recall = found(cx, account, by, text)?;
    let patch = patch.as_object();
    let patch = patch.ok_or_else(|| SetError::new("invalidPatch", "a patch is an object"))?;
    only_action_changes(cx, account, recall, patch)?;
    let Some(action) = patch.get("action") else {
        return Ok(Value::Null);
    };
    act::act(cx, account, by, (recall, action))?;
    told(cx, account, recall)
}

/// Refuses a patch that would change what the server alone sets.
fn only_action_changes(
    cx: &Context<'_>,
    account: AccountId,
    recall: RecallId,
    patch: &Map<String, Value>,
) -> Result<(), SetError> {
    let mut others = patch
        .iter()
        .filter(|(path, _)| *path != "action")
        .peekable();
    if others.peek().is_none() {
        return Ok(());
    }
    let now = object::of(cx, account, recall).map_err(failed)?;
    match others.find(|(path, value)| !is_as_it_is(&now, path, value)) {
        Some((path, _)) => {
            let why = "the server alone sets it";
            Err(SetError::invalid_properties(&[path.as_str()], why))
        }
        None => Ok(()),
    }
}

/// The recall of an id, where it is there for the caller.
pub(super) fn found(
    cx: &Context<'_>,
    account: AccountId,
    by: &Requester,
    text: &str,
) -> Result<RecallId, SetError> {
    let recall = id::parse(text).ok_or_else(SetError::not_found)?;
    match is_there(cx, account, recall, by).map_err(failed)? {
        true => Ok(recall),
        false => Err(SetError::not_found()),
    }
}

/// How it stands, shortly.
pub(super) fn told(
    cx: &Context<'_>,
    account: AccountId,
    recall: RecallId,
) -> Result<Value, SetError> {
    let by = requester(cx, account).map_err(failed)?;
    // One that was joined may have been asked for by somebody else.
    if !is_there(cx, account, recall, &by).map_err(failed)? {
        return Ok(json!({"id": id::of(recall)}));
    }
    let object: Result<Value, RecallError> = object::of(cx, account, recall);
    let Value::Object(all) = object.map_err(failed)? else {
        return Ok(Value::Null);
    };
    let kept = all
        .into_iter()
        .filter(|(name, _)| TOLD.contains(&name.as_str()));
    Ok(Value::Object(kept.collect()))
}
