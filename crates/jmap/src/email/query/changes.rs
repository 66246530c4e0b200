//! `Email/queryChanges` (RFC 8621 4.5, RFC 8620 5.6) from the account's change log.
//!
//! Invariant: a message of which nothing that the filter or the order looks at has changed stands
//! where it stood, relative to all others of its kind. Any other one that may have been among the
//! results is removed, and added again where it is one now.

use std::collections::BTreeSet;

use serde_json::Value;
use tern_base::{AccountId, MessageId, Modseq, ThreadId};
use tern_mailbox::rows::Change;
use tern_session::ids;

use super::order::{By, Step};
use super::results::{Query, Results, Told, mark_of};
use super::test::Test;
use crate::context::Context;
use crate::email::seen;
use crate::error::MethodError;
use crate::scope::Of;
use crate::standard::query::QueryChangesArgs;
use crate::state::Delta;
use crate::{args, limits};

/// `Email/queryChanges`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let collapse_threads = args::take_flag(&mut args, "collapseThreads")?;
    let args: QueryChangesArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let query = Query {
        test: Test::read(cx, account, args.filter.as_ref())?,
        order: Step::read(args.sort.as_deref())?,
        collapse_threads,
    };
    let (since, mark) = match args.since_query_state.split_once('-') {
        Some((since, mark)) => (since, format!("-{mark}")),
        None => (args.since_query_state.as_str(), String::new()),
    };
    // Changes of a mailbox that is being emptied are in the log, if they are before what is read of it.
    let is_emptying = cx.verbs.mailboxes.is_emptying(account)?;
    let results = Results::find(cx, &scope, &query, usize::MAX, |_| Ok(Told::All))?;
    // The view's own number: what came while it was made is in the log behind its state.
    let since = scope.since(Of::Messages, since, results.view.modseq)?;
    // What was hidden or shown since is in no log.
    if mark_of(&results.hidden) != mark {
        return Err(MethodError::CANNOT_CALCULATE_CHANGES);
    }
    let depends = Depends::of(&query);
    let delta = match scope.is_foreign() {
        true => seen::moved(cx, &scope, &results, since, depends.on_threads)?,
        false => changed(cx, account, &results, depends, since, is_emptying)?,
    };
    let may_have_been = delta.destroyed.union(&delta.updated).copied();
    let removed = may_have_been.map(|message| ids::email_id(account, message));
    let is_new =
        |message: &MessageId| delta.created.contains(message) || delta.updated.contains(message);
    let places = results.ids.iter().zip(0..);
    let added = places.filter(|(message, _)| is_new(message));
    let mut added: Vec<(String, usize)> = added
        .map(|(message, place)| (ids::email_id(account, *message), place))
        .collect();
    // RFC 8620 5.6: what follows is of no interest, where nothing can move from there to before.
    if let Some(id) = args.up_to_id.as_deref().filter(|_| depends.is_on_nothing()) {
        let last = ids::parse_email_id(account, id);
        let place = results
            .ids
            .iter()
            .position(|message| Some(*message) == last);
        if let Some(place) = place {
            added.retain(|(_, index)| *index <= place);
        }
    }
    let total = results.ids.len();
    args.response(
        cx,
        &results.query_state(&scope),
        removed.collect(),
        added,
        total,
    )
}

/// On what that can change the results depend.
#[derive(Clone, Copy)]
struct Depends {
    on_mailboxes: bool,
    on_keywords: bool,
    /// On the other Emails of a Thread.
    on_threads: bool,
}

impl Depends {
    fn of(query: &Query) -> Self {
        let mut depends = Self {
            on_mailboxes: false,
            on_keywords: false,
            on_threads: query.collapse_threads,
        };
        query.test.each(&mut |test| match test {
            Test::InMailbox(_) | Test::InOtherThan(_) => depends.on_mailboxes = true,
            Test::Has(_) => depends.on_keywords = true,
            Test::InThread(..) => (depends.on_keywords, depends.on_threads) = (true, true),
            _ => {}
        });
        for step in &query.order {
            match step.by {
                By::Has(_) => depends.on_keywords = true,
                By::InThread(..) => (depends.on_keywords, depends.on_threads) = (true, true),
                _ => {}
            }
        }
        depends
    }

    const fn is_on_nothing(self) -> bool {
        !self.on_mailboxes && !self.on_keywords && !self.on_threads
    }
}

/// The messages whose place may be another since a state.
fn changed(
    cx: &Context<'_>,
    account: AccountId,
    results: &Results,
    depends: Depends,
    since: Modseq,
    is_emptying: bool,
) -> Result<Delta<MessageId>, MethodError> {
    let mut touched = Touched {
        results,
        depends,
        delta: Delta::default(),
        threads: BTreeSet::new(),
    };
    let (mut at, mut count) = (since, 0);
    loop {
        let page = cx.verbs.mailboxes.account_changes(account, at, 1_000)?;
        let Some(last) = page.last() else { break };
        at = last.modseq;
        count += page.len();
        if count > limits::MAX_CHANGES {
            return Err(MethodError::CANNOT_CALCULATE_CHANGES);
        }
        for change in page {
            let is_deletion = matches!(change.change, Change::MailboxDestroyed(_));
            if is_deletion && is_emptying {
                return Err(MethodError::CANNOT_CALCULATE_CHANGES);
            }
            touched.take(&change.change, change.modseq <= results.view.modseq);
        }
    }
    let mut delta = touched.delta;
    if depends.on_threads && !touched.threads.is_empty() {
        for held in results.view.iter() {
            if touched.threads.contains(&held.thread) {
                delta.update(held.message);
            }
        }
    }
    Ok(delta)
}

struct Touched<'a> {
    results: &'a Results,
    depends: Depends,
    delta: Delta<MessageId>,
    threads: BTreeSet<ThreadId>,
}

impl Touched<'_> {
    /// Takes in a change. What is later than the view can be one of its results, or not.
    fn take(&mut self, change: &Change, is_of_view: bool) {
        let (message, thread) = match *change {
            Change::Placed {
                message,
                created: thread @ Some(_),
                ..
            } => {
                match is_of_view {
                    true => self.delta.create(message),
                    false => self.delta.update(message),
                }
                (message, thread)
            }
            Change::Vanished {
                message,
                destroyed: thread @ Some(_),
                ..
            } => {
                match is_of_view {
                    true => self.delta.destroy(message),
                    false => self.delta.update(message),
                }
                (message, thread)
            }
            // A message in another mailbox has the keywords of both.
            Change::Placed { message, .. } | Change::Vanished { message, .. }
                if self.depends.on_mailboxes || self.depends.on_keywords =>
            {
                self.delta.update(message);
                (message, None)
            }
            Change::Flagged { message, .. } if self.depends.on_keywords => {
                self.delta.update(message);
                (message, None)
            }
            _ => return,
        };
        let held = || self.results.view.get(message).map(|held| held.thread);
        self.threads.extend(thread.or_else(held));
    }
}
