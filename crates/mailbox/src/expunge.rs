//! Removing messages from a mailbox for good, as their owner asks.

use tern_base::{AccountId, MailboxId, MessageId, Timestamp, Uid};

use crate::edit::Edit;
use crate::rows::PlacementRow;
use crate::{MailboxError, Mailboxes, SystemFlag, limits, tables};

impl Mailboxes {
    /// Expunges messages of a mailbox; with `deleted_only` those of them that have `\Deleted`
    /// (RFC 9051 6.4.3 and 6.4.9). Answers the UIDs that are gone.
    pub fn expunge(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &[Uid],
        deleted_only: bool,
        now: Timestamp,
    ) -> Result<Vec<Uid>, MailboxError> {
        let mut gone = Vec::new();
        for chunk in uids.chunks(limits::CHUNK) {
            gone.extend(self.edit(account, |edit| {
                edit.mailbox(mailbox)?;
                expunge_chunk(edit, mailbox, chunk, deleted_only, now)
            })?);
        }
        Ok(gone)
    }
}

/// Expunges a chunk; the mailbox's own row is not asked for, since it may be going too.
pub(crate) fn expunge_chunk(
    edit: &mut Edit<'_, '_>,
    mailbox: MailboxId,
    uids: &[Uid],
    deleted_only: bool,
    now: Timestamp,
) -> Result<Vec<Uid>, MailboxError> {
    let account = edit.account;
    let key = |uid: &Uid| tables::placement(account, mailbox, *uid);
    edit.txn.prefetch(uids.iter().map(key).collect())?;
    let mut gone = Vec::with_capacity(uids.len());
    for &uid in uids {
        let Some(placement) = edit.placement(mailbox, uid)? else {
            continue;
        };
        if deleted_only && !placement.flags.has(SystemFlag::Deleted) {
            continue;
        }
        expunge_one(edit, mailbox, uid, &placement, now)?;
        gone.push(uid);
    }
    Ok(gone)
}

fn expunge_one(
    edit: &mut Edit<'_, '_>,
    mailbox: MailboxId,
    uid: Uid,
    placement: &PlacementRow,
    now: Timestamp,
) -> Result<(), MailboxError> {
    let id: MessageId = placement.message;
    let mut row = edit.message(id)?.ok_or(tern_store::StoreError::Damaged)?;
    row.placements.retain(|shown| *shown != (mailbox, uid));
    let last = row.placements.is_empty();
    edit.unplace(mailbox, uid, placement, last)?;
    if last {
        edit.destroy(id, &row, now)
    } else {
        edit.put_message(id, &row);
        Ok(())
    }
}

impl Mailboxes {
    /// Removes a message from every mailbox within a transaction. Answers whether it was there.
    pub fn remove_in(
        &self,
        txn: &mut tern_store::Transaction<'_>,
        account: AccountId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        let mut edit = Edit::begin(txn, account)?;
        let Some(row) = edit.message(message)? else {
            return Ok(false);
        };
        for (n, (mailbox, uid)) in row.placements.iter().enumerate() {
            let placement = edit.placement(*mailbox, *uid)?;
            let placement = placement.ok_or(tern_store::StoreError::Damaged)?;
            edit.unplace(*mailbox, *uid, &placement, n + 1 == row.placements.len())?;
        }
        edit.destroy(message, &row, now)?;
        edit.finish();
        Ok(true)
    }
}
