//! Copying and moving messages between mailboxes of an account.
//!
//! A copy is a further placement of the same message, with UID and flags of its own. Only where
//! the target shows the message already does a copy become a message of its own, since a message
//! has at most one placement in a mailbox.

use tern_base::{MailboxId, MessageId, Timestamp, Uid};

use crate::edit::Edit;
use crate::inherit::inherit;
use crate::rights::FlagRights;
use crate::rows::{MessageRow, PlacementRow};
use crate::{
    Access, Connection, Flags, Limit, MailboxError, Mailboxes, Rights, brought, limits, tables,
};

/// Which messages go from where to where.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// The mailbox they are in, and who acts.
    pub from: Access,
    /// The messages; those that are not there, or under a seal and on their way out, are passed over.
    pub uids: &'a [Uid],
    /// The mailbox of the same account that they go to.
    pub to: MailboxId,
    /// The connection of the client that asks, where it is known.
    pub by: Option<&'a Connection>,
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
    /// Copies messages with their flags and internal dates, in as many transactions as it takes.
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
        let mut rest = transfer.clone();
        while !rest.uids.is_empty() {
            let (some, taken) = self.transfer_some(&rest, now, moving)?;
            pairs.extend(some);
            rest.uids = rest.uids.get(taken..).unwrap_or_default();
        }
        Ok(pairs)
    }

    /// Copies the first of some messages, or moves them: as many as one transaction takes, which are
    /// [`limits::CHUNK`] where their rows fit it. Answers what became of them, and how many of the UIDs that
    /// was; where it fails nothing is done.
    pub fn transfer_some(
        &self,
        transfer: &Transfer<'_>,
        now: Timestamp,
        moving: bool,
    ) -> Result<(Vec<CopiedPair>, usize), MailboxError> {
        let (account, from) = transfer.from.place();
        self.edit_some(account, from, transfer.uids, |edit, uid, placement| {
            let target = edit.mailbox(transfer.to)?;
            let may = self.may_transfer(edit.txn, transfer, moving)?;
            let mut placement = placement;
            placement.flags = may.within(&Flags::empty(), placement.flags);
            placement.saved = now;
            let id = placement.message;
            let row = edit.message(id)?.ok_or(tern_store::StoreError::Damaged)?;
            // Another message made of it would be one more for whoever withdraws them to find. A seal that
            // falls at this moment rewrites the heads, and is in memory before: then this runs again.
            if is_shown_in(&row, transfer.to) {
                for letter in row.letters() {
                    edit.txn.get(&tables::seal_head(letter.digest))?;
                }
            }
            if self.is_sealed(account, &row) {
                return Ok(None);
            }
            // A message of its own is made of it there, moved or copied.
            if is_shown_in(&row, transfer.to) && !(moving && transfer.to == from) {
                edit.head
                    .room_for(row.size.into(), self.hooks.kept_quotas)?;
            }
            if !moving {
                edit.head.room_for_placement()?;
            }
            let to = if moving {
                move_one(edit, transfer, uid, id, row, placement)?
            } else {
                copy_one(edit, transfer.to, id, row, placement)?
            };
            brought::note(
                edit,
                self.hooks.watched,
                (transfer.to, &target, to),
                transfer.by,
            );
            Ok(Some(CopiedPair { from: uid, to }))
        })
    }
}

impl Mailboxes {
    /// Whether whoever asks may do it, and which flags come with the messages: RFC 4314 4, and for a move
    /// RFC 6851 4.4.
    fn may_transfer(
        &self,
        txn: &mut tern_store::Transaction<'_>,
        transfer: &Transfer<'_>,
        moving: bool,
    ) -> Result<FlagRights<'_>, MailboxError> {
        let taking = if moving { TAKE } else { Rights::READ };
        self.allow_in(txn, &transfer.from, taking)?;
        let (acting, account) = (&transfer.from.acting, transfer.from.account);
        let rights = self.require_in(txn, acting, account, transfer.to, Rights::INSERT)?;
        let owners = self.hooks.marked.filter(|_| !acting.is_owner());
        Ok(FlagRights::of(rights, owners))
    }
}

/// What it takes to move a message out of a mailbox: to read it, to mark it as deleted and to expunge it.
pub(crate) const TAKE: Rights = Rights::READ
    .with(Rights::DELETE_MESSAGES)
    .with(Rights::EXPUNGE);

fn copy_one(
    edit: &mut Edit<'_, '_>,
    to: MailboxId,
    id: MessageId,
    mut row: MessageRow,
    placement: PlacementRow,
) -> Result<Uid, MailboxError> {
    if is_shown_in(&row, to) {
        return duplicate(edit, to, id, row, placement);
    }
    if row.placements.len() >= limits::MAX_PLACEMENTS {
        return Err(MailboxError::Limit(Limit::Placements));
    }
    let uid = edit.place(to, placement, None)?;
    row.placements.push((to, uid));
    edit.put_message(id, &row);
    Ok(uid)
}

fn is_shown_in(row: &MessageRow, mailbox: MailboxId) -> bool {
    row.placements
        .iter()
        .any(|(shown_in, _)| *shown_in == mailbox)
}

/// Makes a message of its own from the same content. What was served of the one counts as served
/// of the other.
fn duplicate(
    edit: &mut Edit<'_, '_>,
    to: MailboxId,
    source: MessageId,
    mut row: MessageRow,
    mut placement: PlacementRow,
) -> Result<Uid, MailboxError> {
    let id = MessageId(edit.next_id());
    placement.message = id;
    let uid = edit.place(to, placement, Some(row.thread))?;
    row.placements = vec![(to, uid)];
    edit.use_bytes(row.size, true);
    edit.remember(id, &row);
    inherit(edit.txn, edit.account, source, (id, &row))?;
    crate::blob::link_again(edit.txn, row.blob)?;
    Ok(uid)
}

fn move_one(
    edit: &mut Edit<'_, '_>,
    transfer: &Transfer<'_>,
    uid: Uid,
    id: MessageId,
    mut row: MessageRow,
    placement: PlacementRow,
) -> Result<Uid, MailboxError> {
    let (from, to) = (transfer.from.mailbox, transfer.to);
    if to != from && is_shown_in(&row, to) {
        // It stays in the target, where what is moved stands beside it.
        let moved = duplicate(edit, to, id, row.clone(), placement.clone())?;
        edit.unplace(from, uid, &placement, None)?;
        row.placements.retain(|(mailbox, _)| *mailbox != from);
        edit.put_message(id, &row);
        return Ok(moved);
    }
    edit.unplace(from, uid, &placement, None)?;
    row.placements.retain(|(mailbox, _)| *mailbox != from);
    let moved = edit.place(to, placement, None)?;
    row.placements.push((to, moved));
    edit.put_message(id, &row);
    Ok(moved)
}
