//! Mailboxes of others, as far as the directory comes into it: as whom an account acts, what people call
//! whoever has rights, and the one verb by which rights are given and taken.
//!
//! What somebody may do in a mailbox is asked of [`tern_mailbox::Mailboxes::rights`]. Invariants: a change of
//! rights, its audit entry and what those are told whose rights they are, are one transaction; whoever shares
//! something finds only those whom the configuration lets them see; whoever was given something can give it
//! up. Refuses to keep who is in which group: that is read whenever it is asked.

mod together;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tern_audit::{AuditError, Authentication, Draft, EntryId};
use tern_base::{AccountId, EmailAddress, Entropy, MailboxId, Timestamp};
use tern_directory::group::groups_around;
use tern_directory::{DirectoryError, GroupId, PrincipalId, Principals, Resolution, Visible};
use tern_mailbox::{
    Acting, Actor, Connection, Grantee, Limit, MailboxError, Mailboxes, Rights, RightsChange,
    SEPARATOR, ShareNotice, limits,
};
use tern_store::{Engine, StoreError, Transaction, Verdict};

use crate::limits::{MAX_RIGHTS_CHANGES, RIGHTS_CHANGES_WITHIN};
use crate::{Authenticated, Rate};

pub use together::{Wanted, Wish};

/// What every account of the server is called (RFC 4314 2).
pub const ANYONE: &str = "anyone";

/// Why rights were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    /// The mailboxes refuse it, or can't do it.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// The account has changed as many rights as it may for now.
    #[error("rights were changed too often")]
    TooOften,
    /// It can't be put on record.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl From<StoreError> for SharingError {
    fn from(error: StoreError) -> Self {
        Self::Mailbox(error.into())
    }
}

impl From<SharingError> for MailboxError {
    fn from(error: SharingError) -> Self {
        match error {
            SharingError::Mailbox(error) => error,
            SharingError::TooOften => Self::Limit(Limit::RightsChanges),
            SharingError::Audit(AuditError::Store(error)) => error.into(),
            // The form of the entry is this file's, and the log is not signed here.
            SharingError::Audit(_) => StoreError::Damaged.into(),
        }
    }
}

/// The entry of a change that a client asks for, but for what it changes.
pub fn entry(
    who: &Authenticated,
    by: &Connection,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Draft {
    entry_of((who.account, &who.login), by, now, entropy)
}

/// The same for an account and its login.
pub fn entry_of(
    (account, login): (AccountId, &str),
    by: &Connection,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Draft {
    let actor = tern_audit::Actor::Account {
        account,
        address: login.to_owned(),
    };
    let mut entry = Draft::new(EntryId::new(now, entropy), now, actor, SHARE);
    let factor = match by.app_password {
        true => "app-password",
        false => "password",
    };
    entry.authentication = Some(Authentication {
        mechanism: by.mechanism.clone(),
        factors: vec![factor.to_owned()],
        ..Authentication::default()
    });
    entry.peer = Some(by.address.clone());
    entry.protocol = Some(by.protocol.clone());
    entry
}

/// What the log calls it when somebody is given rights, or keeps some.
pub const SHARE: &str = "mailbox.share";
/// What the log calls it when somebody has none any more.
pub const UNSHARE: &str = "mailbox.unshare";

/// Rights that are to change.
#[derive(Clone, Debug)]
pub struct RightsRequest<'a> {
    /// The account of the mailbox.
    pub owner: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Whose rights.
    pub grantee: Grantee,
    /// How.
    pub change: RightsChange,
    /// Who asks, by the right to do so.
    pub acting: &'a Acting,
}

/// What shared mailboxes need of the directory.
pub struct Sharing {
    engine: Arc<dyn Engine>,
    principals: Principals,
    changes: Rate,
}

impl std::fmt::Debug for Sharing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sharing").finish_non_exhaustive()
    }
}

impl Sharing {
    /// Over the directory of this store, where accounts see whom they may.
    pub fn new(engine: Arc<dyn Engine>, visible: Visible) -> Self {
        Self {
            principals: Principals::new(Arc::clone(&engine), visible),
            engine,
            changes: Rate::new(MAX_RIGHTS_CHANGES, RIGHTS_CHANGES_WITHIN),
        }
    }

    /// As whom an account acts at this moment: as itself, and as those who are in its groups, those
    /// around them included.
    pub fn actor(&self, account: AccountId) -> Result<Actor, StoreError> {
        let snapshot = self.engine.snapshot()?;
        let groups = groups_around(&*snapshot, account)?;
        Ok(Actor {
            account,
            groups: groups.into_iter().map(|group| group.id.0).collect(),
        })
    }

    /// The account that people call so: by its primary address, as the directory writes it.
    pub fn account_named(&self, address: &str) -> Result<Option<AccountId>, StoreError> {
        let Ok(parsed) = EmailAddress::parse(address) else {
            return Ok(None);
        };
        let found = tern_directory::account_by_address(&*self.engine, &parsed)?;
        let found = found.filter(|account| account.address.to_string() == address);
        Ok(found.map(|account| account.id))
    }

    /// What people call whoever has rights; none for those who are gone.
    pub fn name_of(&self, who: Grantee) -> Result<Option<String>, StoreError> {
        let reader = &*self.engine;
        Ok(match who {
            Grantee::Anyone => Some(ANYONE.to_owned()),
            Grantee::Account(account) => {
                tern_directory::account(reader, account)?.map(|found| found.address.to_string())
            }
            Grantee::Group(group) => {
                let found = tern_directory::group::group(reader, GroupId(group))?;
                found.map(|found| found.address.to_string())
            }
        })
    }

    /// Whom a name stands for: `anyone`, or the primary address of an account or a group.
    pub fn find(&self, name: &str) -> Result<Option<Grantee>, StoreError> {
        if name.eq_ignore_ascii_case(ANYONE) {
            return Ok(Some(Grantee::Anyone));
        }
        let Ok(address) = EmailAddress::parse(name) else {
            return Ok(None);
        };
        let reader = &*self.engine;
        if let Some(account) = tern_directory::account_by_address(reader, &address)? {
            return Ok(Some(Grantee::Account(account.id)));
        }
        let group = tern_directory::group_by_address(reader, &address)?;
        Ok(group.map(|group| Grantee::Group(group.id.0)))
    }

    /// The same for an account, which finds those whom it sees and nobody else.
    pub fn find_for(&self, account: AccountId, name: &str) -> Result<Option<Grantee>, StoreError> {
        match self.find(name)? {
            Some(found) if self.sees(account, found)? => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// Whether an account sees somebody, and so may share something with them.
    pub fn sees(&self, account: AccountId, who: Grantee) -> Result<bool, StoreError> {
        let principal = match who {
            Grantee::Anyone => return Ok(true),
            Grantee::Account(account) => PrincipalId::Account(account),
            Grantee::Group(group) => PrincipalId::Group(GroupId(group)),
        };
        match self.principals.seen_by(account) {
            Ok(seen) => Ok(seen.get(principal).is_some()),
            Err(DirectoryError::Store(error)) => Err(error),
            // Its account is gone.
            Err(_) => Ok(false),
        }
    }

    /// Changes rights, and puts that on record: `entry` says who asks. Answers what they are then.
    ///
    /// That takes the right to administer the mailbox; to give up what one was given oneself takes none
    /// (RFC 4314 leaves that open) but to see it, since nobody should have to keep what others share.
    pub fn change(
        &self,
        mailboxes: &Mailboxes,
        request: &RightsRequest<'_>,
        entry: Draft,
    ) -> Result<Rights, SharingError> {
        self.may_change_now(&entry)?;
        let (owner, grantee) = (request.owner, request.grantee);
        let named = self.named(owner, grantee, &entry, limits::MAX_NOTIFIED)?;
        let accounts = named.accounts(owner, grantee);
        mailboxes.transact(&accounts, |txn| {
            let RightsRequest { owner, mailbox, .. } = *request;
            let needed = match request.gives_up() {
                true => Rights::LOOKUP,
                false => Rights::ADMINISTER,
            };
            mailboxes.require_in(txn, request.acting, owner, mailbox, needed)?;
            let (before, rights) = self.change_in(mailboxes, txn, request, (&named, &entry))?;
            // What changes nothing is no act, however often it is asked for.
            Ok(match rights == before {
                true => Verdict::Abandon(rights),
                false => Verdict::Commit(rights),
            })
        })
    }

    /// Whether the account that asks has changes left; an administrator of the server always has.
    fn may_change_now(&self, entry: &Draft) -> Result<(), SharingError> {
        let tern_audit::Actor::Account { account, .. } = &entry.actor else {
            return Ok(());
        };
        let now = Duration::from_millis(entry.time.0);
        let taken = self.changes.take(*account, now);
        taken.map_err(|_| SharingError::TooOften)
    }

    /// Whom a change is about, and at most so many who are told of it.
    fn named(
        &self,
        owner: AccountId,
        grantee: Grantee,
        entry: &Draft,
        most: usize,
    ) -> Result<Named, StoreError> {
        let mut told = self.behind(grantee, most.min(limits::MAX_NOTIFIED))?;
        let (by, address) = match &entry.actor {
            tern_audit::Actor::Account { account, address } => (Some(*account), Some(address)),
            _ => (None, None),
        };
        // RFC 9670 3: of what somebody else did.
        told.retain(|account| *account != owner && Some(*account) != by);
        let known = match by {
            Some(by) => tern_directory::account(&*self.engine, by)?,
            None => None,
        };
        let name = known.map(|known| known.display_name);
        let name = name.filter(|name| !name.is_empty()).or(address.cloned());
        let called = self.name_of(Grantee::Account(owner))?;
        Ok(Named {
            owner: called.unwrap_or_default(),
            who: self.name_of(grantee)?.unwrap_or_default(),
            by,
            by_name: name.unwrap_or_else(|| ADMINISTRATOR.to_owned()),
            by_address: address.cloned(),
            told,
        })
    }

    /// The accounts that have what somebody is given, as far as they are told of it by themselves: of what
    /// every account is given nobody is.
    fn behind(&self, who: Grantee, most: usize) -> Result<Vec<AccountId>, StoreError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let reader = &*self.engine;
        let group = match who {
            Grantee::Anyone => return Ok(Vec::new()),
            Grantee::Account(account) => return Ok(vec![account]),
            Grantee::Group(group) => tern_directory::group::group(reader, GroupId(group))?,
        };
        let Some(group) = group else {
            return Ok(Vec::new());
        };
        let found = match tern_directory::resolve(reader, &group.address)? {
            Resolution::Found(found) => found.accounts,
            _ => return Ok(Vec::new()),
        };
        let accounts = found.iter().map(|one| one.account);
        let accounts: BTreeSet<AccountId> = accounts.take(most).collect();
        Ok(accounts.into_iter().collect())
    }
}

impl RightsRequest<'_> {
    /// Whether somebody gives up all that they themselves were given by name.
    pub fn gives_up(&self) -> bool {
        let own = |actor: &Actor| self.grantee == Grantee::Account(actor.account);
        self.acting.guest().is_some_and(own) && self.change == RightsChange::Set(Rights::NONE)
    }
}

/// Whoever needs no right to it.
const ADMINISTRATOR: &str = "Administrator";

/// Whom a change is about, and who is told of it.
struct Named {
    owner: String,
    who: String,
    by: Option<AccountId>,
    by_name: String,
    by_address: Option<String>,
    told: Vec<AccountId>,
}

impl Named {
    /// The accounts that a change touches: whoever gives up their own rights is told of nothing, yet sees
    /// less.
    fn accounts(&self, owner: AccountId, grantee: Grantee) -> Vec<AccountId> {
        let grantee = match grantee {
            Grantee::Account(account) => Some(account),
            Grantee::Group(_) | Grantee::Anyone => None,
        };
        let accounts: BTreeSet<AccountId> = [owner]
            .into_iter()
            .chain(grantee)
            .chain(self.told.iter().copied())
            .collect();
        accounts.into_iter().collect()
    }
}

impl Sharing {
    /// One change within a transaction, which has asked whether it may be made, with its entry: the rights
    /// before and behind it.
    fn change_in(
        &self,
        mailboxes: &Mailboxes,
        txn: &mut Transaction<'_>,
        request: &RightsRequest<'_>,
        (named, entry): (&Named, &Draft),
    ) -> Result<(Rights, Rights), SharingError> {
        let of = (request.owner, request.mailbox);
        let before = mailboxes.rights_given_in(txn, of, request.grantee)?;
        let rights = mailboxes.change_rights_in(txn, of, request.grantee, request.change)?;
        if rights == before {
            return Ok((before, rights));
        }
        // Behind what else the transaction does to it.
        let path = mailboxes.path_in(txn, of)?;
        let notice = ShareNotice {
            at: entry.time,
            by: named.by,
            by_name: named.by_name.clone(),
            by_address: named.by_address.clone(),
            owner: request.owner,
            mailbox: request.mailbox,
            name: path.rsplit(SEPARATOR).next().unwrap_or_default().to_owned(),
            before,
            rights,
        };
        for account in &named.told {
            if self.knows_of(mailboxes, *account, &notice)? {
                mailboxes.note_share_in(txn, *account, &notice)?;
            }
        }
        let mut entry = entry
            .clone()
            .target(named.owner.as_str())
            .detail("mailbox", path.as_str())
            .detail("who", named.who.as_str())
            .detail("rights", rights.letters());
        entry.action = match rights {
            Rights::NONE => UNSHARE.to_owned(),
            _ => SHARE.to_owned(),
        };
        tern_audit::append_in(txn, entry)?;
        Ok((before, rights))
    }

    /// RFC 4314 6: without `l` a mailbox is not there, so nobody is told of it. Whether whoever has what
    /// changes knew of it before, or does behind it; by other names they may, too.
    fn knows_of(
        &self,
        mailboxes: &Mailboxes,
        account: AccountId,
        notice: &ShareNotice,
    ) -> Result<bool, MailboxError> {
        if notice.before.with(notice.rights).has(Rights::LOOKUP) {
            return Ok(true);
        }
        let held = mailboxes.rights(&self.actor(account)?, notice.owner, notice.mailbox)?;
        Ok(held.has(Rights::LOOKUP))
    }
}
