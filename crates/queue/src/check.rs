//! Whether the rows of the queue agree with each other: for `tern check` and the end of tests.

use tern_store::{Engine, Finding, Read, ReadExt as _, StoreError};

use crate::item::{Finished, Item};
use crate::tables::{self, Table};

/// Verifies that every item has exactly the index rows that its state asks for.
pub fn check(engine: &dyn Engine) -> Result<Vec<Finding>, StoreError> {
    let snapshot = engine.snapshot()?;
    let reader: &dyn Read = &*snapshot;
    let mut findings = Vec::new();
    reader.each(&tables::items(None), |key, value| {
        let id = tables::read_id_key(key)?;
        let item = tables::decode_item(id, value)?;
        check_item(reader, &item, &mut findings)
    })?;
    reader.each(&tables::whole(Table::Finished), |key, value| {
        let id = tables::read_id_key(key)?;
        let row = tables::decode_finished(id, value)?;
        check_finished(reader, &row, &mut findings)
    })?;
    let mut note = |what: String| findings.push(Finding(what));
    reader.each(&tables::whole(Table::Due), |key, _| {
        let (time, id) = tables::read_time_key(key)?;
        let item = tables::read_item(reader, id)?;
        if item.and_then(|item| tables::due_time(&item.state)) != Some(time) {
            note(format!(
                "a due row at {time} is not that of queue item {id}"
            ));
        }
        Ok::<_, StoreError>(())
    })?;
    reader.each(&tables::whole(Table::Origin), |key, _| {
        let (origin, id) = tables::read_origin_key(key)?;
        let live = tables::read_item(reader, id)?.map(|item| item.origin);
        let ended = tables::read_finished(reader, id)?.map(|row| row.origin);
        if live.or(ended) != Some(origin) {
            note(format!(
                "origin {origin} names queue item {id}, which is not its"
            ));
        }
        Ok::<_, StoreError>(())
    })?;
    reader.each(&tables::whole(Table::FinishedByTime), |key, _| {
        let (time, id) = tables::read_time_key(key)?;
        let row = tables::read_finished(reader, id)?;
        if row.map(|row| row.finished) != Some(time) {
            note(format!(
                "a history row at {time} is not that of queue item {id}"
            ));
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(findings)
}

fn check_item(
    reader: &dyn Read,
    item: &Item,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let id = item.id;
    let mut note = |what: String| findings.push(Finding(what));
    if reader.get(&tables::origin_key(item.origin, id))?.is_none() {
        note(format!("queue item {id} is missing from its origin"));
    }
    if let Some(time) = tables::due_time(&item.state)
        && reader.get(&tables::due_key(time, id))?.is_none()
    {
        note(format!("queue item {id} would never be due"));
    }
    if reader.get(&tables::finished_key(id))?.is_some() {
        note(format!("queue item {id} is both live and finished"));
    }
    Ok(())
}

fn check_finished(
    reader: &dyn Read,
    row: &Finished,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let id = row.id;
    let by_time = tables::finished_by_time_key(row.finished, id);
    for key in [tables::origin_key(row.origin, id), by_time] {
        if reader.get(&key)?.is_none() {
            let what = format!("finished queue item {id} lacks an index row");
            findings.push(Finding(what));
        }
    }
    Ok(())
}
