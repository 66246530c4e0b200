//! The writing verbs: validate under claims, write once, sync.

use rocksdb::WriteBatch;
use tern_base::BlobId;
use tern_store::{Batch, CommitError, Operation, StoreError, limits};

use crate::{RocksEngine, status};

/// Up to so many pieces are deleted one by one; more leave one range marker.
const MAX_SINGLE_DELETES: u32 = 1024;

impl RocksEngine {
    pub(crate) fn commit_batch(&self, batch: &Batch) -> Result<(), CommitError> {
        batch.check_limits()?;
        let _held = self.claims.take(batch);
        for expected in batch.expectations() {
            let found = self
                .database
                .get_pinned(&expected.key)
                .map_err(|error| status::error(&error))?;
            if found.as_deref() != expected.value.as_deref() {
                return Err(CommitError::Conflict);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let write = self.write_batch(batch)?;
        // Concurrent committers meet in RocksDB's write group: one log write, one sync.
        self.database
            .write_opt(write, &self.synced)
            .map_err(|error| status::commit_error(&error))
    }

    fn write_batch(&self, batch: &Batch) -> Result<WriteBatch, StoreError> {
        let blobs = self.blobs()?;
        let mut write = WriteBatch::with_capacity_bytes(batch.size() + 64);
        for operation in batch.operations() {
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
        Ok(write)
    }

    /// Unsynced: the next commit's sync covers every log written before it.
    pub(crate) fn stage(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > limits::BLOB_PIECE {
            return Err(StoreError::TooLarge {
                what: "blob piece",
                size: bytes.len(),
            });
        }
        self.database
            .put_cf_opt(self.blobs()?, piece_key(blob, piece), bytes, &self.staged)
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
