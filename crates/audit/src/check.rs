//! Whether the rows of the log agree with each other: for `tern check` and the end of tests.

use tern_store::{Engine, StoreError};

use crate::prove::{Known, prove};
use crate::read::entry;
use crate::tables;
use crate::verify::Broken;

/// Something that can't be as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, in one sentence.
    pub what: String,
}

/// Proves the whole log, and that ids and entries name each other.
pub fn check(engine: &dyn Engine) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let total = match prove(engine, &Known::default())? {
        Ok(proved) => proved.entries,
        Err(Broken { sequence, why }) => {
            let what = format!("audit entry {sequence}: {why}");
            return Ok(vec![Finding { what }]);
        }
    };
    let snapshot = engine.snapshot()?;
    let mut ids = 0;
    let mut range = Some(tables::all_ids());
    while let Some(next) = range {
        let page = snapshot.scan(&next, 1_000)?;
        for (key, value) in page.rows {
            let sequence = tables::decode_sequence(&value)?;
            let named = entry(&*snapshot, sequence)?;
            if named.is_none_or(|entry| tables::id_key(entry.draft.id) != key) {
                let what = format!("an audit id names entry {sequence}, which has another id");
                findings.push(Finding { what });
            }
            ids += 1;
        }
        range = page.next;
    }
    // Entries may have come in between the two snapshots, never gone.
    if ids < total {
        let what = format!("{total} audit entries, but {ids} ids");
        findings.push(Finding { what });
    }
    let index = crate::index::check(&*snapshot)?;
    let times = crate::span::check(&*snapshot)?;
    findings.extend(index.into_iter().chain(times).map(|what| Finding { what }));
    Ok(findings)
}
