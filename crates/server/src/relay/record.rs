//! Recording what came of an attempt.
//!
//! Invariant: what came of it is recorded as soon as it is known, again and again while the lease
//! lasts; nothing is recorded of what is not known. What can't be recorded of one recipient keeps back no
//! other.

use std::sync::Arc;
use std::time::Duration;

use tern_base::{Fault, Timestamp};
use tern_delivery::Concluded;
use tern_queue::{Item, LeaseId, Outcome, QueueId};
use tokio::time::sleep;

use super::Shared;
use super::words::unsaid;
use crate::clock::{self, OsEntropy};

/// The first wait before the store is asked again, and the longest; each is twice the one before.
pub(super) const ASK_AGAIN: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(30));

/// What became of one recipient.
pub(super) type Ended = (Item, Outcome);

/// Records what comes of the items of one lease.
pub(super) struct Record {
    pub(super) shared: Arc<Shared>,
    pub(super) lease: LeaseId,
    /// When the lease runs out.
    pub(super) until: Timestamp,
}

impl Record {
    /// The same for each of them.
    pub(super) async fn same(&self, items: Vec<Item>, outcome: &Outcome) {
        let ended = items.into_iter().map(|item| (item, outcome.clone()));
        self.each(ended.collect(), false).await;
    }

    /// What came of each. `dsn`: the other server took their DSN parameters.
    pub(super) async fn each(&self, ended: Vec<Ended>, dsn: bool) {
        if ended.is_empty() {
            return;
        }
        let all = ended
            .iter()
            .map(|(item, outcome)| (item.id, outcome.clone()));
        let all: Arc<[(QueueId, Outcome)]> = all.collect();
        if let Some(concluded) = self.conclude(Arc::clone(&all), dsn).await {
            for (ended, concluded) in ended.iter().zip(concluded) {
                log(ended, concluded);
            }
            return;
        }
        for (ended, one) in ended.iter().zip(all.chunks(1)).filter(|_| all.len() > 1) {
            if let Some([concluded]) = self.conclude(one.into(), dsn).await.as_deref() {
                log(ended, *concluded);
            }
        }
    }

    /// Records it, for as long as the lease lasts.
    async fn conclude(
        &self,
        ended: Arc<[(QueueId, Outcome)]>,
        dsn: bool,
    ) -> Option<Vec<Concluded>> {
        let (mut wait, lease) = (ASK_AGAIN.0, self.lease);
        loop {
            let (delivery, ended) = (Arc::clone(&self.shared.delivery), Arc::clone(&ended));
            let record =
                move || delivery.conclude(&ended, lease, dsn, clock::now(), &mut OsEntropy);
            match tokio::task::spawn_blocking(record).await.ok()? {
                Ok(concluded) => return Some(concluded),
                Err(error) if error.fault() == Fault::Temporary && clock::now() < self.until => {
                    tracing::warn!(%error, "an outcome is not recorded yet");
                }
                Err(error) => {
                    tracing::error!(%error, "an outcome could not be recorded");
                    return None;
                }
            }
            sleep(wait).await;
            wait = ASK_AGAIN.1.min(wait * 2);
        }
    }
}

fn log((item, outcome): &Ended, concluded: Concluded) {
    let (id, recipient) = (item.id, item.recipient.to_string());
    let reply = outcome.reply().cloned();
    let reply = reply.unwrap_or_else(|| unsaid("given back", None));
    let (code, text, host) = (reply.code, reply.text, reply.host.unwrap_or_default());
    match concluded {
        Concluded::Finished(ending) => {
            tracing::info!(%id, recipient, host, code, text, ?ending, "relay finished");
        }
        Concluded::Retry(at) => {
            tracing::info!(%id, recipient, host, code, text, %at, "relay to be tried again");
        }
        Concluded::Held | Concluded::Ignored => {
            tracing::info!(%id, recipient, host, code, text, "relay held or overtaken");
        }
    }
}
