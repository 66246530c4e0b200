//! What is due, and the lease that an attempt needs before it touches the network.

use tern_base::Timestamp;
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::item::{AfterFlight, Ending, Finished, Item, LeaseId, QueueId, State};
use crate::{limits, tables};

/// Items whose time has come: ready ones, and ones whose lease has run out; the longest waiting
/// first. Another worker may be quicker: only [`lease()`] makes an item one's own.
pub fn due(reader: &dyn Read, now: Timestamp, limit: usize) -> Result<Vec<Item>, StoreError> {
    let range = tables::due_until(now);
    let mut items = Vec::new();
    for (key, _) in reader.scan(&range, limit.min(limits::MAX_ITEMS))?.rows {
        let (_, id) = tables::read_time_key(&key)?;
        // Gone between the scan and now, when the reader is not a snapshot.
        items.extend(tables::read_item(reader, id)?);
    }
    Ok(items)
}

/// What came of asking for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// The item is the caller's until the lease runs out.
    Yours(Box<Item>),
    /// It is held, not due yet, or in flight under another lease.
    NotNow,
    /// An earlier attempt was lost and the item was to be cancelled after it: now it is. The
    /// caller unlinks its blob.
    Cancelled {
        /// The item as it was.
        item: Box<Item>,
        /// What is kept of it.
        row: Finished,
    },
    /// It is finished, or never was.
    Gone,
}

/// Takes an item for one attempt of at most `lease_ms` milliseconds. The same lease again gets the
/// same answer.
///
/// An attempt whose lease ran out without a record counts as lost: a copy may have left.
pub fn lease(
    engine: &dyn Engine,
    id: QueueId,
    lease: LeaseId,
    now: Timestamp,
    lease_ms: u64,
) -> Result<Leased, StoreError> {
    transact(engine, |txn| {
        lease_in(txn, id, lease, now, lease_ms).map(Verdict::Commit)
    })
}

/// Takes an item with whatever else the transaction does: a caller that keeps blobs unlinks that
/// of a cancelled item in the same commit.
pub fn lease_in(
    txn: &mut Transaction<'_>,
    id: QueueId,
    lease: LeaseId,
    now: Timestamp,
    lease_ms: u64,
) -> Result<Leased, StoreError> {
    let Some(mut item) = tables::get_item(txn, id)? else {
        return Ok(Leased::Gone);
    };
    let before = item.state.clone();
    let mut then = AfterFlight::Retry;
    match &before {
        State::Held { .. } => return Ok(Leased::NotNow),
        State::Ready { next_attempt } if *next_attempt > now => {
            return Ok(Leased::NotNow);
        }
        State::InFlight { lease: holder, .. } if *holder == lease => {
            return Ok(Leased::Yours(Box::new(item)));
        }
        State::InFlight { until, .. } if *until > now => {
            return Ok(Leased::NotNow);
        }
        State::Ready { .. } => {}
        State::InFlight { then: wanted, .. } => {
            item.lost_attempts = item.lost_attempts.saturating_add(1);
            then = wanted.clone();
        }
    }
    match then {
        AfterFlight::Cancel => {
            let row = tables::finish(txn, &before, &item, Ending::Cancelled, now);
            let item = Box::new(item);
            return Ok(Leased::Cancelled { item, row });
        }
        AfterFlight::Hold(reason) => {
            item.state = State::Held { reason };
            tables::put_item(txn, Some(&before), &item);
            return Ok(Leased::NotNow);
        }
        AfterFlight::Retry => {}
    }
    item.attempts = item.attempts.saturating_add(1);
    item.state = State::InFlight {
        lease,
        since: now,
        until: now.plus_millis(lease_ms),
        then: AfterFlight::Retry,
    };
    tables::put_item(txn, Some(&before), &item);
    Ok(Leased::Yours(Box::new(item)))
}
