//! Removing messages from a mailbox for good, as their owner asks.

use tern_base::{AccountId, MailboxId, MessageId, Timestamp, Uid};

use crate::edit::Edit;
use crate::rows::{PlacementRow, VaultPlacementRow};
use crate::{Access, MailboxError, Mailboxes, Rights, SystemFlag};

impl Mailboxes {
    /// Expunges messages of a mailbox; with `deleted_only` those of them that have `\Deleted`
    /// (RFC 9051 6.4.3 and 6.4.9). Answers the UIDs that are gone.
    pub fn expunge(
        &self,
        access: &Access,
        uids: &[Uid],
        deleted_only: bool,
        now: Timestamp,
    ) -> Result<Vec<Uid>, MailboxError> {
        let (account, mailbox) = access.place();
        self.edit_each(account, mailbox, uids, |edit, uid, placement| {
            self.allow_in(edit.txn, access, NEEDED)?;
            if deleted_only && !placement.flags.has(SystemFlag::Deleted) {
                return Ok(None);
            }
            expunge_one(self, edit, mailbox, uid, &placement, now)?;
            Ok(Some(uid))
        })
    }
}

/// RFC 4314 4: whoever expunges can open the mailbox.
const NEEDED: Rights = Rights::READ.with(Rights::EXPUNGE);

/// Takes a message out of a mailbox, and away where that was its last.
pub(crate) fn expunge_one(
    mailboxes: &Mailboxes,
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
    edit.unplace(mailbox, uid, placement, last.then_some(row.thread))?;
    if last {
        let last = vec![((mailbox, uid), VaultPlacementRow::of(placement))];
        mailboxes.let_go(edit, id, row, last, now)
    } else {
        edit.put_message(id, &row);
        Ok(())
    }
}

impl Mailboxes {
    /// Takes one message out of a mailbox within a transaction. Answers whether it was there.
    pub fn expunge_in(
        &self,
        txn: &mut tern_store::Transaction<'_>,
        account: AccountId,
        mailbox: MailboxId,
        uid: Uid,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        let mut edit = Edit::begin(txn, account)?;
        let Some(placement) = edit.placement(mailbox, uid)? else {
            return Ok(false);
        };
        expunge_one(self, &mut edit, mailbox, uid, &placement, now)?;
        edit.finish();
        Ok(true)
    }

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
        let mut last = Vec::with_capacity(row.placements.len());
        for (n, (mailbox, uid)) in row.placements.iter().enumerate() {
            let placement = edit.placement(*mailbox, *uid)?;
            let placement = placement.ok_or(tern_store::StoreError::Damaged)?;
            let is_last = n + 1 == row.placements.len();
            edit.unplace(*mailbox, *uid, &placement, is_last.then_some(row.thread))?;
            last.push(((*mailbox, *uid), VaultPlacementRow::of(&placement)));
        }
        self.let_go(&mut edit, message, row, last, now)?;
        edit.finish();
        Ok(true)
    }
}
