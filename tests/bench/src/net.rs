//! A buffered connection, plain or TLS, to a loopback address.
//!
//! Invariant: the hot paths allocate nothing: lines are slices of one growing buffer, and literals
//! are skipped in it. Refuses every address that is not loopback, because it trusts any certificate.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Range;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{Error, Result, Step};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Security {
    /// Not at all.
    Plain,
    /// Plain until STARTTLS.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

/// Where to connect, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    /// Always loopback: made by [`Endpoint::new`] only.
    address: SocketAddr,
    /// Plain, STARTTLS or TLS.
    pub(crate) security: Security,
}

impl Endpoint {
    /// Resolves `HOST:PORT`; refuses what is not loopback.
    pub(crate) fn new(text: &str, security: Security) -> Result<Self> {
        let mut found = text
            .to_socket_addrs()
            .map_err(|e| Error::Usage(format!("{text}: not HOST:PORT: {e}")))?;
        match found.next() {
            Some(address) if address.ip().is_loopback() => Ok(Self { address, security }),
            _ => Err(Error::NotLoopback(text.to_owned())),
        }
    }
}

/// Accepts every certificate: the peer is on loopback, and its certificate is made for the test.
#[derive(Debug)]
struct TrustLoopback(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustLoopback {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The TLS side of every connection; full handshakes only, so that each session costs the same.
pub(crate) fn tls_connector() -> Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::Usage(format!("TLS: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustLoopback(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn tcp(endpoint: Endpoint) -> Result<TcpStream> {
    let stream = TcpStream::connect(endpoint.address).await.step("connect")?;
    stream.set_nodelay(true).step("TCP_NODELAY")?;
    Ok(stream)
}

async fn shake_hands(stream: TcpStream, tls: &TlsConnector) -> Result<TlsStream<TcpStream>> {
    let name =
        ServerName::try_from("localhost").map_err(|e| Error::Usage(format!("server name: {e}")))?;
    tls.connect(name, stream).await.step("TLS handshake")
}

/// Connects with TLS from the first byte, for a protocol that reads for itself.
pub(crate) async fn tls_stream(
    endpoint: Endpoint,
    tls: &TlsConnector,
) -> Result<TlsStream<TcpStream>> {
    shake_hands(tcp(endpoint).await?, tls).await
}

/// The transport under a [`Conn`].
#[derive(Debug)]
enum Stream {
    /// Bare TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection and what was read of it but not yet consumed.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: Stream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// The first size of a buffer: 5,000 idle sessions hold one each.
const BUFFER_FIRST: usize = 4 * 1024;
/// A buffer grows up to this for throughput, beyond it only for one longer line.
const BUFFER_BUSY: usize = 256 * 1024;

impl Conn {
    /// Connects; with [`Security::Tls`] also shakes hands.
    pub(crate) async fn open(endpoint: Endpoint, tls: &TlsConnector) -> Result<Self> {
        let conn = Self {
            stream: Stream::Plain(tcp(endpoint).await?),
            buffer: vec![0; BUFFER_FIRST],
            start: 0,
            end: 0,
        };
        if endpoint.security == Security::Tls {
            conn.secure(tls).await
        } else {
            Ok(conn)
        }
    }

    /// Shakes hands over the plain connection, for STARTTLS and implicit TLS.
    pub(crate) async fn secure(self, tls: &TlsConnector) -> Result<Self> {
        let Stream::Plain(stream) = self.stream else {
            return Ok(self);
        };
        let stream = shake_hands(stream, tls).await?;
        // Plaintext that came before the handshake is dropped, as RFC 3207 section 6 asks.
        Ok(Self {
            stream: Stream::Tls(Box::new(stream)),
            start: 0,
            end: 0,
            ..self
        })
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.stream {
            Stream::Plain(s) => s.write_all(bytes).await.step("write"),
            Stream::Tls(s) => {
                s.write_all(bytes).await.step("write")?;
                s.flush().await.step("write")
            }
        }
    }

    /// Reads more into the buffer; makes room first.
    async fn fill(&mut self, waiting_for: &'static str) -> Result<()> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let room = &mut self.buffer[self.end..];
        let read = match &mut self.stream {
            Stream::Plain(s) => s.read(room).await,
            Stream::Tls(s) => s.read(room).await,
        }
        .step("read")?;
        if read == 0 {
            return Err(Error::Closed(waiting_for));
        }
        self.end += read;
        if self.end == self.buffer.len() && self.buffer.len() < BUFFER_BUSY {
            self.buffer.resize(BUFFER_BUSY, 0);
        }
        Ok(())
    }

    /// Consumes one line; the range, for [`Conn::slice`], leaves its line end out.
    pub(crate) async fn line(&mut self, waiting_for: &'static str) -> Result<Range<usize>> {
        let mut scanned = 0;
        loop {
            let from = self.start + scanned;
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[from..self.end]) {
                let newline = from + at;
                let begin = self.start;
                self.start = newline + 1;
                let bare = newline > begin && self.buffer[newline - 1] == b'\r';
                return Ok(begin..if bare { newline - 1 } else { newline });
            }
            scanned = self.end - self.start;
            self.fill(waiting_for).await?;
        }
    }

    /// The bytes of a line; valid until the next read.
    pub(crate) fn slice(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Consumes `count` bytes without looking at them.
    pub(crate) async fn skip(&mut self, mut count: usize, waiting_for: &'static str) -> Result<()> {
        loop {
            let here = count.min(self.end - self.start);
            self.start += here;
            count -= here;
            if count == 0 {
                return Ok(());
            }
            self.fill(waiting_for).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_allowed() {
        for (text, allowed) in [
            ("127.0.0.1:25", true),
            ("127.9.9.9:25", true),
            ("[::1]:143", true),
            ("192.0.2.1:25", false),
            ("0.0.0.0:25", false),
            ("10.0.0.1:25", false),
            ("[2001:db8::1]:25", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(
                Endpoint::new(text, Security::Plain).is_ok(),
                allowed,
                "{text}"
            );
        }
    }
}
