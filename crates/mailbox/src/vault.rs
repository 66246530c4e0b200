//! The rows of a message in the vault: written and removed together.
//!
//! Invariant: a message in the vault has its row, one row for each placement that it had, and its
//! entry under the tag; all of them, or none. Whoever changes any of them reads the message's row.

use tern_base::{AccountId, MailboxId, MessageId};
use tern_store::{StoreError, Transaction};

use crate::rows::{VaultPlacementRow, VaultRow};
use crate::{MailboxError, tables};

/// Puts a message into the vault. `placements` are those of its row, in order.
pub(crate) fn put(
    txn: &mut Transaction<'_>,
    account: AccountId,
    message: MessageId,
    row: &VaultRow,
    placements: Vec<VaultPlacementRow>,
) {
    for ((mailbox, _), placement) in row.message.placements.iter().zip(placements) {
        let key = tables::vault_placement(account, message, *mailbox);
        txn.put(key, placement.encode());
    }
    txn.put(tables::vault(account, message), row.encode());
    txn.put(tables::vaulted(row.tag, account, message), Vec::new());
    if row.late {
        txn.put(tables::late(row.tag, account, message), Vec::new());
    }
}

/// A message in the vault, if it is there.
pub(crate) fn get(
    txn: &mut Transaction<'_>,
    account: AccountId,
    message: MessageId,
) -> Result<Option<VaultRow>, MailboxError> {
    let row = txn.get(&tables::vault(account, message))?;
    Ok(row.map(|row| VaultRow::decode(&row)).transpose()?)
}

/// One placement that a message in the vault had.
pub(crate) fn placement(
    txn: &mut Transaction<'_>,
    account: AccountId,
    message: MessageId,
    mailbox: MailboxId,
) -> Result<VaultPlacementRow, MailboxError> {
    let row = txn.get(&tables::vault_placement(account, message, mailbox))?;
    let row = row.ok_or(StoreError::Damaged)?;
    Ok(VaultPlacementRow::decode(&row)?)
}

/// Takes a message out of the vault.
pub(crate) fn remove(
    txn: &mut Transaction<'_>,
    account: AccountId,
    message: MessageId,
    row: &VaultRow,
) {
    for (mailbox, _) in &row.message.placements {
        txn.delete(tables::vault_placement(account, message, *mailbox));
    }
    txn.delete(tables::vault(account, message));
    txn.delete(tables::vaulted(row.tag, account, message));
    txn.delete(tables::late(row.tag, account, message));
}
