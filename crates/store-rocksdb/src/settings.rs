//! What an operator may set. Each comment is the option's entry in the reference.

use serde::{Deserialize, Serialize};

/// The storage engine's settings. The defaults suit a machine with 2 cores and 4 GiB of memory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Memory for cached rows, indexes and filters, in bytes. Default: 268435456 (256 MiB).
    pub cache_bytes: usize,
    /// Memory for writes that are not yet in table files, in bytes. Default: 134217728 (128 MiB).
    pub write_buffer_bytes: usize,
    /// Most write-ahead log kept, in bytes: what a start after a kill has to replay.
    /// Default: 268435456 (256 MiB).
    pub max_wal_bytes: u64,
    /// Room on the disk that new content may not take, in bytes, at most a twentieth of the file
    /// system: while less is free, new messages are refused for the time being, and everything
    /// else goes on. Default: 268435456 (256 MiB).
    pub reserve_bytes: u64,
    /// Most table and blob files held open, a number. Default: 1024.
    pub max_open_files: u16,
    /// Threads for flushing and compaction, a number. Default: 2.
    pub background_jobs: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            write_buffer_bytes: 128 << 20,
            max_wal_bytes: 256 << 20,
            reserve_bytes: 256 << 20,
            max_open_files: 1024,
            background_jobs: 2,
        }
    }
}
