//! The log as JSON Lines, for an auditor who has nothing of this program.
//!
//! One line for each entry: `{"entry":{…},"hash":"…"}`. The bytes between `{"entry":` and
//! `,"hash":"` are what was hashed, so each line can be checked with `sha256sum`, and the chain by
//! comparing each `previous` with the `hash` of the line before:
//!
//! ```python
//! import hashlib, json, sys
//! previous = sequence = None
//! for line in sys.stdin:
//!     row = json.loads(line)
//!     entry = row["entry"]
//!     if sequence is None:  # what stood before was removed, on record
//!         previous, sequence = entry["previous"], entry["sequence"]
//!         assert sequence > 1 or previous == "0" * 64, "entry 1 does not begin the log"
//!     text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
//!     assert entry["sequence"] == sequence, f"entry {sequence} is missing"
//!     assert entry["previous"] == previous, f"entry {sequence} does not follow"
//!     assert hashlib.sha256(text.encode()).hexdigest() == row["hash"], f"entry {sequence} changed"
//!     previous, sequence = row["hash"], sequence + 1
//! print(sequence - 1, "entries, head", previous)
//! ```

use tern_store::{Engine, StoreError};

use crate::{limits, tables};

/// Some lines, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportPage {
    /// Lines, each with its line feed.
    pub lines: String,
    /// The `from` of the next call; `None` at the end of the log.
    pub next: Option<u64>,
}

/// The lines of the entries from `from` (1 is the first) on; of a log that was trimmed, from the first that is
/// left.
pub fn export_jsonl(
    engine: &dyn Engine,
    from: u64,
    limit: usize,
) -> Result<ExportPage, StoreError> {
    // Rows of removed entries that are not swept away yet are no entries any more.
    let from = from.max(crate::trunk::trunk(engine)?.removed() + 1);
    let range = tables::entries(from, u64::MAX);
    let rows = engine.scan(&range, limit.clamp(1, limits::MAX_EXPORT_PAGE))?;
    let mut page = ExportPage::default();
    for (key, value) in &rows.rows {
        let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
        let entry = tables::decode_entry(sequence, value)?;
        page.lines.push_str(&entry.json_line());
        page.lines.push('\n');
        page.next = rows.next.as_ref().map(|_| sequence + 1);
    }
    Ok(page)
}
