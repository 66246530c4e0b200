//! The bounds of an entry. What an actor can make long is cut, never refused: a long user agent
//! must not keep its act from being recorded.

/// Longest text of an entry, in bytes; the rest is cut and `…` put in its place.
pub const MAX_TEXT: usize = 1024;
/// Longest name of an action or of a detail, in bytes.
pub const MAX_NAME: usize = 64;
/// Most details of an entry.
pub const MAX_DETAILS: usize = 48;
/// Most factors of an authentication.
pub const MAX_FACTORS: usize = 8;
/// Most rows that one call of [`crate::read()`] looks at before it hands back a page.
pub const MAX_READ_SCAN: usize = 10_000;
/// Most entries of one page of an export.
pub const MAX_EXPORT_PAGE: usize = 1_000;
