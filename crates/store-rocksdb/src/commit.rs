//! The writing verbs: what a group's leader does to the store, and blob pieces ahead of a commit.

use rocksdb::{ColumnFamily, WriteBatch};
use tern_base::BlobId;
use tern_store::{Batch, Bound, CommitError, Expectation, Operation, StoreError, limits};

use crate::group::{Store, Work};
use crate::touched::Slot;
use crate::{RocksEngine, status};

/// Up to so many pieces are deleted one by one; more leave one range marker.
const MAX_SINGLE_DELETES: u32 = 1024;
/// A serialised write batch begins with a sequence number, which the database fills in, and the
/// count of its records (`write_batch.cc`; it is the form of the log, so it does not change).
const SEQUENCE: usize = 8;
const HEADER: usize = SEQUENCE + 4;

impl Store for RocksEngine {
    fn holds(&self, expected: &Expectation) -> Result<bool, StoreError> {
        let found = self.database.get_pinned(&expected.key);
        let found = found.map_err(|error| status::error(&error))?;
        Ok(found.as_deref() == expected.value.as_deref())
    }

    fn write(&self, works: &[&Work]) -> Result<(), CommitError> {
        let write = joined(works).ok_or(StoreError::Damaged)?;
        self.database
            .write_opt(write, &self.synced)
            .map_err(|error| status::commit_error(&error))
    }
}

/// The batches of a group as one.
fn joined(works: &[&Work]) -> Option<WriteBatch> {
    let mut whole = vec![0; HEADER];
    whole.reserve(works.iter().map(|work| work.encoded.len()).sum());
    let mut count = 0u32;
    for work in works.iter().filter(|work| !work.encoded.is_empty()) {
        let (header, records) = work.encoded.split_first_chunk::<HEADER>()?;
        count += u32::from_le_bytes(*header.last_chunk()?);
        whole.extend_from_slice(records);
    }
    whole
        .get_mut(SEQUENCE..HEADER)?
        .copy_from_slice(&count.to_le_bytes());
    Some(WriteBatch::from_data(&whole))
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
        self.queue.commit(self.work(batch)?, self)
    }

    /// Everything about a batch that can be done before it is its turn: compressed, hashed, and
    /// encoded, by committers side by side.
    fn work(&self, batch: Batch) -> Result<Work, StoreError> {
        let blobs = self.blobs()?;
        let version = batch.version();
        let mut write = WriteBatch::with_capacity_bytes(batch.size() + 4096);
        let (expectations, operations) = batch.into_parts();
        let mut rows = Vec::with_capacity(operations.len());
        let mut has_content = false;
        for mut operation in operations {
            if let Operation::PutBlobPiece(_, _, bytes) = &mut operation {
                *bytes = self.codec.pack(bytes);
                has_content = true;
            }
            add(&mut write, blobs, &operation);
            match operation {
                Operation::Put(key, value) => rows.push((Slot::of(&key), (key, Some(value)))),
                Operation::Delete(key) => rows.push((Slot::of(&key), (key, None))),
                // Nothing can expect a blob piece.
                Operation::PutBlobPiece(..) | Operation::DeleteBlob(..) => {}
            }
        }
        if has_content {
            self.check_room_for_content()?;
        }
        let slotted = |expected: Expectation| (Slot::of(&expected.key), expected);
        let encoded = match write.is_empty() {
            true => Vec::new(),
            false => write.data().to_vec(),
        };
        Ok(Work {
            version,
            expectations: expectations.into_iter().map(slotted).collect(),
            rows,
            encoded,
        })
    }

    /// Unsynced: the next commit's sync covers every log written before it.
    pub(crate) fn stage(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > limits::BLOB_PIECE {
            return Err(StoreError::TooLarge {
                what: Bound::BlobPiece,
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
