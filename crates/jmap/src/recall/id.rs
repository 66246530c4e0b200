//! Ids of recalls as clients see them: those of reports and the command line, after a letter (RFC 8620
//! 1.2 wants no digit first).

use tern_recall::RecallId;

/// The id of a recall.
pub(super) fn of(id: RecallId) -> String {
    format!("R{id}")
}

/// The recall of an id.
pub(super) fn parse(text: &str) -> Option<RecallId> {
    let id = text.strip_prefix('R').and_then(RecallId::from_hex)?;
    (of(id) == text).then_some(id)
}
