//! Room that content may not take: what is left of the disk for flags, deletions, records of what
//! was served, and everything else that makes room again or must not wait for it.
//!
//! Without it mail itself would fill the disk to the last byte, and nobody could delete anything.
//! Another program still can; then every commit is refused as full.

use nix::sys::statvfs::statvfs;
use tern_store::StoreError;

use crate::RocksEngine;

/// Of a small file system no more than this part is kept free.
const LARGEST_PART: u64 = 20;

impl RocksEngine {
    /// Refuses content while less than the reserve is free. A file system that does not say what
    /// is free has no reserve.
    pub(crate) fn check_room_for_content(&self) -> Result<(), StoreError> {
        match self.room() {
            Some(room) if room.free < self.reserve_bytes.min(room.whole / LARGEST_PART) => {
                Err(StoreError::Full)
            }
            _ => Ok(()),
        }
    }

    /// The room on the disk, where the file system says.
    pub(crate) fn room(&self) -> Option<Room> {
        let disk = statvfs(self.directory()).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
        Some(Room {
            free: bytes(disk.blocks_available()),
            whole: bytes(disk.blocks()),
        })
    }
}

/// The file system of the store, in bytes.
pub(crate) struct Room {
    pub(crate) free: u64,
    whole: u64,
}
