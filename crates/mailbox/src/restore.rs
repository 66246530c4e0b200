//! Undoing a withdrawal: same account, mailboxes, flags, received date, thread and message id;
//! fresh UIDs.

use tern_base::{AccountId, MailboxId, MessageId, Uid};
use tern_store::Transaction;

use crate::edit::Edit;
use crate::rows::{MessageRow, PlacementRow, VaultRow};
use crate::{INBOX, MailboxError, Sealing, vault};

impl Sealing {
    /// Puts a withdrawn copy back within a transaction, whatever the quota says. A mailbox that is
    /// gone by now is replaced by the inbox. Answers where it is shown now, or `None` when it is
    /// not in the vault, or its account is gone.
    ///
    /// A caller that restores many copies in one transaction begins no further one once it writes
    /// [`crate::limits::VAULT_CHUNK_BYTES`].
    pub fn restore_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<Vec<(MailboxId, Uid)>>, MailboxError> {
        let Some(vaulted) = vault::get(txn, account, message)? else {
            return Ok(None);
        };
        let mut edit = match Edit::begin(txn, account) {
            Err(MailboxError::NoAccount) => return Ok(None),
            other => other?,
        };
        let row = vaulted.message.clone();
        // It is in a block whose words are without it.
        edit.drop_words(message);
        let row = show_again(&mut edit, (message, &vaulted), (message, row))?;
        vault::remove(edit.txn, account, message, &vaulted);
        edit.finish();
        Ok(Some(row.placements))
    }
}

/// Shows a message where one that is in the vault was, with the flags that it had. A mailbox that is
/// gone by now is replaced by the inbox.
pub(crate) fn show_again(
    edit: &mut Edit<'_, '_>,
    (was, vaulted): (MessageId, &VaultRow),
    (message, mut row): (MessageId, MessageRow),
) -> Result<MessageRow, MailboxError> {
    row.placements.clear();
    // Those whose mailbox is gone come last: where the inbox showed it, too, its flags there are the ones.
    let (mut places, mut gone) = (Vec::new(), Vec::new());
    for (was_in, _) in &vaulted.message.placements {
        match edit.has_mailbox(*was_in)? {
            true => places.push((*was_in, *was_in)),
            false => gone.push((*was_in, INBOX)),
        }
    }
    places.extend(gone);
    for (was_in, mailbox) in places {
        if row.placements.iter().any(|(shown, _)| *shown == mailbox) {
            continue;
        }
        let old = vault::placement(edit.txn, edit.account, was, was_in)?;
        let placement = PlacementRow {
            message,
            modseq: edit.modseq,
            flags: old.flags,
            received: row.received,
            size: row.size,
            saved: old.saved,
        };
        let is_first = row.placements.is_empty();
        let uid = edit.place(mailbox, placement, is_first.then_some(row.thread))?;
        row.placements.push((mailbox, uid));
    }
    edit.use_bytes(row.size, true);
    edit.remember(message, &row);
    Ok(row)
}
