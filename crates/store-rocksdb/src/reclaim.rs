//! Room that deleted content takes in blob files is given back, a part of the store at a time.
//!
//! A blob file leaves the disk when nothing in it is kept. Of one that holds both, what is kept has to
//! be moved first. That is worth its writes once a good part of all content is garbage, so it
//! waits for that; then the oldest files are emptied, and what was moved is the newest, so that
//! each file has its turn. For each octet that becomes free at most three are moved.
//!
//! It never takes more than half of the room that is left on the disk, and content that is kept can
//! be read throughout. Killed at any time it is done again.

use rocksdb::{BottommostLevelCompaction, properties};
use tern_store::StoreError;

use crate::compact::manual;
use crate::engine::BLOBS;
use crate::options::BLOB_FILE_BYTES;
use crate::{RocksEngine, status};

/// A quarter of all content has to be garbage,
const WORTH: u64 = 4;
/// and so much of it, in bytes.
const LEAST_BYTES: u64 = 2 * BLOB_FILE_BYTES;
/// Most of the blob files that are emptied at once.
const LARGEST_SHARE: f64 = 0.25;
/// Markers of deletions are brought together with what they delete once there is one for so many pieces.
const PIECES_FOR_MARKER: u64 = 100;

/// What a call of [`RocksEngine::reclaim`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reclaimed {
    /// Nothing: too little is garbage, too little room is left to move anything, or what could be
    /// emptied is still being read.
    Nothing,
    /// Files were emptied, so many octets in all; there may be more.
    Some(u64),
    /// It was told to stop.
    Stopped,
}

impl RocksEngine {
    /// Empties the oldest blob files if enough of all content is garbage. Reads and commits go on
    /// meanwhile; `go_on` is asked every few seconds.
    pub fn reclaim(&self, go_on: impl Fn() -> bool) -> Result<Reclaimed, StoreError> {
        self.settle_deletions()?;
        let Some(share) = self.share_worth_emptying()? else {
            return Ok(Reclaimed::Nothing);
        };
        let before = self.statistics().blob_garbage_bytes;
        self.collecting(share, || {
            let mut from: Option<Vec<u8>> = None;
            for last in self.last_keys()?.into_iter().map(Some).chain([None]) {
                if !go_on() {
                    return Ok(Reclaimed::Stopped);
                }
                let bottom = BottommostLevelCompaction::ForceOptimized;
                self.compact_blobs(from.as_deref(), last.as_deref(), bottom)?;
                // The least key after it: a range has its ends.
                from = last.map(|last| [&last[..], &[0]].concat());
            }
            // Those that somebody still reads go later; without any, the next look is as early as that.
            let freed = before.saturating_sub(self.statistics().blob_garbage_bytes);
            Ok(match freed {
                0 => Reclaimed::Nothing,
                freed => Reclaimed::Some(freed),
            })
        })
    }

    /// Garbage is counted when a compaction brings a marker and what it deletes together. That moves
    /// no content.
    fn settle_deletions(&self) -> Result<(), StoreError> {
        let blobs = self.blobs()?;
        let of = |name| self.database.property_int_value_cf(blobs, name);
        let unflushed = of(properties::NUM_DELETES_ACTIVE_MEM_TABLE)
            .map_err(|error| status::error(&error))?
            .unwrap_or(0);
        let files = self.database.live_files();
        let files = files.map_err(|error| status::error(&error))?;
        let files = files.iter().filter(|file| file.column_family_name == BLOBS);
        let (markers, pieces) = files.fold((unflushed, 0), |(markers, pieces), file| {
            (markers + file.num_deletions, pieces + file.num_entries)
        });
        if markers == 0 || markers < pieces / PIECES_FOR_MARKER {
            return Ok(());
        }
        self.compact_blobs(None, None, BottommostLevelCompaction::Skip)
    }

    /// Which share of the blob files is to be emptied now, if any.
    fn share_worth_emptying(&self) -> Result<Option<f64>, StoreError> {
        let now = self.statistics();
        let (whole, garbage) = (now.blob_bytes, now.blob_garbage_bytes);
        if garbage < LEAST_BYTES || garbage < whole / WORTH {
            return Ok(None);
        }
        let room = self.room().map_or(whole, |room| room.free / 2);
        // A file at least, or else nothing would become free.
        Ok((room >= BLOB_FILE_BYTES).then(|| (room as f64 / whole as f64).min(LARGEST_SHARE)))
    }

    /// The last key of each file at the bottom of the pieces' tables, in order: where to pause.
    fn last_keys(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let files = self.database.live_files();
        let files = files.map_err(|error| status::error(&error))?;
        let files = || files.iter().filter(|file| file.column_family_name == BLOBS);
        let bottom = files().map(|file| file.level).max();
        let files = files().filter(|file| Some(file.level) == bottom);
        let mut keys: Vec<_> = files.filter_map(|file| file.end_key.clone()).collect();
        keys.sort();
        Ok(keys)
    }

    fn compact_blobs(
        &self,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        bottom: BottommostLevelCompaction,
    ) -> Result<(), StoreError> {
        let family = self.blobs()?;
        self.compact_range(family, from, to, &manual(bottom))
    }
}
