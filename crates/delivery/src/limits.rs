//! The bounds of one message's delivery.

use tern_store::limits as store_limits;

/// Most recipients that one message goes to, all expansions together.
pub const MAX_DESTINATIONS: usize = 300_000;
/// Most recipients that one notice reports; of more it says how many.
pub const MAX_REPORTED: usize = 200;
/// Longest message that a notice gives back whole when the sender did not say, in bytes.
pub const RETURN_FULL_UNASKED: usize = 50_000;
/// Longest message that a notice gives back whole when the sender asked for it, in bytes.
pub const RETURN_FULL_ASKED: usize = 10 * 1024 * 1024;
/// Most of a header that a notice gives back, in bytes.
pub const RETURN_HEADERS: usize = 64 * 1024;
/// Most recipients of a notice: the sender's address may itself be a group.
pub const MAX_NOTICE_RECIPIENTS: usize = 100;
/// How long a job that was never begun is left alone, in milliseconds: whoever writes it may still
/// be at it.
pub const UNBEGUN_GRACE_MS: u64 = 3_600_000;
/// Most bytes of rows that one chunk of a job writes.
pub(crate) const CHUNK_BYTES: usize = 640 * 1024;
/// Most bytes of one row of planned recipients.
pub(crate) const PLAN_ROW_BYTES: usize = 48 * 1024;
/// Kept free in a batch for a message's structure, a submission and the like, in bytes.
pub(crate) const BATCH_RESERVE: usize = 96 * 1024;
/// Content up to this size travels in the batch that refers to it.
pub(crate) const INLINE: usize = 2 * store_limits::BLOB_PIECE;
