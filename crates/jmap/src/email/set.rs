//! `Email/set` (RFC 8621 4.6): each object is changed as a whole or not at all.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use tern_base::MessageId;
use tern_mailbox::{AccountView, Limit, MailboxError, NotAllowed, Update};
use tern_session::ids;

use super::compose::compose;
use super::import::put;
use super::keep::{Kept, Patch};
use super::unchanged;
use crate::args;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::scope::{Of, Scope};
use crate::standard::set::{Outcomes, SetArgs};
use crate::standard::wrong::Wrong;

/// `Email/set`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: SetArgs = args::read(args)?;
    let scope = cx.scope_to_change(&args.account_id)?;
    let since = scope.moment(cx.verbs.mailboxes)?;
    let old_state = scope.state(Of::Messages, since.seen);
    args.check(&old_state)?;
    let mut outcomes = Outcomes::default();
    for (creation, email) in args.create.take().unwrap_or_default() {
        let outcome = create(cx, &scope, &email);
        outcomes.create(cx, &creation, outcome);
    }
    let updates = args.update.take().unwrap_or_default();
    update(cx, &scope, &args, updates, &mut outcomes);
    destroy(cx, &scope, &args, &mut outcomes);
    let own = outcomes.touched();
    let own = own
        .filter_map(|id| ids::parse_email_id(scope.account, id))
        .collect();
    let now = scope.after(cx.verbs.mailboxes, since, &own);
    let new_state = scope.state(Of::Messages, now);
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

fn create(cx: &mut Context<'_>, scope: &Scope, email: &Value) -> Result<(String, Value), SetError> {
    let none = SetError::new("invalidProperties", "an Email is an object");
    let email = email.as_object().ok_or(none)?;
    let mut all = Wrong::default();
    let kept = all.take(Kept::read(cx, scope.account, email));
    let content = all.take(compose(cx, scope, email));
    let (kept, content) = all.unless(kept.zip(content))?;
    put(cx, scope, kept, content)
}

/// Changes objects together, each unless the same call destroys it.
fn update(
    cx: &mut Context<'_>,
    scope: &Scope,
    args: &SetArgs,
    patches: Map<String, Value>,
    outcomes: &mut Outcomes,
) {
    let (mut ids, mut updates) = (Vec::new(), Vec::new());
    let mut seen = None;
    for (id, patch) in patches {
        let resolved = cx.resolved(&id).to_owned();
        let stays = args.stays(cx, &resolved);
        match stays.and_then(|()| read_update(cx, scope, &mut seen, &resolved, &patch)) {
            Ok(update) => {
                ids.push(resolved);
                updates.push(update);
            }
            Err(error) => outcomes.update(&resolved, Err(error)),
        }
    }
    let mailboxes = cx.verbs.mailboxes;
    let done = mailboxes.update_each_for(scope.acting(), scope.account, &updates, cx.now);
    for (id, done) in ids.into_iter().zip(done) {
        let done = done.map(|()| Value::Null);
        outcomes.update(&id, done.map_err(refused));
    }
}

fn read_update(
    cx: &mut Context<'_>,
    scope: &Scope,
    seen: &mut Option<Arc<AccountView>>,
    id: &str,
    patch: &Value,
) -> Result<Update, SetError> {
    let account = scope.account;
    let message = ids::parse_email_id(account, id).ok_or_else(SetError::not_found)?;
    let Some(members) = patch.as_object() else {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    };
    // One look for all: whoever sees a part of an account pays for the whole of it.
    let view = match seen {
        Some(view) => view,
        None => seen.insert(scope.view(cx.verbs.mailboxes)?.0),
    };
    let held = view.get(message).ok_or_else(SetError::not_found)?;
    let changes = unchanged::changes(cx, account, held, members)?;
    let patch = Patch::read(cx, account, &changes)?;
    Ok(Update {
        message,
        placing: patch.placing,
        flagging: patch.flagging,
        by: (!scope.is_foreign()).then(|| cx.caller.connection()),
    })
}

/// What a client is told of an update that was refused.
fn refused(error: MailboxError) -> SetError {
    match error {
        MailboxError::NoMailbox => {
            SetError::invalid_properties(&["mailboxIds"], "there is no such mailbox")
        }
        MailboxError::NotAllowed(NotAllowed::InNoMailbox) => {
            SetError::invalid_properties(&["mailboxIds"], error.to_string())
        }
        MailboxError::Limit(Limit::Keywords) => SetError::new("tooManyKeywords", error.to_string()),
        MailboxError::Limit(Limit::Placements) => {
            SetError::new("tooManyMailboxes", error.to_string())
        }
        other => other.into(),
    }
}

/// Destroys objects together; what is named twice is destroyed once.
fn destroy(cx: &Context<'_>, scope: &Scope, args: &SetArgs, outcomes: &mut Outcomes) {
    let (mut known, mut named) = (HashSet::new(), Vec::new());
    let mut messages = Vec::new();
    for id in args.destroy.iter().flatten() {
        let id = cx.resolved(id);
        if !known.insert(id) {
            continue;
        }
        match to_destroy(cx, scope, id) {
            Ok(message) => {
                named.push(id);
                messages.push(message);
            }
            Err(error) => outcomes.destroy(id, Err(error)),
        }
    }
    let mailboxes = cx.verbs.mailboxes;
    let done = mailboxes.remove_each_for(scope.acting(), scope.account, &messages, cx.now);
    for (id, done) in named.into_iter().zip(done) {
        let was_there = |it: bool| it.then_some(()).ok_or_else(SetError::not_found);
        outcomes.destroy(id, done.map_err(SetError::from).and_then(was_there));
    }
}

fn to_destroy(cx: &Context<'_>, scope: &Scope, id: &str) -> Result<MessageId, SetError> {
    let account = scope.account;
    let message = ids::parse_email_id(account, id).ok_or_else(SetError::not_found)?;
    // What is sealed is gone for clients already.
    cx.verbs.mailboxes.message(account, message)?;
    Ok(message)
}
