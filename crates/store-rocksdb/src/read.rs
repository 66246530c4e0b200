//! The reading verbs, over the newest state and over a snapshot.

use rocksdb::{DBPinnableSlice, Error, ReadOptions, SnapshotWithThreadMode};
use tern_base::BlobId;
use tern_store::{Page, Range, Read, Snapshot, StoreError, limits};

use crate::commit::piece_key;
use crate::engine::Database;
use crate::{RocksEngine, status};

/// Is shown rows until it answers `false`.
type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> bool;

/// A consistent view of the rows.
pub(crate) struct RocksSnapshot<'a> {
    engine: &'a RocksEngine,
    snapshot: SnapshotWithThreadMode<'a, Database>,
    version: u64,
}

impl<'a> RocksSnapshot<'a> {
    pub(crate) fn new(engine: &'a RocksEngine) -> Self {
        // First: what is written in between is then compared once too often, not once too few.
        let version = engine.queue.touched.version();
        Self {
            engine,
            snapshot: engine.database.snapshot(),
            version,
        }
    }

    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }
}

impl Read for RocksSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(self.engine, Some(self.version), key, || self.options())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        get_many(self.engine, keys, &self.options())
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        scan(self.engine, range, limit, self.options())
    }

    fn visit(&self, range: &Range, each: Each<'_>) -> Result<(), StoreError> {
        visit(self.engine, range, self.options(), each)
    }
}

impl Snapshot for RocksSnapshot<'_> {
    fn version(&self) -> Option<u64> {
        Some(self.version)
    }
}

impl Read for RocksEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(self, None, key, ReadOptions::default)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        get_many(self, keys, &ReadOptions::default())
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        scan(self, range, limit, ReadOptions::default())
    }

    fn visit(&self, range: &Range, each: Each<'_>) -> Result<(), StoreError> {
        visit(self, range, ReadOptions::default(), each)
    }
}

impl RocksEngine {
    pub(crate) fn read_piece(
        &self,
        blob: BlobId,
        piece: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = self
            .database
            .get_pinned_cf(self.blobs()?, piece_key(blob, piece))
            .map_err(|error| status::error(&error))?;
        stored.map(|stored| self.codec.unpack(&stored)).transpose()
    }

    /// Files are asked in the order in which they lie, each for all that it has.
    pub(crate) fn read_pieces(
        &self,
        pieces: &[(BlobId, u32)],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let keys: Vec<_> = pieces
            .iter()
            .map(|(blob, piece)| piece_key(*blob, *piece))
            .collect();
        let options = ReadOptions::default();
        let found = self
            .database
            .batched_multi_get_cf_opt(self.blobs()?, &keys, false, &options);
        let unpack = |found: Result<Option<DBPinnableSlice<'_>>, Error>| {
            let stored = found.map_err(|error| status::error(&error))?;
            stored.map(|stored| self.codec.unpack(&stored)).transpose()
        };
        found.into_iter().map(unpack).collect()
    }

    pub(crate) fn list_blobs(
        &self,
        after: Option<BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobId>, StoreError> {
        let mut blobs = Vec::new();
        let mut rows = self.database.raw_iterator_cf(self.blobs()?);
        // No blob has a piece of the last number.
        match after {
            Some(blob) => rows.seek(piece_key(blob, u32::MAX)),
            None => rows.seek_to_first(),
        }
        while let (Some(key), true) = (rows.key(), blobs.len() < limit) {
            let id = key.first_chunk().ok_or(StoreError::Damaged)?;
            blobs.push(BlobId(*id));
            rows.seek(piece_key(BlobId(*id), u32::MAX));
        }
        rows.status().map_err(|error| status::error(&error))?;
        Ok(blobs)
    }
}

fn get(
    engine: &RocksEngine,
    snapshot: Option<u64>,
    key: &[u8],
    options: impl FnOnce() -> ReadOptions,
) -> Result<Option<Vec<u8>>, StoreError> {
    let touched = &engine.queue.touched;
    engine.kept.get(touched, snapshot, key, || {
        let found = engine.database.get_opt(key, &options());
        found.map_err(|error| status::error(&error))
    })
}

fn get_many(
    engine: &RocksEngine,
    keys: &[Vec<u8>],
    options: &ReadOptions,
) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    engine
        .database
        .batched_multi_get_cf_opt(engine.rows()?, keys, false, options)
        .into_iter()
        .map(|found| match found {
            Ok(value) => Ok(value.map(|value| value.to_vec())),
            Err(error) => Err(status::error(&error)),
        })
        .collect()
}

fn scan(
    engine: &RocksEngine,
    range: &Range,
    limit: usize,
    options: ReadOptions,
) -> Result<Page, StoreError> {
    let limit = limit.min(limits::MAX_PAGE);
    let mut page = Page::default();
    visit(engine, range, options, &mut |key, value| {
        if page.rows.len() == limit {
            page.next = Some(rest(range, key, &page));
            return false;
        }
        page.rows.push((key.to_vec(), value.to_vec()));
        true
    })?;
    Ok(page)
}

fn visit(
    engine: &RocksEngine,
    range: &Range,
    mut options: ReadOptions,
    each: Each<'_>,
) -> Result<(), StoreError> {
    if range.start >= range.end {
        return Ok(());
    }
    options.set_iterate_lower_bound(range.start.as_slice());
    options.set_iterate_upper_bound(range.end.as_slice());
    let mut rows = engine.database.raw_iterator_opt(options);
    if range.reverse {
        rows.seek_to_last();
    } else {
        rows.seek_to_first();
    }
    while let Some((key, value)) = rows.item() {
        if !each(key, value) {
            break;
        }
        if range.reverse {
            rows.prev();
        } else {
            rows.next();
        }
    }
    rows.status().map_err(|error| status::error(&error))
}

/// What is left of a range when `key` is the first row that the page has no room for.
fn rest(range: &Range, key: &[u8], page: &Page) -> Range {
    let mut rest = range.clone();
    if !range.reverse {
        rest.start = key.to_vec();
    } else if let Some((last, _)) = page.rows.last() {
        // The end is excluded, so it is the last key that was returned.
        rest.end.clone_from(last);
    }
    rest
}
