//! The bounds of an item and of a call.

/// Longest text of a reply, of a hold's reason or of a DSN parameter, in bytes; more is cut.
pub const MAX_TEXT: usize = 1024;
/// Longest prefix (the trace header lines that differ by recipient), in bytes.
pub const MAX_PREFIX: usize = 16 * 1024;
/// Longest prefix of an item that travels with others, in bytes: what is written of all of them
/// together is one transaction.
pub const MAX_SHARED_PREFIX: usize = 1024;
/// Most items that travel together: what any server takes (RFC 5321 4.5.3.1.8).
pub const MAX_TOGETHER: usize = 100;
/// Most items one call hands out.
pub const MAX_ITEMS: usize = 1_000;
/// How long an item whose life is over, and which was never tried, waits for a host that can't be asked, in
/// milliseconds.
pub const OWED_WAIT_MS: u64 = 4 * 3_600_000;
/// Due rows read at a time.
pub(crate) const DUE_PAGE: usize = 100;
/// Most history rows one transaction removes.
pub const PRUNE_CHUNK: usize = 500;

/// Cuts a text to [`MAX_TEXT`] at a character.
pub(crate) fn clip(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let mut end = MAX_TEXT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
