//! Group commit: who commits at the same moment shares one write and one sync.
//!
//! Committers queue. The first leads: it takes the queue as its group, validates each batch
//! against the store and the batches before it in the group, writes the valid ones as one, syncs
//! once, passes the lead to the next in the queue and answers everyone. What can be done by each
//! committer for itself is done before it queues: a leader's time is everybody's.
//!
//! Invariants: one leader at a time, so nobody changes what it has compared; whoever queued is
//! answered, even when a leader panics (as unknown: the write may have been done).

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tern_store::{CommitError, Expectation, StoreError};

use crate::touched::{Slot, Touched};

/// A group takes batches until they hold so many bytes: one write stays small beside a buffer.
const MAX_GROUP_BYTES: usize = 4 << 20;

type Outcome = Result<(), CommitError>;

/// What reaches a committer that waits in the queue.
#[derive(Debug)]
enum Signal {
    Lead,
    Done(Outcome),
}

#[derive(Debug, Default)]
struct Waiter {
    signal: Mutex<Option<Signal>>,
    signalled: Condvar,
}

impl Waiter {
    fn send(&self, signal: Signal) {
        *lock(&self.signal) = Some(signal);
        self.signalled.notify_one();
    }

    fn wait(&self) -> Signal {
        let mut slot = lock(&self.signal);
        loop {
            if let Some(signal) = slot.take() {
                return signal;
            }
            slot = self
                .signalled
                .wait(slot)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A batch as the store will write it.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The version of the snapshot that the expectations were read from, if it was one.
    pub(crate) version: Option<u64>,
    pub(crate) expectations: Vec<(Slot, Expectation)>,
    /// The rows that it leaves behind, in the order of the writes.
    pub(crate) rows: Vec<(Slot, Row)>,
    /// All of it in the store's own form; empty when there is nothing to write.
    pub(crate) encoded: Vec<u8>,
}

/// A key and the value it gets, or `None` when it goes.
pub(crate) type Row = (Vec<u8>, Option<Vec<u8>>);

#[derive(Debug)]
struct Member {
    work: Work,
    waiter: Arc<Waiter>,
}

#[derive(Debug, Default)]
struct Line {
    led: bool,
    members: VecDeque<Member>,
}

/// The committers under way.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    pub(crate) touched: Touched,
}

/// What the leader's group needs of the store.
pub(crate) trait Store {
    /// Whether a row is as a batch expects it.
    fn holds(&self, expected: &Expectation) -> Result<bool, StoreError>;

    /// Writes batches as one, synced.
    fn write(&self, works: &[&Work]) -> Result<(), CommitError>;
}

impl Queue {
    /// Commits a batch together with whoever else is committing.
    pub(crate) fn commit(&self, work: Work, store: &impl Store) -> Outcome {
        let waiter = Arc::new(Waiter::default());
        if !self.join(work, &waiter) {
            match waiter.wait() {
                Signal::Done(outcome) => return outcome,
                Signal::Lead => {}
            }
        }
        // The leader is the first of its group, and is answered like the others.
        self.take_group().run(store);
        match waiter.wait() {
            Signal::Done(outcome) => outcome,
            // Nobody is told to lead after it has led: it is in the queue no more.
            Signal::Lead => Err(StoreError::Unknown.into()),
        }
    }

    /// Queues a batch; whether its committer leads.
    fn join(&self, work: Work, waiter: &Arc<Waiter>) -> bool {
        let mut line = lock(&self.line);
        line.members.push_back(Member {
            work,
            waiter: waiter.clone(),
        });
        !mem::replace(&mut line.led, true)
    }

    fn take_group(&self) -> Group<'_> {
        let mut line = lock(&self.line);
        let mut bytes = 0;
        let mut count = 0;
        for member in &line.members {
            bytes += member.work.encoded.len();
            if count > 0 && bytes > MAX_GROUP_BYTES {
                break;
            }
            count += 1;
        }
        let members: Vec<Member> = line.members.drain(..count).collect();
        Group {
            queue: self,
            outcomes: members.iter().map(|_| None).collect(),
            members,
        }
    }

    fn pass_on(&self) {
        let mut line = lock(&self.line);
        match line.members.front() {
            Some(next) => next.waiter.send(Signal::Lead),
            None => line.led = false,
        }
    }
}

/// The batches of one write. Dropping it passes the lead on and answers everyone.
struct Group<'a> {
    queue: &'a Queue,
    members: Vec<Member>,
    outcomes: Vec<Option<Outcome>>,
}

impl Group<'_> {
    fn run(mut self, store: &impl Store) {
        let mut valid = Valid::new(&self.queue.touched);
        for (member, outcome) in self.members.iter().zip(&mut self.outcomes) {
            match valid.check(&member.work, store) {
                Ok(()) => valid.add(&member.work),
                Err(refused) => *outcome = Some(Err(refused)),
            }
        }
        let written = valid.write(store);
        for outcome in &mut self.outcomes {
            outcome.get_or_insert_with(|| written.clone());
        }
    }
}

/// The batches of a group that are going to be written.
struct Valid<'a> {
    touched: &'a Touched,
    group: u64,
    works: Vec<&'a Work>,
    /// What the first `known` of them write.
    rows: HashMap<&'a [u8], Option<&'a [u8]>>,
    known: usize,
}

impl<'a> Valid<'a> {
    fn new(touched: &'a Touched) -> Self {
        Self {
            touched,
            group: touched.begin(),
            works: Vec::new(),
            rows: HashMap::new(),
            known: 0,
        }
    }

    /// Whether everything that a batch expects holds.
    fn check(&mut self, work: &Work, store: &impl Store) -> Outcome {
        for (slot, expected) in &work.expectations {
            let untouched = |version| self.touched.untouched(*slot, version);
            if !work.version.is_some_and(untouched) && !self.holds(expected, store)? {
                return Err(CommitError::Conflict);
            }
        }
        Ok(())
    }

    /// Compares, what the group writes first.
    fn holds(&mut self, expected: &Expectation, store: &impl Store) -> Result<bool, StoreError> {
        for work in self.works.iter().skip(self.known) {
            let rows = work.rows.iter();
            self.rows
                .extend(rows.map(|(_, (key, value))| (&key[..], value.as_deref())));
        }
        self.known = self.works.len();
        match self.rows.get(&expected.key[..]) {
            Some(written) => Ok(*written == expected.value.as_deref()),
            None => store.holds(expected),
        }
    }

    fn add(&mut self, work: &'a Work) {
        for (slot, _) in &work.rows {
            self.touched.note(*slot, self.group);
        }
        self.works.push(work);
    }

    fn write(&self, store: &impl Store) -> Outcome {
        if self.works.iter().all(|work| work.encoded.is_empty()) {
            return Ok(());
        }
        store.write(&self.works)?;
        self.touched.publish(self.group);
        Ok(())
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        // First, so that the next group is under way while this one's committers wake up.
        self.queue.pass_on();
        for (member, outcome) in self.members.iter().zip(&mut self.outcomes) {
            let outcome = outcome.take();
            let outcome = outcome.unwrap_or_else(|| Err(StoreError::Unknown.into()));
            member.waiter.send(Signal::Done(outcome));
        }
    }
}

/// Nothing panics while it holds one of these locks, so what is behind a poisoned one is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Rows, how often they were written, and what the next write does instead.
    #[derive(Default)]
    struct FakeStore {
        rows: Mutex<Rows>,
        compared: Mutex<usize>,
        writes: Mutex<usize>,
        fails: Option<StoreError>,
        panics: bool,
    }

    impl Store for FakeStore {
        fn holds(&self, expected: &Expectation) -> Result<bool, StoreError> {
            *lock(&self.compared) += 1;
            let rows = lock(&self.rows);
            Ok(rows.get(&expected.key) == expected.value.as_ref())
        }

        fn write(&self, works: &[&Work]) -> Result<(), CommitError> {
            assert!(!self.panics, "a store that panics");
            *lock(&self.writes) += 1;
            if let Some(error) = &self.fails {
                return Err(error.clone().into());
            }
            let mut rows = lock(&self.rows);
            for (_, (key, value)) in works.iter().flat_map(|work| &work.rows) {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
            Ok(())
        }
    }

    /// Expects `from` of the row `key` and writes `to`; empty is absent.
    fn change(key: &str, from: &str, to: &str) -> Work {
        let value = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        let key = key.as_bytes().to_vec();
        let slot = Slot::of(&key);
        let expected = Expectation {
            key: key.clone(),
            value: value(from),
        };
        Work {
            version: None,
            expectations: vec![(slot, expected)],
            rows: vec![(slot, (key, value(to)))],
            encoded: vec![0],
        }
    }

    /// Queues everything, leads one group, and returns what each committer was told.
    fn lead_one(queue: &Queue, store: &FakeStore, works: Vec<Work>) -> Vec<Option<Outcome>> {
        let mut waiters = Vec::new();
        for work in works {
            let waiter = Arc::new(Waiter::default());
            let leads = queue.join(work, &waiter);
            assert_eq!(leads, waiters.is_empty(), "the first leads, and only it");
            waiters.push(waiter);
        }
        let group = std::panic::AssertUnwindSafe(queue.take_group());
        // A leader that panics takes its own committer with it, and nobody else.
        let _ = std::panic::catch_unwind(move || { group }.0.run(store));
        let told = |waiter: &Arc<Waiter>| match lock(&waiter.signal).take() {
            Some(Signal::Done(outcome)) => Some(outcome),
            Some(Signal::Lead) | None => None,
        };
        waiters.iter().map(told).collect()
    }

    #[test]
    fn a_group_is_one_write_and_validates_in_order() {
        let (queue, store) = (Queue::default(), FakeStore::default());
        let told = lead_one(
            &queue,
            &store,
            vec![
                change("a", "", "1"),
                change("a", "", "2"),
                change("a", "1", "3"),
                change("b", "x", "y"),
                change("a", "3", ""),
                change("a", "", "4"),
            ],
        );
        let conflict = Some(Err(CommitError::Conflict));
        let done = Some(Ok(()));
        let expected = [&done, &conflict, &done, &conflict, &done, &done];
        assert!(told.iter().eq(expected), "{told:?}");
        assert_eq!(*lock(&store.writes), 1);
        let rows = Rows::from([(b"a".to_vec(), b"4".to_vec())]);
        assert_eq!(*lock(&store.rows), rows);
        assert!(!lock(&queue.line).led);
    }

    #[test]
    fn only_what_was_written_since_the_snapshot_is_compared() {
        let (queue, store) = (Queue::default(), FakeStore::default());
        let at = |version: u64, work: Work| Work {
            version: Some(version),
            ..work
        };
        let one = |work: Work| lead_one(&queue, &store, vec![work]).pop().flatten();
        let before = queue.touched.version();
        assert_eq!(one(at(before, change("a", "", "1"))), Some(Ok(())));
        assert_eq!(*lock(&store.compared), 0);
        let conflict = Some(Err(CommitError::Conflict));
        assert_eq!(one(at(before, change("a", "", "2"))), conflict);
        assert_eq!(*lock(&store.compared), 1);
        let after = queue.touched.version();
        let both = vec![
            at(after, change("a", "1", "2")),
            at(after, change("a", "1", "3")),
            at(after, change("a", "2", "4")),
        ];
        let told = lead_one(&queue, &store, both);
        assert_eq!(told, [Some(Ok(())), conflict, Some(Ok(()))]);
        assert_eq!(
            *lock(&store.compared),
            1,
            "the group's own rows are at hand"
        );
    }

    #[test]
    fn refused_batches_write_nothing_at_all() {
        let (queue, store) = (Queue::default(), FakeStore::default());
        let told = lead_one(&queue, &store, vec![change("a", "x", "1")]);
        assert_eq!(told, [Some(Err(CommitError::Conflict))]);
        assert_eq!(*lock(&store.writes), 0);
    }

    #[test]
    fn everyone_in_a_failed_write_is_told_so() {
        let full = CommitError::from(StoreError::Full);
        let unknown = CommitError::from(StoreError::Unknown);
        let failing = FakeStore {
            fails: Some(StoreError::Full),
            ..FakeStore::default()
        };
        let panicking = FakeStore {
            panics: true,
            ..FakeStore::default()
        };
        for (store, error) in [(failing, full), (panicking, unknown)] {
            let queue = Queue::default();
            let works = vec![
                change("a", "x", "1"),
                change("a", "", "1"),
                change("b", "", "1"),
            ];
            let told = lead_one(&queue, &store, works);
            let conflict = Some(Err(CommitError::Conflict));
            let failed = Some(Err(error));
            assert_eq!(told, [conflict, failed.clone(), failed]);
            assert!(!lock(&queue.line).led, "the lead is given up");
            assert_eq!(
                queue.commit(change("c", "", ""), &FakeStore::default()),
                Ok(())
            );
        }
    }

    #[test]
    fn a_group_ends_at_its_size_and_passes_the_lead_on() {
        let (queue, store) = (Queue::default(), FakeStore::default());
        let large = |key| Work {
            encoded: vec![0; MAX_GROUP_BYTES],
            ..change(key, "", "1")
        };
        let told = lead_one(&queue, &store, vec![large("a"), large("b"), large("c")]);
        assert_eq!(told, [Some(Ok(())), None, None]);
        let line = lock(&queue.line);
        assert!(line.led);
        assert_eq!(line.members.len(), 2);
    }
}
