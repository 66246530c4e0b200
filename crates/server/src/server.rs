//! The running server: listeners, workers, and their orderly end.
//!
//! Invariant: when [`Server::stop`] returns, every session was told or ran out of time, no worker
//! is at work, and the store is flushed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tern_session::Peer;
use tern_smtp::Role;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::admin::Admin;
use crate::anew;
use crate::at_start;
use crate::audit_chores::AuditChores;
use crate::clock::{self, OsEntropy};
use crate::config::Config;
use crate::control;
use crate::https::HttpsDoor;
use crate::hub::{Connections, Hub, Signal};
use crate::late::Late;
use crate::login::Logins;
use crate::memory::{Budget, Memory};
use crate::net::{
    self, Bounds, Gate, KINDS, Shared, Stream, Threads, Ticket, TurnedAway, Turns, bind,
};
use crate::outbox::{Departures, Recipients};
use crate::parts::{self, Parts, PartsError};
use crate::relay::{Relay, RelayError};
use crate::session::{ImapDoor, SmtpDoor};
use crate::syslog::{Forwarder, SyslogError};
use crate::tls::{self, Certificates, TlsError};
use crate::web_push::WebPush;
use crate::workers::{self, Workers};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address can't be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, std::io::Error),
    /// The relay's settings.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// Where the audit log is sent on.
    #[error(transparent)]
    Syslog(#[from] SyslogError),
    /// A worker or the control socket.
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Smtp,
    Submission,
    Submissions,
    Imap,
    Imaps,
    Https,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Https => "https",
        }
    }

    /// Its place among the kinds.
    const fn index(self) -> usize {
        self as usize
    }

    const fn is_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Imaps | Self::Https)
    }

    const fn is_imap(self) -> bool {
        matches!(self, Self::Imap | Self::Imaps)
    }

    /// What a client is told that finds no room; nothing under TLS, which has not begun.
    const fn full(self) -> &'static [u8] {
        match self {
            Self::Smtp | Self::Submission => b"421 4.7.0 Too many connections, try later\r\n",
            Self::Imap => b"* BYE [UNAVAILABLE] Too many connections, try later\r\n",
            Self::Submissions | Self::Imaps | Self::Https => b"",
        }
    }
}

/// The addresses that are listened on, with the ports that were given where port 0 was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Reception.
    pub smtp: Vec<SocketAddr>,
    /// Submission, STARTTLS.
    pub submission: Vec<SocketAddr>,
    /// Submission, TLS from the first byte.
    pub submissions: Vec<SocketAddr>,
    /// IMAP, STARTTLS.
    pub imap: Vec<SocketAddr>,
    /// IMAP, TLS from the first byte.
    pub imaps: Vec<SocketAddr>,
    /// The pages.
    pub https: Vec<SocketAddr>,
}

/// What every listener needs to start a session.
struct Context {
    shared: Arc<Shared>,
    gate: Arc<Gate>,
    turned_away: TurnedAway,
    connections: Connections,
    smtp: SmtpDoor,
    imap: ImapDoor,
    https: HttpsDoor,
    next_id: AtomicU64,
}

/// A server that runs.
pub struct Server {
    addresses: Addresses,
    context: Arc<Context>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    workers: Workers,
    rocks: Arc<tern_store_rocksdb::RocksEngine>,
}

/// How long sessions have to end when the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a stop waits before it looks again whether large deliveries are over.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Server {
    /// Opens the store and starts to serve. To be called inside a runtime.
    ///
    /// # Errors
    /// Says what is in the way; nothing is left running.
    pub async fn start(config: &Config) -> Result<Self, ServeError> {
        let file_limit = net::raise_file_limit();
        let hub = Arc::new(Hub::new());
        let parts = open(config, &hub).await?;
        let hostname = config.server.hostname.as_str();
        let certificates = Certificates::open(&config.tls, &config.server.data_dir, hostname)?;
        let certificates = Arc::new(certificates);
        // Before anything is begun that would go on where this fails.
        let mut addresses = Addresses::default();
        let listeners = bind_all(config, &mut addresses)?;
        let relay = Relay::new(config, Arc::clone(&parts.delivery))?;
        let forwarder = Forwarder::new(config, Arc::clone(&parts.engine))?;
        let (late_sender, late_receiver) = mpsc::channel();
        let late = Late::new(late_sender);
        let gate = Gate::new(bounds(config, file_limit));
        let departures = Departures::new(late.clone(), relay.wake());
        let context = context(
            config,
            &parts,
            gate,
            &hub,
            &certificates,
            &late,
            &departures,
        )?;
        let context = Arc::new(context);
        let audit = AuditChores::new(
            Arc::clone(&parts.engine),
            Arc::clone(&parts.recalls),
            config,
        );
        let (stop, stopped) = watch::channel(false);
        let mut server = Self {
            addresses,
            context,
            stop,
            tasks: Vec::new(),
            workers: Workers::start(&parts, &hub, late_receiver, audit, departures)?,
            rocks: Arc::clone(&parts.rocks),
        };
        for (kind, listener) in listeners {
            let context = Arc::clone(&server.context);
            let accept = accept(listener, kind, context, stopped.clone());
            server.tasks.push(tokio::spawn(accept));
        }
        let admin = Arc::new(Admin::new(&parts, relay.wake(), Arc::clone(&hub)));
        let files = workers::Files::new(certificates, &parts);
        files.record_policies().await;
        server.tasks.push(tokio::spawn(relay.run(stopped.clone())));
        let postman = server.context.https.postman().run(stopped.clone());
        server.tasks.push(tokio::spawn(postman));
        let logins = Arc::clone(&server.context.shared.logins);
        server
            .tasks
            .push(tokio::spawn(logins.keep(stopped.clone())));
        if let Some(forwarder) = forwarder {
            let forward = forwarder.run(stopped.clone());
            server.tasks.push(tokio::spawn(forward));
        }
        server
            .tasks
            .push(tokio::spawn(workers::reload(files, stopped.clone())));
        server
            .tasks
            .push(control::serve(&config.server.data_dir, admin, stopped)?);
        tracing::info!(hostname, files = file_limit, "tern serves");
        Ok(server)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Stops: no new connections, sessions are told and have five seconds, workers end, the store
    /// is flushed.
    pub async fn stop(self) {
        // Receivers that are gone need no telling.
        let _ = self.stop.send(true);
        self.context.connections.stop();
        self.context.shared.hub.stop();
        // Those that have not begun are left to the next start.
        let fan_outs = &self.context.smtp.fan_outs;
        fan_outs.close();
        if timeout(DRAIN, self.context.gate.drained()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        let are_done = async {
            while !SmtpDoor::are_over(fan_outs) {
                sleep(LOOK_AGAIN).await;
            }
        };
        if timeout(DRAIN, are_done).await.is_err() {
            tracing::warn!("a large delivery goes on at the next start");
        }
        for task in self.tasks {
            if timeout(DRAIN, task).await.is_err() {
                tracing::warn!("a task did not end in time");
            }
        }
        let (workers, rocks) = (self.workers, self.rocks);
        let end = tokio::task::spawn_blocking(move || {
            workers.stop();
            rocks.flush()
        });
        match end.await {
            Ok(Ok(())) => tracing::info!("tern stopped"),
            Ok(Err(error)) => tracing::error!(%error, "the store was not flushed; its log was"),
            Err(error) => tracing::error!(%error, "stopping failed"),
        }
    }
}

/// Opens the store and what rests on it, and looks whether it can be read.
async fn open(config: &Config, hub: &Arc<Hub>) -> Result<Parts, ServeError> {
    let (config, hub) = (config.clone(), Arc::clone(hub));
    let open = move || {
        let parts = parts::open(&config, hub, &mut OsEntropy)?;
        // Before anything is written: what can't be read is left as it is.
        at_start::look(&parts)?;
        anew::begin(&config, &parts)?;
        Ok::<_, parts::PartsError>(parts)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(opened.map_err(std::io::Error::other)??)
}

/// Binds every listener and notes where it listens.
fn bind_all(
    config: &Config,
    addresses: &mut Addresses,
) -> Result<Vec<(Kind, TcpListener)>, ServeError> {
    let listeners = &config.listeners;
    let all = [
        (Kind::Smtp, &listeners.smtp, &mut addresses.smtp),
        (
            Kind::Submission,
            &listeners.submission,
            &mut addresses.submission,
        ),
        (
            Kind::Submissions,
            &listeners.submissions,
            &mut addresses.submissions,
        ),
        (Kind::Imap, &listeners.imap, &mut addresses.imap),
        (Kind::Imaps, &listeners.imaps, &mut addresses.imaps),
        (Kind::Https, &listeners.https, &mut addresses.https),
    ];
    let mut bound = Vec::new();
    for (kind, wanted, there) in all {
        for address in wanted {
            let failed = |error| ServeError::Bind(*address, error);
            let listener = bind(*address).map_err(failed)?;
            let at = listener.local_addr().map_err(failed)?;
            tracing::info!(kind = kind.name(), address = %at, "listening");
            there.push(at);
            bound.push((kind, listener));
        }
    }
    Ok(bound)
}

/// What connections of every protocol share.
fn shared(
    config: &Config,
    parts: &Parts,
    hub: &Arc<Hub>,
    certificates: &Arc<Certificates>,
) -> Result<Arc<Shared>, ServeError> {
    let limits = &config.limits;
    let logins = Logins::new(
        Arc::clone(&parts.engine),
        Arc::clone(&parts.passwords),
        limits.max_login_failures,
        &limits.uncounted_networks,
        &config.server.data_dir,
    )?;
    let threads = Threads::new(config.server.blocking_threads.into());
    Ok(Arc::new(Shared {
        tls: tls::server_config(Arc::clone(certificates), &[])?,
        hub: Arc::clone(hub),
        logins: Arc::new(logins),
        handshake_timeout: Duration::from_secs(limits.handshake_timeout_secs),
        write_timeout: Duration::from_secs(limits.write_timeout_secs),
        turns: Turns::new(Arc::clone(&threads)),
        push_turns: Turns::new(threads),
        pushes: Arc::new(Semaphore::new(config.server.worker_threads.max(1).into())),
    }))
}

fn context(
    config: &Config,
    parts: &Parts,
    gate: Arc<Gate>,
    hub: &Arc<Hub>,
    certificates: &Arc<Certificates>,
    late: &Late,
    departures: &Departures,
) -> Result<Context, ServeError> {
    let limits = &config.limits;
    let shared = shared(config, parts, hub, certificates)?;
    let memory = Memory::new(Budget {
        total: limits.content_memory_bytes,
        strangers: limits.content_memory_reception_bytes,
        share: limits.content_memory_share_bytes,
    });
    let recipients = Recipients::new(limits.recipients_per_hour);
    Ok(Context {
        shared: Arc::clone(&shared),
        gate,
        turned_away: TurnedAway::default(),
        connections: Connections::default(),
        smtp: SmtpDoor {
            settings: Arc::new(config.smtp.clone()),
            delivery: Arc::clone(&parts.delivery),
            mailboxes: Arc::clone(&parts.mailboxes),
            memory: Arc::clone(&memory),
            departures: departures.clone(),
            recipients: recipients.clone(),
            fan_outs: SmtpDoor::fan_outs(),
        },
        imap: ImapDoor {
            settings: Arc::new(config.imap.clone()),
            mailboxes: Arc::clone(&parts.mailboxes),
            sharing: Arc::clone(&parts.sharing),
            memory: Arc::clone(&memory),
            late: late.clone(),
        },
        https: HttpsDoor::new(
            parts,
            Arc::clone(certificates),
            shared,
            memory,
            departures.clone(),
            recipients,
            WebPush::new(
                &config.push,
                config.server.hostname.as_str(),
                &parts.push_seed,
            )
            .map_err(TlsError::from)?,
        )?,
        next_id: AtomicU64::new(1),
    })
}

/// Per cent of all connections that are kept for each kind of listener that is used: the rest goes
/// to whoever comes.
const KEPT: [(Kind, usize); KINDS] = [
    (Kind::Smtp, 10),
    (Kind::Submission, 5),
    (Kind::Submissions, 10),
    (Kind::Imap, 5),
    (Kind::Imaps, 20),
    (Kind::Https, 2),
];

/// Files that are open beside connections and the store's tables: its logs, listeners, what goes out.
const OTHER_FILES: u64 = 512;

/// Connections for which there are files, when the store has those that it needs: without one for its log
/// it takes no further write until it is opened anew.
fn most_connections(config: &Config, files: Option<u64>) -> usize {
    let wanted = config.limits.max_connections;
    let of_store = u64::from(config.store.max_open_files) + OTHER_FILES;
    let left = files.map_or(u64::from(wanted), |files| files.saturating_sub(of_store));
    if left < u64::from(wanted) {
        tracing::warn!(
            wanted,
            left,
            files,
            "the system lets this process open too few files for all connections"
        );
    }
    u64::from(wanted).min(left) as usize
}

fn bounds(config: &Config, files: Option<u64>) -> Bounds {
    let (limits, listeners) = (&config.limits, &config.listeners);
    let total = most_connections(config, files);
    let mut kept = [0; KINDS];
    for (kind, per_cent) in KEPT {
        let is_used = match kind {
            Kind::Smtp => !listeners.smtp.is_empty(),
            Kind::Submission => !listeners.submission.is_empty(),
            Kind::Submissions => !listeners.submissions.is_empty(),
            Kind::Imap => !listeners.imap.is_empty(),
            Kind::Imaps => !listeners.imaps.is_empty(),
            Kind::Https => !listeners.https.is_empty(),
        };
        if let Some(kept) = kept.get_mut(kind.index()).filter(|_| is_used) {
            *kept = total * per_cent / 100;
        }
    }
    Bounds {
        total,
        narrow: limits.max_connections_per_address,
        wide: limits.max_connections_per_network,
        kept,
    }
}

/// Accepts connections until the server stops.
async fn accept(
    listener: TcpListener,
    kind: Kind,
    context: Arc<Context>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            _ = stopped.changed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => greet(stream, peer.ip().to_canonical(), kind, &context),
            Err(error) => {
                // Out of files, most likely: whoever waits is in the backlog meanwhile.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Lets a connection in, or turns it away.
fn greet(stream: TcpStream, ip: IpAddr, kind: Kind, context: &Arc<Context>) {
    match context.gate.enter(kind.index(), ip) {
        Ok(ticket) => {
            let context = Arc::clone(context);
            tokio::spawn(connection(stream, ip, kind, context, ticket));
        }
        Err(full) => {
            let told = context.turned_away.count(ip, Instant::now());
            if told.others > 0 {
                tracing::warn!(
                    many = told.others,
                    "further connections were turned away before"
                );
            }
            if told.this {
                tracing::warn!(peer = %ip, kind = kind.name(), ?full, "connection turned away");
            }
            // One line into an empty socket buffer; whoever does not get it loses nothing. Not by the
            // runtime, which knows of no room in it before it was asked.
            let _ = socket2::SockRef::from(&stream).send(kind.full());
        }
    }
}

async fn connection(
    stream: TcpStream,
    ip: IpAddr,
    kind: Kind,
    context: Arc<Context>,
    ticket: Ticket,
) {
    let id = context.next_id.fetch_add(1, Ordering::Relaxed);
    let signal = Arc::new(Signal::default());
    context.connections.add(id, &signal);
    // From here the ticket and the entry live as long as the session.
    let _leave = Leave {
        context: Arc::clone(&context),
        id,
        _ticket: ticket,
    };
    let mut stream = Stream::Plain(stream);
    let mut facts = None;
    if kind.is_tls() {
        let shared = &context.shared;
        let tls = match kind {
            Kind::Https => context.https.tls(),
            _ => &shared.tls,
        };
        let handshake = Box::pin(stream.start_tls(Arc::clone(tls)));
        match timeout(shared.handshake_timeout, handshake).await {
            Ok(Ok((secured, negotiated))) => (stream, facts) = (secured, Some(negotiated)),
            Ok(Err(error)) => return tracing::debug!(id, %ip, %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!(id, %ip, "TLS handshake timed out"),
        }
    }
    if kind == Kind::Https {
        return context.https.serve(stream, ip, &signal).await;
    }
    let (shared, now) = (Arc::clone(&context.shared), clock::now());
    let peer = Peer { ip, tls: facts };
    if kind.is_imap() {
        let session = context.imap.session(peer, id, now);
        net::serve(stream, session, shared, signal).await;
    } else {
        let role = match kind {
            Kind::Smtp => Role::Reception,
            _ => Role::Submission,
        };
        let session = context.smtp.session(role, peer, id, now);
        net::serve(stream, session, shared, signal).await;
    }
}

/// Takes a connection off the books.
struct Leave {
    context: Arc<Context>,
    id: u64,
    _ticket: Ticket,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.context.connections.remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_the_store_its_files() {
        let mut config = Config::default();
        config.limits.max_connections = 2_000;
        config.store.max_open_files = 1_000;
        let most = |files| most_connections(&config, files);
        assert_eq!(most(None), 2_000, "unknown");
        assert_eq!(most(Some(100_000)), 2_000);
        assert_eq!(most(Some(1_000 + OTHER_FILES + 300)), 300);
        assert_eq!(most(Some(10)), 0);
    }
}
