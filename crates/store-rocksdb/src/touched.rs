//! Which rows were written since when: spares the comparison of a row that nobody has touched.
//!
//! Groups of commits are numbered. A table of hashed keys holds the number of the last group that
//! wrote a row with that hash, noted *before* the write; the number of the last group that was
//! written is published *after* it, and a snapshot takes that number before it is made. So a row
//! whose slot is no newer than a snapshot holds what the snapshot saw. Two keys of one slot, and
//! a group that failed, cost a comparison and nothing else.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many slots there are: 1 MiB of them.
const SLOTS: usize = 1 << 17;

/// Where a key is noted. Worked out by each committer, not by the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

impl Slot {
    pub(crate) fn of(key: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Self(hasher.finish() as usize % SLOTS)
    }
}

/// The table. Only the leader of a group writes to it.
#[derive(Debug)]
pub(crate) struct Touched {
    begun: AtomicU64,
    published: AtomicU64,
    slots: Box<[AtomicU64]>,
}

impl Default for Touched {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            published: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Touched {
    /// The version of a snapshot that is made after this call.
    pub(crate) fn version(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// The number of the next group.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A group is about to write a row. The queue's lock orders one leader's notes before the
    /// next leader's questions.
    pub(crate) fn note(&self, slot: Slot, group: u64) {
        if let Some(slot) = self.slots.get(slot.0) {
            slot.store(group, Ordering::Relaxed);
        }
    }

    /// A group is written.
    pub(crate) fn publish(&self, group: u64) {
        self.published.store(group, Ordering::Release);
    }

    /// Whether a row holds what a snapshot of that version saw.
    pub(crate) fn untouched(&self, slot: Slot, version: u64) -> bool {
        let slot = self.slots.get(slot.0);
        slot.is_some_and(|slot| slot.load(Ordering::Relaxed) <= version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_touched_from_the_note_on_until_a_later_snapshot() {
        let touched = Touched::default();
        let (one, other) = (Slot::of(b"one"), Slot::of(b"other"));
        assert_ne!(one, other);
        let before = touched.version();
        assert!(touched.untouched(one, before));
        let group = touched.begin();
        touched.note(one, group);
        // Noted and not yet written: a snapshot made now may miss it.
        assert!(!touched.untouched(one, touched.version()));
        assert!(touched.untouched(other, before));
        touched.publish(group);
        assert!(!touched.untouched(one, before));
        assert!(touched.untouched(one, touched.version()));
    }
}
