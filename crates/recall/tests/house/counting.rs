//! A store that counts what is asked of it, by whichever way.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tern_base::BlobId;
use tern_store::{Batch, CommitError, Engine, MemEngine, Page, Range, Read, Snapshot, StoreError};

/// The store.
pub(crate) struct Counting {
    below: MemEngine,
    asked: Arc<AtomicUsize>,
    contents: AtomicUsize,
    begun: AtomicUsize,
}

impl Counting {
    pub(crate) fn new(below: MemEngine) -> Self {
        Self {
            below,
            asked: Arc::default(),
            contents: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
        }
    }

    /// Begins to count anew.
    pub(crate) fn forget(&self) {
        self.asked.store(0, Ordering::Relaxed);
        self.begun.store(0, Ordering::Relaxed);
        self.contents.store(0, Ordering::Relaxed);
    }

    /// How often it was asked for rows: for many at once is once.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many pieces of contents were read.
    pub(crate) fn contents(&self) -> usize {
        self.contents.load(Ordering::Relaxed)
    }

    fn count(&self) -> &MemEngine {
        self.asked.fetch_add(1, Ordering::Relaxed);
        &self.below
    }

    /// How many transactions, or looks at one moment, were begun.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

impl Read for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.count().get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.count().get_many(keys)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.count().scan(range, limit)
    }

    fn visit(
        &self,
        range: &Range,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.count().visit(range, each)
    }
}

struct CountedSnapshot<'a>(Box<dyn Snapshot + 'a>, Arc<AtomicUsize>);

impl Read for CountedSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get_many(keys)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.scan(range, limit)
    }

    fn visit(
        &self,
        range: &Range,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.visit(range, each)
    }
}

impl Snapshot for CountedSnapshot<'_> {
    fn version(&self) -> Option<u64> {
        self.0.version()
    }
}

impl Engine for Counting {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let below = self.below.snapshot()?;
        Ok(Box::new(CountedSnapshot(below, Arc::clone(&self.asked))))
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.below.commit(batch)
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.below.stage_blob_piece(blob, piece, bytes)
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.contents.fetch_add(1, Ordering::Relaxed);
        self.below.blob_piece(blob, piece)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.below.blobs_after(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        self.below.checkpoint(directory)
    }
}
