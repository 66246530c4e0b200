//! Removing the oldest entries, once they have been kept for long enough.
//!
//! Invariants:
//! - Only whole stretches from the beginning up to a checkpoint go. That they went is signed, and an
//!   entry of the log says so, in the one commit from which on they count as removed.
//! - What is left follows and is proven as before.
//!
//! Refuses to remove anything from a log that is not as it was signed. What must stay longer is the
//! caller's to know.

use tern_base::Timestamp;
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

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

/// Removes what is older than `before`, up to a checkpoint; `None` where there is nothing, or where
/// `may` says no: it is asked in the transaction that does it. `entry` says who did so; what it is
/// about is added here. [`sweep`] then removes the rows.
pub fn trim(
    engine: &dyn Engine,
    before: Timestamp,
    entry: &Draft,
    may: impl Fn(&mut Transaction<'_>) -> Result<bool, StoreError>,
) -> Result<Option<Trimmed>, AuditError> {
    let old = trunk(engine)?;
    let Some(end) = last_before(engine, &old, before)? else {
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

/// The last checkpoint whose last entry is older than `before`.
fn last_before(
    reader: &dyn Read,
    old: &Trunk,
    before: Timestamp,
) -> Result<Option<Checkpoint>, AuditError> {
    let (mut last, mut from) = (None, Some(old.removed() + 1));
    while let Some(next) = from {
        let (page, more) = checkpoints(reader, next)?;
        for signed in page {
            let entries = signed.checkpoint.entries;
            let entry = read::entry(reader, entries)?.ok_or(AuditError::Broken)?;
            if entry.draft.time >= before {
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
