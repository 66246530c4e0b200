//! Group commit: who commits at the same moment shares one write and one sync.
//!
//! Committers queue. The first leads: it takes the queue as its group, validates each batch
//! against the store and the batches before it in the group, writes the valid ones as one, syncs
//! once, passes the lead to the next in the queue and answers everyone.
//!
//! Invariants: one leader at a time, so nobody changes what it has compared; whoever queued is
//! answered, even when a leader panics (as unknown: the write may have been done).

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tern_store::{CommitError, Expectation, Operation, StoreError};

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
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) expectations: Vec<Expectation>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) bytes: usize,
}

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
}

/// What the leader's group needs of the store.
pub(crate) trait Store {
    /// Compares what a batch expects, `earlier` writes of the group first.
    fn holds(&self, expected: &Expectation, earlier: &Earlier<'_>) -> Result<bool, StoreError>;

    /// Writes batches as one, synced.
    fn write(&self, works: &[&Work]) -> Result<(), CommitError>;
}

/// The rows that earlier batches of the group will have written.
pub(crate) type Earlier<'a> = HashMap<&'a [u8], Option<&'a [u8]>>;

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
            bytes += member.work.bytes;
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
        let mut earlier = Earlier::new();
        let mut valid = Vec::with_capacity(self.members.len());
        let alone = self.members.len() == 1;
        for (member, outcome) in self.members.iter().zip(&mut self.outcomes) {
            if let Err(refused) = check(&member.work, &earlier, store) {
                *outcome = Some(Err(refused));
                continue;
            }
            valid.push(&member.work);
            if !alone {
                record(&member.work, &mut earlier);
            }
        }
        let written = match valid.iter().all(|work| work.operations.is_empty()) {
            true => Ok(()),
            false => store.write(&valid),
        };
        for outcome in &mut self.outcomes {
            outcome.get_or_insert_with(|| written.clone());
        }
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

/// Whether everything that a batch expects holds.
fn check(work: &Work, earlier: &Earlier<'_>, store: &impl Store) -> Outcome {
    for expected in &work.expectations {
        if !store.holds(expected, earlier)? {
            return Err(CommitError::Conflict);
        }
    }
    Ok(())
}

fn record<'a>(work: &'a Work, earlier: &mut Earlier<'a>) {
    for operation in &work.operations {
        match operation {
            Operation::Put(key, value) => earlier.insert(key, Some(value)),
            Operation::Delete(key) => earlier.insert(key, None),
            // Nothing can expect a blob piece.
            Operation::PutBlobPiece(..) | Operation::DeleteBlob(..) => continue,
        };
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
        writes: Mutex<usize>,
        fails: Option<StoreError>,
        panics: bool,
    }

    impl Store for FakeStore {
        fn holds(&self, expected: &Expectation, earlier: &Earlier<'_>) -> Result<bool, StoreError> {
            let rows = lock(&self.rows);
            let stored = rows.get(&expected.key).map(Vec::as_slice);
            let now = earlier.get(&expected.key[..]).copied().unwrap_or(stored);
            Ok(now == expected.value.as_deref())
        }

        fn write(&self, works: &[&Work]) -> Result<(), CommitError> {
            assert!(!self.panics, "a store that panics");
            *lock(&self.writes) += 1;
            if let Some(error) = &self.fails {
                return Err(error.clone().into());
            }
            let mut rows = lock(&self.rows);
            for operation in works.iter().flat_map(|work| &work.operations) {
                match operation {
                    Operation::Put(key, value) => rows.insert(key.clone(), value.clone()),
                    Operation::Delete(key) => rows.remove(key),
                    _ => None,
                };
            }
            Ok(())
        }
    }

    /// Expects `from` of the row `key` and writes `to`; empty is absent.
    fn change(key: &str, from: &str, to: &str) -> Work {
        let value = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        let key = key.as_bytes().to_vec();
        let operation = match value(to) {
            Some(value) => Operation::Put(key.clone(), value),
            None => Operation::Delete(key.clone()),
        };
        let value = value(from);
        Work {
            expectations: vec![Expectation { key, value }],
            operations: vec![operation],
            bytes: 1,
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
            bytes: MAX_GROUP_BYTES,
            ..change(key, "", "1")
        };
        let told = lead_one(&queue, &store, vec![large("a"), large("b"), large("c")]);
        assert_eq!(told, [Some(Ok(())), None, None]);
        let line = lock(&queue.line);
        assert!(line.led);
        assert_eq!(line.members.len(), 2);
    }
}
