//! Keeping an item from leaving, and letting it go on.

use tern_base::Timestamp;
use tern_store::{Engine, StoreError, Transaction, Verdict, transact};

use crate::item::{AfterFlight, Finished, QueueId, State};
use crate::{limits, tables};

/// What came of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is held, by this call or an earlier one (whose reason stays).
    Held {
        /// Whether an attempt was lost before: a copy may have left.
        may_have_left: bool,
    },
    /// An attempt is under way. If it ends without delivery the item is held.
    InFlight {
        /// When the attempt counts as lost.
        until: Timestamp,
    },
    /// It is finished.
    AlreadyFinished(Finished),
    /// There is no such item.
    Gone,
}

/// Holds in a transaction of its own.
pub fn hold(
    engine: &dyn Engine,
    id: QueueId,
    reason: &str,
    now: Timestamp,
) -> Result<Held, StoreError> {
    transact(engine, |txn| {
        hold_in(txn, id, reason, now).map(Verdict::Commit)
    })
}

/// Holds with whatever else the transaction does.
pub fn hold_in(
    txn: &mut Transaction<'_>,
    id: QueueId,
    reason: &str,
    now: Timestamp,
) -> Result<Held, StoreError> {
    let Some(mut item) = tables::get_item(txn, id)? else {
        let row = tables::get_finished(txn, id)?;
        return Ok(row.map_or(Held::Gone, Held::AlreadyFinished));
    };
    let before = item.state.clone();
    let reason = limits::clip(reason.to_owned());
    match &mut item.state {
        State::Held { .. } => {
            let may_have_left = item.lost_attempts > 0;
            return Ok(Held::Held { may_have_left });
        }
        State::InFlight { until, then, .. } if *until > now => {
            let until = *until;
            // A cancel that waits already does more than a hold.
            if matches!(then, AfterFlight::Retry | AfterFlight::Expire) {
                *then = AfterFlight::Hold(reason);
                tables::put_item(txn, Some(&before), &item);
            }
            return Ok(Held::InFlight { until });
        }
        State::InFlight { .. } => item.lost_attempts = item.lost_attempts.saturating_add(1),
        State::Ready { .. } => {}
    }
    item.state = State::Held { reason };
    tables::put_item(txn, Some(&before), &item);
    let may_have_left = item.lost_attempts > 0;
    Ok(Held::Held { may_have_left })
}

/// What came of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is ready, by this call or before it.
    Ready,
    /// An attempt is under way; a hold that waited for its end is taken back.
    InFlight,
    /// It is finished.
    AlreadyFinished(Finished),
    /// There is no such item.
    Gone,
}

/// Releases in a transaction of its own.
pub fn release(engine: &dyn Engine, id: QueueId, now: Timestamp) -> Result<Released, StoreError> {
    transact(engine, |txn| release_in(txn, id, now).map(Verdict::Commit))
}

/// Releases with whatever else the transaction does. The item is due at once; the time it was held
/// is not added to its life, but one attempt is always made.
pub fn release_in(
    txn: &mut Transaction<'_>,
    id: QueueId,
    now: Timestamp,
) -> Result<Released, StoreError> {
    let Some(mut item) = tables::get_item(txn, id)? else {
        let row = tables::get_finished(txn, id)?;
        return Ok(row.map_or(Released::Gone, Released::AlreadyFinished));
    };
    let before = item.state.clone();
    let released = match &mut item.state {
        State::Ready { .. } => return Ok(Released::Ready),
        State::InFlight { then, .. } => {
            if matches!(then, AfterFlight::Hold(_)) {
                *then = AfterFlight::Retry;
            }
            Released::InFlight
        }
        state @ State::Held { .. } => {
            *state = State::Ready { next_attempt: now };
            Released::Ready
        }
    };
    tables::put_item(txn, Some(&before), &item);
    Ok(released)
}
