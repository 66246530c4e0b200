//! Whether the rows of the log agree with each other: for `tern check` and the end of tests.

use tern_store::{Engine, Finding, ReadExt as _, StoreError};

use crate::prove::{Known, prove};
use crate::read::entry;
use crate::tables;
use crate::verify::Broken;

/// Proves the whole log, and that ids and entries name each other.
pub fn check(engine: &dyn Engine) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let total = match prove(engine, &Known::default())? {
        Ok(proved) => proved.entries,
        Err(Broken { sequence, why }) => {
            let what = format!("audit entry {sequence}: {why}");
            return Ok(vec![Finding(what)]);
        }
    };
    let snapshot = engine.snapshot()?;
    let mut ids = 0;
    snapshot.each(&tables::all_ids(), |key, value| {
        let sequence = tables::decode_sequence(value)?;
        let named = entry(&*snapshot, sequence)?;
        if named.is_none_or(|entry| tables::id_key(entry.draft.id) != key) {
            let what = format!("an audit id names entry {sequence}, which has another id");
            findings.push(Finding(what));
        }
        ids += 1;
        Ok::<_, StoreError>(())
    })?;
    // Entries may have come in between the two snapshots, never gone.
    if ids < total {
        let what = format!("{total} audit entries, but {ids} ids");
        findings.push(Finding(what));
    }
    let index = crate::index::check(&*snapshot)?;
    let times = crate::span::check(&*snapshot)?;
    findings.extend(index.into_iter().chain(times).map(Finding));
    Ok(findings)
}
