//! The engine: opening, the verbs' home, backup and orderly close.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DBRecoveryMode, DBWithThreadMode, Error,
    ErrorKind, Options, SingleThreaded, WriteOptions,
};
use tern_base::BlobId;
use tern_store::{Batch, CommitError, Engine, Snapshot, StoreError};

use crate::codec::Codec;
use crate::group::Queue;
use crate::kept::Kept;
use crate::read::RocksSnapshot;
use crate::{OpenError, Settings, copy, damage, format, options, status};

pub(crate) type Database = DBWithThreadMode<SingleThreaded>;

/// The family of the rows is RocksDB's default one.
pub(crate) const ROWS: &str = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;
pub(crate) const BLOBS: &str = "blobs";

/// A store in a directory.
pub struct RocksEngine {
    pub(crate) database: Database,
    pub(crate) queue: Queue,
    pub(crate) codec: Codec,
    pub(crate) kept: Kept,
    pub(crate) cache: Cache,
    pub(crate) synced: WriteOptions,
    pub(crate) staged: WriteOptions,
    pub(crate) reserve_bytes: u64,
    /// Held while blob files are emptied.
    pub(crate) collection: Mutex<()>,
    directory: PathBuf,
}

impl std::fmt::Debug for RocksEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RocksEngine({})", self.directory.display())
    }
}

impl RocksEngine {
    /// Opens the store in a directory, or makes a new one there. After a kill this replays the
    /// write-ahead log: everything that was acknowledged is there.
    pub fn open(directory: &Path, settings: &Settings) -> Result<Self, OpenError> {
        format::prepare(directory)?;
        let cache = Cache::new_lru_cache(settings.cache_bytes);
        // A last record that is merely short is what a kill leaves. Anything else that does not
        // read back is damage: of the last record, whose pages a loss of power may have left in
        // any state, and then nothing acknowledged is lost; or, when the disk fails, of one
        // before it. RocksDB cannot tell, so the store opens at the last good point and says so.
        let strict = DBRecoveryMode::TolerateCorruptedTailRecords;
        let opened = match open(directory, settings, &cache, strict) {
            Err(error) if error.kind() == ErrorKind::Corruption => {
                damage::note(directory).map_err(|error| OpenError::Io {
                    path: directory.to_owned(),
                    error,
                })?;
                open(directory, settings, &cache, DBRecoveryMode::PointInTime)
            }
            opened => opened,
        };
        let database = opened.map_err(|error| status::open_error(directory, &error))?;
        Ok(Self::of(database, directory, settings, cache))
    }

    fn of(database: Database, directory: &Path, settings: &Settings, cache: Cache) -> Self {
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Self {
            database,
            queue: Queue::default(),
            codec: Codec::default(),
            kept: Kept::default(),
            cache,
            synced,
            staged: WriteOptions::default(),
            reserve_bytes: settings.reserve_bytes,
            collection: Mutex::default(),
            directory: directory.to_owned(),
        }
    }

    /// Whether opening found the write-ahead log damaged and replayed it only up to the damage, now or
    /// before, and nobody has called [`RocksEngine::damage_is_noted`] since. After a loss of power that is the
    /// commit that was under way; otherwise the disk is not to be trusted, and what was acknowledged may
    /// be missing: numbers that were given out may be given out again. The logs are in `damaged-logs`
    /// beside the store.
    pub fn log_was_damaged(&self) -> bool {
        damage::is_noted(&self.directory)
    }

    /// Whoever serves the store has done what such damage asks for.
    pub fn damage_is_noted(&self) -> Result<(), StoreError> {
        damage::forget(&self.directory).map_err(|error| status::io_error(&error))
    }

    /// The directory of the store.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes what is only in memory and the log into table files.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.database
            .flush()
            .map_err(|error| status::error(&error))?;
        self.database
            .flush_cf(self.blobs()?)
            .map_err(|error| status::error(&error))
    }

    /// Closes the store so that the next start has nothing to replay. A store that is only
    /// dropped, or killed, is as whole; its next start takes longer.
    pub fn close(self) -> Result<(), StoreError> {
        let flushed = self.flush();
        self.database.cancel_all_background_work(true);
        flushed
    }

    pub(crate) fn rows(&self) -> Result<&ColumnFamily, StoreError> {
        self.family(ROWS)
    }

    pub(crate) fn blobs(&self) -> Result<&ColumnFamily, StoreError> {
        self.family(BLOBS)
    }

    /// Both families are made when the store is, so this fails only on a defect.
    fn family(&self, name: &str) -> Result<&ColumnFamily, StoreError> {
        self.database
            .cf_handle(name)
            .ok_or_else(|| StoreError::Engine(format!("no column family {name}")))
    }

    fn write_checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        // The table files are linked, the log is flushed into one: nothing is copied on one disk.
        Checkpoint::new(&self.database)
            .and_then(|checkpoint| checkpoint.create_checkpoint(format::database_path(directory)))
            .map_err(|error| status::error(&error))?;
        // `FORMAT` makes it a store; before that it must say that it is a copy.
        copy::mark(directory)
            .and_then(|()| format::write(directory))
            .map_err(|error| status::io_error(&error))
    }
}

fn open(
    directory: &Path,
    settings: &Settings,
    cache: &Cache,
    recovery: DBRecoveryMode,
) -> Result<Database, Error> {
    let options = options::database(settings, recovery);
    open_with(&options, directory, settings, cache)
}

fn open_with(
    options: &Options,
    directory: &Path,
    settings: &Settings,
    cache: &Cache,
) -> Result<Database, Error> {
    let families = [
        ColumnFamilyDescriptor::new(ROWS, options::rows(settings, cache)),
        ColumnFamilyDescriptor::new(BLOBS, options::blobs(settings, cache)),
    ];
    Database::open_cf_descriptors(options, format::database_path(directory), families)
}

impl Engine for RocksEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(RocksSnapshot::new(self)))
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.commit_batch(batch)
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.stage(blob, piece, bytes)
    }

    fn has_room_for_content(&self) -> bool {
        self.check_room_for_content().is_ok()
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_piece(blob, piece)
    }

    fn blob_pieces(&self, pieces: &[(BlobId, u32)]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.read_pieces(pieces)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.list_blobs(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        copy::make_directory(directory).map_err(|error| status::io_error(&error))?;
        let written = self.write_checkpoint(directory);
        if written.is_err() {
            // Only what this call has made; the first error is the one to tell.
            let _ = fs::remove_dir_all(directory);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocksdb::statistics::Ticker;

    /// What a kill can not show, since the system keeps what was written: the log is synced before a commit
    /// is acknowledged, and not with every piece that is staged.
    #[test]
    fn a_commit_is_acknowledged_once_the_log_is_synced() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("store");
        let settings = Settings::default();
        format::prepare(&directory).expect("a store");
        let cache = Cache::new_lru_cache(1 << 20);
        let strict = DBRecoveryMode::TolerateCorruptedTailRecords;
        let mut options = options::database(&settings, strict);
        options.enable_statistics();
        let database = open_with(&options, &directory, &settings, &cache).expect("opens");
        let engine = RocksEngine::of(database, &directory, &settings, cache);
        let synced = || options.get_ticker_count(Ticker::WalFileSynced);
        for n in 0..5_u8 {
            let before = synced();
            let blob = BlobId([n; 32]);
            engine
                .stage_blob_piece(blob, 0, &[n; 4096])
                .expect("stages");
            assert_eq!(synced(), before, "staged alone");
            let mut batch = Batch::new();
            batch.put(vec![n], vec![n]);
            engine.commit(batch).expect("commits");
            assert!(synced() > before, "commit {n}");
        }
    }
}
