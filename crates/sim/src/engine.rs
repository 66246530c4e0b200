//! The engine under the simulated server: the in-memory one, with somebody at every door.
//!
//! Each snapshot and each commit is a *point*: there the simulation may run another actor (one
//! thread, so concurrency is one writer inside another's commit), inject a fault, or kill the
//! process. What is committed is shown to the oracle before the caller has its answer.
//!
//! Invariant: after the kill nothing is written, and staged blob pieces that no commit followed
//! are lost. Refuses to know what rows mean.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_base::BlobId;
use tern_store::{
    Batch, CommitError, Engine, MemEngine, Operation, Page, Range, Read, Snapshot, StoreError,
};

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes through.
    Through,
    /// A conflict; nothing is written.
    Conflict,
    /// No space; nothing is written.
    Full,
    /// Written, and the answer is lost.
    UnknownApplied,
    /// Not written, and the answer is lost.
    UnknownDropped,
    /// The process is killed before anything is written.
    KilledBefore,
    /// The process is killed right after the write.
    KilledAfter,
    /// A defect of the engine, to prove that the oracle sees it: answered as written, and lost.
    Swallowed,
}

/// Who stands at the doors.
pub(crate) trait Watch {
    /// A snapshot is about to be taken.
    fn before_snapshot(&self);
    /// A batch is about to be committed.
    fn before_commit(&self, batch: &Batch) -> Fate;
    /// A batch was committed.
    fn committed(&self, operations: &[Operation]);
    /// Whether this row is to be invisible to the server: a defect, to prove the oracle.
    fn hides(&self, key: &[u8]) -> bool;
    /// Whether this part of a batch is to be left out: another such defect.
    fn leaves_out(&self, operation: &Operation, batch: &Batch) -> bool;
}

thread_local! {
    static WATCH: RefCell<Option<Rc<dyn Watch>>> = const { RefCell::new(None) };
}

/// Puts somebody at the doors of this thread's engines; nobody again when it is dropped.
pub(crate) struct Watching;

impl Watching {
    pub(crate) fn begin(watch: Rc<dyn Watch>) -> Self {
        WATCH.with(|slot| *slot.borrow_mut() = Some(watch));
        Self
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCH.with(|slot| slot.borrow_mut().take());
    }
}

fn watch() -> Option<Rc<dyn Watch>> {
    WATCH.with(|slot| slot.borrow().clone())
}

/// Blob pieces that were staged since the last commit.
type Staged = BTreeMap<(BlobId, u32), Vec<u8>>;

/// The engine.
#[derive(Clone, Default)]
pub(crate) struct SimEngine {
    mem: MemEngine,
    staged: Arc<Mutex<Staged>>,
    dead: Arc<AtomicBool>,
}

impl SimEngine {
    pub(crate) fn over(mem: MemEngine) -> Self {
        Self {
            mem,
            ..Self::default()
        }
    }

    /// What is durable, past every door: for the oracle.
    pub(crate) const fn durable(&self) -> &MemEngine {
        &self.mem
    }

    /// Whether the process was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Kills the process: nothing is written from here on.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// What the disk holds for the next process.
    pub(crate) fn restarted(&self) -> Self {
        Self::over(self.mem.fork())
    }

    fn staged(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<(), StoreError> {
        match self.is_dead() {
            true => Err(StoreError::Engine("killed".to_owned())),
            false => Ok(()),
        }
    }

    /// Makes staged pieces durable, as the next commit does.
    fn flush(&self) -> Result<(), StoreError> {
        for ((blob, piece), bytes) in std::mem::take(&mut *self.staged()) {
            self.mem.stage_blob_piece(blob, piece, &bytes)?;
        }
        Ok(())
    }

    fn apply(&self, mut batch: Batch) -> Result<(), CommitError> {
        self.flush()?;
        let hides = |key: &[u8]| watch().is_some_and(|watch| watch.hides(key));
        batch.retain_expected(|key| !hides(key));
        let operations = batch.operations().to_vec();
        self.mem.commit(batch)?;
        if let Some(watch) = watch() {
            watch.committed(&operations);
        }
        Ok(())
    }
}

impl Read for SimEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.alive()?;
        if watch().is_some_and(|watch| watch.hides(key)) {
            return Ok(None);
        }
        self.mem.get(key)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.alive()?;
        self.mem.scan(range, limit)
    }
}

impl Engine for SimEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        if let Some(watch) = watch() {
            watch.before_snapshot();
        }
        self.alive()?;
        Ok(Box::new(SimSnapshot(self.mem.snapshot()?)))
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.alive()?;
        let fate = watch().map_or(Fate::Through, |watch| watch.before_commit(&batch));
        // Another actor may have run, and the process been killed, meanwhile.
        self.alive()?;
        match fate {
            Fate::Conflict => Err(CommitError::Conflict),
            Fate::Full => Err(StoreError::Full.into()),
            Fate::UnknownDropped => Err(StoreError::Unknown.into()),
            Fate::Swallowed => Ok(()),
            Fate::Through => self.apply(maimed(batch)),
            Fate::UnknownApplied => {
                self.apply(batch)?;
                Err(StoreError::Unknown.into())
            }
            Fate::KilledBefore => {
                self.kill();
                Err(StoreError::Unknown.into())
            }
            Fate::KilledAfter => {
                let applied = self.apply(batch);
                self.kill();
                applied.and(Err(StoreError::Unknown.into()))
            }
        }
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.alive()?;
        self.staged().insert((blob, piece), bytes.to_vec());
        Ok(())
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.alive()?;
        if let Some(bytes) = self.staged().get(&(blob, piece)) {
            return Ok(Some(bytes.clone()));
        }
        self.mem.blob_piece(blob, piece)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.alive()?;
        self.mem.blobs_after(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        self.mem.checkpoint(directory)
    }
}

struct SimSnapshot<'a>(Box<dyn Snapshot + 'a>);

impl Read for SimSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if watch().is_some_and(|watch| watch.hides(key)) {
            return Ok(None);
        }
        self.0.get(key)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.0.scan(range, limit)
    }
}

impl Snapshot for SimSnapshot<'_> {}

/// A batch without what a defect leaves out of it.
fn maimed(mut batch: Batch) -> Batch {
    if let Some(watch) = watch() {
        let operations = batch.operations().iter();
        let left_out: Vec<bool> = operations.map(|it| watch.leaves_out(it, &batch)).collect();
        let mut left_out = left_out.into_iter();
        batch.retain(|_| left_out.next() != Some(true));
    }
    batch
}
