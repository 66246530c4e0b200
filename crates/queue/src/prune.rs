//! Forgetting finished items when their history has been kept long enough.

use tern_base::Timestamp;
use tern_store::{Engine, StoreError, Verdict, transact};

use crate::schedule::Schedule;
use crate::{limits, tables};

/// Removes history rows older than the schedule keeps them, in chunks. Answers how many.
pub fn prune(engine: &dyn Engine, schedule: &Schedule, now: Timestamp) -> Result<u64, StoreError> {
    let before = Timestamp(now.millis_since(Timestamp(schedule.history_ms)));
    let range = tables::finished_before(before);
    let mut total = 0;
    loop {
        let removed = transact(engine, |txn| {
            let page = txn.scan(&range, limits::PRUNE_CHUNK)?;
            let mut removed = 0;
            for (key, _) in page.rows {
                let (_, id) = tables::read_time_key(&key)?;
                match tables::get_finished(txn, id)? {
                    Some(row) => tables::forget(txn, &row),
                    // Left over by a defect: it must not stop the others from being forgotten.
                    None => txn.delete(key),
                }
                removed += 1;
            }
            Ok::<_, StoreError>(Verdict::Commit(removed))
        })?;
        if removed == 0 {
            return Ok(total);
        }
        total += removed;
    }
}
