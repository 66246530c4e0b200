//! The way verbs read and write: a closure over a [`Transaction`], run again after a conflict.
//!
//! Rows read through [`Transaction::get`] become expectations of the commit, so the closure's
//! result rests only on rows that still hold. [`Transaction::scan`] is not tracked: a verb that
//! scans also reads a row that every writer of that range changes (an account's head).

use std::collections::BTreeMap;
use std::ops::Bound;

use tern_base::BlobId;

use crate::{Batch, CommitError, Engine, Page, Range, Snapshot, StoreError, limits};

/// One attempt: reads of a snapshot, writes that wait for the commit.
pub struct Transaction<'a> {
    engine: &'a dyn Engine,
    snapshot: Box<dyn Snapshot + 'a>,
    reads: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    blobs: Batch,
    size: usize,
}

impl<'a> Transaction<'a> {
    /// A transaction over the engine's state as it is now.
    pub fn begin(engine: &'a dyn Engine) -> Result<Self, StoreError> {
        Ok(Self {
            engine,
            snapshot: engine.snapshot()?,
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            blobs: Batch::new(),
            size: 0,
        })
    }

    /// The value of a row, own writes included. The commit depends on it.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(written) = self.writes.get(key) {
            return Ok(written.clone());
        }
        if let Some(read) = self.reads.get(key) {
            return Ok(read.clone());
        }
        let value = self.snapshot.get(key)?;
        self.reads.insert(key.to_vec(), value.clone());
        Ok(value)
    }

    /// The value of a row as [`Transaction::get`] has it, but of the newest state instead of the
    /// snapshot: for a row that many transactions change in turn, so that fewer of them have to run
    /// again.
    pub fn get_newest(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if !self.writes.contains_key(key) && !self.reads.contains_key(key) {
            let value = self.engine.get(key)?;
            self.reads.insert(key.to_vec(), value);
        }
        self.get(key)
    }

    /// Reads rows ahead of [`Transaction::get`] in one call to the engine.
    pub fn prefetch(&mut self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let values = self.snapshot.get_many(&keys)?;
        for (key, value) in keys.into_iter().zip(values) {
            self.reads.entry(key).or_insert(value);
        }
        Ok(())
    }

    /// The value of a row, own writes included, without the commit depending on it.
    pub fn peek(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key).or_else(|| self.reads.get(key)) {
            Some(known) => Ok(known.clone()),
            None => self.snapshot.get(key),
        }
    }

    /// Rows of the snapshot: own writes are not among them, and the commit does not depend on them.
    pub fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        self.snapshot.scan(range, limit)
    }

    /// The keys of a range under which this transaction itself writes rows, in order.
    pub fn written(&self, range: &Range) -> impl Iterator<Item = &[u8]> {
        let start = range.start.as_slice();
        let end = range.end.as_slice().max(start);
        let within = (Bound::Included(start), Bound::Excluded(end));
        let rows = self.writes.range::<[u8], _>(within);
        rows.filter(|(_, value)| value.is_some())
            .map(|(key, _)| key.as_slice())
    }

    /// Writes a row.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.write(key, Some(value));
    }

    /// Removes a row.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.write(key, None);
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let size_of = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let (key_size, size) = (key.len(), size_of(&value));
        match self.writes.insert(key, value) {
            Some(old) => self.size = self.size + size - size_of(&old),
            None => self.size += key_size + size,
        }
    }

    /// Writes a blob piece with the commit.
    pub fn put_blob_piece(&mut self, blob: BlobId, piece: u32, bytes: Vec<u8>) {
        self.blobs.put_blob_piece(blob, piece, bytes);
    }

    /// Removes a blob with the commit.
    pub fn delete_blob(&mut self, blob: BlobId, pieces: u32) {
        self.blobs.delete_blob(blob, pieces);
    }

    /// About how many bytes the commit will write: verbs that work in chunks stop in time.
    pub const fn size(&self) -> usize {
        self.size + self.blobs.size()
    }

    /// Whether there is nothing to commit.
    pub fn writes_nothing(&self) -> bool {
        self.writes.is_empty() && self.blobs.is_empty()
    }

    /// The batch of all reads and writes; `None` when nothing is to be written.
    fn into_batch(self) -> Option<Batch> {
        if self.writes_nothing() {
            return None;
        }
        let mut batch = self.blobs;
        batch.read_at(self.snapshot.version());
        for (key, value) in self.reads {
            batch.expect(key, value);
        }
        for (key, value) in self.writes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        Some(batch)
    }
}

/// What a transaction's closure wants done with its writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// Commit them and return this.
    Commit(T),
    /// Drop them and return this.
    Abandon(T),
}

/// Runs `work` in a transaction and commits; runs it again when a row that it read has changed.
///
/// `work` must be free of effects other than on the transaction: it may run many times. After
/// [`limits::MAX_CONFLICTS`] conflicts the answer is [`StoreError::Busy`].
pub fn transact<T, E>(
    engine: &dyn Engine,
    mut work: impl FnMut(&mut Transaction<'_>) -> Result<Verdict<T>, E>,
) -> Result<T, E>
where
    E: From<StoreError>,
{
    for _ in 0..limits::MAX_CONFLICTS {
        let mut transaction = Transaction::begin(engine)?;
        let outcome = match work(&mut transaction)? {
            Verdict::Abandon(outcome) => return Ok(outcome),
            Verdict::Commit(outcome) => outcome,
        };
        let Some(batch) = transaction.into_batch() else {
            return Ok(outcome);
        };
        match engine.commit(batch) {
            Ok(()) => return Ok(outcome),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(StoreError::Busy.into())
}
