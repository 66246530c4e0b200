//! What follows when a message was accepted that a client of JMAP, or a clock, has sent; and the worker
//! that sends what is due.

use std::sync::Arc;
use std::time::Duration;

use tern_delivery::{Accepted, Delivery};
use tokio::sync::Notify;

use crate::clock::{self, OsEntropy};
use crate::late::Late;

/// How often it is asked whether something is due.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

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
