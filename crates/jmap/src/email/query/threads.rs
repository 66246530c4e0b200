//! Which conversations have a keyword on all of their Emails, or on some.

use std::collections::{BTreeSet, HashSet};

use tern_base::{MessageId, ThreadId};
use tern_mailbox::AccountView;

use super::test::{Keyword, Share};

/// The conversations by each keyword that is asked for.
pub(crate) struct Threads(Vec<ByKeyword>);

struct ByKeyword {
    keyword: Keyword,
    /// Some of their Emails have it.
    with: HashSet<ThreadId>,
    /// Some have it not.
    without: HashSet<ThreadId>,
}

impl Threads {
    pub(crate) fn of<'k>(
        view: &AccountView,
        hidden: &BTreeSet<MessageId>,
        keywords: impl Iterator<Item = &'k Keyword>,
    ) -> Self {
        let mut all: Vec<ByKeyword> = Vec::new();
        for keyword in keywords {
            if all.iter().any(|known| known.keyword == *keyword) {
                continue;
            }
            let (mut with, mut without) = (HashSet::new(), HashSet::new());
            for held in view.iter().filter(|held| !hidden.contains(&held.message)) {
                match keyword.is_on(held) {
                    true => with.insert(held.thread),
                    false => without.insert(held.thread),
                };
            }
            all.push(ByKeyword {
                keyword: keyword.clone(),
                with,
                without,
            });
        }
        Self(all)
    }

    /// Whether all, or some, Emails of a conversation have a keyword.
    pub(crate) fn have(&self, thread: ThreadId, share: Share, keyword: &Keyword) -> bool {
        let known = self.0.iter().find(|known| known.keyword == *keyword);
        known.is_some_and(|known| match share {
            Share::All => !known.without.contains(&thread),
            Share::Some => known.with.contains(&thread),
        })
    }
}
