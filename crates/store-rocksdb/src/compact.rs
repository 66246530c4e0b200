//! What was deleted leaves the disk.
//!
//! A deletion is a marker at first: the octets stay in table files until a compaction brings both
//! together, in blob files until enough of a file is garbage, and in the log until what it holds is
//! flushed. That happens as the store works, at no time that could be named. Compacting everything
//! has it happen now.
//!
//! Invariant: when it returns, no table file, blob file or log that is part of the store holds
//! anything that was deleted before the call. Not touched: copies that were made of the store, and
//! what the file system and the disk keep of files that are gone.

use rocksdb::{BottommostLevelCompaction, CompactOptions};
use tern_store::StoreError;

use crate::engine::Database;
use crate::{RocksEngine, options, status};

impl RocksEngine {
    /// Rewrites everything, so that nothing is left of what was deleted. It takes as long as to
    /// read and write the whole store once, and up to its size again on disk; others go on meanwhile.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.flush()?;
        self.set_blob_collection(options::COLLECT_ALL)?;
        let done = self.compact_families();
        let back = self.set_blob_collection(options::COLLECT_USUAL);
        done.and(back)
    }

    fn compact_families(&self) -> Result<(), StoreError> {
        let mut everything = CompactOptions::default();
        // What lies at the bottom already would be left as it is, with the blob files it points to.
        everything.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        for family in [self.rows()?, self.blobs()?] {
            let (from, to) = (None::<&[u8]>, None::<&[u8]>);
            Database::compact_range_cf_opt(&self.database, family, from, to, &everything);
        }
        Ok(())
    }

    /// Which blob files compactions empty.
    fn set_blob_collection(&self, collection: &[(&str, &str)]) -> Result<(), StoreError> {
        self.database
            .set_options_cf(self.blobs()?, collection)
            .map_err(|error| status::error(&error))
    }
}
