//! The in-memory engine: the same contract without a disk, for tests and the simulation.
//!
//! Rows keep the versions that a live snapshot may still read. Faults are injected by a hook that
//! sees each batch before it is applied; and somebody else may be let in right before a commit, when its
//! transaction has read all that it will.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_base::BlobId;

use crate::{
    Batch, CommitError, Engine, Operation, Page, Range, Read, Snapshot, StoreError, limits,
};

/// What the fault hook may do to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// Answer a conflict; write nothing.
    Conflict,
    /// Answer that there is no space; write nothing.
    Full,
    /// Write it, and lose the answer.
    UnknownApplied,
    /// Write nothing, and lose the answer.
    UnknownDropped,
}

/// Decides the fate of a commit; `None` lets it through.
pub type FaultHook = Box<dyn FnMut(&Batch) -> Option<Injected> + Send>;

/// What somebody else does, and before which of the next commits.
type Deed = (usize, Box<dyn FnOnce() + Send>);

type Versions = Vec<(u64, Option<Arc<[u8]>>)>;

#[derive(Default)]
struct State {
    version: u64,
    rows: BTreeMap<Vec<u8>, Versions>,
    blobs: BTreeMap<(BlobId, u32), Arc<[u8]>>,
    /// Versions that a live snapshot reads, with how many do.
    snapshots: BTreeMap<u64, usize>,
    fault_hook: Option<FaultHook>,
    deed: Option<Deed>,
    refuses_content: bool,
}

/// An engine that keeps everything in memory.
#[derive(Clone, Default)]
pub struct MemEngine {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for MemEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        write!(
            f,
            "MemEngine(version {}, {} keys)",
            state.version,
            state.rows.len()
        )
    }
}

impl MemEngine {
    /// An empty engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on content is refused as it is on a disk that is nearly full, or it is not.
    pub fn refuse_content(&self, refused: bool) {
        self.state().refuses_content = refused;
    }

    /// Sets or takes away the fault hook.
    pub fn set_fault_hook(&self, hook: Option<FaultHook>) {
        self.state().fault_hook = hook;
    }

    /// Has somebody else act right before a commit: after so many more, 0 is the next. What is done then
    /// may itself commit.
    pub fn before_commit(&self, after: usize, act: impl FnOnce() + Send + 'static) {
        self.state().deed = Some((after, Box::new(act)));
    }

    /// Whether somebody is still to act.
    pub fn is_awaited(&self) -> bool {
        self.state().deed.is_some()
    }

    /// Takes what is to be done before the present commit.
    fn deed(&self) -> Option<Deed> {
        let mut state = self.state();
        match &mut state.deed {
            Some((after, _)) if *after > 0 => {
                *after -= 1;
                None
            }
            deed => deed.take(),
        }
    }

    /// A second engine with a copy of everything committed so far: what a disk would hold if the
    /// process were killed now.
    pub fn fork(&self) -> Self {
        let state = self.state();
        let copy = State {
            version: state.version,
            rows: state.rows.clone(),
            blobs: state.blobs.clone(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(copy)),
        }
    }

    /// How many blob pieces are held: for checks that nothing is left behind.
    pub fn blob_piece_count(&self) -> usize {
        self.state().blobs.len()
    }

    /// A panic under the lock can only come from the fault hook, before anything is changed, so
    /// the state behind a poisoned lock is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at(&self, key: &[u8], version: u64) -> Option<&Arc<[u8]>> {
        let versions = self.rows.get(key)?;
        newest(versions, version)
    }

    fn scan(&self, range: &Range, limit: usize, version: u64) -> Page {
        let limit = limit.min(limits::MAX_PAGE);
        if range.start >= range.end {
            return Page::default();
        }
        let mut page = Page::default();
        let within = self.rows.range(range.start.clone()..range.end.clone());
        let mut keys: Box<dyn Iterator<Item = (&Vec<u8>, &Versions)>> = if range.reverse {
            Box::new(within.rev())
        } else {
            Box::new(within)
        };
        for (key, versions) in &mut keys {
            let Some(value) = newest(versions, version) else {
                continue;
            };
            if page.rows.len() == limit {
                let mut next = range.clone();
                if range.reverse {
                    // The end is excluded, so it is the last key that was returned.
                    next.end = page.rows.last().map_or_else(Vec::new, |row| row.0.clone());
                } else {
                    next.start = key.clone();
                }
                page.next = Some(next);
                break;
            }
            page.rows.push((key.clone(), value.to_vec()));
        }
        page
    }

    fn holds(&self, batch: &Batch) -> bool {
        batch.expectations().iter().all(|expected| {
            self.at(&expected.key, self.version).map(|v| &v[..]) == expected.value.as_deref()
        })
    }

    fn apply(&mut self, batch: Batch) {
        self.version += 1;
        let version = self.version;
        let oldest = self.snapshots.keys().next().copied().unwrap_or(version);
        for operation in batch.into_parts().1 {
            match operation {
                Operation::Put(key, value) => self.write(key, Some(value.into()), version, oldest),
                Operation::Delete(key) => self.write(key, None, version, oldest),
                Operation::PutBlobPiece(blob, piece, bytes) => {
                    self.blobs.insert((blob, piece), bytes.into());
                }
                Operation::DeleteBlob(blob, pieces) => {
                    for piece in 0..pieces {
                        self.blobs.remove(&(blob, piece));
                    }
                }
            }
        }
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Arc<[u8]>>, version: u64, oldest: u64) {
        let versions = self.rows.entry(key.clone()).or_default();
        versions.push((version, value));
        // Keep the newest version that the oldest snapshot can see, and all after it.
        if let Some(keep) = versions.iter().rposition(|(v, _)| *v <= oldest) {
            versions.drain(..keep);
        }
        if let [(_, None)] = versions[..] {
            self.rows.remove(&key);
        }
    }
}

fn newest(versions: &Versions, version: u64) -> Option<&Arc<[u8]>> {
    versions
        .iter()
        .rev()
        .find(|(v, _)| *v <= version)?
        .1
        .as_ref()
}

impl Read for MemEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state();
        Ok(state.at(key, state.version).map(|value| value.to_vec()))
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        let state = self.state();
        Ok(state.scan(range, limit, state.version))
    }
}

impl Engine for MemEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        let mut state = self.state();
        let version = state.version;
        *state.snapshots.entry(version).or_default() += 1;
        Ok(Box::new(MemSnapshot {
            engine: self,
            version,
        }))
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_limits()?;
        // Not under the lock: it reads and commits.
        if let Some((_, act)) = self.deed() {
            act();
        }
        let mut state = self.state();
        let injected = match state.fault_hook.take() {
            None => None,
            Some(mut hook) => {
                let injected = hook(&batch);
                state.fault_hook = Some(hook);
                injected
            }
        };
        match injected {
            Some(Injected::Conflict) => return Err(CommitError::Conflict),
            Some(Injected::Full) => return Err(StoreError::Full.into()),
            Some(Injected::UnknownDropped) => return Err(StoreError::Unknown.into()),
            Some(Injected::UnknownApplied) | None => {}
        }
        let is_content = |one: &Operation| matches!(one, Operation::PutBlobPiece(..));
        if state.refuses_content && batch.operations().iter().any(is_content) {
            return Err(StoreError::Full.into());
        }
        if !state.holds(&batch) {
            return Err(CommitError::Conflict);
        }
        state.apply(batch);
        if injected.is_some() {
            Err(StoreError::Unknown.into())
        } else {
            Ok(())
        }
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > limits::BLOB_PIECE {
            return Err(StoreError::TooLarge {
                what: crate::Bound::BlobPiece,
                size: bytes.len(),
            });
        }
        let mut state = self.state();
        if state.refuses_content {
            return Err(StoreError::Full);
        }
        state.blobs.insert((blob, piece), bytes.into());
        Ok(())
    }

    fn has_room_for_content(&self) -> bool {
        !self.state().refuses_content
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .state()
            .blobs
            .get(&(blob, piece))
            .map(|bytes| bytes.to_vec()))
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        let start = after.map_or(Bound::Unbounded, |blob| Bound::Excluded((blob, u32::MAX)));
        let state = self.state();
        let pieces = state.blobs.range((start, Bound::Unbounded));
        let mut blobs: Vec<BlobId> = pieces.map(|((blob, _), _)| *blob).collect();
        blobs.dedup();
        blobs.truncate(limit);
        Ok(blobs)
    }

    fn checkpoint(&self, _directory: &Path) -> Result<(), StoreError> {
        Err(StoreError::Engine(
            "the in-memory engine has no directory: use fork".to_owned(),
        ))
    }
}

struct MemSnapshot<'a> {
    engine: &'a MemEngine,
    version: u64,
}

impl Read for MemSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .engine
            .state()
            .at(key, self.version)
            .map(|value| value.to_vec()))
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        Ok(self.engine.state().scan(range, limit, self.version))
    }
}

impl Snapshot for MemSnapshot<'_> {}

impl Drop for MemSnapshot<'_> {
    fn drop(&mut self) {
        let mut state = self.engine.state();
        if let Some(count) = state.snapshots.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                state.snapshots.remove(&self.version);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        crate::conformance::run(&mut || Box::new(MemEngine::new()));
    }

    #[test]
    fn injected_faults_answer_and_write_as_named() {
        let engine = MemEngine::new();
        let fates = [
            (Injected::Conflict, CommitError::Conflict, false),
            (Injected::Full, StoreError::Full.into(), false),
            (Injected::UnknownDropped, StoreError::Unknown.into(), false),
            (Injected::UnknownApplied, StoreError::Unknown.into(), true),
        ];
        for (n, (fate, answer, written)) in fates.into_iter().enumerate() {
            engine.set_fault_hook(Some(Box::new(move |_| Some(fate))));
            let key = vec![1, n as u8];
            let mut batch = Batch::new();
            batch.put(key.clone(), vec![1]);
            assert_eq!(engine.commit(batch), Err(answer));
            assert_eq!(engine.get(&key).unwrap().is_some(), written);
        }
    }

    #[test]
    fn somebody_else_acts_right_before_the_commit_that_was_named() {
        let engine = MemEngine::new();
        let other = engine.clone();
        engine.before_commit(1, move || {
            let mut batch = Batch::new();
            batch.put(vec![1], vec![9]);
            other.commit(batch).unwrap();
        });
        let expecting_none = |key: u8| {
            let mut batch = Batch::new();
            batch.expect(vec![key], None);
            batch.put(vec![key], vec![1]);
            batch
        };
        assert_eq!(engine.commit(expecting_none(2)), Ok(()));
        assert!(engine.is_awaited());
        let met = engine.commit(expecting_none(1));
        assert_eq!(met, Err(CommitError::Conflict));
        assert!(!engine.is_awaited());
        assert_eq!(engine.get(&[1]).unwrap(), Some(vec![9]));
    }

    #[test]
    fn a_fork_is_independent() {
        let engine = MemEngine::new();
        let put = |engine: &MemEngine, value: u8| {
            let mut batch = Batch::new();
            batch.put(vec![1], vec![value]);
            engine.commit(batch).unwrap();
        };
        put(&engine, 1);
        let fork = engine.fork();
        put(&engine, 2);
        assert_eq!(fork.get(&[1]).unwrap(), Some(vec![1]));
        assert_eq!(engine.get(&[1]).unwrap(), Some(vec![2]));
    }
}
