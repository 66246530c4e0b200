//! Forms: small, sent by a page of this server, and read within a time.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use super::limits;

/// Whether a request comes from a page of this server, as far as the browser says.
///
/// A page proves nothing by a cookie, so a site that makes a browser send a form gains nothing by
/// it; this keeps it that way. Browsers say `Origin: null` where the page has `no-referrer`, and
/// what is not a browser says neither.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.as_bytes());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, b"same-origin" | b"none");
    }
    let (origin, host) = (text(header::ORIGIN), text(header::HOST).unwrap_or_default());
    origin.is_none_or(|origin| {
        origin == b"null"
            || origin
                .strip_prefix(b"https://")
                .is_some_and(|named| named == host)
    })
}

/// The fields of a form.
pub(super) struct Form(Bytes);

impl Form {
    /// The first value of this name.
    pub(super) fn get(&self, wanted: &str) -> Option<String> {
        let mut fields = form_urlencoded::parse(&self.0);
        let found = fields.find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned())
    }
}

/// Reads a form.
pub(super) async fn read(request: Request<Incoming>) -> Result<Form, StatusCode> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = Limited::new(request.into_body(), limits::MAX_FORM).collect();
    let body = match timeout(limits::FORM_TIMEOUT, body).await {
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(Err(_)) => return Err(StatusCode::BAD_REQUEST),
        Ok(Ok(body)) => body.to_bytes(),
    };
    Ok(Form(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn a_form_is_from_a_page_of_this_server() {
        let cases: [(&[(&'static str, &'static str)], bool); 9] = [
            (&[], true),
            (&[("origin", "null")], true),
            (&[("origin", "https://mx.example.org")], true),
            (&[("origin", "http://mx.example.org")], false),
            (&[("origin", "https://mx.example.org.evil.test")], false),
            (&[("origin", "https://evil.test")], false),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "null")],
                true,
            ),
            (&[("sec-fetch-site", "same-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://mx.example.org"),
                ],
                false,
            ),
        ];
        for (fields, own) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("mx.example.org"));
            for (name, value) in fields {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_own(&headers), own, "{fields:?}");
        }
    }
}
