//! Rows of messages that were read together, with what is kept of their structure.

use std::sync::Arc;

use tern_mailbox::{MailboxError, Mailboxes, MessageRow};
use tern_mime::Structure;

/// A row, and its structure where that is kept; `None` where the message is gone or sealed: nothing of it
/// shows.
type Known<'a> = Option<(&'a MessageRow, Option<Arc<Structure>>)>;

/// These rows with their structures, which are read together, in their order.
pub(super) fn with_structures<'a>(
    mailboxes: &Mailboxes,
    rows: &'a [Option<Result<MessageRow, MailboxError>>],
) -> Result<Vec<Known<'a>>, MailboxError> {
    let rows: Vec<Option<&MessageRow>> = rows
        .iter()
        .map(|row| row.as_ref().and_then(|row| row.as_ref().ok()))
        .collect();
    let there: Vec<&MessageRow> = rows.iter().copied().flatten().collect();
    let mut structures = mailboxes.structures(&there)?.into_iter();
    let known = |row: Option<_>| row.map(|row| (row, structures.next().flatten()));
    Ok(rows.into_iter().map(known).collect())
}
