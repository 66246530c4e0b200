//! Who may do what in whose mailboxes: the access list of each mailbox, and the one door that asks it.
//!
//! A grant is a row by mailbox and a row by who has it, so that somebody finds what others share with
//! them without looking at every account. Invariants: both rows are there or neither; they go with the
//! mailbox, with its account and with who has them. Whoever gives or takes a right changes the mailbox as
//! its account's change log has it. Nothing of an account is read or written for somebody else unless
//! [`Mailboxes::rights`] or, within the transaction that does it, [`Mailboxes::require_in`] allows it.
//!
//! Refuses to know who is in a group: whoever acts is told with their groups.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MailboxId};
use tern_store::key::KeyReader;
use tern_store::{StoreError, Transaction, Verdict, limits as store_limits};

use crate::edit::Edit;
use crate::folder::SEPARATOR;
use crate::rows::{Change, MailboxRow};
use crate::{Limit, MailboxError, Mailboxes, NotAllowed, Rights, Upkeep, limits, tables};

const VERSION: u8 = 1;

/// Who can have rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// Every account of the server.
    Anyone,
    /// An account.
    Account(AccountId),
    /// Those who are in a group, by its number on the floors above. Never given twice.
    Group(u32),
}

impl Grantee {
    /// As keys have it.
    pub(crate) const fn parts(self) -> (u8, u32) {
        match self {
            Self::Anyone => (0, 0),
            Self::Account(account) => (1, account.0),
            Self::Group(group) => (2, group),
        }
    }

    fn read(key: &mut KeyReader<'_>) -> Result<Self, Damaged> {
        let kind = key.array::<1>().ok_or(Damaged)?;
        let number = key.u32().ok_or(Damaged)?;
        match (kind, number) {
            ([0], 0) => Ok(Self::Anyone),
            ([1], account) => Ok(Self::Account(AccountId(account))),
            ([2], group) => Ok(Self::Group(group)),
            _ => Err(Damaged),
        }
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account that has authenticated.
    pub account: AccountId,
    /// The groups that it is in, at this moment.
    pub groups: Vec<u32>,
}

impl Actor {
    /// As whom it can have rights.
    pub(crate) fn grantees(&self) -> impl Iterator<Item = Grantee> {
        let groups = self.groups.iter().map(|group| Grantee::Group(*group));
        [Grantee::Account(self.account), Grantee::Anyone]
            .into_iter()
            .chain(groups)
    }
}

/// In whose name a verb acts in the mailboxes of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acting {
    /// The account's owner, or the server for them: may do everything.
    Owner,
    /// Somebody else, by the rights that they have then.
    Guest(Actor),
}

impl Acting {
    /// Whoever it is that is not the owner.
    pub const fn guest(&self) -> Option<&Actor> {
        match self {
            Self::Owner => None,
            Self::Guest(actor) => Some(actor),
        }
    }

    /// Whether the owner acts.
    pub const fn is_owner(&self) -> bool {
        matches!(self, Self::Owner)
    }
}

/// A mailbox, and who acts in it: what every verb is given that changes what is in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Who acts in it.
    pub acting: Acting,
}

impl Access {
    /// The owner's, who may do everything.
    pub const fn owner(account: AccountId, mailbox: MailboxId) -> Self {
        Self {
            account,
            mailbox,
            acting: Acting::Owner,
        }
    }

    /// Where it is.
    pub const fn place(&self) -> (AccountId, MailboxId) {
        (self.account, self.mailbox)
    }

    /// Whether its owner acts.
    pub const fn is_owners(&self) -> bool {
        self.acting.is_owner()
    }
}

/// What is to become of the rights that somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsChange {
    /// These and no others; none of them takes the grant away.
    Set(Rights),
    /// These too.
    Add(Rights),
    /// No longer these.
    Remove(Rights),
}

impl RightsChange {
    const fn apply(self, old: Rights) -> Rights {
        match self {
            Self::Set(to) => to,
            Self::Add(more) => old.with(more),
            Self::Remove(less) => old.without(less),
        }
    }
}

/// A mailbox of an account.
type Place = (AccountId, MailboxId);

/// Whose mailboxes somebody has rights in, and in which.
pub type Shares = BTreeMap<AccountId, BTreeSet<MailboxId>>;

impl Upkeep {
    /// Takes away whatever somebody was given, since they are to go. Doing it again changes nothing; to be
    /// called when nothing more can be given to them.
    pub fn drop_grants_of(&self, grantee: Grantee) -> Result<(), MailboxError> {
        self.0.drop_grants(grantee)
    }
}

impl Mailboxes {
    /// Takes every right of somebody away, in whosever mailboxes.
    pub(crate) fn drop_grants(&self, grantee: Grantee) -> Result<(), MailboxError> {
        loop {
            let page = self.engine.scan(&tables::granted(grantee), 1)?;
            let Some((key, _)) = page.rows.first() else {
                return Ok(());
            };
            let (_, owner, mailbox) = read_granted(key)?;
            self.transact(&[owner], |txn| {
                let none = RightsChange::Set(Rights::NONE);
                match self.change_rights_in(txn, (owner, mailbox), grantee, none) {
                    // Its own rows are on their way out, too; or what was given does not decode.
                    Err(
                        MailboxError::NoAccount
                        | MailboxError::NoMailbox
                        | MailboxError::Store(StoreError::Damaged),
                    ) => txn.delete(tables::grant(owner, mailbox, grantee)),
                    done => drop(done?),
                }
                // Also where nothing was given by it: the next round finds the next one.
                txn.delete(tables::granted_row(grantee, owner, mailbox));
                Ok::<_, MailboxError>(Verdict::Commit(()))
            })?;
        }
    }

    /// What somebody may do in a mailbox now: everything in their own; nothing in one that is not
    /// there.
    pub fn rights(
        &self,
        actor: &Actor,
        owner: AccountId,
        mailbox: MailboxId,
    ) -> Result<Rights, MailboxError> {
        if actor.account == owner {
            return Ok(Rights::ALL);
        }
        let snapshot = self.engine.snapshot()?;
        self.sum(actor, owner, mailbox, |key| snapshot.get(key))
    }

    /// The same within a transaction, which depends on the answer.
    pub(crate) fn rights_in(
        &self,
        txn: &mut Transaction<'_>,
        actor: &Actor,
        owner: AccountId,
        mailbox: MailboxId,
    ) -> Result<Rights, MailboxError> {
        if actor.account == owner {
            return Ok(Rights::ALL);
        }
        self.sum(actor, owner, mailbox, |key| txn.get(key))
    }

    /// The rights of whoever acts, where they have those that are needed. A mailbox that they may not see is [`MailboxError::NoMailbox`], as one that is not there.
    pub fn require_in(
        &self,
        txn: &mut Transaction<'_>,
        acting: &Acting,
        owner: AccountId,
        mailbox: MailboxId,
        needed: Rights,
    ) -> Result<Rights, MailboxError> {
        let rights = match acting {
            Acting::Owner => Rights::ALL,
            Acting::Guest(actor) => self.rights_in(txn, actor, owner, mailbox)?,
        };
        rights.require(needed)
    }

    /// The same by what a verb was given.
    pub fn allow_in(
        &self,
        txn: &mut Transaction<'_>,
        access: &Access,
        needed: Rights,
    ) -> Result<Rights, MailboxError> {
        let (owner, mailbox) = access.place();
        self.require_in(txn, &access.acting, owner, mailbox, needed)
    }

    /// All rights that somebody was given, under whatever name.
    pub(crate) fn sum(
        &self,
        actor: &Actor,
        owner: AccountId,
        mailbox: MailboxId,
        mut get: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Rights, MailboxError> {
        let Some(row) = get(&tables::mailbox(owner, mailbox))? else {
            return Ok(Rights::NONE);
        };
        let row = MailboxRow::decode(&row)?;
        let mut rights = Rights::NONE;
        for grantee in actor.grantees() {
            if let Some(row) = get(&tables::grant(owner, mailbox, grantee))? {
                rights = rights.with(decode(&row)?);
            }
        }
        Ok(self.as_far_as_owners(&row, rights))
    }

    /// What is put into the watched mailbox is asked for by its owner: nobody asks in somebody else's name.
    fn as_far_as_owners(&self, row: &MailboxRow, rights: Rights) -> Rights {
        let is_watched = row.parent.is_none() && self.hooks.watched == Some(row.name.as_str());
        match is_watched {
            true => rights.both(Rights::LOOKUP.with(Rights::READ)),
            false => rights,
        }
    }

    /// All rights that somebody was given in mailboxes of others, under whatever name, by one look at what
    /// there is: as many reads as there are grants, however many groups they are in.
    pub(crate) fn given_to(&self, actor: &Actor) -> Result<BTreeMap<Place, Rights>, MailboxError> {
        let snapshot = self.engine.snapshot()?;
        let mut given: BTreeMap<Place, Rights> = BTreeMap::new();
        for grantee in actor.grantees() {
            let mut next = Some(tables::granted(grantee));
            while let Some(range) = next {
                let page = snapshot.scan(&range, store_limits::MAX_PAGE)?;
                let place = |(key, _): &(Vec<u8>, Vec<u8>)| {
                    read_granted(key).map(|(_, owner, mailbox)| (owner, mailbox))
                };
                let places: Vec<Place> = page
                    .rows
                    .iter()
                    .map(place)
                    .collect::<Result<_, Damaged>>()?;
                let key = |(owner, mailbox): &Place| tables::grant(*owner, *mailbox, grantee);
                let keys: Vec<Vec<u8>> = places.iter().map(key).collect();
                for (place, row) in places.into_iter().zip(snapshot.get_many(&keys)?) {
                    let rights = row.map_or(Ok(Rights::NONE), |row| decode(&row))?;
                    let all = given.entry(place).or_default();
                    *all = all.with(rights);
                }
                next = page.next;
            }
        }
        given.retain(|(owner, _), _| *owner != actor.account);
        let key = |(owner, mailbox): &Place| tables::mailbox(*owner, *mailbox);
        let keys: Vec<Vec<u8>> = given.keys().map(key).collect();
        for (rights, row) in given.values_mut().zip(snapshot.get_many(&keys)?) {
            *rights = match row {
                Some(row) => self.as_far_as_owners(&MailboxRow::decode(&row)?, *rights),
                None => Rights::NONE,
            };
        }
        Ok(given)
    }

    /// Where somebody was given rights in mailboxes of others, whatever rights those are.
    pub fn shares(&self, actor: &Actor) -> Result<Shares, MailboxError> {
        let snapshot = self.engine.snapshot()?;
        let mut shares = Shares::new();
        for grantee in actor.grantees() {
            let mut next = Some(tables::granted(grantee));
            while let Some(range) = next {
                let page = snapshot.scan(&range, store_limits::MAX_PAGE)?;
                for (key, _) in &page.rows {
                    let (_, owner, mailbox) = read_granted(key)?;
                    shares.entry(owner).or_default().insert(mailbox);
                }
                next = page.next;
            }
        }
        shares.remove(&actor.account);
        Ok(shares)
    }

    /// Whether somebody was given rights in any mailbox of an account.
    pub fn has_shares_of(&self, actor: &Actor, owner: AccountId) -> Result<bool, MailboxError> {
        let snapshot = self.engine.snapshot()?;
        for grantee in actor.grantees() {
            let range = tables::granted_by(grantee, owner);
            if !snapshot.scan(&range, 1)?.rows.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Who was given which rights in a mailbox.
    pub fn grants(
        &self,
        owner: AccountId,
        mailbox: MailboxId,
    ) -> Result<Vec<(Grantee, Rights)>, MailboxError> {
        let range = tables::grants(owner, mailbox);
        let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
        page.rows.iter().map(read_grant).collect()
    }

    /// Changes the rights that somebody has in a mailbox, within a transaction that is run through
    /// [`Mailboxes::transact`] with the owner and who has them. Answers what they are then.
    pub fn change_rights_in(
        &self,
        txn: &mut Transaction<'_>,
        (owner, mailbox): (AccountId, MailboxId),
        grantee: Grantee,
        change: RightsChange,
    ) -> Result<Rights, MailboxError> {
        if grantee == Grantee::Account(owner) {
            return Err(MailboxError::NotAllowed(NotAllowed::OwnerRights));
        }
        let mut edit = Edit::begin(txn, owner)?;
        edit.mailbox(mailbox)?;
        let key = tables::grant(owner, mailbox, grantee);
        let row = edit.txn.get(&key)?;
        let old = row.map_or(Ok(Rights::NONE), |row| decode(&row))?;
        let rights = change.apply(old);
        if rights == old {
            return Ok(rights);
        }
        if rights == Rights::NONE {
            edit.txn.delete(key);
            let reverse = tables::granted_row(grantee, owner, mailbox);
            edit.txn.delete(reverse);
        } else {
            if old == Rights::NONE {
                may_be_given(edit.txn, (owner, mailbox), grantee)?;
            }
            put(edit.txn, (owner, mailbox), grantee, rights);
        }
        edit.log(Change::MailboxUpdated(mailbox));
        edit.finish();
        Ok(rights)
    }

    /// What rights somebody was given in a mailbox by name, within a transaction.
    pub fn rights_given_in(
        &self,
        txn: &mut Transaction<'_>,
        (owner, mailbox): (AccountId, MailboxId),
        grantee: Grantee,
    ) -> Result<Rights, MailboxError> {
        let row = txn.get(&tables::grant(owner, mailbox, grantee))?;
        row.map_or(Ok(Rights::NONE), |row| Ok(decode(&row)?))
    }

    /// Who was given which rights in a mailbox, as a transaction leaves it that has read the head of the
    /// owner's account: every change of rights writes that.
    pub fn grants_in(
        &self,
        txn: &Transaction<'_>,
        (owner, mailbox): (AccountId, MailboxId),
    ) -> Result<BTreeMap<Grantee, Rights>, MailboxError> {
        given_in(txn, owner, mailbox)
    }

    /// What its owner calls a mailbox, as a transaction leaves it.
    pub fn path_in(
        &self,
        txn: &mut Transaction<'_>,
        (owner, mailbox): (AccountId, MailboxId),
    ) -> Result<String, MailboxError> {
        let (mut path, mut at) = (String::new(), Some(mailbox));
        for _ in 0..=limits::MAX_MAILBOX_DEPTH {
            let Some(mailbox) = at else { break };
            let row = txn.get(&tables::mailbox(owner, mailbox))?;
            let row = MailboxRow::decode(&row.ok_or(MailboxError::NoMailbox)?)?;
            path = match path.is_empty() {
                true => row.name,
                false => format!("{}{SEPARATOR}{path}", row.name),
            };
            at = row.parent;
        }
        Ok(path)
    }

    /// Takes away some of what an account's mailboxes were shared by, since it goes. Answers whether there
    /// was any.
    pub(crate) fn drop_grants_by_in(
        txn: &mut Transaction<'_>,
        owner: AccountId,
    ) -> Result<bool, MailboxError> {
        let range = tables::whole_of(tables::GRANT, owner);
        drop_rows(txn, &range)
    }
}

impl Rights {
    /// These rights, where those that are needed are among them. Without `l` a mailbox is not there (RFC
    /// 4314 6).
    pub fn require(self, needed: Self) -> Result<Self, MailboxError> {
        if !self.has(Self::LOOKUP) {
            return Err(MailboxError::NoMailbox);
        }
        match self.has(needed) {
            true => Ok(self),
            false => Err(MailboxError::NotPermitted),
        }
    }
}

/// Whether one more can be given rights in a mailbox. Whoever goes beyond by one at the same moment stays
/// there.
fn may_be_given(
    txn: &mut Transaction<'_>,
    (owner, mailbox): (AccountId, MailboxId),
    grantee: Grantee,
) -> Result<(), MailboxError> {
    if let Grantee::Account(account) = grantee
        && txn.get(&tables::account(account))?.is_none()
    {
        return Err(MailboxError::NoAccount);
    }
    let of_mailbox = txn.scan(&tables::grants(owner, mailbox), limits::MAX_GRANTEES)?;
    if of_mailbox.rows.len() >= limits::MAX_GRANTEES {
        return Err(MailboxError::Limit(Limit::Grantees));
    }
    let by_owner = txn.scan(
        &tables::granted_by(grantee, owner),
        limits::MAX_SHARED_BY_ONE,
    )?;
    if by_owner.rows.len() >= limits::MAX_SHARED_BY_ONE {
        return Err(MailboxError::Limit(Limit::SharedByOne));
    }
    let of_grantee = txn.scan(&tables::granted(grantee), limits::MAX_SHARED)?;
    if of_grantee.rows.len() >= limits::MAX_SHARED {
        return Err(MailboxError::Limit(Limit::Shared));
    }
    Ok(())
}

fn put(
    txn: &mut Transaction<'_>,
    (owner, mailbox): (AccountId, MailboxId),
    grantee: Grantee,
    rights: Rights,
) {
    let mut w = Writer::versioned(VERSION);
    w.number(rights.bits().into());
    txn.put(tables::grant(owner, mailbox, grantee), w.finish());
    txn.put(tables::granted_row(grantee, owner, mailbox), Vec::new());
}

/// The access list of a mailbox with what the transaction itself has changed in it.
fn given_in(
    txn: &Transaction<'_>,
    owner: AccountId,
    mailbox: MailboxId,
) -> Result<BTreeMap<Grantee, Rights>, MailboxError> {
    let range = tables::grants(owner, mailbox);
    let rows = txn.scan(&range, store_limits::MAX_PAGE)?.rows;
    let known = rows.iter().map(|(key, _)| key.as_slice());
    let mut given = BTreeMap::new();
    for key in known.chain(txn.written(&range)) {
        if let Some(row) = txn.peek(key)? {
            given.insert(read_grant_key(key)?.2, decode(&row)?);
        }
    }
    Ok(given)
}

/// RFC 4314 4: a new mailbox has the access list of the one that it is in.
pub(crate) fn inherit(
    edit: &mut Edit<'_, '_>,
    parent: MailboxId,
    mailbox: MailboxId,
) -> Result<(), MailboxError> {
    let given = given_in(edit.txn, edit.account, parent)?;
    for (grantee, rights) in given {
        // Nobody is given more than they can have by somebody who makes mailboxes.
        match may_be_given(edit.txn, (edit.account, mailbox), grantee) {
            Ok(()) => put(edit.txn, (edit.account, mailbox), grantee, rights),
            Err(MailboxError::Limit(_) | MailboxError::NoAccount) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// RFC 4314 4: the access list goes with its mailbox.
pub(crate) fn drop_mailbox(
    edit: &mut Edit<'_, '_>,
    mailbox: MailboxId,
) -> Result<(), MailboxError> {
    let range = tables::grants(edit.account, mailbox);
    drop_rows(edit.txn, &range).map(drop)
}

/// Takes a page of grants away. Answers whether there was any.
fn drop_rows(txn: &mut Transaction<'_>, range: &tern_store::Range) -> Result<bool, MailboxError> {
    let page = txn.scan(range, store_limits::MAX_PAGE)?;
    for (key, _) in &page.rows {
        let (owner, mailbox, grantee) = read_grant_key(key)?;
        txn.delete(tables::granted_row(grantee, owner, mailbox));
        txn.delete(key.clone());
    }
    Ok(!page.rows.is_empty())
}

fn decode(row: &[u8]) -> Result<Rights, Damaged> {
    let mut r = Reader::of_version(row, VERSION)?;
    let bits = u16::try_from(r.number()?).map_err(|_| Damaged)?;
    Rights::from_bits(bits).ok_or(Damaged)
}

fn read_grant((key, row): &(Vec<u8>, Vec<u8>)) -> Result<(Grantee, Rights), MailboxError> {
    let (_, _, grantee) = read_grant_key(key)?;
    Ok((grantee, decode(row)?))
}

pub(crate) fn read_grant_key(key: &[u8]) -> Result<(AccountId, MailboxId, Grantee), Damaged> {
    let mut parts = KeyReader::new(key);
    let owner = AccountId(parts.u32().ok_or(Damaged)?);
    let mailbox = MailboxId(parts.u32().ok_or(Damaged)?);
    Ok((owner, mailbox, Grantee::read(&mut parts)?))
}

pub(crate) fn read_granted(key: &[u8]) -> Result<(Grantee, AccountId, MailboxId), Damaged> {
    let mut parts = KeyReader::new(key);
    let grantee = Grantee::read(&mut parts)?;
    let owner = AccountId(parts.u32().ok_or(Damaged)?);
    Ok((grantee, owner, MailboxId(parts.u32().ok_or(Damaged)?)))
}
