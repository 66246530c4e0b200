//! Copying and moving messages between mailboxes of two accounts, for somebody who has rights in both.
//!
//! What comes of it is a message of its own in the other account. It counts as brought by the same
//! transaction as the one that it was made of, so whatever covers that one in every account covers it, too;
//! and how it came is that somebody copied it. Invariant: what leaves an account in this way is on
//! record as served before it is anywhere else, to the client that asked for it; and that client has the
//! whole of the copy, as of whatever a client brings.

use std::collections::BTreeSet;

use tern_base::{AccountId, MailboxId, Timestamp, Uid};
use tern_store::{Transaction, Verdict};

use crate::copy::TAKE;
use crate::rights::FlagRights;
use crate::rows::{Lineage, MessageRow, PlacementRow};
use crate::{
    Actor, Bringer, CopiedPair, ExposureLevel, Flags, Landing, MailboxError, Mailboxes, Placed,
    Prepared, Rights, SealTag, Served, Share, SystemFlag, Viewer, tables,
};

/// Which message goes from where to where.
#[derive(Clone, Debug)]
pub struct Across<'a> {
    /// The account and the mailbox that it is in.
    pub from: (AccountId, MailboxId),
    /// The message.
    pub uid: Uid,
    /// The account and the mailbox that it goes to.
    pub to: (AccountId, MailboxId),
    /// Who asks.
    pub actor: &'a Actor,
    /// The client in the records of the account that it is in.
    pub viewer: &'a Viewer,
    /// The client in the records of the account that it goes to.
    pub bringer: &'a Bringer,
    /// It leaves the mailbox that it is in.
    pub moving: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossed {
    /// The UIDs.
    pub pair: CopiedPair,
    /// Set when a seal covers it in the other account, though not in the one that it came from: it went to
    /// the vault at once, as whatever arrives under a seal ([`crate::Placed`]).
    pub sealed: Option<SealTag>,
}

/// How a copy is kept.
#[derive(Clone, Debug, Default)]
pub struct KeptAs {
    /// The mailboxes that it goes to beside the first.
    pub also: BTreeSet<MailboxId>,
    /// With these flags; where there are none, with those that it was seen with.
    pub flags: Option<Flags>,
    /// See there.
    pub seen_with: Flags,
    /// As received then; when it was, where there is none.
    pub received: Option<Timestamp>,
}

impl Mailboxes {
    /// Copies or moves a message. None where it is not there, or under a seal.
    pub fn copy_across(
        &self,
        across: &Across<'_>,
        now: Timestamp,
    ) -> Result<Option<Crossed>, MailboxError> {
        let placed = self.copy_across_as(across, None, now)?;
        Ok(placed.map(|placed| Crossed {
            pair: CopiedPair {
                from: across.uid,
                to: placed.uid,
            },
            sealed: placed.sealed,
        }))
    }

    /// The same, with the copy kept otherwise than what it is made of (JMAP's `Email/copy`).
    pub fn copy_across_as(
        &self,
        across: &Across<'_>,
        kept: Option<&KeptAs>,
        now: Timestamp,
    ) -> Result<Option<Placed>, MailboxError> {
        match self.try_across(across, kept, now) {
            Err(MailboxError::NoMessage | MailboxError::Sealed) => Ok(None),
            done => done.map(Some),
        }
    }

    fn try_across(
        &self,
        across: &Across<'_>,
        kept: Option<&KeptAs>,
        now: Timestamp,
    ) -> Result<Placed, MailboxError> {
        let ((account, mailbox), uid) = (across.from, across.uid);
        // Nothing is read, and nothing goes on record, for whoever may not.
        let rights = self.rights(across.actor, account, mailbox)?;
        rights.require(if across.moving { TAKE } else { Rights::READ })?;
        let rights = self.rights(across.actor, across.to.0, across.to.1)?;
        rights.require(Rights::INSERT)?;
        let key = tables::placement(account, mailbox, uid);
        let row = self.engine.get(&key)?.ok_or(MailboxError::NoMessage)?;
        let message = PlacementRow::decode(&row)?.message;
        let row = self.message(account, message)?;
        if across.actor.account != account {
            let served = Served::of(
                (account, message),
                &row,
                ExposureLevel::Downloaded,
                Share::ALL,
            );
            self.record_served(&[served], across.viewer, now)?;
        }
        let content = self.content_of(&row)?;
        let mut prepared = self.prepare_with_digest(content, row.digest, now)?;
        // What is known of the letters inside it, of what it lacks, and of what brought it, goes with it.
        prepared.carried.clone_from(&row.carried);
        prepared.sent_by = Some(row.origin);
        if kept.is_some_and(|kept| !kept.also.is_empty()) {
            // It is in the store as it is, so nothing is written.
            self.stage_prepared(&mut prepared, now)?;
        }
        self.transact(&[account, across.to.0], |txn| {
            let placed = self.place_across(txn, (across, kept), (&row, &prepared), now)?;
            Ok(Verdict::Commit(placed))
        })
    }

    fn place_across(
        &self,
        txn: &mut Transaction<'_>,
        (across, kept): (&Across<'_>, Option<&KeptAs>),
        (row, prepared): (&MessageRow, &Prepared),
        now: Timestamp,
    ) -> Result<Placed, MailboxError> {
        let ((account, mailbox), uid) = (across.from, across.uid);
        let taking = if across.moving { TAKE } else { Rights::READ };
        self.rights_in(txn, across.actor, account, mailbox)?
            .require(taking)?;
        let (to, target) = across.to;
        let rights = self
            .rights_in(txn, across.actor, to, target)?
            .require(Rights::INSERT)?;
        let key = tables::placement(account, mailbox, uid);
        let placement = txn.get(&key)?.ok_or(MailboxError::NoMessage)?;
        let placement = PlacementRow::decode(&placement)?;
        // A seal that fell meanwhile covers the copy as it covers this one.
        if self.is_sealed(account, row) {
            return Err(MailboxError::Sealed);
        }
        let flags = match kept {
            None => {
                FlagRights::of(rights, self.hooks.marked).within(&Flags::empty(), placement.flags)
            }
            Some(kept) => self.flags_kept(txn, across, kept)?,
        };
        let received = kept.and_then(|kept| kept.received);
        let landing = Landing {
            account: to,
            mailbox: target,
            flags,
            received: received.unwrap_or(placement.received),
            prefix: row.prefix.clone(),
            origin: row.origin,
            lineage: Lineage::Copied,
            brought_by: Some(across.bringer.clone()),
        };
        // There is one landing, and so one outcome.
        let placed = self.land_in(txn, prepared, &[landing], now)?.pop();
        let placed = placed.ok_or(MailboxError::NoMessage)??;
        if across.moving {
            self.expunge_in(txn, account, mailbox, uid, now)?;
        }
        if let Some(kept) = kept.filter(|kept| placed.sealed.is_none() && !kept.also.is_empty()) {
            let by = across.bringer.connection.as_ref();
            self.place_also_in(txn, (to, placed.message), &kept.also, by, now)?;
        }
        Ok(placed)
    }

    /// The flags of a copy: those that are asked for are set in each mailbox or it is refused; those that
    /// it comes with as far as they may be.
    fn flags_kept(
        &self,
        txn: &mut Transaction<'_>,
        across: &Across<'_>,
        kept: &KeptAs,
    ) -> Result<Flags, MailboxError> {
        let (to, target) = across.to;
        let asked = kept.flags.as_ref();
        let mut flags = asked.unwrap_or(&kept.seen_with).clone();
        // That says something of the mailbox that it comes from.
        flags.set(SystemFlag::Deleted, false);
        for mailbox in kept.also.iter().chain([&target]) {
            let rights = self.rights_in(txn, across.actor, to, *mailbox)?;
            let rights = rights.require(Rights::INSERT)?;
            let is_foreign = across.actor.account != to;
            let owners = self
                .hooks
                .marked
                .filter(|_| is_foreign || kept.flags.is_none());
            let within = FlagRights::of(rights, owners).within(&Flags::empty(), flags.clone());
            if kept.flags.is_some() && within != flags {
                return Err(MailboxError::NotPermitted);
            }
            flags = within;
        }
        Ok(flags)
    }
}
