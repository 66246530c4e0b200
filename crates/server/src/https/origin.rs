//! Where a request comes from, as far as a browser says.
//!
//! A browser keeps a Basic login and shows it by itself, whichever site's page makes it ask. What a page
//! can make it send unasked is therefore taken from pages of this server alone.

use hyper::header::{self, HeaderMap, HeaderName};

/// Whether a form comes from a page of this server.
///
/// A page proves nothing by a cookie, so a site that makes a browser send a form gains nothing by
/// it; this keeps it that way. Browsers say `Origin: null` where the page has `no-referrer`, and
/// what is not a browser says neither.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    match site(headers) {
        Some(site) => is_near(site),
        None => text(headers, header::ORIGIN)
            .is_none_or(|origin| origin == b"null" || is_host(headers, origin)),
    }
}

/// Whether a browser asks for a page of another site, or of one that it does not name.
pub(super) fn is_elsewhere(headers: &HeaderMap) -> bool {
    let origin = text(headers, header::ORIGIN);
    origin.is_some_and(|origin| !is_host(headers, origin))
        || site(headers).is_some_and(|site| !is_near(site))
}

/// Whether a browser sends this without having asked before whether it may (Fetch standard, the media
/// types that are safelisted for CORS).
pub(super) fn is_simple(headers: &HeaderMap) -> bool {
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind
        .split(|octet| *octet == b';')
        .next()
        .unwrap_or_default();
    kind.is_empty()
        || [
            &b"text/plain"[..],
            b"multipart/form-data",
            b"application/x-www-form-urlencoded",
        ]
        .iter()
        .any(|simple| kind.trim_ascii().eq_ignore_ascii_case(simple))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    headers.get(name).map(|value| value.as_bytes())
}

fn site(headers: &HeaderMap) -> Option<&[u8]> {
    text(headers, HeaderName::from_static("sec-fetch-site"))
}

const fn is_near(site: &[u8]) -> bool {
    matches!(site, b"same-origin" | b"none")
}

/// Whether an origin is the host that was asked.
fn is_host(headers: &HeaderMap, origin: &[u8]) -> bool {
    let host = text(headers, header::HOST).unwrap_or_default();
    origin
        .strip_prefix(b"https://")
        .is_some_and(|named| named == host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    type Fields = &'static [(&'static str, &'static str)];

    #[test]
    fn a_request_is_from_a_page_of_this_server_or_from_elsewhere() {
        // The fields; whether a form may have them; whether they are another site's.
        let cases: [(Fields, bool, bool); 10] = [
            (&[], true, false),
            (&[("origin", "null")], true, true),
            (&[("origin", "https://mx.example.org")], true, false),
            (&[("origin", "http://mx.example.org")], false, true),
            (
                &[("origin", "https://mx.example.org.evil.test")],
                false,
                true,
            ),
            (&[("origin", "https://evil.test")], false, true),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "null")],
                true,
                true,
            ),
            (&[("sec-fetch-site", "none")], true, false),
            (&[("sec-fetch-site", "same-site")], false, true),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://mx.example.org"),
                ],
                false,
                true,
            ),
        ];
        for (fields, own, elsewhere) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("mx.example.org"));
            for (name, value) in fields {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_own(&headers), own, "{fields:?}");
            assert_eq!(is_elsewhere(&headers), elsewhere, "{fields:?}");
        }
    }

    #[test]
    fn simple_is_what_a_browser_sends_unasked() {
        let simple = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(kind));
            is_simple(&headers)
        };
        assert!(is_simple(&HeaderMap::new()));
        assert!(simple("Text/Plain ; charset=utf-8"));
        assert!(simple("multipart/form-data; boundary=x"));
        assert!(simple("application/x-www-form-urlencoded"));
        assert!(!simple("application/octet-stream"));
        assert!(!simple("text/plainer"));
    }
}
