//! HTTP/1.1 over TLS: one connection to a loopback address, one exchange at a time.
//!
//! Invariant: an answer that is not a success is an error that says what the server said.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsConnector;

use base64::Engine as _;

use crate::error::{Error, Result};
use crate::net::{self, Endpoint};

/// Where accounts are reached over HTTPS, and how they sign in.
#[derive(Clone)]
pub(crate) struct HttpTarget {
    /// Where.
    pub(crate) endpoint: Endpoint,
    /// The TLS client configuration.
    pub(crate) tls: TlsConnector,
    /// `user{}@example.org`.
    pub(crate) users_pattern: String,
    /// The password that all the accounts share.
    pub(crate) password: String,
}

/// A connection of one account.
pub(super) struct Http {
    sender: SendRequest<Full<Bytes>>,
    authorization: HeaderValue,
}

/// An answer is read in so many octets at once: thousands of listeners hold a buffer each.
const BUFFER_LISTENER: usize = 8 * 1024;

impl Http {
    /// Connects, for exchanges.
    pub(super) async fn open(target: &HttpTarget, account: usize) -> Result<Self> {
        Self::with(target, account, http1::Builder::new()).await
    }

    /// Connects, for one long answer of little.
    pub(super) async fn open_listener(target: &HttpTarget, account: usize) -> Result<Self> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER_LISTENER);
        Self::with(target, account, builder).await
    }

    async fn with(target: &HttpTarget, account: usize, builder: http1::Builder) -> Result<Self> {
        let stream = net::tls_stream(target.endpoint, &target.tls).await?;
        let shaken = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| failed("connect", error))?;
        // It ends with the sender; what goes wrong shows in the exchange under way.
        tokio::spawn(connection.with_upgrades());
        let name = target.users_pattern.replace("{}", &account.to_string());
        let login = format!("{name}:{}", target.password);
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        let authorization = HeaderValue::try_from(format!("Basic {login}"))
            .map_err(|_| Error::Usage("the password does not fit in a header".into()))?;
        Ok(Self {
            sender,
            authorization,
        })
    }

    /// Sends a request; answers when the head of the response has come, whatever its status.
    pub(super) async fn begin(
        &mut self,
        step: &'static str,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &'static str)],
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path
            .parse()
            .map_err(|_| Error::Usage(format!("{path} is no path")))?;
        let fields = request.headers_mut();
        fields.insert(header::HOST, HeaderValue::from_static("localhost"));
        fields.insert(header::AUTHORIZATION, self.authorization.clone());
        for (name, value) in headers {
            fields.insert(name, HeaderValue::from_static(value));
        }
        let ready = self.sender.ready().await;
        ready.map_err(|error| failed(step, error))?;
        self.sender
            .send_request(request)
            .await
            .map_err(|error| failed(step, error))
    }

    /// The whole answer of a POST.
    pub(super) async fn post(
        &mut self,
        step: &'static str,
        path: &str,
        kind: &'static str,
        body: Bytes,
    ) -> Result<Bytes> {
        let kind = [(header::CONTENT_TYPE, kind)];
        let answer = self.begin(step, Method::POST, path, &kind, body).await?;
        whole(step, answer).await
    }

    /// Reads a GET to its end: how many octets came.
    pub(super) async fn drain(&mut self, step: &'static str, path: &str) -> Result<u64> {
        let answer = self
            .begin(step, Method::GET, path, &[], Bytes::new())
            .await?;
        let mut body = success(step, answer).await?.into_body();
        let mut octets = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| failed(step, error))?;
            octets += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(octets)
    }

    /// The whole answer of a GET, after at most two redirections on the same server.
    pub(super) async fn get(&mut self, step: &'static str, path: &str) -> Result<Bytes> {
        let mut path = path.to_owned();
        for _ in 0..2 {
            let answer = self
                .begin(step, Method::GET, &path, &[], Bytes::new())
                .await?;
            let to = answer.headers().get(header::LOCATION);
            let to = to.and_then(|to| to.to_str().ok()).map(path_of);
            match to {
                Some(to) if answer.status().is_redirection() => path = to.to_owned(),
                _ => return whole(step, answer).await,
            }
        }
        Err(Error::Usage(format!(
            "{path} is redirected again and again"
        )))
    }
}

/// What follows the authority of a URL; a URL without one as it is.
pub(super) fn path_of(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else {
        return url;
    };
    rest.find('/')
        .and_then(|slash| rest.get(slash..))
        .unwrap_or("/")
}

/// Refuses what is no success.
pub(super) async fn success(
    step: &'static str,
    answer: Response<Incoming>,
) -> Result<Response<Incoming>> {
    let status = answer.status();
    if status.is_success() && status != StatusCode::NO_CONTENT {
        return Ok(answer);
    }
    let said = answer.into_body().collect().await;
    let said = said.map(|said| said.to_bytes()).unwrap_or_default();
    Err(Error::Refused {
        step,
        reply: format!("{status} {}", String::from_utf8_lossy(&said)),
    })
}

async fn whole(step: &'static str, answer: Response<Incoming>) -> Result<Bytes> {
    let body = success(step, answer).await?.into_body().collect().await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| failed(step, error))
}

pub(super) fn failed(step: &'static str, source: hyper::Error) -> Error {
    Error::Http { step, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_authority() {
        for (url, path) in [
            ("https://localhost:11443/jmap/api/", "/jmap/api/"),
            ("wss://localhost/jmap/ws/?x=1", "/jmap/ws/?x=1"),
            ("/jmap/", "/jmap/"),
            ("https://localhost", "/"),
        ] {
            assert_eq!(path_of(url), path);
        }
    }
}
