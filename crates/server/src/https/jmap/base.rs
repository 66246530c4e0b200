//! What the URLs of the session begin with.
//!
//! Invariant: a client that reached the session reaches what it is told of. Where the configuration
//! names a URL, that is where people come from; else the host that the client asked for is right, also
//! where a port is forwarded or the server has several names. The answer goes to who asked alone, and
//! nobody caches it, so that a wrong `Host` harms nobody else.

use hyper::HeaderMap;
use hyper::header;
use tern_jmap::session::Endpoints;

use crate::parts::Parts;

/// What is known without a request.
pub(super) struct Base {
    named: Option<String>,
    made: String,
}

impl Base {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            named: parts.named_url.clone(),
            made: parts.public_url.clone().unwrap_or_default(),
        }
    }

    /// Where a client with this request header finds the resources.
    pub(super) fn endpoints(&self, headers: &HeaderMap) -> Endpoints {
        // RFC 9110 7.2
        let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
        let asked = host.filter(|host| is_host(host));
        match (&self.named, asked) {
            (Some(named), _) => Endpoints::below(named),
            (None, Some(host)) => Endpoints::below(&format!("https://{host}")),
            (None, None) => Endpoints::below(&self.made),
        }
    }
}

/// Whether this is a host, maybe with a port, as it stands in a URL.
fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    !text.is_empty() && text.len() <= MAX_HOST && text.chars().all(fits)
}

/// A name of 253 octets and a port.
const MAX_HOST: usize = 259;

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn urls_begin_with_what_is_named_or_what_was_asked_for() {
        let base = |named: Option<&str>| Base {
            named: named.map(str::to_owned),
            made: "https://mx.example.org".to_owned(),
        };
        let api = |named, host: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, HeaderValue::from_static(host));
            }
            base(named).endpoints(&headers).api
        };
        assert_eq!(api(None, None), "https://mx.example.org/jmap/api/");
        let asked = api(None, Some("localhost:8443"));
        assert_eq!(asked, "https://localhost:8443/jmap/api/");
        assert_eq!(api(None, Some("[::1]:1")), "https://[::1]:1/jmap/api/");
        for odd in ["", "a/b", "a@b", "a b", "a\"b"] {
            assert_eq!(api(None, Some(odd)), "https://mx.example.org/jmap/api/");
        }
        let named = api(Some("https://mail.example.org"), Some("localhost"));
        assert_eq!(named, "https://mail.example.org/jmap/api/");
    }
}
