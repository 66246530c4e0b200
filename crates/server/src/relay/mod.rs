//! The outgoing worker: takes what is due from the queue, what travels together at once (see [`look`]),
//! speaks SMTP to the next server, and records what came of it.
//!
//! Invariant: an item is on the network only under its lease; an attempt ends before its lease does,
//! by an outcome that says what may have been taken (see [`dialogue`]), and that is recorded or the
//! lease runs out. Refuses to send where it would come
//! back from (see [`route`]), and into the own network where nobody chose that (see [`Reach`]).

mod attempt;
mod backlog;
mod connect;
mod dialogue;
mod look;
mod names;
mod patience;
mod reach;
mod record;
mod route;
mod send;
mod traffic;
mod words;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tern_base::Entropy as _;
use tern_delivery::{Delivery, DeliveryError};
use tern_queue::LeaseId;
use tern_queue::limits::MAX_TOGETHER;
use tern_smtp::client::ClientSettings;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::clock::{self, OsEntropy};
use crate::config::{self, Config, RelayTls};
use crate::net::Reach;
use backlog::{Backlog, DueAt, Most};
use connect::Connector;
pub(crate) use connect::any_certificate;
use look::Look;
use names::Names;
use patience::Patience;
use route::Routes;
use traffic::{Pass, Traffic};

/// Why the relay can't start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The trusted certificates can't be read.
    #[error("`relay.trusted_certificates` {0}: {1}")]
    Trusted(PathBuf, String),
    /// The resolver of this host can't be used.
    #[error("looking up names: {0}; `relay.resolve = false` does without")]
    Resolver(String),
    /// rustls refuses.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The worker.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    wake: Arc<Notify>,
}

/// What every attempt needs.
struct Shared {
    delivery: Arc<Delivery>,
    routes: Routes,
    client: Arc<ClientSettings>,
    connector: Connector,
    tls: RelayTls,
    /// Where a host may be that the configuration does not name.
    reach: Reach,
    attempt_timeout: Duration,
    /// Most items of one attempt.
    most_together: usize,
    traffic: Arc<Traffic>,
    /// Of one look at a time.
    backlog: Mutex<Backlog>,
}

/// The longest that the queue is not looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How many times as long as a look took the next one waits at least, but behind one at all that is due, which
/// has a pace of its own (see [`backlog`]).
const LOOKS_REST: u32 = 4;
/// How much longer than an attempt and the answer to its last message its lease is: what recording its
/// end may take.
const LEASE_MARGIN: Duration = Duration::from_secs(5 * 60);

impl Shared {
    fn lease_ms(&self) -> u64 {
        let answer = Duration::from_secs(self.client.end_of_data_timeout_secs);
        let lease = self.attempt_timeout.saturating_add(answer);
        let lease = lease.saturating_add(LEASE_MARGIN);
        u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
    }

    /// How much time a further transaction must have: that of a reply, and of the last.
    fn transaction_time(&self) -> Duration {
        let settings = &self.client;
        let secs = settings.reply_timeout_secs;
        Duration::from_secs(secs.saturating_add(settings.end_of_data_timeout_secs))
    }
}

/// Whether the files are there that the settings name.
pub(crate) fn check(settings: &config::Relay) -> Result<(), RelayError> {
    Connector::new(settings, None).map(drop)
}

impl Relay {
    pub(crate) fn new(config: &Config, delivery: Arc<Delivery>) -> Result<Self, RelayError> {
        let relay = &config.relay;
        let client = ClientSettings {
            hostname: config.server.hostname.as_str().to_owned(),
            reply_timeout_secs: relay.reply_timeout_secs,
            end_of_data_timeout_secs: relay.end_of_data_timeout_secs,
            ..ClientSettings::default()
        };
        let hostname = config.server.hostname.as_str();
        let names = relay.resolve.then(Names::of_host).transpose();
        let names = names.map_err(|error| RelayError::Resolver(error.to_string()))?;
        let names = names.map(Arc::new);
        let shared = Shared {
            delivery,
            routes: Routes::new(relay.routes.clone(), names.clone(), hostname),
            client: Arc::new(client),
            connector: Connector::new(relay, names)?,
            tls: relay.tls,
            reach: match relay.allow_private_addresses {
                true => Reach::Anywhere,
                false => Reach::Public,
            },
            attempt_timeout: Duration::from_secs(relay.attempt_timeout_secs),
            most_together: usize::from(relay.recipients_per_transaction).clamp(1, MAX_TOGETHER),
            traffic: Arc::new(Traffic::new(
                relay.concurrency.into(),
                relay.concurrency_per_destination.into(),
                // As much again as for what is on its way in.
                config.limits.content_memory_bytes,
            )),
            backlog: Mutex::new(Backlog::new(Most::REMEMBERED)),
        };
        Ok(Self {
            shared: Arc::new(shared),
            wake: Arc::new(Notify::new()),
        })
    }

    /// What wakes the worker when something was queued.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Works until the server stops, and until what was under way then is concluded.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        self.end_leases().await;
        let traffic = Arc::clone(&self.shared.traffic);
        while !*stopped.borrow() {
            let since = Instant::now();
            let (passes, is_whole) = self.due().await;
            for pass in passes {
                let shared = Arc::clone(&self.shared);
                let patience = Patience::new(shared.attempt_timeout, stopped.clone());
                let lease = LeaseId(OsEntropy.next_u64());
                tokio::spawn(attempt::attempt(shared, pass, lease, patience));
            }
            // Looking takes time where much is passed over: most of it is left to others.
            let rest = match is_whole {
                true => Duration::ZERO,
                false => since.elapsed() * LOOKS_REST,
            };
            let next = self.wait_time().await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = traffic.freed() => {}
                () = sleep(next) => {}
                _ = stopped.changed() => {}
            }
            if !*stopped.borrow() {
                sleep(rest).await;
            }
        }
        while !traffic.is_idle() {
            traffic.freed().await;
        }
    }

    /// Nobody but this worker sends: what was under way when the last one went is due at once.
    async fn end_leases(&self) {
        let delivery = Arc::clone(&self.shared.delivery);
        let end = move || delivery.end_leases(clock::now());
        match tokio::task::spawn_blocking(end).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(lost)) => tracing::warn!(lost, "attempts to relay were cut off"),
            Ok(Err(error)) => tracing::error!(%error, "leases of before run on"),
        }
    }

    /// What is due and may begin now, and whether all that is due was looked at for that.
    async fn due(&self) -> (Vec<Pass>, bool) {
        let shared = Arc::clone(&self.shared);
        let look = move || {
            let (traffic, routes) = (&shared.traffic, &shared.routes);
            let due = DueAt(&shared.delivery, clock::now());
            let mut look = Look::new(traffic, routes, shared.most_together);
            let mut is_whole = false;
            if traffic.room() > 0 {
                // What a look that broke off has left is read again before it counts.
                let backlog = shared.backlog.lock();
                let mut backlog = backlog.unwrap_or_else(PoisonError::into_inner);
                is_whole = backlog.look(&due, &mut look)?;
            }
            Ok::<_, DeliveryError>((look.passes().collect(), is_whole))
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::error!(%error, "the queue could not be read");
                (Vec::new(), false)
            }
            Err(error) => {
                tracing::error!(%error, "looking at the queue broke off");
                (Vec::new(), false)
            }
        }
    }

    /// How long until something is due that is not due yet. What is due and did not begin waits for
    /// the end of another attempt, or rests.
    async fn wait_time(&self) -> Duration {
        let delivery = Arc::clone(&self.shared.delivery);
        let next = move || delivery.next_due_after(clock::now());
        match tokio::task::spawn_blocking(next).await {
            Ok(Ok(Some(at))) => LOOK.min(clock::until(at)),
            _ => LOOK,
        }
    }
}
