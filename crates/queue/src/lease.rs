//! What is due, and the lease that an attempt needs before it touches the network.

use std::ops::ControlFlow;

use tern_base::Timestamp;
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::item::{AfterFlight, Ending, Finished, Item, LeaseId, QueueId, State};
use crate::{limits, tables};

/// Items whose time has come: ready ones, and ones whose lease has run out; the longest waiting
/// first. Another worker may be quicker: only [`lease()`] makes an item one's own.
pub fn due(reader: &dyn Read, now: Timestamp, limit: usize) -> Result<Vec<Item>, StoreError> {
    let limit = limit.min(limits::MAX_ITEMS);
    let mut items = Vec::new();
    each_due(reader, now, |item| {
        items.extend((items.len() < limit).then_some(item));
        match items.len() < limit {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(items)
}

/// A place in the order in which items are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DuePlace {
    /// When the item is due.
    pub time: Timestamp,
    /// Which it is.
    pub id: QueueId,
}

impl DuePlace {
    /// That of an item; `None` where it is held.
    pub fn of(item: &Item) -> Option<Self> {
        let time = tables::due_time(&item.state)?;
        Some(Self { time, id: item.id })
    }
}

/// Shows each item that is [`due`] to whoever chooses among them, until they have enough: what is not
/// wanted keeps nobody back who comes later.
pub fn each_due(
    reader: &dyn Read,
    now: Timestamp,
    mut visit: impl FnMut(Item) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    each_due_from(reader, None, now, |_| false, |_, item| visit(item))
}

/// Shows the same from a place on, with that of each. `is_known`: an item that is passed by, for the price
/// of its key.
pub fn each_due_from(
    reader: &dyn Read,
    from: Option<DuePlace>,
    now: Timestamp,
    mut is_known: impl FnMut(QueueId) -> bool,
    mut visit: impl FnMut(DuePlace, Item) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let all = tables::due_until(now);
    let mut next = Some(match from {
        Some(from) => all.starting_at(tables::due_key(from.time, from.id)),
        None => all,
    });
    while let Some(range) = next {
        let page = reader.scan(&range, limits::DUE_PAGE)?;
        for (key, _) in page.rows {
            let (time, id) = tables::read_time_key(&key)?;
            if is_known(id) {
                continue;
            }
            // Gone between the scan and now, when the reader is not a snapshot.
            let Some(item) = tables::read_item(reader, id)? else {
                continue;
            };
            if visit(DuePlace { time, id }, item).is_break() {
                return Ok(());
            }
        }
        next = page.next;
    }
    Ok(())
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
            then = match wanted {
                AfterFlight::Retry if now >= item.expires => AfterFlight::Expire,
                wanted => wanted.clone(),
            };
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
        AfterFlight::Retry | AfterFlight::Expire => {}
    }
    item.attempts = item.attempts.saturating_add(1);
    item.state = State::InFlight {
        lease,
        since: now,
        until: now.plus_millis(lease_ms),
        then,
    };
    tables::put_item(txn, Some(&before), &item);
    Ok(Leased::Yours(Box::new(item)))
}

/// Ends every lease that stands: for whoever starts and knows that no attempt of before is under
/// way any more. Such an attempt is lost, and its item due at once. Answers how many there were.
pub fn end_leases(engine: &dyn Engine, now: Timestamp) -> Result<usize, StoreError> {
    let mut ended = 0;
    let mut next = Some(tables::due_after(now));
    while let Some(range) = next {
        let page = engine.scan(&range, limits::MAX_ITEMS)?;
        for (key, _) in &page.rows {
            let (_, id) = tables::read_time_key(key)?;
            let leased = |item: &Item| matches!(item.state, State::InFlight { .. });
            if tables::read_item(engine, id)?.is_some_and(|item| leased(&item)) {
                transact(engine, |txn| {
                    end_lease_in(txn, id, now).map(Verdict::Commit)
                })?;
                ended += 1;
            }
        }
        next = page.next;
    }
    Ok(ended)
}

fn end_lease_in(txn: &mut Transaction<'_>, id: QueueId, now: Timestamp) -> Result<(), StoreError> {
    let Some(mut item) = tables::get_item(txn, id)? else {
        return Ok(());
    };
    let before = item.state.clone();
    if let State::InFlight { until, .. } = &mut item.state {
        *until = now.min(*until);
        tables::put_item(txn, Some(&before), &item);
    }
    Ok(())
}
