//! `Mailbox/queryChanges` (RFC 8621 2.4) from the account's change log.
//!
//! Invariant: a mailbox that did not change, nor any above it, stands where it stood among its kind.

use std::collections::BTreeSet;

use serde_json::Value;
use tern_base::{AccountId, MailboxId, Modseq};
use tern_mailbox::Folder;
use tern_mailbox::rows::Change;
use tern_session::ids;

use super::query::{Query, at_one_moment};
use crate::context::Context;
use crate::error::MethodError;
use crate::scope::Of;
use crate::standard::listed;
use crate::standard::query::QueryChangesArgs;
use crate::state::Delta;
use crate::{args, limits};

/// `Mailbox/queryChanges`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let flags = Query::take_flags(&mut args)?;
    let args: QueryChangesArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let sort = args.sort.as_deref();
    let query = Query::read(cx, account, args.filter.as_ref(), sort, flags)?;
    let (newest, folders) = at_one_moment(cx, &scope)?;
    let since = scope.since(Of::Mailboxes, &args.since_query_state, newest)?;
    let mut delta = match scope.is_foreign() {
        // Of mailboxes of somebody else's the state tells, and the log has nothing to say.
        true => Delta::default(),
        false => changed(cx, account, since, newest)?,
    };
    let touched: BTreeSet<MailboxId> = delta.created.union(&delta.updated).copied().collect();
    if query.sort_as_tree || query.filter_as_tree {
        below(&folders, touched)
            .into_iter()
            .for_each(|mailbox| delta.update(mailbox));
    }
    let found = query.find(&folders);
    let text = |id| ids::mailbox_id(account, id);
    listed::changes(
        cx,
        &args,
        &scope.state(Of::Mailboxes, newest),
        &found,
        &delta,
        text,
    )
}

/// What became of an account's own mailboxes.
fn changed(
    cx: &Context<'_>,
    account: AccountId,
    since: Modseq,
    newest: Modseq,
) -> Result<Delta<MailboxId>, MethodError> {
    let (mut delta, mut at, mut count) = (Delta::default(), since, 0);
    loop {
        let page = cx.verbs.mailboxes.account_changes(account, at, 1_000)?;
        let Some(last) = page.last() else {
            return Ok(delta);
        };
        at = last.modseq;
        count += page.len();
        if count > limits::MAX_CHANGES {
            return Err(MethodError::CANNOT_CALCULATE_CHANGES);
        }
        for change in page.iter().filter(|change| change.modseq <= newest) {
            match change.change {
                Change::MailboxCreated(mailbox) => delta.create(mailbox),
                Change::MailboxUpdated(mailbox) => delta.update(mailbox),
                Change::MailboxDestroyed(mailbox) => delta.destroy(mailbox),
                Change::Placed { .. } | Change::Flagged { .. } | Change::Vanished { .. } => {}
            }
        }
    }
}

/// These mailboxes and all that are in them.
fn below(folders: &[Folder], mut touched: BTreeSet<MailboxId>) -> BTreeSet<MailboxId> {
    loop {
        let count = touched.len();
        let inside = folders
            .iter()
            .filter(|folder| {
                folder
                    .parent
                    .is_some_and(|parent| touched.contains(&parent))
            })
            .map(|folder| folder.id);
        let inside: Vec<MailboxId> = inside.collect();
        touched.extend(inside);
        if touched.len() == count {
            return touched;
        }
    }
}
