//! Removing the oldest entries, once they have been kept for long enough.
//!
//! Invariants:
//! - Only whole stretches from the beginning up to a checkpoint go. That they went is signed, and an
//!   entry of the log says so, in the one commit from which on they count as removed.
//! - What is left follows and is proven as before.
//! - A clock that was wrong when entries were written neither removes what is younger nor keeps what is old: an
//!   entry counts as written when its own time says, where that is in order; else no later than the next one
//!   whose time is.
//!
//! Refuses to remove anything from a log that is not as it was signed. What must stay longer is the
//! caller's to know, and whether its clock is right now.

use std::ops::ControlFlow;
use tern_base::Timestamp;
use tern_store::{Engine, Read, ReadExt as _, StoreError, Transaction, Verdict, transact};

use crate::append::{AuditError, append_in};
use crate::checkpoint::{Checkpoint, checkpoints, extend};
use crate::entry::Draft;
use crate::trunk::{Trunk, trunk};
use crate::{index, keys, limits, read, span, tables};

/// The action of the entry that says that entries were removed.
const ACTION: &str = "audit.trim";

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// How many entries.
    pub entries: u64,
    /// The last of them.
    pub up_to: u64,
}

/// What may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    /// What was written before that,
    pub before: Timestamp,
    /// up to this entry at most.
    pub up_to: u64,
}

/// Removes what is old, up to a checkpoint; `None` where there is nothing, or where `may` says no: it is
/// asked in the transaction that does it. `entry` says who did so, and when; what it is about is added
/// here. [`sweep`] then removes the rows.
pub fn trim(
    engine: &dyn Engine,
    what: Old,
    entry: &Draft,
    may: impl Fn(&mut Transaction<'_>) -> Result<bool, StoreError>,
) -> Result<Option<Trimmed>, AuditError> {
    let old = trunk(engine)?;
    let last_old = last_old(engine, old.removed(), what, entry.time)?;
    let Some(end) = last_checkpoint(engine, old.removed(), last_old)? else {
        return Ok(None);
    };
    let tree = extend(engine, old.tree.clone(), end.entries)?;
    if tree.root() != end.root {
        return Err(AuditError::Broken);
    }
    let last = read::entry(engine, end.entries)?.ok_or(AuditError::Broken)?;
    let entries = end.entries - old.removed();
    let put = |txn: &mut Transaction<'_>| {
        let row = txn.get(&tables::trunk_key())?;
        let known = row.map(|row| tables::decode_trunk(&row)).transpose();
        let known = known.map_err(StoreError::from)?;
        if known.map_or(0, |known| known.removed()) != old.removed() || !may(txn)? {
            return Ok(Verdict::Abandon(None));
        }
        let (_, key) = keys::in_force(txn)?;
        let checkpoint = Checkpoint {
            name: key.verifying().name().to_owned(),
            time: Some(entry.time.to_string()),
            removed: true,
            ..end.clone()
        };
        let trunk = Trunk {
            tree: tree.clone(),
            hash: last.hash,
            note: key.note(&checkpoint.text()),
        };
        txn.put(tables::trunk_key(), tables::encode_trunk(&trunk));
        let mut entry = entry.clone();
        ACTION.clone_into(&mut entry.action);
        let entry = entry
            .detail("entries", entries)
            .detail("up-to", end.entries)
            .detail("root", end.root.to_string());
        append_in(txn, entry)?;
        let up_to = end.entries;
        Ok(Verdict::Commit(Some(Trimmed { entries, up_to })))
    };
    transact(engine, put)
}

/// The last entry behind these that is old, as of now, with all that stand before it.
///
/// A time is in order if it is neither ahead of now nor before that of an entry in front of it. Times that
/// are in order grow, so the first of them that is not old ends what is.
fn last_old(reader: &dyn Read, removed: u64, what: Old, now: Timestamp) -> Result<u64, AuditError> {
    let (mut last, mut latest) = (removed, Timestamp(0));
    if removed >= what.up_to {
        return Ok(last);
    }
    let range = tables::entries(removed + 1, what.up_to);
    reader.each_until(&range, |key, value| {
        let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
        let entry = tables::decode_entry(sequence, value).map_err(StoreError::from)?;
        let time = entry.draft.time;
        if time > now || time < latest {
            return Ok(ControlFlow::Continue(()));
        }
        if time >= what.before {
            return Ok(ControlFlow::Break(()));
        }
        (last, latest) = (sequence, time);
        Ok::<_, AuditError>(ControlFlow::Continue(()))
    })?;
    Ok(last)
}

/// The last checkpoint behind the removed entries and not behind this one.
fn last_checkpoint(
    reader: &dyn Read,
    removed: u64,
    last_old: u64,
) -> Result<Option<Checkpoint>, AuditError> {
    let mut last = None;
    let mut from = (removed < last_old).then_some(removed + 1);
    while let Some(next) = from {
        let (page, more) = checkpoints(reader, next)?;
        for signed in page {
            if signed.checkpoint.entries > last_old {
                return Ok(last);
            }
            last = Some(signed.checkpoint);
        }
        from = more;
    }
    Ok(last)
}

/// Removes the rows of removed entries; true when none is left. To be called again while it is
/// false, and after a crash.
pub fn sweep(engine: &dyn Engine) -> Result<bool, StoreError> {
    let removed = trunk(engine)?.removed();
    if removed == 0 {
        return Ok(true);
    }
    let page = engine.scan(&tables::entries(1, removed), limits::SWEEP)?;
    if page.rows.is_empty() {
        return Ok(true);
    }
    transact(engine, |txn| {
        for (key, value) in &page.rows {
            let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
            let entry = tables::decode_entry(sequence, value)?;
            txn.delete(tables::id_key(entry.draft.id));
            index::delete_in(txn, sequence, &entry.draft);
            span::delete_in(txn, sequence);
            txn.delete(key.clone());
        }
        Ok(Verdict::Commit(page.next.is_none()))
    })
}
