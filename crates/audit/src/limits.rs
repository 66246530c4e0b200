//! The bounds of an entry. What an actor can make long is cut, never refused: a long user agent
//! must not keep its act from being recorded.

/// Longest text of an entry, in bytes; the rest is cut and `…` put in its place.
pub const MAX_TEXT: usize = 1024;
/// Longest name of an action or of a detail, in bytes.
pub const MAX_NAME: usize = 64;
/// Most details of an entry: room for a list of names of 32 KiB beside what else it says.
pub const MAX_DETAILS: usize = 96;
/// Most factors of an authentication.
pub const MAX_FACTORS: usize = 8;
/// Most rows that one call of [`crate::read()`] looks at before it hands back a page.
pub const MAX_READ_SCAN: usize = 10_000;
/// Entries that are fetched at once where an index leads to them.
pub const INDEX_PAGE: usize = 500;
/// Most entries of one page of an export.
pub const MAX_EXPORT_PAGE: usize = 1_000;
/// Longest name of a log, in bytes.
pub const MAX_LOG_NAME: usize = 300;
/// Longest note, signatures included, in bytes.
pub const MAX_NOTE: usize = 8_192;
/// Most keys of a log: one is made at the first start, and one by each rotation.
pub const MAX_KEYS: usize = 10_000;
/// Most checkpoints of one page of a list.
pub const MAX_CHECKPOINT_PAGE: usize = 500;
/// Most entries that are proven at once.
pub const MAX_PROVEN: usize = 100_000;
/// Most removed entries that one transaction sweeps away.
pub const SWEEP: usize = 200;
