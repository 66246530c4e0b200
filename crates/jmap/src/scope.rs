//! An account as far as the caller may see it: their own as a whole, another one by the rights that they
//! were given in its mailboxes (RFC 8620 1.6.2, RFC 4314).
//!
//! Invariants:
//! - Nothing of another account is told but through a scope of it: a mailbox without `l` is not there, and
//!   neither is a message that no mailbox with `r` shows. An account of which nothing is seen is not there.
//! - A state of another account says nothing of what is not seen: it names the newest change that is, under
//!   a key of its reader, and which mailboxes are.
//! - A scope is of one method call: rights that were taken away are gone at the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use tern_base::{AccountId, MailboxId, MessageId, Modseq};
use tern_mailbox::rows::Change;
use tern_mailbox::{
    Access, AccountView, Acting, Actor, Folder, Grantee, MailboxError, Mailboxes, MessageRow,
    Rights,
};
use tern_session::ids;

use crate::error::MethodError;
use crate::mailbox::counts::{AllCounts, counts};
use crate::mailbox::get::name_of;
use crate::{Caller, Verbs, state};

/// An account, and what of it is seen.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) account: AccountId,
    /// Who uploads.
    pub(crate) caller: AccountId,
    /// In whose name what is asked is done there.
    acting: Acting,
    foreign: Option<Foreign>,
    /// How many messages there were in each mailbox when one method first counted them.
    counted: Arc<OnceLock<AllCounts>>,
}

/// What is seen of somebody else's account.
#[derive(Clone, Debug)]
struct Foreign {
    folders: Vec<(Folder, Rights)>,
    /// Who has which rights in those that the caller may share.
    grants: BTreeMap<MailboxId, Vec<(Grantee, Rights)>>,
    readable: BTreeSet<MailboxId>,
    key: [u8; 32],
}

/// Where an account stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The newest change that is seen.
    pub(crate) seen: Modseq,
    /// A change up to which no newer one is seen.
    pub(crate) all: Modseq,
}

/// What a state is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Messages, by which mailboxes show them.
    Messages,
    /// Mailboxes, by all that is told of them but their counts.
    Mailboxes,
}

impl Scope {
    /// The caller's own account.
    pub(crate) fn own(caller: &Caller) -> Self {
        Self::of_owner(caller.account)
    }

    /// An account as its owner sees it.
    pub(crate) fn of_owner(account: AccountId) -> Self {
        Self {
            account,
            caller: account,
            acting: Acting::Owner,
            foreign: None,
            counted: Arc::default(),
        }
    }

    /// An account; none where the caller sees nothing of it.
    pub(crate) fn of(
        verbs: &Verbs<'_>,
        caller: &Caller,
        account: AccountId,
    ) -> Result<Option<Self>, MailboxError> {
        if account == caller.account {
            return Ok(Some(Self::own(caller)));
        }
        let actor = verbs.sharing.actor(caller.account)?;
        Self::of_actor(verbs, &actor, account)
    }

    /// Somebody else's account, for whoever acts; none where they see nothing of it.
    pub(crate) fn of_actor(
        verbs: &Verbs<'_>,
        actor: &Actor,
        account: AccountId,
    ) -> Result<Option<Self>, MailboxError> {
        let scope = Self::of_part(verbs, actor, account)?;
        let is_there = scope
            .foreign
            .as_ref()
            .is_some_and(|of| !of.folders.is_empty());
        Ok(is_there.then_some(scope))
    }

    /// The same, also where they see nothing of it.
    fn of_part(verbs: &Verbs<'_>, actor: &Actor, account: AccountId) -> Result<Self, MailboxError> {
        let mut folders = verbs.mailboxes.folders_seen(actor, account)?;
        let all: Vec<_> = folders.iter().map(|(it, _)| (account, it.id)).collect();
        let subscribed = verbs.mailboxes.subscribed_among(actor.account, &all)?;
        let mut grants = BTreeMap::new();
        for (folder, rights) in &mut folders {
            folder.subscribed = subscribed.contains(&(account, folder.id));
            if rights.has(Rights::ADMINISTER) {
                let of_folder = verbs.mailboxes.grants(account, folder.id)?;
                grants.insert(folder.id, of_folder);
            }
        }
        let is_readable = |(_, rights): &&(Folder, Rights)| rights.has(Rights::READ);
        let readable = folders.iter().filter(is_readable);
        let readable = readable.map(|(folder, _)| folder.id).collect();
        let key = blake3::derive_key("tern jmap states v1", verbs.mailboxes.content_key());
        let whose = format!("{} {account}", actor.account);
        let key = *blake3::keyed_hash(&key, whose.as_bytes()).as_bytes();
        Ok(Self {
            account,
            caller: actor.account,
            acting: Acting::Guest(actor.clone()),
            foreign: Some(Foreign {
                folders,
                grants,
                readable,
                key,
            }),
            counted: Arc::default(),
        })
    }

    /// An account by its id.
    pub(crate) fn by_id(
        verbs: &Verbs<'_>,
        caller: &Caller,
        id: &str,
    ) -> Result<Option<Self>, MailboxError> {
        match ids::parse_account_id(id) {
            Some(account) => Self::of(verbs, caller, account),
            None => Ok(None),
        }
    }

    /// The same as it is now: what it holds is of the moment when it was made. Where nothing is seen of the
    /// account any more, nothing is in it.
    pub(crate) fn again(&self, verbs: &Verbs<'_>) -> Result<Self, MailboxError> {
        match &self.acting {
            Acting::Owner => Ok(self.clone()),
            Acting::Guest(actor) => Ok(Self {
                counted: Arc::clone(&self.counted),
                ..Self::of_part(verbs, actor, self.account)?
            }),
        }
    }

    /// Whether it is somebody else's.
    pub(crate) const fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// In whose name what is asked is done there.
    pub(crate) const fn acting(&self) -> &Acting {
        &self.acting
    }

    /// A mailbox, and who acts in it.
    pub(crate) fn access(&self, mailbox: MailboxId) -> Access {
        Access {
            account: self.account,
            mailbox,
            acting: self.acting.clone(),
        }
    }

    /// What may be done in a mailbox.
    pub(crate) fn rights(&self, mailbox: MailboxId) -> Rights {
        let Some(foreign) = &self.foreign else {
            return Rights::ALL;
        };
        let mut all = foreign.folders.iter();
        let found = all.find(|(folder, _)| folder.id == mailbox);
        found.map_or(Rights::NONE, |(_, rights)| *rights)
    }

    /// Who has which rights in a mailbox; nobody, where the caller may not know.
    pub(crate) fn grants(
        &self,
        mailboxes: &Mailboxes,
        mailbox: MailboxId,
    ) -> Result<Vec<(Grantee, Rights)>, MailboxError> {
        match &self.foreign {
            None => mailboxes.grants(self.account, mailbox),
            Some(foreign) => Ok(foreign.grants.get(&mailbox).cloned().unwrap_or_default()),
        }
    }

    /// Everything that may be done in any mailbox.
    pub(crate) fn any_rights(&self) -> Rights {
        match &self.foreign {
            None => Rights::ALL,
            Some(foreign) => {
                let all = foreign.folders.iter().map(|(_, rights)| *rights);
                all.fold(Rights::NONE, Rights::with)
            }
        }
    }

    /// The mailboxes that are there.
    pub(crate) fn folders(&self, mailboxes: &Mailboxes) -> Result<Vec<Folder>, MailboxError> {
        match &self.foreign {
            None => mailboxes.folders(self.account),
            Some(foreign) => {
                let all = foreign.folders.iter().map(|(folder, _)| folder.clone());
                Ok(all.collect())
            }
        }
    }

    /// The messages that are there, and how new that is at least.
    pub(crate) fn view(
        &self,
        mailboxes: &Mailboxes,
    ) -> Result<(Arc<AccountView>, Modseq), MailboxError> {
        let Some(foreign) = &self.foreign else {
            let view = mailboxes.account_view(self.account)?;
            let modseq = view.modseq;
            return Ok((view, modseq));
        };
        // Asked before, so that what comes meanwhile is newer than what it is told to be of.
        let modseq = mailboxes.newest_modseq_in(self.account, &foreign.readable)?;
        let view = mailboxes.account_view(self.account)?;
        let seen = mailboxes.view_within(self.account, &view, &foreign.readable)?;
        Ok((Arc::new(seen), modseq))
    }

    /// How many messages there are in each mailbox, counted once for all objects of a method: it costs a look
    /// at every message.
    pub(crate) fn counts_once(
        &self,
        mailboxes: &Mailboxes,
        trash: Option<MailboxId>,
    ) -> Result<&AllCounts, MailboxError> {
        if let Some(known) = self.counted.get() {
            return Ok(known);
        }
        let (view, _) = self.view(mailboxes)?;
        Ok(self.counted.get_or_init(|| counts(&view, trash)))
    }

    /// The newest change that is seen.
    pub(crate) fn newest(&self, mailboxes: &Mailboxes) -> Result<Modseq, MailboxError> {
        match &self.foreign {
            None => mailboxes.newest_modseq(self.account),
            Some(foreign) => mailboxes.newest_modseq_in(self.account, &foreign.readable),
        }
    }

    /// Where the account stands, before somebody changes it.
    pub(crate) fn moment(&self, mailboxes: &Mailboxes) -> Result<Moment, MailboxError> {
        // What is seen is asked for behind all that there is, so that none of it lies between.
        let all = mailboxes.newest_modseq(self.account)?;
        let seen = self.newest(mailboxes)?;
        Ok(Moment { seen, all })
    }

    /// The newest of the changes that are seen after a moment, up to the first that is of none of these
    /// messages: see [`state::after`]. The moment itself where it can't be told now: what was done is done, and
    /// the caller is told of it again.
    pub(crate) fn after(
        &self,
        mailboxes: &Mailboxes,
        since: Moment,
        own: &BTreeSet<MessageId>,
    ) -> Modseq {
        let is_own = |change: &Change| match change {
            Change::Placed { message, .. }
            | Change::Flagged { message, .. }
            | Change::Vanished { message, .. } => own.contains(message),
            _ => false,
        };
        state::after(mailboxes, self, since, is_own).unwrap_or(since.seen)
    }

    /// Whether nothing of messages that is seen changed after `since`: that is known however far the log
    /// reaches back, of which the account's other changes decide.
    pub(crate) fn is_quiet_since(
        &self,
        mailboxes: &Mailboxes,
        since: Modseq,
    ) -> Result<bool, MailboxError> {
        Ok(self.is_foreign() && self.newest(mailboxes)? <= since)
    }

    /// The messages under a seal, as far as anything of them would be there.
    pub(crate) fn hidden(
        &self,
        mailboxes: &Mailboxes,
        view: &AccountView,
    ) -> Result<BTreeSet<MessageId>, MailboxError> {
        let mut hidden = mailboxes.hidden(self.account)?;
        if self.is_foreign() {
            hidden.retain(|message| view.get(*message).is_some());
        }
        Ok(hidden)
    }

    /// Whether a message is there.
    pub(crate) fn sees(&self, row: &MessageRow) -> bool {
        match &self.foreign {
            None => true,
            Some(foreign) => row.is_in_any(&foreign.readable),
        }
    }

    /// Whether a change is of what is there. Those of mailboxes themselves are told by the state.
    pub(crate) fn sees_change(&self, change: &Change) -> bool {
        let Some(foreign) = &self.foreign else {
            return true;
        };
        match change {
            Change::Placed { mailbox, .. }
            | Change::Flagged { mailbox, .. }
            | Change::Vanished { mailbox, .. } => foreign.readable.contains(mailbox),
            Change::MailboxCreated(_) | Change::MailboxUpdated(_) | Change::MailboxDestroyed(_) => {
                false
            }
        }
    }

    /// The state that this modseq is.
    pub(crate) fn state(&self, of: Of, modseq: Modseq) -> String {
        match &self.foreign {
            None => state::of(modseq),
            Some(foreign) => {
                let sealed = foreign.scramble(modseq.0, &ROUNDS);
                format!("{sealed:016x}{}", foreign.mark(of))
            }
        }
    }

    /// The modseq of a state that is not newer than now. Anything else was never given out, or is of
    /// other mailboxes, and what changed since can't be told.
    pub(crate) fn since(&self, of: Of, text: &str, newest: Modseq) -> Result<Modseq, MethodError> {
        let Some(foreign) = &self.foreign else {
            return state::since(text, newest);
        };
        let sealed = text
            .get(..16)
            .and_then(|it| u64::from_str_radix(it, 16).ok());
        let modseq = sealed.map(|sealed| Modseq(foreign.unscramble(sealed)));
        let known = modseq.filter(|at| *at <= newest && self.state(of, *at) == text);
        known.ok_or(MethodError::CANNOT_CALCULATE_CHANGES)
    }
}

/// The account of an id, where the caller sees anything of it.
pub fn account_seen(
    verbs: &Verbs<'_>,
    caller: &Caller,
    id: &str,
) -> Result<Option<AccountId>, MailboxError> {
    let scope = Scope::by_id(verbs, caller, id)?;
    Ok(scope.map(|scope| scope.account))
}

/// A Feistel network over the halves of a number, so that one number has one text and nobody but the
/// server tells which is newer.
const ROUNDS: [u8; 4] = [0, 1, 2, 3];

impl Foreign {
    fn round(&self, round: u8, half: u32) -> u32 {
        let mut text = half.to_be_bytes().to_vec();
        text.push(round);
        let digest = blake3::keyed_hash(&self.key, &text);
        let first = digest.as_bytes().first_chunk().copied();
        u32::from_be_bytes(first.unwrap_or_default())
    }

    fn scramble(&self, number: u64, rounds: &[u8]) -> u64 {
        let halves = ((number >> 32) as u32, number as u32);
        let (left, right) = rounds.iter().fold(halves, |(left, right), round| {
            (right, left ^ self.round(*round, right))
        });
        u64::from(left) << 32 | u64::from(right)
    }

    fn unscramble(&self, sealed: u64) -> u64 {
        let mut back = ROUNDS;
        back.reverse();
        self.scramble(sealed.rotate_left(32), &back).rotate_left(32)
    }

    /// What tells what is seen from what would be seen by other rights.
    fn mark(&self, of: Of) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        match of {
            Of::Messages => {
                for mailbox in &self.readable {
                    hasher.update(&mailbox.0.to_be_bytes());
                }
            }
            Of::Mailboxes => {
                for (folder, rights) in &self.folders {
                    let Folder {
                        id,
                        parent,
                        role,
                        subscribed,
                        sort_order,
                        ..
                    } = folder;
                    let name = name_of(folder);
                    let all = (id, parent, name, role, subscribed, sort_order, rights);
                    hasher.update(format!("{all:?}\n").as_bytes());
                }
                hasher.update(format!("{:?}", self.grants).as_bytes());
            }
        }
        let digest = hasher.finalize().to_hex();
        digest.as_str().get(..16).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_back_by_its_reader_and_says_nothing_to_anybody() {
        let of = |key: u8| Foreign {
            folders: Vec::new(),
            grants: BTreeMap::new(),
            readable: BTreeSet::new(),
            key: [key; 32],
        };
        let (one, other) = (of(1), of(2));
        for number in [0, 1, 2, 77, u64::from(u32::MAX), u64::MAX] {
            let sealed = one.scramble(number, &ROUNDS);
            assert_ne!(sealed, number);
            assert_eq!(one.unscramble(sealed), number);
            assert_ne!(other.unscramble(sealed), number);
        }
    }
}
