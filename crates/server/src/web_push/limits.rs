//! What a push may take.

use std::time::Duration;

/// Longest wait for the addresses of a name and for a connection with TLS.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest request from its beginning to the head of its answer.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Names that are looked up at once: each holds a thread that the store's work is done on, too.
pub(super) const MAX_LOOKUPS: usize = 8;
/// Addresses of a name that are tried.
pub(super) const MAX_ADDRESSES: usize = 4;
/// Octets of an answer's head that are read, and header fields in it.
pub(super) const MAX_HEAD: usize = 16 * 1024;
pub(super) const MAX_FIELDS: usize = 64;
/// How long a push service is to keep what it can't bring to the device at once, in seconds
/// (RFC 8030 5.2). Whoever was away for longer asks for what changed in any case.
pub(super) const MAX_TTL_SECS: u64 = 7 * 24 * 3_600;
/// How long a signature is good, in milliseconds (RFC 8292 2: at most 24 hours).
pub(super) const SIGNATURE_MS: u64 = 12 * 3_600 * 1_000;
/// Octets that a push service takes (RFC 8030 7.2), and of the record that they are encrypted in.
pub(super) const MAX_BODY: usize = 4_096;
