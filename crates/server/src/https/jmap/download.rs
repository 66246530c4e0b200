//! Downloads (RFC 8620 6.2), piece by piece: memory is bounded whatever the blob, and a client that
//! takes its time holds up nobody.
//!
//! Invariant: nothing more is served once the login by which it was asked for is revoked.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tern_jmap::{Caller, Download, Verbs, download_needs, download_size};
use tern_mailbox::MailboxError;
use tern_session::Reservation;

use super::login::LoggedIn;
use super::{Jmap, held, problem};
use crate::clock;
use crate::https::answer::{Answer, Body, whole};
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
        let begin = |verbs: &Verbs<'_>, caller: &Caller, of: (&str, &str)| {
            Download::begin(verbs, caller, of, clock::now())
        };
        let found = self.look_up(peer, login, rest, query, begin).await;
        let (asked, download) = match found {
            Ok(found) => found,
            Err(none) => return *none,
        };
        let memory = self.memory.of(peer);
        let Some(memory) = held::reserve(download.held(), login.caller.account, &memory) else {
            return no_memory();
        };
        let size = download.size();
        let body = pieces(Arc::clone(self), login, download, memory);
        asked.answer(size, body)
    }

    /// Answers how a download would be, without one (RFC 9110 9.3.2).
    pub(super) async fn download_head(
        self: &Arc<Self>,
        peer: IpAddr,
        login: &LoggedIn,
        rest: &str,
        query: Option<&str>,
    ) -> Answer {
        let found = self.look_up(peer, login, rest, query, download_size);
        match found.await {
            Ok((asked, size)) => asked.answer(size, whole("")),
            Err(none) => *none,
        }
    }

    /// Finds what is asked for, on the blocking pool, within the memory for content.
    async fn look_up<T: Send + 'static>(
        self: &Arc<Self>,
        peer: IpAddr,
        login: &LoggedIn,
        rest: &str,
        query: Option<&str>,
        find: impl FnOnce(&Verbs<'_>, &Caller, (&str, &str)) -> Result<Option<T>, MailboxError>
        + Send
        + 'static,
    ) -> Result<(Asked, T), Box<Answer>> {
        let nothing = || Box::new(problem(StatusCode::NOT_FOUND, "There is no such blob."));
        let asked = Asked::of(rest, query).ok_or_else(nothing)?;
        let (jmap, caller) = (Arc::clone(self), login.caller.clone());
        let of = (asked.account.clone(), asked.blob.clone());
        let memory = self.memory.of(peer);
        let find = move || {
            let (verbs, of) = (jmap.verbs(), (of.0.as_str(), of.1.as_str()));
            let needs = download_needs(&verbs, &caller, of)?;
            let Some(_held) = held::reserve(needs, caller.account, &memory) else {
                return Ok(None);
            };
            find(&verbs, &caller, of).map(Some)
        };
        match self.pool.run(login.caller.account, find).await {
            Ok(Ok(Some(Some(found)))) => Ok((asked, found)),
            Ok(Ok(Some(None))) => Err(nothing()),
            Ok(Ok(None)) => Err(Box::new(no_memory())),
            Ok(Err(_)) | Err(_) => Err(Box::new(problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "The blob can't be read now.",
            ))),
        }
    }
}

fn no_memory() -> Answer {
    problem(StatusCode::SERVICE_UNAVAILABLE, "No memory is left for it.")
}

impl Asked {
    /// An answer of so many octets.
    fn answer(&self, size: u64, body: Body) -> Answer {
        let mut answer = Response::new(body);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_LENGTH, size.into());
        if let Ok(kind) = HeaderValue::from_str(&self.media_type) {
            headers.insert(header::CONTENT_TYPE, kind);
        }
        if let Ok(value) = HeaderValue::from_str(&disposition(&self.name)) {
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

/// How a file of this name is shown: kept, not opened. A name that a quoted string says as it is stands there
/// too, for clients that know no other (RFC 6266 4.3, appendix D).
fn disposition(name: &str) -> String {
    let is_plain = |byte: u8| {
        (byte == b' ' || byte.is_ascii_graphic()) && !matches!(byte, b'"' | b'\\' | b'%')
    };
    let extended = utf8_percent_encode(name, &EXTENDED);
    match name.bytes().all(is_plain) {
        true => format!("attachment; filename=\"{name}\"; filename*=UTF-8''{extended}"),
        false => format!("attachment; filename*=UTF-8''{extended}"),
    }
}

/// The octets of a download, read as they are taken. Where they may not be served any more, or the login
/// is good no more, the body ends early, which HTTP shows as a failure.
fn pieces(jmap: Arc<Jmap>, login: &LoggedIn, download: Download, memory: Reservation) -> Body {
    let (size, account) = (download.size(), login.caller.account);
    // The memory goes with what is decoded, when the last piece is taken.
    let reading = (
        jmap,
        Arc::new((download, login.standing(), memory)),
        0..size,
    );
    let stream =
        futures_util::stream::try_unfold(reading, move |(jmap, download, left)| async move {
            if left.is_empty() {
                return Ok(None);
            }
            let next: Range<u64> = left.start..left.end.min(left.start + DOWNLOAD_PIECE);
            let rest = next.end..left.end;
            let (from, source) = (Arc::clone(&jmap), Arc::clone(&download));
            let read = move || source.0.read(&from.verbs(), next);
            let octets = match jmap.pool.run_late(account, read).await {
                // Asked behind the read, as seals are.
                Ok(Ok(octets)) if download.1.may_go_on() => octets,
                Ok(Ok(_)) => return Err(io::Error::other("the login is good no more")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_told_to_clients_that_know_no_other() {
        for (name, wanted) in [
            (
                "my file.txt",
                "attachment; filename=\"my file.txt\"; filename*=UTF-8''my%20file.txt",
            ),
            ("n\u{f6}te", "attachment; filename*=UTF-8''n%C3%B6te"),
            ("a\"b", "attachment; filename*=UTF-8''a%22b"),
            ("a\\b", "attachment; filename*=UTF-8''a%5Cb"),
            ("a\r\nb", "attachment; filename*=UTF-8''a%0D%0Ab"),
        ] {
            assert_eq!(disposition(name), wanted, "{name}");
        }
    }
}
