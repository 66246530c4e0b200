//! One connection's bytes, in the clear or under TLS.
//!
//! Invariant: an idle connection holds no read buffer: bytes are read into one buffer of the
//! thread, and given to the session at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tern_session::TlsFacts;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How much is read at once: one TLS record.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

impl Stream {
    /// Reads what is there, and gives it to `take`. Answers how much that was; 0 is the end.
    pub(crate) async fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        poll_fn(|cx| {
            BUFFER.with_borrow_mut(|bytes| {
                let mut buffer = ReadBuf::new(bytes);
                match self.poll_read(cx, &mut buffer) {
                    Poll::Ready(Ok(())) => {
                        take(buffer.filled());
                        Poll::Ready(Ok(buffer.filled().len()))
                    }
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending => Poll::Pending,
                }
            })
        })
        .await
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    /// The stream under TLS, where it is that.
    pub(crate) fn into_tls(self) -> Option<Box<TlsStream<TcpStream>>> {
        match self {
            Self::Tls(stream) => Some(stream),
            Self::Plain(_) => None,
        }
    }

    /// Writes all of it.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Says that nothing more comes.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        let stream: &mut (dyn AsyncWrite + Unpin + Send) = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        };
        stream.shutdown().await
    }

    /// Does the TLS handshake of the server's side.
    pub(crate) async fn start_tls(self, config: Arc<ServerConfig>) -> io::Result<(Self, TlsFacts)> {
        let Self::Plain(stream) = self else {
            return Err(io::Error::other("TLS is on already"));
        };
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let session = stream.get_ref().1;
        let version = session.protocol_version().and_then(|v| v.as_str());
        let cipher = session.negotiated_cipher_suite();
        let cipher = cipher.and_then(|suite| suite.suite().as_str());
        let facts = TlsFacts {
            version: version.unwrap_or("TLS").replace("TLSv1_", "TLSv1."),
            cipher: cipher.unwrap_or("unknown").replace("TLS13_", "TLS_"),
            sni: session.server_name().map(str::to_owned),
        };
        Ok((Self::Tls(Box::new(stream)), facts))
    }
}
