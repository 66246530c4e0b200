//! What follows when a message was accepted that a client of JMAP, or a clock, has sent; and the worker
//! that sends what is due.

use std::sync::Arc;
use std::time::Duration;

use tern_base::AccountId;
use tern_delivery::{Accepted, Delivery};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::{self, OsEntropy};
use crate::late::Late;
use crate::rate::Rate;

/// How often it is asked whether something is due.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// To how many recipients an account may write within an hour, by whatever protocol.
#[derive(Clone)]
pub(crate) struct Recipients {
    /// 0 is no limit.
    most: u32,
    rate: Arc<Rate>,
}

impl Recipients {
    pub(crate) fn new(most: u32) -> Self {
        let rate = Arc::new(Rate::new(most, HOUR));
        Self { most, rate }
    }

    /// Most at once.
    pub(crate) const fn most(&self) -> u32 {
        match self.most {
            0 => u32::MAX,
            most => most,
        }
    }

    /// Whether it may write to so many now; they count, where it may.
    pub(crate) fn allow(&self, account: AccountId, many: u32) -> bool {
        let taken = self.rate.take_many(account, many, Instant::now());
        taken.is_ok()
    }
}

/// Tells those who wait for accepted messages.
#[derive(Clone, Debug)]
pub(crate) struct Departures {
    late: Late,
    /// Wakes the worker of the queue.
    queued: Arc<Notify>,
}

impl Departures {
    pub(crate) const fn new(late: Late, queued: Arc<Notify>) -> Self {
        Self { late, queued }
    }

    pub(crate) fn report(&self, accepted: &Accepted) {
        tracing::info!(
            origin = %accepted.origin,
            message_id = %accepted.message_id,
            local = accepted.local,
            outside = accepted.outside,
            "message sent"
        );
        self.follow(accepted);
    }

    /// Does what follows, without a word of the message itself.
    pub(crate) fn follow(&self, accepted: &Accepted) {
        if let Some(error) = &accepted.cut_off {
            tracing::warn!(origin = %accepted.origin, %error, "a delivery was cut off and goes on");
        }
        self.late.report(&accepted.late);
        if accepted.outside > 0 {
            self.queued.notify_one();
        }
    }
}

/// Sends what is due now, and answers for those who are away.
pub(crate) fn send_due(delivery: &Delivery, departures: &Departures) {
    let now = clock::now();
    match delivery.answer_owed(now, &mut OsEntropy) {
        Ok(answered) => {
            for accepted in &answered.accepted {
                departures.report(accepted);
            }
            for (origin, error) in &answered.failed {
                tracing::warn!(%origin, %error, "the answer to a message could not be sent");
            }
        }
        Err(error) => tracing::error!(%error, "an answer could not be sent"),
    }
    match delivery.next_sending() {
        Ok(Some(next)) if next <= now => {}
        Ok(_) => return,
        Err(error) => return tracing::error!(%error, "what is to be sent could not be read"),
    }
    match delivery.send_due(now, &mut OsEntropy) {
        Ok(dispatched) => {
            for accepted in &dispatched.accepted {
                departures.report(accepted);
            }
            for (origin, error) in &dispatched.failed {
                tracing::warn!(%origin, %error, "a message could not be sent at its time");
            }
        }
        Err(error) => tracing::error!(%error, "what is due could not be sent"),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tern_base::OriginId;

    use super::*;

    /// A delivery that was cut off is followed in the same way once it is finished.
    #[test]
    fn the_relay_is_woken_by_what_leaves_and_by_nothing_else() {
        let queued = Arc::new(Notify::new());
        let departures =
            Departures::new(Late::new(std::sync::mpsc::channel().0), Arc::clone(&queued));
        let accepted = |outside| Accepted {
            origin: OriginId([1; 16]),
            message_id: String::new(),
            local: 1,
            outside,
            late: Vec::new(),
            cut_off: None,
        };
        let is_woken = || queued.notified().now_or_never().is_some();
        departures.follow(&accepted(0));
        assert!(!is_woken());
        departures.follow(&accepted(1));
        assert!(is_woken());
        departures.report(&accepted(2));
        assert!(is_woken());
        assert!(!is_woken(), "once");
    }
}
