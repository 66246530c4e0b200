//! Recording what came of an attempt.
//!
//! Invariant: what came of it is recorded as soon as it is known, again and again while the lease
//! lasts; nothing is recorded of what is not known. What can't be recorded of one recipient keeps back no
//! other: behind a first failure each goes by itself, and those that fail again wait for each other
//! no longer than the store takes to say so.

use std::collections::VecDeque;
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

/// What is still to be recorded: all at once, and behind a failure each by itself, in turn.
struct Rounds<T> {
    now: VecDeque<Vec<T>>,
    next: VecDeque<Vec<T>>,
}

impl<T> Rounds<T> {
    fn of(all: Vec<T>) -> Self {
        let mut now = VecDeque::from([all]);
        now.retain(|batch| !batch.is_empty());
        Self {
            now,
            next: VecDeque::new(),
        }
    }

    /// What is recorded next in this round.
    fn next(&mut self) -> Option<Vec<T>> {
        self.now.pop_front()
    }

    fn failed(&mut self, batch: Vec<T>, failure: Failure) {
        // Of one that can't be recorded with others it is not known which of them keeps it back.
        if batch.len() > 1 || failure == Failure::ForNow {
            self.next.extend(batch.into_iter().map(|one| vec![one]));
        }
    }

    /// Whether there is another round.
    fn again(&mut self) -> bool {
        self.now = std::mem::take(&mut self.next);
        !self.now.is_empty()
    }
}

/// Why something is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It may be in a while.
    ForNow,
    ForGood,
}

impl Record {
    /// The same for each of them.
    pub(super) async fn same(&self, items: Vec<Item>, outcome: &Outcome) {
        let ended = items.into_iter().map(|item| (item, outcome.clone()));
        self.each(ended.collect(), false).await;
    }

    /// What came of each, for as long as the lease lasts. `dsn`: the other server took their DSN
    /// parameters.
    pub(super) async fn each(&self, ended: Vec<Ended>, dsn: bool) {
        let (mut rounds, mut wait) = (Rounds::of(ended), ASK_AGAIN.0);
        loop {
            while let Some(batch) = rounds.next() {
                match self.conclude(&batch, dsn).await {
                    Ok(concluded) => {
                        for (ended, concluded) in batch.iter().zip(concluded) {
                            log(ended, concluded);
                        }
                    }
                    Err(failure) => rounds.failed(batch, failure),
                }
            }
            if !rounds.again() || clock::now() >= self.until {
                return;
            }
            sleep(wait).await;
            wait = ASK_AGAIN.1.min(wait * 2);
        }
    }

    async fn conclude(&self, ended: &[Ended], dsn: bool) -> Result<Vec<Concluded>, Failure> {
        let (delivery, lease) = (Arc::clone(&self.shared.delivery), self.lease);
        let ended = ended.iter();
        let ended: Vec<(QueueId, Outcome)> = ended
            .map(|(item, outcome)| (item.id, outcome.clone()))
            .collect();
        let record = move || delivery.conclude(&ended, lease, dsn, clock::now(), &mut OsEntropy);
        match tokio::task::spawn_blocking(record).await {
            Ok(Ok(concluded)) => Ok(concluded),
            Ok(Err(error)) if error.fault() == Fault::Temporary => {
                tracing::warn!(%error, "an outcome is not recorded yet");
                Err(Failure::ForNow)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "an outcome could not be recorded");
                Err(Failure::ForGood)
            }
            Err(error) => {
                tracing::error!(%error, "recording an outcome broke off");
                Err(Failure::ForGood)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_back_one_keeps_back_no_other() {
        let mut rounds = Rounds::of(vec![1, 2, 3]);
        let all = rounds.next().expect("all of them");
        assert_eq!(all, [1, 2, 3]);
        // The notice of the first can't be filed now.
        rounds.failed(all, Failure::ForNow);
        assert_eq!(rounds.next(), None);
        assert!(rounds.again());
        let first = rounds.next().expect("the first");
        assert_eq!(first, [1]);
        rounds.failed(first, Failure::ForNow);
        assert_eq!(rounds.next(), Some(vec![2]), "in the same round");
        let third = rounds.next().expect("the third");
        rounds.failed(third, Failure::ForGood);
        assert!(rounds.again());
        assert_eq!(rounds.next(), Some(vec![1]), "and no other");
        assert!(!rounds.again());
        assert_eq!(Rounds::<u8>::of(Vec::new()).next(), None);
    }
}
