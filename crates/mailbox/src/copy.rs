//! Copying and moving messages between mailboxes of an account.
//!
//! A copy is a further placement of the same message, with UID and flags of its own. Only where
//! the target shows the message already does a copy become a message of its own, since a message
//! has at most one placement in a mailbox.

use tern_base::{AccountId, MailboxId, MessageId, Timestamp, Uid};

use crate::edit::Edit;
use crate::rows::{CopyRow, MessageRow, PlacementRow};
use crate::{MailboxError, Mailboxes, limits, tables};

/// Which messages go from where to where.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// The account.
    pub account: AccountId,
    /// The mailbox they are in.
    pub from: MailboxId,
    /// The messages; those that are not there are passed over.
    pub uids: &'a [Uid],
    /// The mailbox they go to.
    pub to: MailboxId,
}

/// A message's UID before and after (RFC 9051 7.1, COPYUID).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedPair {
    /// In the source mailbox.
    pub from: Uid,
    /// In the target mailbox.
    pub to: Uid,
}

impl Mailboxes {
    /// Copies messages with their flags and internal dates. The copy of up to
    /// [`limits::CHUNK`] messages is one transaction.
    pub fn copy(
        &self,
        transfer: &Transfer<'_>,
        now: Timestamp,
    ) -> Result<Vec<CopiedPair>, MailboxError> {
        self.transfer(transfer, now, false)
    }

    /// Moves messages (RFC 6851): each leaves the one mailbox in the transaction that puts it
    /// into the other.
    pub fn move_messages(
        &self,
        transfer: &Transfer<'_>,
        now: Timestamp,
    ) -> Result<Vec<CopiedPair>, MailboxError> {
        self.transfer(transfer, now, true)
    }

    fn transfer(
        &self,
        transfer: &Transfer<'_>,
        now: Timestamp,
        moving: bool,
    ) -> Result<Vec<CopiedPair>, MailboxError> {
        let mut pairs = Vec::with_capacity(transfer.uids.len());
        for uids in transfer.uids.chunks(limits::CHUNK) {
            pairs.extend(self.edit(transfer.account, |edit| {
                transfer_chunk(edit, transfer, uids, now, moving)
            })?);
        }
        Ok(pairs)
    }
}

fn transfer_chunk(
    edit: &mut Edit<'_, '_>,
    transfer: &Transfer<'_>,
    uids: &[Uid],
    now: Timestamp,
    moving: bool,
) -> Result<Vec<CopiedPair>, MailboxError> {
    edit.mailbox(transfer.from)?;
    edit.mailbox(transfer.to)?;
    let key = |uid: &Uid| tables::placement(transfer.account, transfer.from, *uid);
    edit.txn.prefetch(uids.iter().map(key).collect())?;
    let mut pairs = Vec::with_capacity(uids.len());
    for &uid in uids {
        let Some(placement) = edit.placement(transfer.from, uid)? else {
            continue;
        };
        let id = placement.message;
        let row = edit.message(id)?.ok_or(tern_store::StoreError::Damaged)?;
        let to = if moving {
            move_one(edit, transfer, uid, id, row, placement, now)?
        } else {
            copy_one(edit, transfer.to, id, row, placement, now)?
        };
        pairs.push(CopiedPair { from: uid, to });
    }
    Ok(pairs)
}

fn copy_one(
    edit: &mut Edit<'_, '_>,
    to: MailboxId,
    id: MessageId,
    mut row: MessageRow,
    mut placement: PlacementRow,
    now: Timestamp,
) -> Result<Uid, MailboxError> {
    placement.saved = now;
    if row.placements.iter().any(|(mailbox, _)| *mailbox == to) {
        return duplicate(edit, to, row, placement);
    }
    if row.placements.len() >= limits::MAX_PLACEMENTS {
        return Err(MailboxError::Limit("mailboxes that show one message"));
    }
    let uid = edit.place(to, placement, false)?;
    row.placements.push((to, uid));
    edit.put_message(id, &row);
    Ok(uid)
}

/// Makes a message of its own from the same content.
fn duplicate(
    edit: &mut Edit<'_, '_>,
    to: MailboxId,
    mut row: MessageRow,
    mut placement: PlacementRow,
) -> Result<Uid, MailboxError> {
    if !edit.has_room(row.size) {
        return Err(MailboxError::QuotaExceeded);
    }
    let id = MessageId(edit.next_id());
    placement.message = id;
    let uid = edit.place(to, placement, true)?;
    row.placements = vec![(to, uid)];
    edit.use_bytes(row.size, true);
    edit.put_message(id, &row);
    let copy = CopyRow {
        account: edit.account,
        message: id,
        origin: row.origin,
        lineage: row.lineage,
    };
    edit.txn
        .put(tables::copy(row.digest, edit.account, id), copy.encode());
    crate::blob::link_again(edit.txn, row.blob)?;
    Ok(uid)
}

fn move_one(
    edit: &mut Edit<'_, '_>,
    transfer: &Transfer<'_>,
    uid: Uid,
    id: MessageId,
    mut row: MessageRow,
    mut placement: PlacementRow,
    now: Timestamp,
) -> Result<Uid, MailboxError> {
    let to = transfer.to;
    placement.saved = now;
    let elsewhere = to != transfer.from && row.placements.iter().any(|(shown, _)| *shown == to);
    if elsewhere {
        let last = row.placements.len() == 1;
        let moved = duplicate(edit, to, row.clone(), placement.clone())?;
        edit.unplace(transfer.from, uid, &placement, last)?;
        row.placements
            .retain(|(mailbox, _)| *mailbox != transfer.from);
        edit.put_message(id, &row);
        return Ok(moved);
    }
    edit.unplace(transfer.from, uid, &placement, false)?;
    row.placements
        .retain(|(mailbox, _)| *mailbox != transfer.from);
    let moved = edit.place(to, placement, false)?;
    row.placements.push((to, moved));
    edit.put_message(id, &row);
    Ok(moved)
}
