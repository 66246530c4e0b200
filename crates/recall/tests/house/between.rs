//! An engine in which something else is done right before a commit: what that commit has read is no
//! longer so.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tern_base::BlobId;
use tern_store::{Batch, CommitError, Engine, MemEngine, Page, Range, Read, Snapshot, StoreError};

/// What is to be done, if anything.
pub(crate) type Before = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

pub(crate) struct Between {
    pub(crate) engine: MemEngine,
    pub(crate) before: Before,
}

impl Read for Between {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(key)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.engine.scan(range, limit)
    }
}

impl Engine for Between {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.engine.snapshot()
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let work = self.before.lock().unwrap().take();
        if let Some(work) = work {
            work();
        }
        self.engine.commit(batch)
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.engine.stage_blob_piece(blob, piece, bytes)
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.blob_piece(blob, piece)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.engine.blobs_after(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        self.engine.checkpoint(directory)
    }
}
