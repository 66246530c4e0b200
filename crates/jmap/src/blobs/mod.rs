//! `Blob/copy` (RFC 8620), `Blob/upload`, `Blob/get` and `Blob/lookup` (RFC 9404).

pub(crate) mod copy;
pub(crate) mod get;
pub(crate) mod lookup;
pub(crate) mod upload;

use tern_base::AccountId;

/// What uploads within a request need of the shell.
pub trait UploadDesk {
    /// Whether an account may upload one more now. It counts where it may.
    fn may_upload(&self, account: AccountId) -> bool;
}

/// A shell that counts no uploads.
#[derive(Clone, Copy, Debug)]
pub struct AnyUploads;

impl UploadDesk for AnyUploads {
    fn may_upload(&self, _: AccountId) -> bool {
        true
    }
}

/// A part of a blob: RFC 9404 4.2 counts octets from `offset`, as many as `length` says or there are.
fn part(size: u64, offset: Option<u64>, length: Option<u64>) -> std::ops::Range<u64> {
    let start = offset.unwrap_or(0).min(size);
    let end = length
        .map_or(size, |length| start.saturating_add(length))
        .min(size);
    start..end
}

/// Whether a blob has all octets of the part that is asked for.
fn is_whole(size: u64, offset: Option<u64>, length: Option<u64>) -> bool {
    let start = offset.unwrap_or(0);
    start <= size && length.is_none_or(|length| start.saturating_add(length) <= size)
}
