//! The messages of a command, with their sequence numbers and entries of the view, in order and
//! resumable.
//!
//! Invariant: a UID is visited once; its number is its rank among the known UIDs, whether or not
//! the view still has it.

use roaring::RoaringBitmap;
use tern_base::Uid;
use tern_mailbox::{Entry, View};

/// What is left of a command's messages.
pub(in crate::session) struct Walk {
    target: RoaringBitmap,
    /// The first UID that is yet to be visited; `None` when all were.
    next: Option<u32>,
}

/// How far the walk follows the view entry by entry before it looks a UID up.
const NEAR: usize = 8;

impl Walk {
    /// Visits the UIDs of `target`.
    pub(in crate::session) fn new(target: RoaringBitmap) -> Self {
        let next = target.min();
        Self { target, next }
    }

    /// Whether all were visited.
    pub(in crate::session) const fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// About how many are left, at most.
    pub(in crate::session) fn left(&self) -> usize {
        usize::try_from(self.target.len()).unwrap_or(usize::MAX)
    }

    /// Visits messages until `each` says to stop: sequence number, UID, entry.
    pub(in crate::session) fn walk(
        &mut self,
        known: &RoaringBitmap,
        view: &View,
        mut each: impl FnMut(u32, u32, Option<&Entry>) -> bool,
    ) {
        let Some(start) = self.next.take() else {
            return;
        };
        let mut entries = view.iter_from(Uid(start)).peekable();
        let mut numbers = known.range(start..);
        let rank = |uid: u32| u32::try_from(known.rank(uid)).unwrap_or(u32::MAX);
        let mut number = rank(start - 1);
        let mut targets = self.target.range(start..);
        while let Some(uid) = targets.next() {
            if numbers.next() == Some(uid) {
                number += 1;
            } else {
                number = rank(uid);
                numbers = known.range(uid.saturating_add(1)..);
            }
            let behind = |entry: &&Entry| entry.uid.0 < uid;
            for _ in 0..NEAR {
                if entries.next_if(behind).is_none() {
                    break;
                }
            }
            let entry = match entries.peek() {
                Some(entry) if entry.uid.0 == uid => Some(*entry),
                Some(entry) if entry.uid.0 < uid => view.get(Uid(uid)),
                _ => None,
            };
            if !each(number, uid, entry) {
                self.next = targets.next();
                return;
            }
        }
    }
}
