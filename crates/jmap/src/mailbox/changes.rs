//! `Mailbox/changes` (RFC 8621 2.2).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use tern_base::{MailboxId, MessageId, ThreadId};
use tern_mailbox::AccountView;
use tern_mailbox::rows::Change;
use tern_session::ids;

use super::get::COUNTS;
use crate::args;
use crate::context::Context;
use crate::email::seen;
use crate::error::MethodError;
use crate::scope::Of;
use crate::standard::changes::{self, ChangesArgs};
use crate::state::Delta;

/// `Mailbox/changes`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: ChangesArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let all = cx.verbs.mailboxes.account_view(scope.account)?;
    let (view, newest_seen) = scope.view(cx.verbs.mailboxes)?;
    let gone = match scope.is_foreign() {
        true => {
            let since = scope.since(Of::Mailboxes, &args.since_state, view.modseq)?;
            seen::threads_of_gone(cx, &scope, since)?
        }
        // The change itself tells.
        false => BTreeMap::new(),
    };
    let thread_of = |message: MessageId| {
        let held = view.get(message).or_else(|| all.get(message));
        let held = held.map(|held| held.thread);
        held.or_else(|| gone.get(&message).copied())
    };
    let shown = Shown {
        view: &view,
        thread_of: &thread_of,
        by_thread: OnceCell::new(),
    };
    let of = (&scope, Of::Mailboxes);
    let part = changes::read(cx, of, &args, (newest_seen, view.modseq), |change| {
        shown.touched(change)
    })?;
    let (mut delta, mut only_counts) = (Delta::default(), true);
    for change in &part.changes {
        match *change {
            Change::MailboxCreated(mailbox) => delta.create(mailbox),
            Change::MailboxDestroyed(mailbox) => delta.destroy(mailbox),
            Change::MailboxUpdated(mailbox) => {
                only_counts = false;
                delta.update(mailbox);
            }
            Change::Placed { .. } | Change::Flagged { .. } | Change::Vanished { .. } => {
                let touched = shown.touched(change).into_iter();
                touched.for_each(|mailbox| delta.update(mailbox));
            }
        }
    }
    // What is still to be taken out of a mailbox that is gone is no news of it, nor is what there was
    // before it.
    let folders = scope.folders(cx.verbs.mailboxes)?;
    let mut there: BTreeSet<MailboxId> = folders.iter().map(|folder| folder.id).collect();
    for change in part.later.iter().rev() {
        match *change {
            Change::MailboxCreated(mailbox) => drop(there.remove(&mailbox)),
            Change::MailboxDestroyed(mailbox) => drop(there.insert(mailbox)),
            _ => {}
        }
    }
    delta.updated.retain(|mailbox| there.contains(mailbox));
    let updated = (only_counts && !delta.updated.is_empty()).then_some(COUNTS);
    let mut response =
        changes::response(&args, &part, &delta, |id| ids::mailbox_id(part.account, id));
    if let Value::Object(all) = &mut response {
        all.insert("updatedProperties".to_owned(), json!(updated));
    }
    Ok(response)
}

/// Which mailboxes show any of a conversation: whether it is unread counts in each of them.
struct Shown<'a> {
    /// The conversation of a message, also of one that left what is seen, or is gone.
    thread_of: &'a dyn Fn(MessageId) -> Option<ThreadId>,
    view: &'a AccountView,
    /// Made once a message has changed: most who ask are told that nothing did.
    by_thread: OnceCell<HashMap<ThreadId, BTreeSet<MailboxId>>>,
}

impl Shown<'_> {
    fn by_thread(&self) -> &HashMap<ThreadId, BTreeSet<MailboxId>> {
        self.by_thread.get_or_init(|| {
            let mut all: HashMap<ThreadId, BTreeSet<MailboxId>> = HashMap::new();
            for held in self.view.iter() {
                all.entry(held.thread).or_default().extend(held.mailboxes());
            }
            all
        })
    }

    /// The mailboxes whose properties a change may change.
    fn touched(&self, change: &Change) -> BTreeSet<MailboxId> {
        let (mailbox, message, gone_from) = match *change {
            Change::MailboxCreated(mailbox)
            | Change::MailboxUpdated(mailbox)
            | Change::MailboxDestroyed(mailbox) => return [mailbox].into(),
            Change::Placed {
                mailbox, message, ..
            }
            | Change::Flagged {
                mailbox, message, ..
            } => (mailbox, message, None),
            Change::Vanished {
                mailbox,
                message,
                destroyed,
                ..
            } => (mailbox, message, destroyed),
        };
        let thread = gone_from.or_else(|| (self.thread_of)(message));
        let others = thread.and_then(|thread| self.by_thread().get(&thread));
        let others = others.into_iter().flatten().copied();
        others.chain([mailbox]).collect()
    }
}
