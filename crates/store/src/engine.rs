//! What an engine must do. The conformance suite (`conformance`, a feature) is the contract in
//! executable form; every engine passes it.

use std::path::Path;

use tern_base::BlobId;

use crate::{Batch, CommitError, StoreError};

/// Rows from `start` (with it) to `end` (without it), in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key.
    pub start: Vec<u8>,
    /// The first key past the range.
    pub end: Vec<u8>,
    /// From the end towards the start.
    pub reverse: bool,
}

impl Range {
    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: Vec<u8>) -> Self {
        let end = after_prefix(&prefix);
        Self {
            start: prefix,
            end,
            reverse: false,
        }
    }

    /// This range, read backwards.
    #[must_use]
    pub fn reversed(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// This range from `start` on.
    #[must_use]
    pub fn starting_at(mut self, start: Vec<u8>) -> Self {
        self.start = start;
        self
    }
}

/// The first key past every key that begins with `prefix`.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // A prefix of only 0xff bytes: tables stay far below 0xff, so this end is past every key.
    vec![u8::MAX; crate::limits::MAX_KEY + 1]
}

/// Rows of a scan, and whether the range holds more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Key and value, in the order of the range.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where to go on: the range with its start (or, reversed, its end) moved; `None` at its end.
    pub next: Option<Range>,
}

/// The reading verbs, of an engine (newest committed state) or of a snapshot.
pub trait Read {
    /// The value of a row.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of many rows, in the order of `keys`.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// At most `limit` rows of a range (never more than [`crate::limits::MAX_PAGE`]).
    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError>;

    /// Shows each row of a range, in its order, without a copy where the engine can; until `each`
    /// answers `false`.
    fn visit(
        &self,
        range: &Range,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut next = Some(range.clone());
        while let Some(range) = next {
            let page = self.scan(&range, crate::limits::MAX_PAGE)?;
            if !page.rows.iter().all(|(key, value)| each(key, value)) {
                return Ok(());
            }
            next = page.next;
        }
        Ok(())
    }
}

/// A consistent view of every row at one moment. Cheap, short-lived: long work takes a new one
/// now and then.
pub trait Snapshot: Read {
    /// The moment of the view, where the engine counts its commits: a batch that says so
    /// ([`Batch::read_at`]) is compared only where something was written since.
    fn version(&self) -> Option<u64> {
        None
    }
}

/// A storage engine.
pub trait Engine: Read + Send + Sync {
    /// A consistent view of the rows as they are now.
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// Applies a batch whole, durably, if everything it expects still holds.
    fn commit(&self, batch: Batch) -> Result<(), CommitError>;

    /// Writes a piece of a blob ahead of the batch that will refer to it. The piece is durable
    /// when a later commit is.
    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError>;

    /// Whether content would be taken now. While it would not, what is left of the room is for what makes room
    /// again: whoever writes what could as well be written later, or never, asks.
    fn has_room_for_content(&self) -> bool {
        true
    }

    /// Reads a piece of a blob; `None` when there is none.
    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError>;

    /// Reads pieces of many blobs, in the order of `pieces`. What the caller asks for together has to
    /// fit into memory.
    fn blob_pieces(&self, pieces: &[(BlobId, u32)]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let read = |(blob, piece): &(BlobId, u32)| self.blob_piece(*blob, *piece);
        pieces.iter().map(read).collect()
    }

    /// At most `limit` of the blobs that have a piece, in order, from after one on: for checks.
    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError>;

    /// Writes a copy of everything committed to a new directory, while the engine serves: an
    /// online backup. The directory must not exist; nobody but this process's user can read it.
    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError>;
}
