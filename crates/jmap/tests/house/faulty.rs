//! A store that fails when it is told to, and counts how often content is read.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tern_base::BlobId;
use tern_store::{Batch, CommitError, Engine, MemEngine, Page, Range, Read, Snapshot, StoreError};

/// A store in memory.
#[derive(Default)]
pub(crate) struct FaultyEngine {
    inner: MemEngine,
    fault: Mutex<Option<StoreError>>,
    fails_commits: AtomicBool,
    pieces_read: AtomicUsize,
    /// Most rows of a page; 0 for as many as are asked for.
    page: AtomicUsize,
}

impl FaultyEngine {
    /// From now on it fails so, or not at all.
    pub(crate) fn fail(&self, fault: Option<StoreError>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// From now on nothing is written, or it is.
    pub(crate) fn fail_commits(&self, fails: bool) {
        self.fails_commits.store(fails, Ordering::SeqCst);
    }

    /// From now on a page has so many rows at most, as it has of a large store.
    pub(crate) fn cut_pages(&self, rows: usize) {
        self.page.store(rows, Ordering::SeqCst);
    }

    /// How many pieces of content were read since this was last asked.
    pub(crate) fn pieces_read(&self) -> usize {
        self.pieces_read.swap(0, Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), StoreError> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone().map_or(Ok(()), Err)
    }
}

impl Read for FaultyEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.inner.get(key)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.check()?;
        let limit = match self.page.load(Ordering::SeqCst) {
            0 => limit,
            most => limit.min(most),
        };
        self.inner.scan(range, limit)
    }
}

impl Engine for FaultyEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.check()?;
        self.inner.snapshot()
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.check()?;
        if self.fails_commits.load(Ordering::SeqCst) {
            return Err(StoreError::Full.into());
        }
        self.inner.commit(batch)
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.check()?;
        self.inner.stage_blob_piece(blob, piece, bytes)
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.pieces_read.fetch_add(1, Ordering::SeqCst);
        self.inner.blob_piece(blob, piece)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.check()?;
        self.inner.blobs_after(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        self.check()?;
        self.inner.checkpoint(directory)
    }
}
