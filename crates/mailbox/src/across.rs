//! Copying and moving messages between mailboxes of two accounts, for somebody who has rights in both.
//!
//! What comes of it is a message of its own in the other account. It counts as brought by the same
//! transaction as the one that it was made of, so whatever covers that one in every account covers it, too;
//! and how it came is that somebody copied it. Invariant: what leaves an account in this way is on
//! record as served before it is anywhere else, to the client that asked for it; and that client has the
//! whole of the copy, as of whatever a client brings.

use tern_base::{AccountId, MailboxId, Timestamp, Uid};
use tern_store::{Transaction, Verdict};

use crate::copy::TAKE;
use crate::rights::FlagRights;
use crate::rows::{Lineage, MessageRow, PlacementRow};
use crate::{
    Actor, Bringer, CopiedPair, ExposureLevel, Flags, Landing, MailboxError, Mailboxes, Prepared,
    Rights, SealTag, Served, Share, Viewer, tables,
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

impl Mailboxes {
    /// Copies or moves a message. None where it is not there, or under a seal.
    pub fn copy_across(
        &self,
        across: &Across<'_>,
        now: Timestamp,
    ) -> Result<Option<Crossed>, MailboxError> {
        match self.try_across(across, now) {
            Err(MailboxError::NoMessage | MailboxError::Sealed) => Ok(None),
            done => done.map(Some),
        }
    }

    fn try_across(&self, across: &Across<'_>, now: Timestamp) -> Result<Crossed, MailboxError> {
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
        let content = self.sealed_content(&row)?;
        let mut prepared = self.prepare_with_digest(content, row.digest, now)?;
        // What is known of the letters inside it, and of what it lacks, goes with it.
        prepared.carried.clone_from(&row.carried);
        self.transact(&[account, across.to.0], |txn| {
            let crossed = self.place_across(txn, across, (&row, &prepared), now)?;
            Ok(Verdict::Commit(crossed))
        })
    }

    fn place_across(
        &self,
        txn: &mut Transaction<'_>,
        across: &Across<'_>,
        (row, prepared): (&MessageRow, &Prepared),
        now: Timestamp,
    ) -> Result<Crossed, MailboxError> {
        let ((account, mailbox), uid) = (across.from, across.uid);
        let taking = if across.moving { TAKE } else { Rights::READ };
        self.require_in(txn, Some(across.actor), account, mailbox, taking)?;
        let (to, target) = across.to;
        let rights = self.require_in(txn, Some(across.actor), to, target, Rights::INSERT)?;
        let key = tables::placement(account, mailbox, uid);
        let placement = txn.get(&key)?.ok_or(MailboxError::NoMessage)?;
        let placement = PlacementRow::decode(&placement)?;
        // A seal that fell meanwhile covers the copy as it covers this one.
        if self.is_sealed(account, row) {
            return Err(MailboxError::Sealed);
        }
        let landing = Landing {
            account: to,
            mailbox: target,
            flags: FlagRights::of(rights, self.marking).within(&Flags::empty(), placement.flags),
            received: placement.received,
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
        let pair = CopiedPair {
            from: uid,
            to: placed.uid,
        };
        let sealed = placed.sealed;
        Ok(Crossed { pair, sealed })
    }
}
