//! Bodies of requests, read whole, within a size, a time and the memory for content.

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap};
use tern_base::AccountId;
use tern_session::{ContentMemory, Reservation};
use tokio::time::timeout;

use crate::https::limits;
use crate::memory::PeerMemory;

/// A body, and the memory that was set aside for it.
pub(super) struct Octets {
    pub(super) bytes: Bytes,
    _memory: Reservation,
}

/// Why a body was not read.
pub(super) enum Unread {
    TooLarge,
    NoMemory,
    Slow,
    Lost,
}

/// Whether a request says that it is JSON, with or without parameters.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Reads the body of a request.
pub(super) async fn read(
    request: Request<Incoming>,
    max: u64,
    account: AccountId,
    memory: &PeerMemory,
) -> Result<Octets, Unread> {
    let body = request.into_body();
    let most = body.size_hint().exact().unwrap_or(max);
    if most > max {
        return Err(Unread::TooLarge);
    }
    let reserved = memory
        .reserve(Some(account), most)
        .ok_or(Unread::NoMemory)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    match timeout(limits::BODY_TIMEOUT, Limited::new(body, max).collect()).await {
        Err(_) => Err(Unread::Slow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(_)) => Err(Unread::Lost),
        Ok(Ok(body)) => Ok(Octets {
            bytes: body.to_bytes(),
            _memory: reserved,
        }),
    }
}
