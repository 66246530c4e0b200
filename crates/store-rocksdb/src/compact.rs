//! What was deleted leaves the disk.
//!
//! A deletion is a marker at first: the octets stay in table files until a compaction brings both
//! together, in blob files until enough of them is garbage (`reclaim.rs`), and in the log until what it holds is
//! flushed. That happens as the store works, at no time that could be named. Compacting everything
//! has it happen now.
//!
//! Invariant: when it returns, no table file, blob file or log that is part of the store holds
//! anything that was deleted before the call, but for what somebody could still see who reads since before
//! it. Not touched: copies that were made of the store, and what the file system and the disk keep of
//! files that are gone.

use std::sync::PoisonError;

use rocksdb::{BottommostLevelCompaction, ColumnFamily, CompactOptions};
use tern_store::StoreError;

use crate::engine::Database;
use crate::options::BLOB_FILE_BYTES;
use crate::{RocksEngine, options, status};

impl RocksEngine {
    /// Rewrites everything, so that nothing is left of what was deleted. It takes as long as to
    /// read and write the whole store once, and up to its size again on disk; others go on meanwhile.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.flush()?;
        self.collecting(1.0, || {
            // What lies at the bottom already would be left as it is, with the blob files it
            // points to.
            let everything = manual(BottommostLevelCompaction::Force);
            for family in [self.rows()?, self.blobs()?] {
                self.compact_range(family, None, None, &everything)?;
            }
            Ok(())
        })
    }

    /// Compacts a range. RocksDB's own verb does not say how it ended; the count of what went wrong in
    /// the background does.
    pub(crate) fn compact_range(
        &self,
        family: &ColumnFamily,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        how: &CompactOptions,
    ) -> Result<(), StoreError> {
        let before = self.background_errors();
        Database::compact_range_cf_opt(&self.database, family, from, to, how);
        if self.background_errors() == before {
            return Ok(());
        }
        match self.room() {
            Some(room) if room.free < BLOB_FILE_BYTES => Err(StoreError::Full),
            _ => Err(StoreError::Engine(String::from("a compaction failed"))),
        }
    }

    /// Does some work while compactions empty a share of the blob files, the oldest first. One such
    /// work at a time: the share is the engine's.
    pub(crate) fn collecting<T>(
        &self,
        share: f64,
        work: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _one = self
            .collection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.set_blob_age_cutoff(share)?;
        let done = work();
        let back = self.set_blob_age_cutoff(0.0);
        done.and_then(|done| back.map(|()| done))
    }

    fn set_blob_age_cutoff(&self, share: f64) -> Result<(), StoreError> {
        let share = share.to_string();
        self.database
            .set_options_cf(self.blobs()?, &[(options::BLOB_AGE_CUTOFF, &share)])
            .map_err(|error| status::error(&error))
    }
}

/// A compaction beside which those that keep up with commits go on.
pub(crate) fn manual(bottom: BottommostLevelCompaction) -> CompactOptions {
    let mut manual = CompactOptions::default();
    manual.set_exclusive_manual_compaction(false);
    manual.set_bottommost_level_compaction(bottom);
    manual
}
