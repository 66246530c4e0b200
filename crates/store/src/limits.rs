//! The bounds that every engine can hold. Domain crates stay inside them by construction; an
//! engine answers a breach with [`crate::StoreError::TooLarge`], and nothing is written.

/// Longest key, in bytes.
pub const MAX_KEY: usize = 1024;
/// Longest value of a row, in bytes. What may grow larger goes through the blob verbs.
pub const MAX_VALUE: usize = 64 * 1024;
/// Largest batch: keys and values of its rows and blob pieces together, in bytes.
pub const MAX_BATCH: usize = 1024 * 1024;
/// The length of every blob piece but the last, in bytes.
pub const BLOB_PIECE: usize = 256 * 1024;
/// Most rows one page of a scan holds.
pub const MAX_PAGE: usize = 10_000;
/// How often a transaction is tried again after a conflict before it gives up as
/// [`crate::StoreError::Busy`].
pub const MAX_CONFLICTS: usize = 100;
