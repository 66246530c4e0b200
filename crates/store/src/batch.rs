//! A batch: what was read, and what to write because of it.

use crate::{StoreError, limits};
use tern_base::BlobId;

/// What a row held when it was read. The commit fails with a conflict unless it still does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// The row.
    pub key: Vec<u8>,
    /// Its value, or `None` when there was no such row.
    pub value: Option<Vec<u8>>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes a row.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a row, if it is there.
    Delete(Vec<u8>),
    /// Writes piece `1` of a blob ([`limits::BLOB_PIECE`]).
    PutBlobPiece(BlobId, u32, Vec<u8>),
    /// Removes the first so many pieces of a blob.
    DeleteBlob(BlobId, u32),
}

/// Changes that are applied together, durably, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    expectations: Vec<Expectation>,
    operations: Vec<Operation>,
    size: usize,
    version: Option<u64>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// The commit depends on `key` still holding `value`.
    pub fn expect(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.expectations.push(Expectation { key, value });
    }

    /// Everything expected was read from a snapshot of this version, or later: the engine may take
    /// a row that nobody has written since for unchanged.
    pub const fn read_at(&mut self, version: Option<u64>) {
        self.version = version;
    }

    /// Writes a row; the last write of a key counts.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.size += key.len() + value.len();
        self.operations.push(Operation::Put(key, value));
    }

    /// Removes a row.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.size += key.len();
        self.operations.push(Operation::Delete(key));
    }

    /// Writes a piece of a blob with the batch.
    pub fn put_blob_piece(&mut self, blob: BlobId, piece: u32, bytes: Vec<u8>) {
        self.size += bytes.len();
        self.operations
            .push(Operation::PutBlobPiece(blob, piece, bytes));
    }

    /// Removes the first `pieces` pieces of a blob with the batch.
    pub fn delete_blob(&mut self, blob: BlobId, pieces: u32) {
        self.operations.push(Operation::DeleteBlob(blob, pieces));
    }

    /// Keys and values to write, in bytes.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The version that everything expected was read at, if that is known.
    pub const fn version(&self) -> Option<u64> {
        self.version
    }

    /// What was read.
    pub fn expectations(&self) -> &[Expectation] {
        &self.expectations
    }

    /// What to write, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Takes the batch apart.
    pub fn into_parts(self) -> (Vec<Expectation>, Vec<Operation>) {
        (self.expectations, self.operations)
    }

    /// Whether every key, value, piece and the whole are within [`limits`].
    pub fn check_limits(&self) -> Result<(), StoreError> {
        let over = |what, size, max| {
            if size > max {
                Err(StoreError::TooLarge { what, size })
            } else {
                Ok(())
            }
        };
        over("batch", self.size, limits::MAX_BATCH)?;
        for operation in &self.operations {
            match operation {
                Operation::Put(key, value) => {
                    over("key", key.len(), limits::MAX_KEY)?;
                    over("value", value.len(), limits::MAX_VALUE)?;
                }
                Operation::Delete(key) => over("key", key.len(), limits::MAX_KEY)?,
                Operation::PutBlobPiece(_, _, bytes) => {
                    over("blob piece", bytes.len(), limits::BLOB_PIECE)?;
                }
                Operation::DeleteBlob(..) => {}
            }
        }
        Ok(())
    }
}
