//! Changing a message as a whole: in which mailboxes it is, and its flags in all of them (JMAP's
//! `Email/set`). IMAP changes one placement at a time.
//!
//! Invariant: all of one update is in one transaction: what one part of it refuses, none of it does.
//! Updates of several messages share a transaction where none of them is refused.

use std::collections::BTreeSet;

use tern_base::{AccountId, MailboxId, MessageId, Timestamp, Uid};
use tern_store::Transaction;

use crate::account_view::together;
use crate::edit::Edit;
use crate::flag::TOO_MANY_KEYWORDS;
use crate::may::May;
use crate::rows::{MessageRow, PlacementRow};
use crate::{
    Acting, Connection, Flags, Limit, MailboxError, Mailboxes, SystemFlag, brought, limits, mark,
    tables,
};

/// In which mailboxes a message is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placing {
    /// In these and no others.
    Set(BTreeSet<MailboxId>),
    /// In these too, and no longer in those.
    Change {
        /// These too.
        add: BTreeSet<MailboxId>,
        /// No longer in these.
        remove: BTreeSet<MailboxId>,
    },
}

/// What becomes of a message's flags, in every mailbox that shows it. `\Deleted` is left as it is: it
/// says something of one mailbox (RFC 8621 4.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flagging {
    /// These and no others.
    Set(Flags),
    /// These too, and no longer those.
    Change {
        /// These too.
        add: Flags,
        /// No longer these.
        remove: Flags,
    },
}

/// A change of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The message.
    pub message: MessageId,
    /// Where it is to be; `None` leaves it where it is.
    pub placing: Option<Placing>,
    /// Its flags; `None` leaves them.
    pub flagging: Option<Flagging>,
    /// The connection of the client that asks, where it is known.
    pub by: Option<Connection>,
}

impl Flagging {
    fn apply(&self, old: &Flags) -> Result<Flags, MailboxError> {
        let mut flags = match self {
            Self::Set(to) => to.clone(),
            Self::Change { add, remove } => {
                let mut flags = old.clone();
                flags.remove_all(remove);
                if !flags.add_all(add) {
                    return Err(TOO_MANY_KEYWORDS);
                }
                flags
            }
        };
        flags.set(SystemFlag::Deleted, old.has(SystemFlag::Deleted));
        Ok(flags)
    }
}

impl Placing {
    /// What comes of the mailboxes that it is in now.
    pub(crate) fn apply(&self, now: &BTreeSet<MailboxId>) -> BTreeSet<MailboxId> {
        match self {
            Self::Set(to) => to.clone(),
            Self::Change { add, remove } => now.difference(remove).chain(add).copied().collect(),
        }
    }
}

impl Mailboxes {
    /// Changes one message, durably.
    pub fn update(
        &self,
        account: AccountId,
        update: &Update,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        self.update_for(&Acting::Owner, account, update, now)
    }

    fn update_for(
        &self,
        acting: &Acting,
        account: AccountId,
        update: &Update,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        self.edit(account, |edit| self.update_one(edit, acting, update, now))
    }

    /// Changes messages one after another, durably: each as a whole or not at all. What became of
    /// them, in the order of `updates`.
    pub fn update_each(
        &self,
        account: AccountId,
        updates: &[Update],
        now: Timestamp,
    ) -> Vec<Result<(), MailboxError>> {
        self.update_each_for(&Acting::Owner, account, updates, now)
    }

    /// The same for somebody else than the owner.
    pub fn update_each_for(
        &self,
        acting: &Acting,
        account: AccountId,
        updates: &[Update],
        now: Timestamp,
    ) -> Vec<Result<(), MailboxError>> {
        let mut outcomes = Vec::with_capacity(updates.len());
        let mut rest = updates;
        while !rest.is_empty() {
            let chunk = rest.get(..limits::CHUNK).unwrap_or(rest);
            match self.edit(account, |edit| self.update_some(edit, acting, chunk, now)) {
                Ok(done) => {
                    outcomes.extend((0..done).map(|_| Ok(())));
                    rest = rest.get(done..).unwrap_or_default();
                }
                // One of them is refused: which, each by itself shows.
                Err(_) => {
                    let by_itself = |one| self.update_for(acting, account, one, now);
                    outcomes.extend(chunk.iter().map(by_itself));
                    rest = rest.get(chunk.len()..).unwrap_or_default();
                }
            }
        }
        outcomes
    }

    /// As many updates as one transaction takes, at least one; answers how many.
    fn update_some(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        updates: &[Update],
        now: Timestamp,
    ) -> Result<usize, MailboxError> {
        let account = edit.account;
        let key = |update: &Update| tables::message(account, update.message);
        edit.txn.prefetch(updates.iter().map(key).collect())?;
        let mut placements = Vec::with_capacity(updates.len());
        for update in updates {
            let row = edit.message(update.message)?;
            let row = row.ok_or(MailboxError::NoMessage)?;
            let keys = row.placements.iter();
            placements
                .extend(keys.map(|(mailbox, uid)| tables::placement(account, *mailbox, *uid)));
        }
        edit.txn.prefetch(placements)?;
        for (done, update) in updates.iter().enumerate() {
            // One that touches as much as there can be of a message still fits behind it.
            if done > 0 && edit.txn.size() >= limits::VAULT_CHUNK_BYTES {
                return Ok(done);
            }
            self.update_one(edit, acting, update, now)?;
        }
        Ok(updates.len())
    }

    /// [`Mailboxes::update`] as a part of a transaction.
    pub fn update_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        update: &Update,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let mut edit = Edit::begin(txn, account)?;
        self.update_one(&mut edit, &Acting::Owner, update, now)?;
        edit.finish();
        Ok(())
    }

    fn update_one(
        &self,
        edit: &mut Edit<'_, '_>,
        acting: &Acting,
        update: &Update,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let row = edit.message(update.message)?;
        let mut row = row.ok_or(MailboxError::NoMessage)?;
        if self.is_sealed(edit.account, &row) {
            return Err(MailboxError::Sealed);
        }
        let mut may = May::of(self, edit, acting, &row)?;
        if let Some(flagging) = &update.flagging {
            let shown = row.placements.iter();
            for (mailbox, uid) in shown.filter(|(mailbox, _)| may.sees(*mailbox)) {
                let old = edit.placement(*mailbox, *uid)?;
                let old = old.ok_or(tern_store::StoreError::Damaged)?;
                let flags = flagging.apply(&old.flags)?;
                if flags == old.flags {
                    continue;
                }
                may.flag(*mailbox, &old.flags, &flags)?;
                let sets = |word| flags.has_keyword(word) && !old.flags.has_keyword(word);
                if self.hooks.marked.is_some_and(sets) {
                    mark::mark(edit, update.message, update.by.as_ref());
                }
                edit.reflag(*mailbox, *uid, old, flags)?;
            }
        }
        if let Some(placing) = &update.placing {
            let wanted = may.place(self, edit, placing, &row)?;
            let of = (update.message, &mut row);
            for (mailbox, uid) in replace(edit, &may, of, &wanted, now)? {
                let target = edit.mailbox(mailbox)?;
                let by = update.by.as_ref();
                brought::note(edit, self.hooks.watched, (mailbox, &target, uid), by);
            }
        }
        Ok(())
    }

    /// Puts a message that was just placed into further mailboxes, within the same transaction.
    pub fn place_also_in(
        &self,
        txn: &mut Transaction<'_>,
        (account, message): (AccountId, MessageId),
        others: &BTreeSet<MailboxId>,
        by: Option<&Connection>,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let update = Update {
            message,
            placing: Some(Placing::Change {
                add: others.clone(),
                remove: BTreeSet::new(),
            }),
            flagging: None,
            by: by.cloned(),
        };
        self.update_in(txn, account, &update, now)
    }
}

/// Has a message shown by these mailboxes and no others. Answers where it is new.
fn replace(
    edit: &mut Edit<'_, '_>,
    may: &May<'_>,
    (message, row): (MessageId, &mut MessageRow),
    wanted: &BTreeSet<MailboxId>,
    now: Timestamp,
) -> Result<Vec<(MailboxId, Uid)>, MailboxError> {
    if wanted.len() > limits::MAX_PLACEMENTS {
        return Err(MailboxError::Limit(Limit::Placements));
    }
    let mut flags = Vec::new();
    let mut kept = Vec::new();
    let mut gone = Vec::new();
    for (mailbox, uid) in std::mem::take(&mut row.placements) {
        let placement = edit.placement(mailbox, uid)?;
        let placement = placement.ok_or(tern_store::StoreError::Damaged)?;
        if may.sees(mailbox) {
            flags.push(placement.flags.clone());
        }
        match wanted.contains(&mailbox) {
            true => kept.push((mailbox, uid)),
            false => gone.push((mailbox, uid, placement)),
        }
    }
    let mut together = together(flags.iter());
    // That says something of the one mailbox; here an expunge would take away what was just put there.
    together.set(SystemFlag::Deleted, false);
    let shown = |mailbox: &MailboxId| kept.iter().any(|(known, _)| known == mailbox);
    let fresh: Vec<MailboxId> = wanted.iter().copied().filter(|it| !shown(it)).collect();
    let mut placed = Vec::with_capacity(fresh.len());
    for (number, mailbox) in fresh.into_iter().enumerate() {
        edit.mailbox(mailbox)?;
        // What is only moved takes no more than it did.
        if number >= gone.len() {
            edit.head.room_for_placement()?;
        }
        let placement = PlacementRow {
            message,
            modseq: edit.modseq,
            flags: may.within(mailbox, &Flags::empty(), together.clone()),
            received: row.received,
            size: row.size,
            saved: now,
        };
        let uid = edit.place(mailbox, placement, None)?;
        placed.push((mailbox, uid));
    }
    kept.extend_from_slice(&placed);
    for (mailbox, uid, placement) in &gone {
        edit.unplace(*mailbox, *uid, placement, None)?;
    }
    row.placements = kept;
    edit.put_message(message, row);
    Ok(placed)
}
