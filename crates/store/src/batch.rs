//! A batch: what was read, and what to write because of it.

use crate::{Bound, StoreError, limits};
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

impl Operation {
    /// What it writes, in bytes.
    const fn size(&self) -> usize {
        match self {
            Self::Put(key, value) => key.len() + value.len(),
            Self::Delete(key) => key.len(),
            Self::PutBlobPiece(_, _, bytes) => bytes.len(),
            Self::DeleteBlob(..) => 0,
        }
    }
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

    /// Leaves out the operations that `keep` is not for.
    pub fn retain(&mut self, keep: impl FnMut(&Operation) -> bool) {
        self.operations.retain(keep);
        self.size = self.operations.iter().map(Operation::size).sum();
    }

    /// Leaves out what was read of the keys that `keep` is not for.
    pub fn retain_expected(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        self.expectations.retain(|expected| keep(&expected.key));
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
        over(Bound::Batch, self.size, limits::MAX_BATCH)?;
        for operation in &self.operations {
            match operation {
                Operation::Put(key, value) => {
                    over(Bound::Key, key.len(), limits::MAX_KEY)?;
                    over(Bound::Value, value.len(), limits::MAX_VALUE)?;
                }
                Operation::Delete(key) => over(Bound::Key, key.len(), limits::MAX_KEY)?,
                Operation::PutBlobPiece(_, _, bytes) => {
                    over(Bound::BlobPiece, bytes.len(), limits::BLOB_PIECE)?;
                }
                Operation::DeleteBlob(..) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_counts_no_more() {
        let mut whole = Batch::new();
        for key in [b"1a", b"1b"] {
            whole.expect(key.to_vec(), None);
            whole.put(key.to_vec(), b"value".to_vec());
        }
        whole.delete(b"1c".to_vec());
        whole.put_blob_piece(BlobId([1; 32]), 0, vec![0; 9]);
        assert_eq!(whole.size(), 7 + 7 + 2 + 9);
        whole.retain(|operation| matches!(operation, Operation::Put(key, _) if key == b"1b"));
        whole.retain_expected(|key| key != b"1a");
        let left = Operation::Put(b"1b".to_vec(), b"value".to_vec());
        assert_eq!((whole.operations(), whole.size()), (&[left][..], 7));
        let read = Expectation {
            key: b"1b".to_vec(),
            value: None,
        };
        assert_eq!(whole.expectations(), [read]);
    }
}
