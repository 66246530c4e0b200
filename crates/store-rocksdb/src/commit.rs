//! The writing verbs: what a group's leader does to the store, and blob pieces ahead of a commit.

use rocksdb::{ColumnFamily, WriteBatch};
use tern_base::BlobId;
use tern_store::{Batch, CommitError, Expectation, Operation, StoreError, limits};

use crate::group::{Earlier, Store, Work};
use crate::{RocksEngine, status};

/// Up to so many pieces are deleted one by one; more leave one range marker.
const MAX_SINGLE_DELETES: u32 = 1024;

impl Store for RocksEngine {
    fn holds(&self, expected: &Expectation, earlier: &Earlier<'_>) -> Result<bool, StoreError> {
        let value = expected.value.as_deref();
        if let Some(written) = earlier.get(expected.key.as_slice()) {
            return Ok(*written == value);
        }
        let found = self.database.get_pinned(&expected.key);
        let found = found.map_err(|error| status::error(&error))?;
        Ok(found.as_deref() == value)
    }

    fn write(&self, works: &[&Work]) -> Result<(), CommitError> {
        let blobs = self.blobs()?;
        let bytes: usize = works.iter().map(|work| work.bytes).sum();
        let mut write = WriteBatch::with_capacity_bytes(bytes + 4096);
        for operation in works.iter().flat_map(|work| &work.operations) {
            add(&mut write, blobs, operation);
        }
        self.database
            .write_opt(write, &self.synced)
            .map_err(|error| status::commit_error(&error))
    }
}

fn add(write: &mut WriteBatch, blobs: &ColumnFamily, operation: &Operation) {
    match operation {
        Operation::Put(key, value) => write.put(key, value),
        Operation::Delete(key) => write.delete(key),
        Operation::PutBlobPiece(blob, piece, bytes) => {
            write.put_cf(blobs, piece_key(*blob, *piece), bytes);
        }
        Operation::DeleteBlob(blob, pieces) if *pieces <= MAX_SINGLE_DELETES => {
            for piece in 0..*pieces {
                write.delete_cf(blobs, piece_key(*blob, piece));
            }
        }
        Operation::DeleteBlob(blob, pieces) => {
            write.delete_range_cf(blobs, piece_key(*blob, 0), piece_key(*blob, *pieces));
        }
    }
}

impl RocksEngine {
    pub(crate) fn commit_batch(&self, batch: Batch) -> Result<(), CommitError> {
        batch.check_limits()?;
        let bytes = batch.size();
        let (expectations, mut operations) = batch.into_parts();
        // Here and not in the leader, so that committers compress side by side.
        let mut has_content = false;
        for operation in &mut operations {
            if let Operation::PutBlobPiece(_, _, bytes) = operation {
                *bytes = self.codec.pack(bytes);
                has_content = true;
            }
        }
        if has_content {
            self.check_room_for_content()?;
        }
        let work = Work {
            expectations,
            operations,
            bytes,
        };
        self.queue.commit(work, self)
    }

    /// Unsynced: the next commit's sync covers every log written before it.
    pub(crate) fn stage(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > limits::BLOB_PIECE {
            return Err(StoreError::TooLarge {
                what: "blob piece",
                size: bytes.len(),
            });
        }
        self.check_room_for_content()?;
        let stored = self.codec.pack(bytes);
        self.database
            .put_cf_opt(self.blobs()?, piece_key(blob, piece), stored, &self.staged)
            .map_err(|error| status::error(&error))
    }
}

/// The key of a piece: pieces of one blob lie side by side, in order.
pub(crate) fn piece_key(blob: BlobId, piece: u32) -> [u8; 36] {
    let mut key = [0; 36];
    let (id, number) = key.split_at_mut(32);
    id.copy_from_slice(&blob.0);
    number.copy_from_slice(&piece.to_be_bytes());
    key
}
