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
        let Ok(disk) = statvfs(self.directory()) else {
            return Ok(());
        };
        let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
        let kept = self.reserve_bytes.min(bytes(disk.blocks()) / LARGEST_PART);
        if bytes(disk.blocks_available()) < kept {
            return Err(StoreError::Full);
        }
        Ok(())
    }
}
