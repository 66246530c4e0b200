//! `Email/changes` (RFC 8621 4.3).

use std::collections::HashSet;

use serde_json::Value;
use tern_base::MessageId;
use tern_mailbox::rows::Change;
use tern_session::ids;

use super::seen;
use crate::args;
use crate::context::Context;
use crate::error::MethodError;
use crate::scope::Of;
use crate::standard::changes::{self, ChangesArgs};
use crate::state::Delta;

/// The message that a change is of.
pub(super) const fn message_of(change: &Change) -> Option<MessageId> {
    match *change {
        Change::Placed { message, .. }
        | Change::Flagged { message, .. }
        | Change::Vanished { message, .. } => Some(message),
        Change::MailboxCreated(_) | Change::MailboxUpdated(_) | Change::MailboxDestroyed(_) => None,
    }
}

/// `Email/changes`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    if scope.is_foreign() {
        return seen::emails(cx, &scope, &args);
    }
    let view = cx.verbs.mailboxes.account_view(account)?;
    let part = changes::read(
        cx,
        (&scope, Of::Messages),
        &args,
        (view.modseq, view.modseq),
        message_of,
    )?;
    let mut delta = Delta::default();
    for change in &part.changes {
        match *change {
            Change::Placed {
                message,
                created: Some(_),
                ..
            } => delta.create(message),
            Change::Vanished {
                message,
                destroyed: Some(_),
                ..
            } => delta.destroy(message),
            Change::Placed { message, .. }
            | Change::Flagged { message, .. }
            | Change::Vanished { message, .. } => delta.update(message),
            Change::MailboxCreated(_) | Change::MailboxUpdated(_) | Change::MailboxDestroyed(_) => {
            }
        }
    }
    // What never was shown came under a seal, and is no news.
    let goes = |change: &Change| match *change {
        Change::Vanished {
            message,
            destroyed: Some(_),
            ..
        } => Some(message),
        _ => None,
    };
    let go_later: HashSet<MessageId> = part.later.iter().filter_map(goes).collect();
    let is_there = |id: &MessageId| view.get(*id).is_some() || go_later.contains(id);
    delta.updated.retain(is_there);
    Ok(changes::response(&args, &part, &delta, |id| {
        ids::email_id(account, id)
    }))
}
