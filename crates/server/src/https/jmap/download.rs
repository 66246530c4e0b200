//! Downloads (RFC 8620 6.2), piece by piece: memory is bounded whatever the blob, and a client that
//! takes its time holds up nobody.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tern_jmap::Download;
use tern_session::Reservation;

use super::login::LoggedIn;
use super::{Jmap, held, problem};
use crate::clock;
use crate::https::answer::{Answer, Body};
use crate::https::limits::DOWNLOAD_PIECE;

/// RFC 8187 3.2.1: what stands bare in an extended value.
const EXTENDED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a path and a query ask for.
struct Asked {
    account: String,
    blob: String,
    name: String,
    media_type: String,
}

impl Asked {
    /// `accountId/blobId/name?accept=type`; `None` for another shape.
    fn of(rest: &str, query: Option<&str>) -> Option<Self> {
        let mut parts = rest.splitn(3, '/');
        let account = parts.next()?.to_owned();
        let (blob, name) = (parts.next()?, parts.next().unwrap_or_default());
        let accept = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "accept")
            .map(|(_, value)| value.into_owned());
        Some(Self {
            account,
            blob: blob.to_owned(),
            name: percent_decode_str(name).decode_utf8_lossy().into_owned(),
            media_type: accept
                .filter(|kind| is_media_type(kind))
                .unwrap_or_else(|| "application/octet-stream".to_owned()),
        })
    }
}

/// Whether a text can stand as a Content-Type: printable ASCII with a slash in it.
fn is_media_type(text: &str) -> bool {
    text.contains('/')
        && text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

impl Jmap {
    /// Answers a download.
    pub(super) async fn download(
        self: &Arc<Self>,
        peer: IpAddr,
        login: &LoggedIn,
        rest: &str,
        query: Option<&str>,
    ) -> Answer {
        let nothing = || problem(StatusCode::NOT_FOUND, "There is no such blob.");
        let Some(asked) = Asked::of(rest, query) else {
            return nothing();
        };
        let (jmap, caller) = (Arc::clone(self), login.caller.clone());
        let (account, blob) = (asked.account, asked.blob);
        let begin = move || {
            let of = (account.as_str(), blob.as_str());
            Download::begin(&jmap.verbs(), &caller, of, clock::now())
        };
        let download = match self.pool.run(begin).await {
            Ok(Ok(Some(download))) => download,
            Ok(Ok(None)) => return nothing(),
            Ok(Err(_)) | Err(_) => {
                return problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The blob can't be read now.",
                );
            }
        };
        let memory = self.memory.of(peer);
        let Some(memory) = held::reserve(download.held(), login.caller.account, &memory) else {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "No memory is left for it.");
        };
        let size = download.size();
        let mut answer = Response::new(pieces(Arc::clone(self), download, memory));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_LENGTH, size.into());
        if let Ok(kind) = HeaderValue::from_str(&asked.media_type) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        let name = utf8_percent_encode(&asked.name, &EXTENDED);
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        // RFC 8620 6.2: what a blob id stands for never changes; but it can be taken back.
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-store"),
        );
        answer
    }
}

/// The octets of a download, read as they are taken. Where they may not be served any more the body
/// ends early, which HTTP shows as a failure.
fn pieces(jmap: Arc<Jmap>, download: Download, memory: Reservation) -> Body {
    let size = download.size();
    // The memory goes with what is decoded, when the last piece is taken.
    let reading = (jmap, Arc::new((download, memory)), 0..size);
    let stream = futures_util::stream::try_unfold(reading, |(jmap, download, left)| async move {
        if left.is_empty() {
            return Ok(None);
        }
        let next: Range<u64> = left.start..left.end.min(left.start + DOWNLOAD_PIECE);
        let rest = next.end..left.end;
        let (from, source) = (Arc::clone(&jmap), Arc::clone(&download));
        let read = move || source.0.read(&from.verbs(), next);
        let octets = match jmap.pool.run_late(read).await {
            Ok(Ok(octets)) => octets,
            Ok(Err(error)) => return Err(io::Error::other(error)),
            Err(error) => return Err(io::Error::other(error)),
        };
        Ok(Some((
            Frame::data(Bytes::from(octets)),
            (jmap, download, rest),
        )))
    });
    StreamBody::new(stream).boxed_unsync()
}
