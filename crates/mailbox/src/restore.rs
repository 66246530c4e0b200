//! Undoing a withdrawal: same account, mailboxes, flags, received date, thread and message id;
//! fresh UIDs.

use tern_base::{AccountId, MessageId, Uid};
use tern_store::Transaction;

use crate::edit::Edit;
use crate::rows::{CopyRow, PlacementRow, VaultRow};
use crate::{INBOX, MailboxError, Mailboxes, tables};

impl Mailboxes {
    /// Puts a withdrawn copy back within a transaction, whatever the quota says. A mailbox that is
    /// gone by now is replaced by the inbox. Answers where it is shown now, or `None` when it is
    /// not in the vault.
    pub fn restore_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<Vec<(tern_base::MailboxId, Uid)>>, MailboxError> {
        let key = tables::vault(account, message);
        let Some(bytes) = txn.get(&key)? else {
            return Ok(None);
        };
        let vault = VaultRow::decode(&bytes)?;
        let mut edit = Edit::begin(txn, account)?;
        let mut row = vault.message;
        for old in vault.placements {
            let mailbox = match edit.mailbox(old.mailbox) {
                Ok(_) => old.mailbox,
                Err(MailboxError::NoMailbox) => INBOX,
                Err(error) => return Err(error),
            };
            if row.placements.iter().any(|(shown, _)| *shown == mailbox) {
                continue;
            }
            let placement = PlacementRow {
                message,
                modseq: edit.modseq,
                flags: old.flags,
                received: row.received,
                size: row.size,
                saved: old.saved,
            };
            let uid = edit.place(mailbox, placement, row.placements.is_empty())?;
            row.placements.push((mailbox, uid));
        }
        edit.use_bytes(row.size, true);
        edit.put_message(message, &row);
        let copy = CopyRow {
            account,
            message,
            origin: row.origin,
            lineage: row.lineage,
        };
        edit.txn
            .put(tables::copy(row.digest, account, message), copy.encode());
        edit.txn.delete(key);
        edit.txn
            .delete(tables::vaulted(vault.tag, account, message));
        edit.txn.delete(tables::late(vault.tag, account, message));
        edit.finish();
        Ok(Some(row.placements))
    }
}
