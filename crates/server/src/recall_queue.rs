//! Recalls that were sealed for a client that does not wait for it, until somebody carries them out.
//!
//! Invariant: the smallest has its turn first, so that nobody's waits behind a withdrawal from a hundred
//! thousand mailboxes; and whoever takes small ones alone is never at a large one.
//!
//! Nothing depends on it: each is on the list of open ones, which the chores and the next start look at.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tern_recall::RecallId;

/// Accounts up to which a recall is small.
pub(crate) const SMALL: u64 = 1_000;

/// The queue.
#[derive(Default)]
pub(crate) struct RecallQueue {
    /// By how many accounts and addresses they speak of.
    waiting: Mutex<BTreeSet<(u64, RecallId)>>,
    more: Condvar,
}

impl RecallQueue {
    /// Adds one, unless it is there.
    pub(crate) fn put(&self, id: RecallId, width: u64) {
        self.lock().insert((width, id));
        self.more.notify_all();
    }

    /// Takes the smallest that is no larger than this; waits so long for one.
    pub(crate) fn take(&self, most: u64, patience: Duration) -> Option<RecallId> {
        let is_none = |waiting: &mut BTreeSet<(u64, RecallId)>| {
            waiting.first().is_none_or(|(width, _)| *width > most)
        };
        let waited = self
            .more
            .wait_timeout_while(self.lock(), patience, is_none)
            .unwrap_or_else(PoisonError::into_inner);
        let mut waiting = waited.0;
        if is_none(&mut waiting) {
            return None;
        }
        waiting.pop_first().map(|(_, id)| id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(u64, RecallId)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_recalls_have_their_turn_first_and_large_ones_are_not_everybodys() {
        let queue = RecallQueue::default();
        let [large, small, middle] = [[1; 16], [2; 16], [3; 16]].map(RecallId);
        let now = Duration::ZERO;
        queue.put(large, 100_000);
        assert_eq!(queue.take(SMALL, now), None);
        queue.put(middle, SMALL);
        queue.put(small, 1);
        queue.put(small, 1);
        assert_eq!(queue.take(u64::MAX, now), Some(small));
        assert_eq!(queue.take(SMALL, now), Some(middle));
        assert_eq!(queue.take(SMALL, now), None);
        assert_eq!(queue.take(u64::MAX, now), Some(large));
        assert_eq!(queue.take(u64::MAX, now), None);
    }
}
