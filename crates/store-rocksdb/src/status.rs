//! What RocksDB says, in the house's words: errors and statistics.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::Path;

use rocksdb::{Error, ErrorKind, properties};
use tern_store::{CommitError, StoreError};

use crate::{OpenError, RocksEngine, format};

/// What the engine holds and what it has yet to do, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Used of the cache, in bytes.
    pub cache_bytes: u64,
    /// Writes held in memory, in bytes.
    pub write_buffer_bytes: u64,
    /// Write-ahead log on disk, in bytes.
    pub wal_bytes: u64,
    /// Table files on disk, in bytes.
    pub table_bytes: u64,
    /// Blob files on disk, in bytes.
    pub blob_bytes: u64,
    /// Of the blob files, what belongs to deleted blobs, in bytes.
    pub blob_garbage_bytes: u64,
    /// What compaction has yet to rewrite, in bytes.
    pub pending_compaction_bytes: u64,
    /// Rows, about.
    pub rows: u64,
    /// Errors in the background since the store was opened.
    pub background_errors: u64,
    /// Whether writes are refused now: the disk is full, or compaction is far behind.
    pub writes_stopped: bool,
}

impl RocksEngine {
    /// What the engine holds now. Cheap; reads counters and one directory.
    pub fn statistics(&self) -> Statistics {
        let both = |name: &CStr| {
            let of = |family: Result<&rocksdb::ColumnFamily, StoreError>| {
                let family = family.ok()?;
                self.database.property_int_value_cf(family, name).ok()?
            };
            of(self.rows()).unwrap_or(0) + of(self.blobs()).unwrap_or(0)
        };
        let whole = |name: &CStr| {
            let value = self.database.property_int_value(name);
            value.ok().flatten().unwrap_or(0)
        };
        Statistics {
            cache_bytes: self.cache.get_usage() as u64,
            write_buffer_bytes: both(properties::CUR_SIZE_ALL_MEM_TABLES),
            wal_bytes: wal_bytes(&format::database_path(self.directory())).unwrap_or(0),
            table_bytes: both(properties::TOTAL_SST_FILES_SIZE),
            blob_bytes: both(c"rocksdb.total-blob-file-size"),
            blob_garbage_bytes: both(c"rocksdb.live-blob-file-garbage-size"),
            pending_compaction_bytes: both(properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            rows: whole(properties::ESTIMATE_NUM_KEYS),
            background_errors: self.background_errors(),
            writes_stopped: whole(properties::IS_WRITE_STOPPED) != 0,
        }
    }
}

impl RocksEngine {
    /// Errors in the background since the store was opened.
    pub(crate) fn background_errors(&self) -> u64 {
        let count = self
            .database
            .property_int_value(properties::BACKGROUND_ERRORS);
        count.ok().flatten().unwrap_or(0)
    }
}

fn wal_bytes(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "log") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// An error of a read, or of a write that changed nothing.
pub(crate) fn error(error: &Error) -> StoreError {
    match error.kind() {
        ErrorKind::IOError if is_full(error.as_ref()) => StoreError::Full,
        ErrorKind::Corruption => StoreError::Damaged,
        ErrorKind::Busy | ErrorKind::TryAgain => StoreError::Busy,
        _ => StoreError::Engine(error.to_string()),
    }
}

/// An error of a commit. A log that could not be appended to ends in a torn record, which is
/// never replayed: nothing was written. When it is the sync that failed, nobody knows.
pub(crate) fn commit_error(error: &Error) -> CommitError {
    let text: &str = error.as_ref();
    let sync_failed = ["While fsync", "While fdatasync", "While sync"];
    if error.kind() == ErrorKind::IOError && sync_failed.iter().any(|why| text.contains(why)) {
        return StoreError::Unknown.into();
    }
    match self::error(error) {
        StoreError::Busy => CommitError::Conflict,
        other => other.into(),
    }
}

pub(crate) fn io_error(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Engine(error.to_string()),
    }
}

pub(crate) fn open_error(directory: &Path, error: &Error) -> OpenError {
    let text: &str = error.as_ref();
    let path = directory.to_owned();
    if text.contains("While lock file") || text.contains("lock hold by current process") {
        return OpenError::InUse(path);
    }
    OpenError::Engine {
        path,
        message: error.to_string(),
    }
}

fn is_full(text: &str) -> bool {
    text.contains("No space left on device") || text.contains("Max allowed space was reached")
}
