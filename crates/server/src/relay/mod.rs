//! The outgoing worker: takes what is due from the queue, speaks SMTP to the next server, and
//! records what came of it.
//!
//! Invariant: an item is on the network only under its lease, and every attempt is concluded or
//! its lease runs out; an attempt ends before its lease does. Refuses to send where it would come
//! back from (see [`route`]), and into the own network where nobody chose that (see [`Reach`]).

mod attempt;
mod connect;
mod route;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tern_base::Entropy as _;
use tern_delivery::Delivery;
use tern_queue::{LeaseId, QueueId, State};
use tern_smtp::client::ClientSettings;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

use crate::clock::{self, OsEntropy};
use crate::config::{Config, RelayTls};
use crate::net::Reach;
use connect::Connector;
pub(crate) use connect::any_certificate;
use route::Routes;

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
    concurrency: usize,
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
}

/// The longest that the queue is not looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Most items that one look takes up.
const BATCH: usize = 100;
/// How much longer than an attempt its lease is: what recording its end may take.
const LEASE_MARGIN: Duration = Duration::from_secs(5 * 60);

impl Shared {
    fn lease_ms(&self) -> u64 {
        let lease = self.attempt_timeout.saturating_add(LEASE_MARGIN);
        u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
    }
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
        let routes = Routes::new(relay.routes.clone(), relay.resolve, hostname)
            .map_err(|error| RelayError::Resolver(error.to_string()))?;
        let shared = Shared {
            delivery,
            routes,
            client: Arc::new(client),
            connector: Connector::new(relay)?,
            tls: relay.tls,
            reach: match relay.allow_private_addresses {
                true => Reach::Anywhere,
                false => Reach::Public,
            },
            attempt_timeout: Duration::from_secs(relay.attempt_timeout_secs),
        };
        Ok(Self {
            shared: Arc::new(shared),
            wake: Arc::new(Notify::new()),
            concurrency: usize::from(relay.concurrency.max(1)),
        })
    }

    /// What wakes the worker when something was queued.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Works until the server stops; attempts under way are given up then, and their leases run
    /// out.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(self.concurrency));
        while !*stopped.borrow() {
            let due = self.due().await;
            let found = due.len();
            for id in due {
                // The semaphore is never closed.
                let acquire = Arc::clone(&slots).acquire_owned();
                let permit = tokio::select! {
                    permit = acquire => permit,
                    _ = stopped.changed() => return,
                };
                let shared = Arc::clone(&self.shared);
                let mut stopped = stopped.clone();
                tokio::spawn(async move {
                    let lease = LeaseId(OsEntropy.next_u64());
                    tokio::select! {
                        () = attempt::attempt(shared, id, lease) => {}
                        _ = stopped.changed() => {}
                    }
                    drop(permit);
                });
            }
            if found < BATCH {
                let woken = timeout(self.wait_time().await, self.wake.notified());
                tokio::select! {
                    _ = woken => {}
                    _ = stopped.changed() => {}
                }
            }
        }
    }

    /// Items whose time has come. Those that an attempt of this process holds are not due: their
    /// lease is.
    async fn due(&self) -> Vec<QueueId> {
        let delivery = Arc::clone(&self.shared.delivery);
        let look = move || delivery.due(clock::now(), BATCH);
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(items)) => {
                let held = |state: &State| matches!(state, State::Held { .. });
                items
                    .into_iter()
                    .filter(|item| !held(&item.state))
                    .map(|item| item.id)
                    .collect()
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the queue could not be read");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn wait_time(&self) -> Duration {
        let delivery = Arc::clone(&self.shared.delivery);
        let next = tokio::task::spawn_blocking(move || delivery.next_due()).await;
        match next {
            // Never a busy loop: what is due and was not taken is another attempt's.
            Ok(Ok(Some(at))) => clock::until(at).clamp(Duration::from_millis(50), LOOK),
            _ => LOOK,
        }
    }
}
