//! Sends the audit log on to a collector elsewhere, by syslog over TLS (RFC 5424, RFC 5425).
//!
//! Invariants:
//! - Nothing is lost, over restarts of either side and while the collector is away. Syslog has no
//!   acknowledgement; what counts as taken is what the collector has read up to the end of a
//!   connection that it closed in order, under TLS: whoever sits in between can end a connection, but
//!   not in order. Whatever else was sent is sent again: a collector can get an entry twice, and tells so
//!   by its sequence. `orderly_end` gives that up for a collector that never closes in order.
//! - Memory is bounded: the log itself is the buffer.
//!
//! Refuses a collector whose certificate does not have the name, or is not vouched for.

mod frame;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tern_audit::Forwarded;
use tern_store::{Engine, StoreError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Config, HostPort, Syslog};
use crate::tls;
use frame::Format;

/// How often the log is asked for something new.
const LOOK: Duration = Duration::from_secs(1);
/// How many looks without anything new end a connection.
const IDLE_LOOKS: u32 = 5;
/// Entries that are read at once.
const PAGE: usize = 100;
/// Most entries that may have to be sent again: a connection ends after so many.
const MAX_UNCONFIRMED: u64 = 5_000;
/// Longest wait for a connection, for a write, or for the end of a connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait after a first failure, doubled by each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(300);

/// Why nothing can be sent on.
#[derive(Debug, thiserror::Error)]
pub enum SyslogError {
    /// A file of the settings is wrong.
    #[error("`syslog` {0}: {1}")]
    File(PathBuf, String),
    /// The name is none.
    #[error("`syslog.server_name`: `{0}` is no name of a host")]
    Name(String),
    /// rustls refuses.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What the worker needs.
pub(crate) struct Forwarder {
    engine: Arc<dyn Engine>,
    to: HostPort,
    name: ServerName<'static>,
    tls: TlsConnector,
    format: Format,
    /// Whether only a connection counts that the collector closed in order.
    orderly_end: bool,
}

/// Some messages, and how far they go.
struct Page {
    bytes: Vec<u8>,
    to: Forwarded,
}

impl Forwarder {
    /// The worker, where a collector is named.
    ///
    /// # Errors
    /// A file or a name is wrong.
    pub(crate) fn new(
        config: &Config,
        engine: Arc<dyn Engine>,
    ) -> Result<Option<Self>, SyslogError> {
        let settings = &config.syslog;
        let Some(to) = settings.address.0.clone() else {
            return Ok(None);
        };
        let name = match settings.server_name.is_empty() {
            true => to.host.clone(),
            false => settings.server_name.clone(),
        };
        let wrong = || SyslogError::Name(name.clone());
        Ok(Some(Self {
            engine,
            name: ServerName::try_from(name.clone()).map_err(|_| wrong())?,
            to,
            orderly_end: settings.orderly_end,
            tls: TlsConnector::from(Arc::new(client_config(settings)?)),
            format: Format::new(settings, config.server.hostname.as_str()),
        }))
    }

    /// Works until the server stops.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut delay = FIRST_DELAY;
        while !*stopped.borrow() {
            let wait = match this.round(&mut stopped).await {
                Ok(true) => {
                    delay = FIRST_DELAY;
                    continue;
                }
                Ok(false) => LOOK,
                Err(error) => {
                    let to = &this.to;
                    tracing::warn!(%to, %error, "the audit log could not be sent on");
                    let wait = delay;
                    delay = (delay * 2).min(LAST_DELAY);
                    wait
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                _ = stopped.changed() => {}
            }
        }
    }

    /// One connection, where there is something to send; false where there is not.
    async fn round(self: &Arc<Self>, stopped: &mut watch::Receiver<bool>) -> io::Result<bool> {
        let from = self
            .work(|this| tern_audit::forwarded(&*this.engine))
            .await?;
        if self.page(from).await?.bytes.is_empty() {
            return Ok(false);
        }
        let connect = timeout(PATIENCE, self.connect());
        let mut stream = tokio::select! {
            stream = connect => stream.map_err(|_| timed_out())??,
            _ = stopped.changed() => return Ok(false),
        };
        let to = self.send(&mut stream, from, stopped).await?;
        let end = timeout(PATIENCE, close(&mut stream)).await;
        if end.map_err(|_| timed_out())?? == End::Cut && self.orderly_end {
            return Err(io::Error::other(
                "the collector did not close the connection in order, so what was sent may not be there \
                 (RFC 5425 4.4; one that never does needs `orderly_end = false`)",
            ));
        }
        self.work(move |this| tern_audit::set_forwarded(&*this.engine, to))
            .await?;
        tracing::debug!(entry = to.entry, "the audit log was sent on");
        Ok(true)
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect((self.to.host.as_str(), self.to.port)).await?;
        self.tls.connect(self.name.clone(), stream).await
    }

    /// Sends what there is and what comes, until nothing comes, the server stops, or it is enough.
    async fn send(
        self: &Arc<Self>,
        stream: &mut TlsStream<TcpStream>,
        from: Forwarded,
        stopped: &mut watch::Receiver<bool>,
    ) -> io::Result<Forwarded> {
        let (mut at, mut idle) = (from, 0);
        while at.entry - from.entry < MAX_UNCONFIRMED && idle < IDLE_LOOKS && !*stopped.borrow() {
            let page = self.page(at).await?;
            if page.bytes.is_empty() {
                idle += 1;
                tokio::select! {
                    () = sleep(LOOK) => {}
                    _ = stopped.changed() => {}
                    ended = ended(stream) => {
                        ended?;
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                continue;
            }
            let write = async {
                stream.write_all(&page.bytes).await?;
                stream.flush().await
            };
            timeout(PATIENCE, write).await.map_err(|_| timed_out())??;
            (at, idle) = (page.to, 0);
        }
        Ok(at)
    }

    /// What comes after.
    async fn page(self: &Arc<Self>, from: Forwarded) -> io::Result<Page> {
        self.work(move |this| this.read_page(from)).await
    }

    fn read_page(&self, from: Forwarded) -> Result<Page, StoreError> {
        let (mut bytes, mut to) = (Vec::new(), from);
        for entry in tern_audit::entries_from(&*self.engine, from.entry + 1, PAGE)? {
            bytes.extend(self.format.entry(&entry));
            to.entry = entry.sequence;
        }
        // A checkpoint comes after the last entry that it covers.
        let (signed, _) = tern_audit::checkpoint::checkpoints(&*self.engine, from.checkpoint + 1)?;
        for signed in signed {
            if signed.checkpoint.entries <= to.entry {
                bytes.extend(self.format.checkpoint(&signed));
                to.checkpoint = signed.checkpoint.entries;
            }
        }
        Ok(Page { bytes, to })
    }

    /// Asks the store, on a thread that may wait.
    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> io::Result<T> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

fn timed_out() -> io::Error {
    io::Error::from(io::ErrorKind::TimedOut)
}

/// How the collector ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It said so, under TLS.
    Closed,
    /// The connection below was ended, by whomever.
    Cut,
}

/// Waits for the collector to end a connection; it has nothing else to say.
async fn ended(stream: &mut TlsStream<TcpStream>) -> io::Result<End> {
    let mut unread = [0; 256];
    loop {
        match stream.read(&mut unread).await {
            Ok(0) => return Ok(End::Closed),
            Ok(_) => {}
            // rustls: the end of the stream without a `close_notify`.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(End::Cut),
            Err(error) => return Err(error),
        }
    }
}

/// RFC 5425 4.4: says that it was all, and waits until the collector, having read it, closes, too. One
/// that goes away without having read all resets the connection.
async fn close(stream: &mut TlsStream<TcpStream>) -> io::Result<End> {
    stream.shutdown().await?;
    ended(stream).await
}

/// Whether the files are there that the settings name.
pub(crate) fn check(settings: &Syslog) -> Result<(), SyslogError> {
    match settings.address.0 {
        Some(_) => client_config(settings).map(drop),
        None => Ok(()),
    }
}

fn client_config(settings: &Syslog) -> Result<ClientConfig, SyslogError> {
    let wrong = |path: &Path, why: String| SyslogError::File(path.to_owned(), why);
    let path = &settings.trusted_certificates;
    let roots = tls::trusted(path).map_err(|why| wrong(path, why))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let (certificate, key) = (&settings.certificate, &settings.private_key);
    if certificate.as_os_str().is_empty() {
        return Ok(builder.with_no_client_auth());
    }
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| wrong(certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key);
    let private = private.map_err(|error| wrong(key, error.to_string()))?;
    Ok(builder.with_client_auth_cert(chain, private)?)
}
