//! Marks: messages on which a client has set the keyword that asks for something.
//!
//! A mark is a row that is written in the transaction which sets the keyword, so it is found after
//! a crash too, and finding it costs one scan of a range that is nearly always empty. Every time the
//! keyword goes from absent to present is one mark. A message that arrives with the keyword, or is
//! copied with it, is not marked: nobody has set it there. Clearing the keyword clears no mark. The
//! row keeps the connection that set it.
//!
//! Refuses to know what the keyword asks for.

use tern_base::{AccountId, MessageId, Modseq};
use tern_store::{StoreError, Transaction, key::KeyReader};

use crate::edit::Edit;
use crate::{Connection, MailboxError, Sealing, tables};

/// One setting of the keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The message.
    pub message: MessageId,
    /// When, in the account's change sequence: the same message marked again is another mark.
    pub modseq: Modseq,
    /// By which connection, where that is known.
    pub connection: Option<Connection>,
}

/// Marks a message, in the change that sets the keyword.
pub(crate) fn mark(edit: &mut Edit<'_, '_>, message: MessageId, by: Option<&Connection>) {
    let key = tables::marked(edit.account, edit.modseq, message);
    edit.txn
        .put(key, by.map(Connection::encode).unwrap_or_default());
}

impl Sealing {
    /// At most so many marks of an account that nobody has seen to, the oldest first.
    pub fn marked(&self, account: AccountId, most: usize) -> Result<Vec<Mark>, MailboxError> {
        let range = tables::whole_of(tables::MARKED, account);
        let page = self.0.engine.scan(&range, most)?;
        let mark = |(key, row): &(Vec<u8>, Vec<u8>)| {
            let mut parts = KeyReader::new(key);
            let _account = parts.u32();
            match (parts.u64(), parts.u64()) {
                (Some(modseq), Some(message)) => Ok(Mark {
                    message: MessageId(message),
                    modseq: Modseq(modseq),
                    connection: connection(row)?,
                }),
                _ => Err(StoreError::Damaged.into()),
            }
        };
        page.rows.iter().map(mark).collect()
    }

    /// Takes a mark away: it was seen to.
    pub fn unmark_in(&self, txn: &mut Transaction<'_>, account: AccountId, mark: &Mark) {
        txn.delete(tables::marked(account, mark.modseq, mark.message));
    }
}

fn connection(row: &[u8]) -> Result<Option<Connection>, StoreError> {
    let known = (!row.is_empty()).then(|| Connection::decode(row));
    known.transpose().map_err(|_| StoreError::Damaged)
}
