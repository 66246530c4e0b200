//! Looking at the queue.

use tern_base::{OriginId, Timestamp};
use tern_store::{Range, Read, ReadExt as _, StoreError, Transaction};

use crate::item::{Finished, Item, QueueId};
use crate::{limits, tables};

/// An item, live or finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits or is in flight.
    Live(Box<Item>),
    /// It has ended.
    Finished(Finished),
}

impl Status {
    /// The item's id.
    pub fn id(&self) -> QueueId {
        match self {
            Self::Live(item) => item.id,
            Self::Finished(row) => row.id,
        }
    }
}

/// How one item stands.
pub fn status(reader: &dyn Read, id: QueueId) -> Result<Option<Status>, StoreError> {
    if let Some(item) = tables::read_item(reader, id)? {
        return Ok(Some(Status::Live(Box::new(item))));
    }
    Ok(tables::read_finished(reader, id)?.map(Status::Finished))
}

/// Every item of an origin, finished ones included for as long as history is kept. Hand in a
/// snapshot for one moment's view.
pub fn by_origin(reader: &dyn Read, origin: OriginId) -> Result<Vec<Status>, StoreError> {
    let mut found = Vec::new();
    reader.each(&tables::of_origin(origin), |key, _| {
        let (_, id) = tables::read_origin_key(key)?;
        found.extend(status(reader, id)?);
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

/// Every item of an origin ([`by_origin`]) inside a transaction, which then depends on each. Items that others
/// enqueue meanwhile are not seen: the caller reads a row that whoever enqueues for this origin
/// writes, or knows that nobody does any more.
pub fn by_origin_in(
    txn: &mut Transaction<'_>,
    origin: OriginId,
) -> Result<Vec<Status>, StoreError> {
    let mut found = Vec::new();
    let mut range = Some(tables::of_origin(origin));
    while let Some(next) = range {
        let page = txn.scan(&next, limits::MAX_ITEMS)?;
        for (key, _) in page.rows {
            let (_, id) = tables::read_origin_key(&key)?;
            if let Some(item) = tables::get_item(txn, id)? {
                found.push(Status::Live(Box::new(item)));
            } else {
                found.extend(tables::get_finished(txn, id)?.map(Status::Finished));
            }
        }
        range = page.next;
    }
    Ok(found)
}

/// Some live items, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// Items in the order of their ids, which is that of their making.
    pub items: Vec<Item>,
    /// The `from` of the next call.
    pub next: Option<QueueId>,
}

/// Live items from `from` on.
pub fn list(
    reader: &dyn Read,
    from: Option<QueueId>,
    limit: usize,
) -> Result<ListPage, StoreError> {
    let rows = reader.scan(&tables::items(from), limit.min(limits::MAX_ITEMS))?;
    let mut page = ListPage::default();
    for (key, value) in &rows.rows {
        let id = tables::read_id_key(key)?;
        page.items.push(tables::decode_item(id, value)?);
    }
    if let Some(Range { start, .. }) = rows.next {
        page.next = Some(tables::read_id_key(&start)?);
    }
    Ok(page)
}

/// When the next item is due that is not due yet, so that the shell knows how long to wait.
pub fn next_due_after(reader: &dyn Read, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let page = reader.scan(&tables::due_after(now), 1)?;
    match page.rows.first() {
        Some((key, _)) => Ok(Some(tables::read_time_key(key)?.0)),
        None => Ok(None),
    }
}
