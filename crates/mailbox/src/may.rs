//! What whoever acts may do with one message as a whole: JMAP's view of the rights of RFC 4314.
//!
//! Invariants: where a message is that they can't read, it stays, with its flags; of what they can read, a
//! change is done whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{MailboxId, Uid};

use crate::edit::Edit;
use crate::rights::FlagRights;
use crate::rows::MessageRow;
use crate::update::Placing;
use crate::{Acting, Actor, Flags, MailboxError, Mailboxes, NotAllowed, Rights};

/// What it takes to take a message out of a mailbox (RFC 8621 2, `mayRemoveItems`).
const REMOVE: Rights = Rights::DELETE_MESSAGES.with(Rights::EXPUNGE);

/// What may be done in the mailboxes that a message is in, or is to be in.
pub(crate) enum May<'a> {
    /// Its owner may do everything.
    Everything,
    /// Somebody else, in the mailboxes in which they can read it.
    These {
        actor: &'a Actor,
        rights: BTreeMap<MailboxId, Rights>,
        /// What they may do where they put the message, which they may be unable to read there.
        targets: BTreeMap<MailboxId, Rights>,
        /// The keyword that is the owner's.
        owners: Option<&'a str>,
    },
}

impl<'a> May<'a> {
    /// For the mailboxes that show a message. [`MailboxError::NoMessage`] where whoever acts can read it in
    /// none.
    pub(crate) fn of(
        mailboxes: &'a Mailboxes,
        edit: &mut Edit<'_, '_>,
        acting: &'a Acting,
        row: &MessageRow,
    ) -> Result<Self, MailboxError> {
        let Some(actor) = acting.guest() else {
            return Ok(Self::Everything);
        };
        let mut rights = BTreeMap::new();
        for (mailbox, _) in &row.placements {
            let account = edit.account;
            let held = mailboxes.rights_in(edit.txn, actor, account, *mailbox)?;
            if held.has(Rights::LOOKUP.with(Rights::READ)) {
                rights.insert(*mailbox, held);
            }
        }
        match rights.is_empty() {
            true => Err(MailboxError::NoMessage),
            false => Ok(Self::These {
                actor,
                rights,
                targets: BTreeMap::new(),
                owners: mailboxes.hooks.marked,
            }),
        }
    }

    /// Whether the message is there for whoever acts, in this mailbox.
    pub(crate) fn sees(&self, mailbox: MailboxId) -> bool {
        match self {
            Self::Everything => true,
            Self::These { rights, .. } => rights.contains_key(&mailbox),
        }
    }

    fn require(&self, mailbox: MailboxId, needed: Rights) -> Result<(), MailboxError> {
        match self {
            Self::Everything => Ok(()),
            Self::These { rights, .. } => {
                let held = rights.get(&mailbox).copied().unwrap_or_default();
                held.require(needed).map(drop)
            }
        }
    }

    /// Refuses a change of flags in a mailbox that may not be done as a whole.
    pub(crate) fn flag(
        &self,
        mailbox: MailboxId,
        old: &Flags,
        new: &Flags,
    ) -> Result<(), MailboxError> {
        match self.within(mailbox, old, new.clone()) == *new {
            true => Ok(()),
            false => Err(MailboxError::NotPermitted),
        }
    }

    /// What comes of flags in a mailbox that shows the message or is to show it, as far as they may be set
    /// there.
    pub(crate) fn within(&self, mailbox: MailboxId, old: &Flags, new: Flags) -> Flags {
        match self {
            Self::Everything => new,
            Self::These {
                rights,
                targets,
                owners,
                ..
            } => {
                let held = rights.get(&mailbox).or_else(|| targets.get(&mailbox));
                let held = held.copied().unwrap_or_default();
                FlagRights::of(held, *owners).within(old, new)
            }
        }
    }

    /// Where the message is seen, where it may be taken out of all of these places.
    pub(crate) fn places_to_leave(
        &self,
        row: &MessageRow,
    ) -> Result<Vec<(MailboxId, Uid)>, MailboxError> {
        let seen = row.placements.iter().copied();
        let seen: Vec<_> = seen.filter(|(mailbox, _)| self.sees(*mailbox)).collect();
        for (mailbox, _) in &seen {
            self.require(*mailbox, REMOVE)?;
        }
        Ok(seen)
    }

    /// Where the message is to be in all, once whoever acts has put it where they want it.
    pub(crate) fn place(
        &mut self,
        mailboxes: &Mailboxes,
        edit: &mut Edit<'_, '_>,
        placing: &Placing,
        row: &MessageRow,
    ) -> Result<BTreeSet<MailboxId>, MailboxError> {
        let shown = row.placements.iter().map(|(mailbox, _)| *mailbox);
        let (seen, unseen): (BTreeSet<_>, BTreeSet<_>) = shown.partition(|it| self.sees(*it));
        let wanted = placing.apply(&seen);
        if wanted.is_empty() {
            return Err(MailboxError::NotAllowed(NotAllowed::InNoMailbox));
        }
        for gone in seen.difference(&wanted) {
            self.require(*gone, REMOVE)?;
        }
        if let Self::These { actor, targets, .. } = self {
            for new in wanted.difference(&seen) {
                let (account, needed) = (edit.account, Rights::INSERT);
                let held = mailboxes.rights_in(edit.txn, actor, account, *new)?;
                targets.insert(*new, held.require(needed)?);
            }
        }
        Ok(wanted.union(&unseen).copied().collect())
    }
}
