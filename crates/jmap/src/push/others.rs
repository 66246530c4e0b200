//! What changed of what others share with a listener.
//!
//! Invariant: nothing is told of what the listener does not see; where they stand in somebody else's account
//! is one of its states, which nobody reads but the server.

use serde_json::{Map, Value};
use tern_base::AccountId;

use super::Wanted;
use crate::Verbs;
use crate::error::MethodError;
use crate::limits::MAX_PUSH_ACCOUNTS;
use crate::scope::{Of, Scope};
use crate::state::{Types, changed_types_in};

/// What an account sees of others, as many of them as it is told of.
pub(super) fn of(verbs: &Verbs<'_>, account: AccountId) -> Result<Vec<Scope>, MethodError> {
    let actor = verbs.sharing.actor(account)?;
    let seen = verbs.mailboxes.accounts_seen(&actor)?;
    let mut all = Vec::new();
    for owner in seen.into_keys().take(MAX_PUSH_ACCOUNTS) {
        all.extend(Scope::of_actor(verbs, &actor, owner)?);
    }
    Ok(all)
}

/// Where somebody stands who knows of everything in it. It is the state of the mailboxes, which moves with
/// the messages, too.
pub(super) fn state(verbs: &Verbs<'_>, scope: &Scope) -> Result<String, MethodError> {
    let newest = scope.newest(verbs.mailboxes)?;
    Ok(scope.state(Of::Mailboxes, newest))
}

/// What changed since a state, and the state now. None: nothing is known of it so far. No state of it, where
/// others are known: it is new.
pub(super) fn look(
    verbs: &Verbs<'_>,
    scope: &Scope,
    wanted: &Wanted,
    before: Option<Option<&str>>,
) -> Result<(String, Map<String, Value>), MethodError> {
    // Asked before the log, so that what comes meanwhile is told again.
    let newest = scope.newest(verbs.mailboxes)?;
    let now = scope.state(Of::Mailboxes, newest);
    let types = match before {
        None => Types::ALL,
        Some(Some(before)) if before == now => Types::default(),
        Some(before) => {
            let since = before.map(|before| scope.since(Of::Mailboxes, before, newest));
            match since {
                Some(Ok(since)) => changed_types_in(verbs.mailboxes, scope, since)?.0,
                // By other rights there are other things.
                Some(Err(_)) | None => Types::ALL_BUT_DELIVERY,
            }
        }
    };
    let mut changed = Map::new();
    for (name, is_changed) in types.by_name() {
        if is_changed && wanted.has(name) {
            let of = match name {
                "Mailbox" => Of::Mailboxes,
                _ => Of::Messages,
            };
            changed.insert(name.to_owned(), scope.state(of, newest).into());
        }
    }
    Ok((now, changed))
}
