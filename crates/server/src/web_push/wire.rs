//! One request to a push service (RFC 8030 5), on a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::{Host, Url};

use super::limits::{
    CONNECT_TIMEOUT, MAX_ADDRESSES, MAX_FIELDS, MAX_HEAD, MAX_LOOKUPS, REQUEST_TIMEOUT,
};
use super::reach::PushReach;
use crate::config::Push;
use crate::net;

/// What a push service made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It has it.
    Taken,
    /// There is no such subscription there, or no more (RFC 8030 7.3).
    Gone,
    /// Not now; and how long it wants to be left alone, where it says so.
    Later(Option<Duration>),
    /// Not so often.
    TooMany(Option<Duration>),
    /// It will not have it.
    Refused(u16),
}

/// Why no push service has made anything of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The name leads to no address that may be reached.
    #[error("the URL leads into a network that is not to be reached")]
    OutOfReach,
    /// It can't be put into a request.
    #[error("it can't be sent")]
    Unsendable,
    /// The network, or the other end.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What is sent.
pub(super) struct Letter {
    pub(super) body: Vec<u8>,
    pub(super) is_encrypted: bool,
    pub(super) authorization: String,
    pub(super) ttl_secs: u64,
}

/// Makes connections.
pub(super) struct Wire {
    tls: Option<TlsConnector>,
    reach: PushReach,
    lookups: Semaphore,
}

/// RFC 8030 5.2
const TTL: HeaderName = HeaderName::from_static("ttl");

fn timed_out<E>(_: E) -> io::Error {
    io::Error::from(io::ErrorKind::TimedOut)
}

impl Wire {
    pub(super) fn new(settings: &Push, reach: PushReach) -> Result<Self, rustls::Error> {
        let path = &settings.trusted_certificates;
        let tls = match crate::tls::trusted(path) {
            Ok(roots) => {
                let provider = Arc::new(aws_lc_rs::default_provider());
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                Some(TlsConnector::from(Arc::new(config)))
            }
            Err(why) => {
                let path = path.display();
                tracing::warn!(%path, why, "nothing is pushed: `push.trusted_certificates`");
                None
            }
        };
        Ok(Self {
            tls,
            reach,
            lookups: Semaphore::new(MAX_LOOKUPS),
        })
    }

    /// Posts a letter to a URL.
    pub(super) async fn post(&self, url: &Url, letter: Letter) -> Result<Answer, Failure> {
        let request = request(url, letter).ok_or(Failure::Unsendable)?;
        let exchange = async {
            let stream = timeout(CONNECT_TIMEOUT, self.connect(url));
            let stream = stream.await.map_err(timed_out)??;
            Ok(exchange(stream, request).await?)
        };
        timeout(REQUEST_TIMEOUT, exchange)
            .await
            .map_err(timed_out)?
    }

    async fn connect(&self, url: &Url) -> Result<TlsStream<TcpStream>, Failure> {
        let port = url.port_or_known_default().unwrap_or(443);
        let (addresses, name) = match url.host() {
            Some(Host::Ipv4(ip)) => (vec![SocketAddr::new(ip.into(), port)], ip.to_string()),
            Some(Host::Ipv6(ip)) => (vec![SocketAddr::new(ip.into(), port)], ip.to_string()),
            Some(Host::Domain(name)) => (self.addresses(name, port).await?, name.to_owned()),
            None => return Err(Failure::Unsendable),
        };
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        // What was judged is what is connected to: no second answer of the DNS can lead elsewhere.
        let allowed = |address: &SocketAddr| self.reach.allows_address(address.ip());
        let addresses: Vec<SocketAddr> = addresses.into_iter().filter(allowed).collect();
        let addresses = addresses.get(..MAX_ADDRESSES).unwrap_or(&addresses);
        if addresses.is_empty() {
            return Err(Failure::OutOfReach);
        }
        let stream = net::connect(addresses, CONNECT_TIMEOUT).await?;
        let tls = self.tls.as_ref();
        let tls = tls.ok_or_else(|| io::Error::other("no certificate is trusted"))?;
        Ok(tls.connect(name, stream).await?)
    }

    async fn addresses(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // The semaphore is never closed.
        let _permit = self.lookups.acquire().await.map_err(io::Error::other)?;
        let found: Vec<SocketAddr> = lookup_host((name, port)).await?.collect();
        match found.is_empty() {
            true => Err(io::Error::from(io::ErrorKind::NotFound)),
            false => Ok(found),
        }
    }
}

fn request(url: &Url, letter: Letter) -> Option<Request<Full<Bytes>>> {
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut authorization = HeaderValue::try_from(letter.authorization).ok()?;
    authorization.set_sensitive(true);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(target)
        .header(header::HOST, host)
        // RFC 8620 7.2
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, authorization)
        .header(TTL, letter.ttl_secs)
        .header(header::CONNECTION, "close");
    if letter.is_encrypted {
        request = request.header(header::CONTENT_ENCODING, "aes128gcm");
    }
    request.body(Full::new(letter.body.into())).ok()
}

/// Sends a request and reads the head of its answer.
async fn exchange(
    stream: TlsStream<TcpStream>,
    request: Request<Full<Bytes>>,
) -> io::Result<Answer> {
    let handshake = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(io::Error::other)?;
    let response = sender.send_request(request);
    tokio::pin!(connection, response);
    let response = tokio::select! {
        response = &mut response => response,
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            // The answer came with the end.
            response.await
        }
    };
    let response = response.map_err(io::Error::other)?;
    let wait = response.headers().get(header::RETRY_AFTER);
    let wait = wait.and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
    Ok(answer(response.status(), wait.map(Duration::from_secs)))
}

fn answer(status: StatusCode, wait: Option<Duration>) -> Answer {
    match status {
        _ if status.is_success() => Answer::Taken,
        StatusCode::NOT_FOUND | StatusCode::GONE => Answer::Gone,
        StatusCode::TOO_MANY_REQUESTS => Answer::TooMany(wait),
        _ if status.is_server_error() => Answer::Later(wait),
        // Redirects are among them: nobody is led on.
        _ => Answer::Refused(status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_status() {
        let of = |status: u16| answer(StatusCode::from_u16(status).expect("a status"), None);
        assert_eq!([200, 201, 202].map(of), [Answer::Taken; 3]);
        assert_eq!([404, 410].map(of), [Answer::Gone; 2]);
        assert_eq!(of(429), Answer::TooMany(None));
        assert_eq!([500, 503].map(of), [Answer::Later(None); 2]);
        let refused = [301, 307, 400, 401, 413];
        assert_eq!(refused.map(of), refused.map(Answer::Refused));
    }

    #[test]
    fn a_request_is_a_post_to_the_path_of_the_url() {
        let letter = |is_encrypted| Letter {
            body: b"{}".to_vec(),
            is_encrypted,
            authorization: "vapid t=a,k=b".to_owned(),
            ttl_secs: 60,
        };
        let url = Url::parse("https://push.example.net:8443/a/b?c=d#e").expect("a URL");
        let request = request(&url, letter(true)).expect("a request");
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "/a/b?c=d");
        let field = |name: &str| request.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(field("host"), "push.example.net:8443");
        assert_eq!(field("content-type"), "application/json");
        assert_eq!(field("content-encoding"), "aes128gcm");
        assert_eq!(field("ttl"), "60");
        let plain = super::request(&url, letter(false)).expect("a request");
        assert!(!plain.headers().contains_key("content-encoding"));
    }
}
