//! With whom a mailbox is to be shared, as one wish: whoever it names has what it says, whatever they had
//! when it was made, and where it is of the mailbox as a whole nobody else has anything.
//!
//! Invariant: what becomes of rights is reckoned within the transaction that changes them, so that no right
//! comes back which was taken away meanwhile, and none stays that was given. Refuses to know how a protocol
//! names rights.

use std::collections::{BTreeMap, BTreeSet};

use tern_audit::Draft;
use tern_base::{AccountId, MailboxId};
use tern_mailbox::{Acting, Grantee, MailboxError, Mailboxes, NotAllowed, Rights, RightsChange};
use tern_store::{StoreError, Transaction, Verdict};

use super::{Named, RightsRequest, Sharing, SharingError};
use crate::limits::{MAX_NOTIFIED_TOGETHER, WISH_ATTEMPTS};

/// What somebody's rights are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// None.
    Nothing,
    /// Each of these, whole or not at all. What is so already stays as it is, also where it is so in part.
    /// Whoever then has any finds the mailbox, too.
    Each(Vec<(Rights, bool)>),
}

impl Wanted {
    /// What comes of the rights that somebody has.
    #[must_use]
    pub fn of(&self, held: Rights) -> Rights {
        let Self::Each(each) = self else {
            return Rights::NONE;
        };
        let mut rights = held;
        for (of, may) in each {
            match (may, held.has(*of)) {
                (true, false) => rights = rights.with(*of),
                (false, true) => rights = rights.without(*of),
                _ => {}
            }
        }
        match rights == held || rights == Rights::NONE {
            true => rights,
            false => rights.with(Rights::LOOKUP),
        }
    }
}

/// With whom a mailbox is to be shared.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The account of the mailbox.
    pub owner: AccountId,
    /// Who asks, by the right to do so.
    pub acting: &'a Acting,
    /// What becomes of whose rights, and whether whoever asks sees them: nobody is found by being given
    /// something.
    pub named: BTreeMap<Grantee, (Wanted, bool)>,
    /// Whether nobody else is to have any. What every account of the server was given stays.
    pub is_whole: bool,
    /// Whether the mailbox is made by the same transaction: then nobody has ever had what a whole wish does
    /// not give them, and nobody is told that it was taken away.
    pub is_new: bool,
    /// Another account whose rows the same transaction writes.
    pub also: Option<AccountId>,
}

/// Whose rights change, and to what.
type Changes = BTreeMap<Grantee, Rights>;

/// Those whom a wish is about, as far as they are known: with the entry of each.
type Known = BTreeMap<Grantee, (Named, Draft)>;

impl Wish<'_> {
    /// Whether anything is said of it.
    fn is_made(&self) -> bool {
        self.is_whole || !self.named.is_empty()
    }

    /// What changes of who has which rights.
    fn changes(&self, held: &BTreeMap<Grantee, Rights>) -> Result<Changes, MailboxError> {
        let mut changes = Changes::new();
        for (who, (wanted, is_seen)) in &self.named {
            let before = held.get(who).copied().unwrap_or_default();
            let rights = wanted.of(before);
            if rights == before {
                continue;
            }
            // Whoever has something may be given more, or have it taken away, seen or not. The owner has
            // everything as it is.
            let is_owner = *who == Grantee::Account(self.owner);
            if is_owner || (before == Rights::NONE && !is_seen) {
                return Err(MailboxError::NotAllowed(NotAllowed::NobodyThere));
            }
            changes.insert(*who, rights);
        }
        if self.is_whole {
            let others = held.keys().filter(|who| **who != Grantee::Anyone);
            let others = others.filter(|who| !self.named.contains_key(who));
            changes.extend(others.map(|who| (*who, Rights::NONE)));
        }
        Ok(changes)
    }

    /// Whether all that changes is that somebody gives up what they themselves were given.
    fn gives_up(&self, changes: &Changes) -> bool {
        let own = self
            .acting
            .guest()
            .map(|actor| Grantee::Account(actor.account));
        let mut changes = changes.iter();
        changes.all(|(who, rights)| Some(*who) == own && *rights == Rights::NONE)
    }

    /// The accounts whose rows its transaction writes.
    fn accounts(&self, known: &Known) -> Vec<AccountId> {
        let each = known.iter();
        let each = each.flat_map(|(who, (named, _))| named.accounts(self.owner, *who));
        let all: BTreeSet<AccountId> = each.chain([self.owner]).chain(self.also).collect();
        all.into_iter().collect()
    }
}

impl Sharing {
    /// Shares a mailbox as is wished, behind what `first` does in the same transaction: all of it is done or
    /// nothing. The mailbox is the one that `first` answers, so that one that it makes can be shared. `entry`
    /// makes the entry of one change.
    pub fn change_together(
        &self,
        mailboxes: &Mailboxes,
        wish: &Wish<'_>,
        entry: &mut dyn FnMut() -> Draft,
        first: impl Fn(&mut Transaction<'_>) -> Result<MailboxId, MailboxError>,
    ) -> Result<MailboxId, SharingError> {
        let mut known = Known::new();
        // Whose rights change shows within the transaction; whom that is about is known before it.
        for _ in 0..WISH_ATTEMPTS {
            let done = mailboxes.transact(&wish.accounts(&known), |txn| {
                let mailbox = first(txn)?;
                let unknown = self.wish_in(mailboxes, txn, (wish, mailbox), &known)?;
                Ok::<_, SharingError>(match unknown.is_empty() {
                    true => Verdict::Commit(Ok(mailbox)),
                    false => Verdict::Abandon(Err(unknown)),
                })
            })?;
            match done {
                Ok(mailbox) => return Ok(mailbox),
                Err(unknown) => self.get_to_know(wish.owner, unknown, entry, &mut known)?,
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Names those whom it is about, each change against the bound on them.
    fn get_to_know(
        &self,
        owner: AccountId,
        unknown: BTreeSet<Grantee>,
        entry: &mut dyn FnMut() -> Draft,
        known: &mut Known,
    ) -> Result<(), SharingError> {
        let told = known.values().map(|(named, _)| named.told.len());
        let mut left = MAX_NOTIFIED_TOGETHER.saturating_sub(told.sum());
        for who in unknown {
            let entry = entry();
            self.may_change_now(&entry)?;
            let named = self.named(owner, who, &entry, left)?;
            left = left.saturating_sub(named.told.len());
            known.insert(who, (named, entry));
        }
        Ok(())
    }

    /// Does it, where everybody is known whose rights change; answers who is not.
    fn wish_in(
        &self,
        mailboxes: &Mailboxes,
        txn: &mut Transaction<'_>,
        (wish, mailbox): (&Wish<'_>, MailboxId),
        known: &Known,
    ) -> Result<BTreeSet<Grantee>, SharingError> {
        if !wish.is_made() {
            return Ok(BTreeSet::new());
        }
        let of = (wish.owner, mailbox);
        let mut held = mailboxes.grants_in(txn, of)?;
        let begins = wish.is_new && wish.is_whole;
        if begins {
            held.remove(&Grantee::Anyone);
            // Asked for before what they have by the mailbox around it goes.
            if !held.is_empty() || !wish.named.is_empty() {
                let needed = Rights::ADMINISTER;
                mailboxes.require_in(txn, wish.acting, wish.owner, mailbox, needed)?;
            }
            for who in std::mem::take(&mut held).into_keys() {
                let none = RightsChange::Set(Rights::NONE);
                mailboxes.change_rights_in(txn, of, who, none)?;
            }
        }
        let changes = wish.changes(&held)?;
        if !begins && !changes.is_empty() {
            let needed = match wish.gives_up(&changes) {
                true => Rights::LOOKUP,
                false => Rights::ADMINISTER,
            };
            mailboxes.require_in(txn, wish.acting, wish.owner, mailbox, needed)?;
        }
        let unknown = changes.keys().filter(|who| !known.contains_key(who));
        let unknown: BTreeSet<Grantee> = unknown.copied().collect();
        if !unknown.is_empty() {
            return Ok(unknown);
        }
        for (who, rights) in changes {
            let Some(known) = known.get(&who) else {
                continue;
            };
            let request = RightsRequest {
                owner: wish.owner,
                mailbox,
                grantee: who,
                change: RightsChange::Set(rights),
                acting: wish.acting,
            };
            self.change_in(mailboxes, txn, &request, (&known.0, &known.1))?;
        }
        Ok(BTreeSet::new())
    }
}
