//! The bounds of one message's delivery.

use tern_store::limits as store_limits;

/// Most recipients that one message goes to, all expansions together.
pub const MAX_DESTINATIONS: usize = 300_000;
/// Most further recipients that are remembered to lead to where one leads already.
pub const MAX_FURTHER_WAYS: usize = 16;
/// Most bytes of these and of the aliases and groups that they lead through.
pub const FURTHER_WAYS_BYTES: usize = 8 * 1024;
/// Most recipients that one notice reports; of more it says how many.
pub const MAX_REPORTED: usize = 200;
/// Longest message that a notice gives back whole when the sender did not say, or is no account of this
/// server, in bytes.
pub const RETURN_FULL_UNASKED: usize = 50_000;
/// Longest message that a notice gives back whole when an account asked for it, in bytes.
pub const RETURN_FULL_ASKED: usize = 10 * 1024 * 1024;
/// Most of a header that a notice gives back, in bytes.
pub const RETURN_HEADERS: usize = 64 * 1024;
/// Most recipients of a notice: the sender's address may itself be a group.
pub const MAX_NOTICE_RECIPIENTS: usize = 100;
/// How long a job that was never begun is left alone, in milliseconds: whoever writes it may still
/// be at it.
pub const UNBEGUN_GRACE_MS: u64 = 3_600_000;
/// Most recipients of one sending: its envelope is kept word for word.
pub const MAX_ENVELOPE_RECIPIENTS: usize = 1_000;
/// Most bytes of an envelope that is kept.
pub const MAX_ENVELOPE: usize = 400 * 1024;
/// Largest message that a client has sent from its mailboxes, in bytes.
pub const MAX_SENDING: usize = 50 << 20;
/// Most recipients of a disposition notification: most messages ask for one.
pub const MAX_MDN_RECIPIENTS: usize = 10;
/// Longest time that a message is held before it is sent, in milliseconds.
pub const MAX_HOLD_MS: u64 = 30 * 24 * 3_600_000;
/// Most sendings of an account that wait for their time.
pub const MAX_PENDING: usize = 500;
/// Most sendings of an account that are over and remembered.
pub const KEPT_SENDINGS: usize = 500;
/// How long a sending that could not be sent waits for the next attempt, in milliseconds.
pub const SENDING_RETRY_MS: u64 = 60_000;
/// Most notifications of each kind that are listed with a sending: as many as its recipients.
pub const MAX_REPORTS_LISTED: usize = MAX_ENVELOPE_RECIPIENTS;
/// Most recipients of whom one notification is heard: as many as one that is written here reports.
pub const MAX_REPORT_RECIPIENTS: usize = MAX_REPORTED;
/// Most bytes of a part of a notification that are looked at.
pub const MAX_REPORT_PART: usize = 256 * 1024;
/// Longest reply that is kept of what a notification says of a recipient, in bytes.
pub const MAX_REPLY: usize = 300;
/// Most sendings with one Message-ID that are looked at when a notification names it.
pub const SENDINGS_OF_MESSAGE_ID: usize = 10;
/// Most sendings that one look at what is due sends.
pub const DUE_AT_ONCE: usize = 100;
/// Longest text of a vacation response, in bytes: two of them stay within a row.
pub const MAX_VACATION_TEXT: usize = 24 * 1024;
/// Longest subject of a vacation response, in bytes.
pub const MAX_VACATION_SUBJECT: usize = 1_024;
/// After how long somebody who writes again is answered again, in milliseconds (RFC 3834 2: once in
/// seven days).
pub const ANSWER_AGAIN_MS: u64 = 7 * 24 * 3_600_000;
/// Most bytes of rows that one chunk of a job writes.
pub(crate) const CHUNK_BYTES: usize = 640 * 1024;
/// Most bytes of one row of planned recipients.
pub(crate) const PLAN_ROW_BYTES: usize = 48 * 1024;
/// Most bytes of one row of reports that the sender is owed.
pub(crate) const REPORT_ROW_BYTES: usize = 32 * 1024;
/// Kept free in a batch for a message's structure, a submission and the like, in bytes.
pub(crate) const BATCH_RESERVE: usize = 96 * 1024;
/// Content up to this size travels in the batch that refers to it.
pub(crate) const INLINE: usize = 2 * store_limits::BLOB_PIECE;
