//! How many Emails and Threads each mailbox has, and how many of them are unread (RFC 8621 2).

use std::collections::{HashMap, HashSet};

use tern_base::{MailboxId, ThreadId};
use tern_mailbox::{AccountView, Held, SystemFlag};

/// The counts of one mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total_emails: usize,
    pub(crate) unread_emails: usize,
    pub(crate) total_threads: usize,
    pub(crate) unread_threads: usize,
}

/// The counts of every mailbox that has messages.
pub(crate) type AllCounts = HashMap<MailboxId, Counts>;

/// Whether an Email counts as unread: neither `$seen` nor `$draft`.
fn is_unread(held: &Held) -> bool {
    !held.flags.has(SystemFlag::Seen) && !held.flags.has(SystemFlag::Draft)
}

/// The counts of every mailbox that has messages. A conversation with an unread Email is unread in
/// each mailbox that shows any of it; but what is only in the trash counts in the trash alone, and
/// what is not there does not count there.
pub(crate) fn counts(view: &AccountView, trash: Option<MailboxId>) -> AllCounts {
    let (mut unread, mut unread_in_trash) = (HashSet::new(), HashSet::new());
    for held in view.iter().filter(|held| is_unread(held)) {
        let in_trash = trash.is_some_and(|trash| held.is_in(trash));
        if in_trash {
            unread_in_trash.insert(held.thread);
        }
        if !in_trash || held.places.len() > 1 {
            unread.insert(held.thread);
        }
    }
    let mut all: HashMap<MailboxId, (Counts, HashSet<ThreadId>)> = HashMap::new();
    for held in view.iter() {
        for mailbox in held.mailboxes() {
            let (counts, threads) = all.entry(mailbox).or_default();
            counts.total_emails += 1;
            counts.unread_emails += usize::from(is_unread(held));
            if threads.insert(held.thread) {
                let unread = match trash == Some(mailbox) {
                    true => &unread_in_trash,
                    false => &unread,
                };
                counts.total_threads += 1;
                counts.unread_threads += usize::from(unread.contains(&held.thread));
            }
        }
    }
    all.into_iter()
        .map(|(mailbox, (counts, _))| (mailbox, counts))
        .collect()
}
