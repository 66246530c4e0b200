//! Taking an item out of the queue before it leaves, or saying why that can't be said.

use tern_base::Timestamp;
use tern_store::{Engine, StoreError, Transaction, Verdict, transact};

use crate::item::{AfterFlight, Ending, Finished, Item, QueueId, State};
use crate::tables;

/// What came of a cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It will not be attempted again. The caller unlinks its blob.
    Cancelled {
        /// The item as it was.
        item: Box<Item>,
        /// What is kept of it.
        row: Finished,
        /// Whether an attempt was lost before: a copy may have left.
        may_have_left: bool,
    },
    /// An attempt is under way. If it ends without delivery the item is cancelled then; ask again
    /// after this time.
    InFlight {
        /// When the attempt counts as lost.
        until: Timestamp,
    },
    /// It was finished before: relayed, refused, expired, or cancelled by an earlier call.
    AlreadyFinished(Finished),
    /// There is no such item, or its history is no longer kept.
    Gone,
}

/// Cancels in a transaction of its own. A caller that keeps blobs uses [`cancel_in`].
pub fn cancel(engine: &dyn Engine, id: QueueId, now: Timestamp) -> Result<Cancelled, StoreError> {
    transact(engine, |txn| cancel_in(txn, id, now).map(Verdict::Commit))
}

/// Cancels with whatever else the transaction does.
pub fn cancel_in(
    txn: &mut Transaction<'_>,
    id: QueueId,
    now: Timestamp,
) -> Result<Cancelled, StoreError> {
    let Some(mut item) = tables::get_item(txn, id)? else {
        let row = tables::get_finished(txn, id)?;
        return Ok(row.map_or(Cancelled::Gone, Cancelled::AlreadyFinished));
    };
    let before = item.state.clone();
    match &mut item.state {
        State::InFlight { until, then, .. } if *until > now => {
            let until = *until;
            if *then != AfterFlight::Cancel {
                *then = AfterFlight::Cancel;
                tables::put_item(txn, Some(&before), &item);
            }
            return Ok(Cancelled::InFlight { until });
        }
        State::InFlight { .. } => item.lost_attempts = item.lost_attempts.saturating_add(1),
        State::Ready { .. } | State::Held { .. } => {}
    }
    let row = tables::finish(txn, &before, &item, Ending::Cancelled, now);
    Ok(Cancelled::Cancelled {
        may_have_left: item.lost_attempts > 0,
        item: Box::new(item),
        row,
    })
}
