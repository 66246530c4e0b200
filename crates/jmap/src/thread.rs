//! `Thread/get` and `Thread/changes` (RFC 8621 3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tern_base::{AccountId, MessageId, ThreadId};
use tern_mailbox::rows::Change;
use tern_mailbox::{AccountView, MailboxError, Mailboxes};
use tern_session::ids;

use crate::args;
use crate::budget::Objects;
use crate::context::Context;
use crate::email::seen;
use crate::error::MethodError;
use crate::scope::Of;
use crate::standard::changes::{self, ChangesArgs};
use crate::standard::get::{self, GetArgs, Wanted};
use crate::state::Delta;

/// The messages of a conversation, the oldest first.
pub(crate) fn members(
    mailboxes: &Mailboxes,
    account: AccountId,
    view: &AccountView,
    thread: ThreadId,
) -> Result<Vec<MessageId>, MailboxError> {
    let all = mailboxes.thread(account, thread)?;
    let mut held: Vec<_> = all
        .iter()
        .filter_map(|message| view.get(*message))
        .collect();
    held.sort_by_key(|held| (held.received, held.message));
    Ok(held.into_iter().map(|held| held.message).collect())
}

/// `Thread/get`
pub(crate) fn get(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let wanted = Wanted::of(args.properties.as_deref(), &["id", "emailIds"])?;
    let (view, modseq) = scope.view(cx.verbs.mailboxes)?;
    let ids = match &args.ids {
        Some(ids) => cx.each_once(ids)?,
        None => {
            let all: BTreeSet<ThreadId> = view.iter().map(|held| held.thread).collect();
            let all: Vec<String> = all
                .into_iter()
                .map(|id| ids::thread_id(account, id))
                .collect();
            cx.each_once(&all)?
        }
    };
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    for id in ids {
        let members = match ids::parse_thread_id(account, &id) {
            Some(thread) => members(cx.verbs.mailboxes, account, &view, thread)?,
            None => Vec::new(),
        };
        if members.is_empty() {
            not_found.push(id);
            continue;
        }
        let emails = members
            .iter()
            .map(|message| ids::email_id(account, *message));
        let emails: Vec<String> = emails.collect();
        list.push(cx, wanted.select(json!({"id": id, "emailIds": emails})))?;
    }
    Ok(get::response(
        &args.account_id,
        &scope.state(Of::Messages, modseq),
        list,
        &not_found,
    ))
}

/// Messages that came into a conversation, and that left it.
#[derive(Default)]
struct Turnover {
    came: BTreeSet<MessageId>,
    went: BTreeSet<MessageId>,
}

/// Takes back what changed a conversation later, the newest first.
fn undo(later: &[Change], of: ThreadId, members: &mut BTreeSet<MessageId>) {
    for change in later.iter().rev() {
        match *change {
            Change::Placed {
                message,
                created: Some(thread),
                ..
            } if thread == of => {
                members.remove(&message);
            }
            Change::Vanished {
                message,
                destroyed: Some(thread),
                ..
            } if thread == of => {
                members.insert(message);
            }
            _ => {}
        }
    }
}

/// `Thread/changes`
pub(crate) fn changes(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    if scope.is_foreign() {
        return seen::threads(cx, &scope, &args);
    }
    let newest = cx.verbs.mailboxes.newest_modseq(scope.account)?;
    let part = changes::read(
        cx,
        (&scope, Of::Messages),
        &args,
        (newest, newest),
        |change| match change {
            Change::Placed { created, .. } => *created,
            Change::Vanished { destroyed, .. } => *destroyed,
            _ => None,
        },
    )?;
    let mut threads: BTreeMap<ThreadId, Turnover> = BTreeMap::new();
    for change in &part.changes {
        match *change {
            Change::Placed {
                message,
                created: Some(thread),
                ..
            } => {
                let turnover = threads.entry(thread).or_default();
                if !turnover.went.remove(&message) {
                    turnover.came.insert(message);
                }
            }
            Change::Vanished {
                message,
                destroyed: Some(thread),
                ..
            } => {
                let turnover = threads.entry(thread).or_default();
                if !turnover.came.remove(&message) {
                    turnover.went.insert(message);
                }
            }
            _ => {}
        }
    }
    let mut delta = Delta::default();
    for (thread, turnover) in threads {
        let mut now: BTreeSet<MessageId> = cx
            .verbs
            .mailboxes
            .thread(part.account, thread)?
            .into_iter()
            .collect();
        undo(&part.later, thread, &mut now);
        let stayed = now.iter().any(|message| !turnover.came.contains(message));
        match (stayed || !turnover.went.is_empty(), now.is_empty()) {
            (true, true) => delta.destroy(thread),
            (true, false) => delta.update(thread),
            (false, false) => delta.create(thread),
            (false, true) => {}
        }
    }
    Ok(changes::response(&args, &part, &delta, |id| {
        ids::thread_id(part.account, id)
    }))
}
