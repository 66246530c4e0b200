//! What changed of Emails and Threads in an account of somebody else, of which the caller sees a part.
//!
//! The log says what an account gained and lost; whoever sees some of its mailboxes gained what came into
//! one of these, wherever it was before, and lost what left the last of them. So what is there now is
//! followed back along the changes that are seen.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tern_base::{AccountId, MailboxId, MessageId, Modseq, ThreadId, Uid};
use tern_mailbox::AccountView;
use tern_mailbox::rows::Change;
use tern_session::ids;

use super::changes::message_of;
use super::query::results::Results;
use crate::context::Context;
use crate::error::MethodError;
use crate::scope::{Of, Scope};
use crate::standard::changes::{self, ChangesArgs, Part};
use crate::state::Delta;
use crate::{limits, thread};

/// The mailboxes that show messages, and where.
type Places = BTreeMap<MessageId, BTreeSet<(MailboxId, Uid)>>;

/// Whether a message was there before the changes, and whether it was behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    was: bool,
    is: bool,
}

/// What became of each message that any change touched, of a view that the later changes led to.
fn turns<'c>(
    view: &AccountView,
    changes: &'c [Change],
    later: &'c [Change],
) -> BTreeMap<MessageId, Turn> {
    let mut places = Places::new();
    for message in changes.iter().chain(later).filter_map(message_of) {
        places.entry(message).or_insert_with(|| {
            let held = view.get(message);
            held.map_or(BTreeSet::new(), |held| {
                held.places.iter().copied().collect()
            })
        });
    }
    let mut back = |changes: &'c [Change]| {
        for change in changes.iter().rev() {
            undo(change, &mut places);
        }
        let shown = places.iter().filter(|(_, shown)| !shown.is_empty());
        shown.map(|(message, _)| *message).collect::<BTreeSet<_>>()
    };
    let (is, was) = (back(later), back(changes));
    let turn = |message: &MessageId| Turn {
        was: was.contains(message),
        is: is.contains(message),
    };
    places.keys().map(|it| (*it, turn(it))).collect()
}

fn undo(change: &Change, places: &mut Places) {
    match *change {
        Change::Placed {
            mailbox,
            uid,
            message,
            ..
        } => drop(places.entry(message).or_default().remove(&(mailbox, uid))),
        Change::Vanished {
            mailbox,
            uid,
            message,
            ..
        } => drop(places.entry(message).or_default().insert((mailbox, uid))),
        _ => {}
    }
}

/// `Email/changes`
pub(super) fn emails(
    cx: &Context<'_>,
    scope: &Scope,
    args: &ChangesArgs,
) -> Result<Value, MethodError> {
    let (view, seen) = scope.view(cx.verbs.mailboxes)?;
    let newest = (seen, view.modseq);
    let part = changes::read(cx, (scope, Of::Messages), args, newest, message_of)?;
    let turns = turns(&view, &part.changes, &part.later);
    let touched: BTreeSet<MessageId> = part.changes.iter().filter_map(message_of).collect();
    let mut delta = Delta::default();
    for message in touched {
        match turns.get(&message).map(|turn| (turn.was, turn.is)) {
            Some((false, true)) => delta.create(message),
            Some((true, true)) => delta.update(message),
            Some((true, false)) => delta.destroy(message),
            Some((false, false)) | None => {}
        }
    }
    Ok(changes::response(args, &part, &delta, |id| {
        ids::email_id(scope.account, id)
    }))
}

/// `Thread/changes`
pub(crate) fn threads(
    cx: &Context<'_>,
    scope: &Scope,
    args: &ChangesArgs,
) -> Result<Value, MethodError> {
    let (mailboxes, account) = (cx.verbs.mailboxes, scope.account);
    let all = mailboxes.account_view(account)?;
    let (view, seen) = scope.view(mailboxes)?;
    let newest = (seen, view.modseq);
    let since = scope.since(Of::Messages, &args.since_state, view.modseq)?;
    let gone = threads_of_gone(cx, scope, since)?;
    let thread_of = |message: MessageId| {
        let held = view.get(message).or_else(|| all.get(message));
        let held = held.map(|held| held.thread);
        held.or_else(|| gone.get(&message).copied())
    };
    let part = changes::read(cx, (scope, Of::Messages), args, newest, |change| {
        message_of(change).and_then(thread_of)
    })?;
    let delta = threads_of(cx, account, (&view, &part), thread_of)?;
    Ok(changes::response(args, &part, &delta, |id| {
        ids::thread_id(account, id)
    }))
}

fn threads_of(
    cx: &Context<'_>,
    account: AccountId,
    (view, part): (&AccountView, &Part),
    thread_of: impl Fn(MessageId) -> Option<ThreadId>,
) -> Result<Delta<ThreadId>, MethodError> {
    let turns = turns(view, &part.changes, &part.later);
    let mut touched: BTreeMap<ThreadId, Vec<Turn>> = BTreeMap::new();
    for (message, turn) in &turns {
        // One that came and went between two looks, and of which nothing is known, was in no Thread that
        // was told.
        if let Some(thread) = thread_of(*message) {
            touched.entry(thread).or_default().push(*turn);
        }
    }
    let mut delta = Delta::default();
    for (thread, of_thread) in touched {
        let members = thread::members(cx.verbs.mailboxes, account, view, thread)?;
        let stays = members.iter().any(|message| !turns.contains_key(message));
        let was = stays || of_thread.iter().any(|turn| turn.was);
        let is = stays || of_thread.iter().any(|turn| turn.is);
        let moves = of_thread.iter().any(|turn| turn.was != turn.is);
        match (was, is) {
            (false, true) => delta.create(thread),
            (true, true) if moves => delta.update(thread),
            (true, false) => delta.destroy(thread),
            _ => {}
        }
    }
    Ok(delta)
}

/// The Threads of messages that the account has no more: seen by nobody, and still theirs when they left
/// what the caller sees.
pub(crate) fn threads_of_gone(
    cx: &Context<'_>,
    scope: &Scope,
    since: Modseq,
) -> Result<BTreeMap<MessageId, ThreadId>, MethodError> {
    let (mut gone, mut at) = (BTreeMap::new(), since);
    let mailboxes = cx.verbs.mailboxes;
    if scope.is_quiet_since(mailboxes, since)? {
        return Ok(gone);
    }
    loop {
        let page = mailboxes.account_changes(scope.account, at, 1_000)?;
        let Some(last) = page.last() else {
            return Ok(gone);
        };
        at = last.modseq;
        for change in page {
            if let Change::Vanished {
                message,
                destroyed: Some(thread),
                ..
            } = change.change
            {
                gone.insert(message, thread);
            }
        }
    }
}

/// The messages whose place among the results of a query may be another since a state.
pub(super) fn moved(
    cx: &Context<'_>,
    scope: &Scope,
    results: &Results,
    since: Modseq,
    by_threads: bool,
) -> Result<Delta<MessageId>, MethodError> {
    let (mut changes, mut later) = (Vec::new(), BTreeSet::new());
    let mut at = since;
    // Asked behind the results.
    if scope.is_quiet_since(cx.verbs.mailboxes, since)? {
        return Ok(Delta::default());
    }
    loop {
        let page = cx
            .verbs
            .mailboxes
            .account_changes(scope.account, at, 1_000)?;
        let Some(last) = page.last() else { break };
        at = last.modseq;
        for change in page
            .iter()
            .filter(|change| scope.sees_change(&change.change))
        {
            match change.modseq <= results.view.modseq {
                true => changes.push(change.change),
                // One of the results, or not: it is looked at when they are.
                false => later.extend(message_of(&change.change)),
            }
        }
        if changes.len() + later.len() > limits::MAX_CHANGES {
            return Err(MethodError::CANNOT_CALCULATE_CHANGES);
        }
    }
    let mut delta = Delta::default();
    for (message, turn) in turns(&results.view, &changes, &[]) {
        match (turn.was, turn.is) {
            (false, true) => delta.create(message),
            (true, true) => delta.update(message),
            (true, false) => delta.destroy(message),
            (false, false) => {}
        }
    }
    later.iter().for_each(|message| delta.update(*message));
    if by_threads {
        with_their_threads(cx, scope, (results, since), &mut delta)?;
    }
    Ok(delta)
}

/// Where results depend on the other Emails of a Thread, all of them may move.
fn with_their_threads(
    cx: &Context<'_>,
    scope: &Scope,
    (results, since): (&Results, Modseq),
    delta: &mut Delta<MessageId>,
) -> Result<(), MethodError> {
    let all = cx.verbs.mailboxes.account_view(scope.account)?;
    let gone = threads_of_gone(cx, scope, since)?;
    let thread_of = |message: &MessageId| {
        let held = results.view.get(*message).or_else(|| all.get(*message));
        let held = held.map(|held| held.thread);
        held.or_else(|| gone.get(message).copied())
    };
    let touched = delta.created.iter().chain(&delta.updated);
    let touched = touched.chain(&delta.destroyed);
    let threads: BTreeSet<ThreadId> = touched.filter_map(thread_of).collect();
    let members = results.view.iter();
    let members = members.filter(|held| threads.contains(&held.thread));
    members.for_each(|held| delta.update(held.message));
    Ok(())
}
