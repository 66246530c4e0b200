//! One attempt to hand items that travel together to the next server: taken under a lease, sent, and
//! recorded.
//!
//! Invariant: no recipient is named to a server outside of the lease.

use std::sync::Arc;

use tern_base::Fault;
use tern_delivery::Outgoing;
use tern_queue::{LeaseId, Outcome, QueueId};
use tokio::time::sleep;

use super::Shared;
use super::patience::Patience;
use super::record::{ASK_AGAIN, Record};
use super::send::Sending;
use super::traffic::Pass;
use super::words::unsaid;
use crate::clock;

/// How often a lease is asked for.
const TAKES: u32 = 5;

/// Takes the items, sends them, and records what came of each.
pub(super) async fn attempt(
    shared: Arc<Shared>,
    mut pass: Pass,
    lease: LeaseId,
    patience: Patience,
) {
    let outgoing = match take(&shared, pass.ids(), lease).await {
        Ok(Some(outgoing)) => outgoing,
        Ok(None) => return,
        Err(()) => return pass.rest(),
    };
    pass.go();
    let until = clock::now().plus_millis(shared.lease_ms());
    let record = Record {
        shared,
        lease,
        until,
    };
    let why = "the last attempt was cut off, and no time is left for another";
    let overdue = Outcome::Temporary(unsaid(why, None));
    record.same(outgoing.overdue.clone(), &overdue).await;
    Sending::new(&record, outgoing)
        .send(&mut pass, patience)
        .await;
}

/// Takes the items. A store that does not say whether the lease is taken is asked for the same again.
async fn take(
    shared: &Arc<Shared>,
    ids: &[QueueId],
    lease: LeaseId,
) -> Result<Option<Outgoing>, ()> {
    let mut wait = ASK_AGAIN.0;
    let first = ids.first().map(ToString::to_string).unwrap_or_default();
    for left in (0..TAKES).rev() {
        let (delivery, lease_ms) = (Arc::clone(&shared.delivery), shared.lease_ms());
        let ids = ids.to_vec();
        let take = move || delivery.take(&ids, lease, clock::now(), lease_ms);
        match tokio::task::spawn_blocking(take).await {
            Ok(Ok(outgoing)) => return Ok(outgoing),
            Ok(Err(error)) if left > 0 && error.fault() == Fault::Temporary => {
                tracing::debug!(first, %error, "asking again for items");
            }
            Ok(Err(error)) => {
                tracing::error!(first, %error, "items could not be taken");
                return Err(());
            }
            Err(error) => {
                tracing::error!(first, %error, "taking items broke off");
                return Err(());
            }
        }
        sleep(wait).await;
        wait = ASK_AGAIN.1.min(wait * 2);
    }
    Err(())
}
