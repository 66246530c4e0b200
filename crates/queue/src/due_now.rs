//! Bringing the next attempt of an item forward to now.
//!
//! Refuses to touch what is held, by whomever, and what is under way.

use tern_base::Timestamp;
use tern_store::{StoreError, Transaction};

use crate::item::{QueueId, State};
use crate::tables;

/// Makes an item due that waits for its next attempt; whether it does.
pub fn due_now_in(
    txn: &mut Transaction<'_>,
    id: QueueId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(mut item) = tables::get_item(txn, id)? else {
        return Ok(false);
    };
    let before = item.state.clone();
    let State::Ready { next_attempt } = &mut item.state else {
        return Ok(false);
    };
    *next_attempt = now.min(*next_attempt);
    tables::put_item(txn, Some(&before), &item);
    Ok(true)
}
