//! Removing messages from a mailbox for good, as their owner asks.

use tern_base::{AccountId, MailboxId, MessageId, Timestamp, Uid};

use crate::edit::Edit;
use crate::may::May;
use crate::rows::{PlacementRow, VaultPlacementRow};
use crate::{Access, Acting, MailboxError, Mailboxes, Rights, SystemFlag, limits, tables};

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
        let was_there = self.remove_one(&mut edit, message, now)?;
        edit.finish();
        Ok(was_there)
    }

    fn remove_one(
        &self,
        edit: &mut Edit<'_, '_>,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
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
        self.let_go(edit, message, row, last, now)?;
        Ok(true)
    }

    /// Removes messages one after another, durably, each from every mailbox in which whoever acts can read it.
    /// Answers of each whether it was there, in the order of `messages`. Many go in one transaction, where none
    /// of them is refused.
    pub fn remove_each_for(
        &self,
        acting: &Acting,
        account: AccountId,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Vec<Result<bool, MailboxError>> {
        let mut outcomes = Vec::with_capacity(messages.len());
        let mut rest = messages;
        while !rest.is_empty() {
            let chunk = rest.get(..limits::CHUNK).unwrap_or(rest);
            let some = |some| self.edit(account, |edit| self.remove_some(edit, acting, some, now));
            let taken = match some(chunk) {
                Ok(done) => {
                    let taken = done.len();
                    outcomes.extend(done.into_iter().map(Ok));
                    taken
                }
                // One of them is refused: which, each by itself shows.
                Err(_) => {
                    let by_itself = |one| some(std::slice::from_ref(one));
                    let each = chunk.iter().map(by_itself);
                    outcomes.extend(each.map(|done| Ok(done?.contains(&true))));
                    chunk.len()
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        outcomes
    }

    /// As many as one transaction takes, at least one.
    fn remove_some(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        messages: &[MessageId],
        now: Timestamp,
    ) -> Result<Vec<bool>, MailboxError> {
        let key = |message: &MessageId| tables::message(edit.account, *message);
        let keys = messages.iter().map(key).collect();
        edit.txn.prefetch(keys)?;
        let mut done = Vec::with_capacity(messages.len());
        for message in messages {
            // One that is in as many mailboxes as it may be in still fits behind it, and what is kept of it.
            let is_full = edit.txn.size() >= limits::VAULT_CHUNK_BYTES;
            if !done.is_empty() && (is_full || edit.logged() >= limits::CHUNK) {
                break;
            }
            done.push(self.remove_one_for(edit, acting, *message, now)?);
        }
        Ok(done)
    }

    fn remove_one_for(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        message: MessageId,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        if acting.is_owner() {
            return self.remove_one(edit, message, now);
        }
        let Some(row) = edit.message(message)? else {
            return Ok(false);
        };
        let seen = May::of(self, edit, acting, &row)?.places_to_leave(&row)?;
        for (mailbox, uid) in seen {
            if let Some(placement) = edit.placement(mailbox, uid)? {
                expunge_one(self, edit, mailbox, uid, &placement, now)?;
            }
        }
        Ok(true)
    }
}
