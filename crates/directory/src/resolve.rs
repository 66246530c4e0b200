//! Where an address leads: the accounts behind it, each once, and the outside addresses.
//!
//! A plain account costs two point reads: its address and its row. Expansion is breadth first, so
//! the path kept for an account that is reached twice is the shortest.

use std::collections::HashSet;
use std::sync::Arc;

use tern_base::{AccountId, Domain, EmailAddress};
use tern_store::{Read, StoreError};

use crate::group::GroupId;
use crate::tables::{self, AddressRow};
use crate::target::Target;
use crate::{Account, account, domain, group, limits};

/// One step from the address that was asked for to an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Through an alias.
    Alias(EmailAddress),
    /// Through a group.
    Group {
        /// The group.
        id: GroupId,
        /// Its address.
        address: EmailAddress,
    },
    /// The domain's catch-all.
    CatchAll(Domain),
    /// The domain's postmaster, for want of such an address.
    Postmaster(Domain),
    /// Sent on by the account of this primary address.
    Redirect(EmailAddress),
}

/// An account that the address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRecipient {
    /// The account.
    pub account: AccountId,
    /// Its primary address.
    pub address: EmailAddress,
    /// The path to it; empty when the address is its own.
    pub via: Arc<[Step]>,
}

/// An address outside this server that the address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideRecipient {
    /// The address.
    pub address: EmailAddress,
    /// The path to it; never empty.
    pub via: Arc<[Step]>,
}

/// Why a part of an expansion was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// The account is disabled.
    Disabled,
    /// There is no such address or account.
    Unknown,
    /// It lies deeper than [`limits::MAX_DEPTH`].
    TooDeep,
}

/// A part of an expansion that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What was named.
    pub target: Target,
    /// Why it was left out.
    pub reason: SkipReason,
    /// The path to it.
    pub via: Arc<[Step]>,
}

/// What an address expands to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Accounts, each once.
    pub accounts: Vec<LocalRecipient>,
    /// Outside addresses, each once.
    pub outside: Vec<OutsideRecipient>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// The tag of `user+tag@domain` (RFC 5233), when the address was found only without it.
    pub tag: Option<String>,
}

/// The answer for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is of this server and leads somewhere.
    Found(Expansion),
    /// Its domain is not one of this server: the address is an outside one.
    UnknownDomain,
    /// Its domain is ours; there is no such address.
    UnknownUser,
    /// It leads to nobody who takes mail, and to some that are disabled.
    Disabled,
    /// It leads to nobody: a group without members, or aliases in a circle. Mail accepted for it
    /// would vanish.
    Nobody,
    /// It leads to more than [`limits::MAX_EXPANSION`] recipients.
    TooMany,
}

/// Where an address leads. Hand in a snapshot where groups may change meanwhile.
pub fn resolve(reader: &dyn Read, address: &EmailAddress) -> Result<Resolution, StoreError> {
    resolve_as(reader, address, true, Extent::Whole)
}

/// Where an address leads, as far as it takes to tell whether that is nobody, one or several: what
/// [`resolve`] finds of more than one may be cut short behind the second. For whoever is asked by
/// strangers.
pub fn glance(reader: &dyn Read, address: &EmailAddress) -> Result<Resolution, StoreError> {
    resolve_as(reader, address, true, Extent::Several)
}

/// How far an expansion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// To everybody.
    Whole,
    /// Until there are two.
    Several,
}

/// With redirects followed or as if there were none.
fn resolve_as(
    reader: &dyn Read,
    address: &EmailAddress,
    redirects: bool,
    extent: Extent,
) -> Result<Resolution, StoreError> {
    let (start, tag) = match find(reader, address)? {
        Found::Row(AddressRow::Account(id), tag) => {
            let Some(account) = sole(reader, address, id)? else {
                return Ok(Resolution::UnknownUser);
            };
            if account.redirect.is_none() || !redirects {
                return Ok(plain(account, tag));
            }
            (Start::of(vec![Target::Account(id)], []), tag)
        }
        Found::Row(row, tag) => (start_of(reader, address, row, tag.is_some(), extent)?, tag),
        Found::Targets(targets, step) => (Start::of(targets, [step]), None),
        Found::UnknownDomain => return Ok(Resolution::UnknownDomain),
        Found::UnknownUser => return Ok(Resolution::UnknownUser),
    };
    let mut walk = Walk {
        reader,
        expansion: Expansion {
            tag,
            ..Expansion::default()
        },
        accounts: HashSet::new(),
        addresses: HashSet::new(),
        todo: Vec::new(),
        redirects,
        extent,
        is_cut: start.is_cut,
        away: Vec::new(),
    };
    walk.addresses.insert(address.canonical());
    if walk.run(start.targets, start.via)?.is_none() {
        return Ok(Resolution::TooMany);
    }
    if walk.is_cut && !walk.is_enough() {
        // Those who were looked at get nothing: somebody further on may.
        return resolve_as(reader, address, redirects, Extent::Whole);
    }
    walk.keep_what_leads_nowhere();
    let found = walk.expansion;
    if found.accounts.is_empty() && found.outside.is_empty() {
        let disabled = |skipped: &Skipped| skipped.reason == SkipReason::Disabled;
        return Ok(match &found.skipped[..] {
            [] => Resolution::Nobody,
            skipped if skipped.iter().any(disabled) => Resolution::Disabled,
            _ => Resolution::UnknownUser,
        });
    }
    Ok(Resolution::Found(found))
}

/// Whether a domain of this server has nobody by this name, the tag left aside: no account, alias
/// or group. A catch-all is nobody's name.
pub fn is_unclaimed(reader: &dyn Read, address: &EmailAddress) -> Result<bool, StoreError> {
    Ok(match find(reader, address)? {
        Found::Row(..) | Found::UnknownDomain => false,
        Found::UnknownUser => true,
        Found::Targets(_, step) => matches!(step, Step::CatchAll(_)),
    })
}

/// Whether an account may use an address as its own (RFC 6409 6.1): one of its addresses, or an alias
/// that leads to it alone.
pub fn is_own(
    reader: &dyn Read,
    account: AccountId,
    address: &EmailAddress,
) -> Result<bool, StoreError> {
    let Resolution::Found(found) = resolve_as(reader, address, false, Extent::Several)? else {
        return Ok(false);
    };
    let ([only], [], []) = (&found.accounts[..], &found.outside[..], &found.skipped[..]) else {
        return Ok(false);
    };
    let aliases = only.via.iter().all(|step| matches!(step, Step::Alias(_)));
    Ok(only.account == account && aliases)
}

/// The account whose own address that is.
fn sole(
    reader: &dyn Read,
    address: &EmailAddress,
    id: AccountId,
) -> Result<Option<Account>, StoreError> {
    match account::account(reader, id)? {
        Some(account) => Ok(Some(account)),
        // Removed between the two reads; or damage, which must not answer that nobody lives here.
        None => match reader.get(&tables::address_key(address))? {
            None => Ok(None),
            Some(_) => Err(StoreError::Damaged),
        },
    }
}

/// The way of nearly all mail: the address is an account's own.
fn plain(account: Account, tag: Option<String>) -> Resolution {
    if account.disabled || account.removing {
        return Resolution::Disabled;
    }
    let recipient = LocalRecipient {
        account: account.id,
        address: account.address,
        via: Arc::from([]),
    };
    Resolution::Found(Expansion {
        accounts: vec![recipient],
        tag,
        ..Expansion::default()
    })
}

/// What stands for an address, before expansion.
enum Found {
    /// Its row, and the tag that had to be taken off to find it.
    Row(AddressRow, Option<String>),
    /// Targets that a rule of the domain puts in its place.
    Targets(Vec<Target>, Step),
    UnknownDomain,
    UnknownUser,
}

fn find(reader: &dyn Read, address: &EmailAddress) -> Result<Found, StoreError> {
    if let Some(row) = reader.get(&tables::address_key(address))? {
        return Ok(Found::Row(tables::decode_address(&row)?, None));
    }
    let Some(info) = domain::domain(reader, address.domain())? else {
        return Ok(Found::UnknownDomain);
    };
    let local = address.local().to_lowercase();
    // RFC 5233 2: the detail follows the first separator.
    let (user, tag) = match address.local().split_once('+') {
        Some((user, tag)) if !user.is_empty() => (user.to_lowercase(), Some(tag.to_owned())),
        _ => (local, None),
    };
    if tag.is_some()
        && let Some(row) = reader.get(&tables::address_key_of(address.domain(), &user))?
    {
        return Ok(Found::Row(tables::decode_address(&row)?, tag));
    }
    // RFC 5321 4.5.1: postmaster is an address of every domain.
    if user == "postmaster" {
        let target = match info.settings.postmaster {
            Some(target) => Some(target),
            None => first_account(reader)?,
        };
        if let Some(target) = target {
            let step = Step::Postmaster(info.domain);
            return Ok(Found::Targets(vec![target], step));
        }
    }
    match info.settings.catch_all {
        Some(target) => Ok(Found::Targets(vec![target], Step::CatchAll(info.domain))),
        None => Ok(Found::UnknownUser),
    }
}

/// The first account that is not disabled.
fn first_account(reader: &dyn Read) -> Result<Option<Target>, StoreError> {
    let mut from = Some(AccountId(1));
    while let Some(next) = from {
        let page = account::list_accounts(reader, next, 100)?;
        if let Some(found) = page
            .accounts
            .iter()
            .find(|account| !account.disabled && !account.removing)
        {
            return Ok(Some(Target::Account(found.id)));
        }
        from = page.next;
    }
    Ok(None)
}

/// Where an expansion begins.
struct Start {
    targets: Vec<Target>,
    via: Arc<[Step]>,
    /// There are further targets.
    is_cut: bool,
}

impl Start {
    fn of(targets: Vec<Target>, via: impl Into<Arc<[Step]>>) -> Self {
        Self {
            targets,
            via: via.into(),
            is_cut: false,
        }
    }
}

/// The first targets of a row, and the path to them.
fn start_of(
    reader: &dyn Read,
    address: &EmailAddress,
    row: AddressRow,
    tagged: bool,
    extent: Extent,
) -> Result<Start, StoreError> {
    let bare = || -> EmailAddress {
        if !tagged {
            return address.clone();
        }
        let user = address.local().split('+').next().unwrap_or_default();
        let text = format!("{user}@{}", address.domain());
        // A quoted local part keeps its tag in the path: the text is for people.
        EmailAddress::parse(&text).unwrap_or_else(|_| address.clone())
    };
    Ok(match row {
        AddressRow::Account(id) => Start::of(vec![Target::Account(id)], []),
        AddressRow::Alias(targets) => Start::of(targets, [Step::Alias(bare())]),
        AddressRow::Group(id) => {
            let step = Step::Group {
                id,
                address: bare(),
            };
            match extent {
                Extent::Whole => Start::of(all_members(reader, id)?, [step]),
                Extent::Several => {
                    let page = group::members(reader, id, None, GLANCE)?;
                    Start {
                        is_cut: page.next.is_some(),
                        ..Start::of(page.members, [step])
                    }
                }
            }
        }
    })
}

/// Members of a group that a glance looks at.
const GLANCE: usize = 16;

fn all_members(reader: &dyn Read, id: GroupId) -> Result<Vec<Target>, StoreError> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = group::members(reader, id, from, 10_000)?;
        found.extend(page.members);
        match page.next {
            Some(next) if found.len() <= limits::MAX_EXPANSION => from = Some(next),
            _ => return Ok(found),
        }
    }
}

struct Walk<'a> {
    reader: &'a dyn Read,
    expansion: Expansion,
    accounts: HashSet<AccountId>,
    addresses: HashSet<String>,
    /// Addresses to look up, and accounts to take in, at the next depth.
    todo: Vec<(Target, Arc<[Step]>)>,
    /// Whether redirects are followed.
    redirects: bool,
    extent: Extent,
    /// Members of a group were left out.
    is_cut: bool,
    /// Accounts that send their mail on and keep none, and where to.
    away: Vec<(LocalRecipient, Vec<Target>)>,
}

impl Walk<'_> {
    /// Expands depth by depth. `None` when there are too many.
    fn run(&mut self, targets: Vec<Target>, via: Arc<[Step]>) -> Result<Option<()>, StoreError> {
        if self.take(targets, &via)?.is_none() {
            return Ok(None);
        }
        for _ in 0..limits::MAX_DEPTH {
            let todo = std::mem::take(&mut self.todo);
            if todo.is_empty() {
                break;
            }
            for (target, via) in todo {
                if self.is_enough() {
                    return Ok(Some(()));
                }
                let taken = match target {
                    Target::Account(_) => self.take(vec![target], &via)?,
                    Target::Address(address) => self.visit(address, via)?,
                };
                if taken.is_none() {
                    return Ok(None);
                }
            }
        }
        for (target, via) in std::mem::take(&mut self.todo) {
            self.skip(target, SkipReason::TooDeep, &via);
        }
        Ok(Some(()))
    }

    /// Whether a glance has seen what it has to.
    fn is_enough(&self) -> bool {
        let found = self.expansion.accounts.len() + self.expansion.outside.len();
        self.extent == Extent::Several && found > 1
    }

    /// Takes accounts in, and puts addresses that are new by for the next depth.
    fn take(&mut self, targets: Vec<Target>, via: &Arc<[Step]>) -> Result<Option<()>, StoreError> {
        let mut ids = Vec::new();
        for target in targets {
            match target {
                Target::Account(id) if self.accounts.insert(id) => ids.push(id),
                Target::Address(address) if self.addresses.insert(address.canonical()) => {
                    self.todo.push((Target::Address(address), via.clone()));
                }
                // Reached before, by a path that is not longer: circles end here.
                Target::Account(_) | Target::Address(_) => {}
            }
        }
        if self.accounts.len() + self.addresses.len() > limits::MAX_EXPANSION {
            return Ok(None);
        }
        for chunk in ids.chunks(1_000) {
            let keys: Vec<_> = chunk.iter().map(|id| tables::account_key(*id)).collect();
            let rows = self.reader.get_many(&keys)?;
            for (id, row) in chunk.iter().zip(rows) {
                let Some(row) = row else {
                    self.skip(Target::Account(*id), SkipReason::Unknown, via);
                    continue;
                };
                let account = tables::decode_account(*id, &row)?;
                if account.disabled || account.removing {
                    self.skip(Target::Account(*id), SkipReason::Disabled, via);
                    continue;
                }
                self.take_account(account, via);
            }
        }
        let known = self.accounts.len() + self.addresses.len();
        Ok((known <= limits::MAX_EXPANSION).then_some(()))
    }

    /// Takes in an account, or where its mail is sent on to, or both.
    fn take_account(&mut self, account: Account, via: &Arc<[Step]>) {
        let step = Step::Redirect(account.address.clone());
        let recipient = LocalRecipient {
            account: account.id,
            address: account.address,
            via: via.clone(),
        };
        let Some(redirect) = account.redirect.filter(|_| self.redirects) else {
            self.expansion.accounts.push(recipient);
            return;
        };
        let onward: Arc<[Step]> = via.iter().cloned().chain([step]).collect();
        match redirect.keep {
            true => self.expansion.accounts.push(recipient),
            false => self.away.push((recipient, redirect.targets.clone())),
        }
        for target in redirect.targets {
            let is_new = match &target {
                Target::Account(id) => !self.accounts.contains(id),
                Target::Address(address) => self.addresses.insert(address.canonical()),
            };
            if is_new {
                self.todo.push((target, onward.clone()));
            }
        }
    }

    /// Mail that an account sends on, and that reaches nobody by it, is the account's: an address that
    /// has ceased to be, or two accounts that send on to each other, lose nothing.
    fn keep_what_leads_nowhere(&mut self) {
        if self.away.is_empty() {
            return;
        }
        let mut onward = HashSet::new();
        let mut reached = HashSet::new();
        let local = self.expansion.accounts.iter();
        let local: HashSet<AccountId> = local.map(|local| local.account).collect();
        let accounts = self.expansion.accounts.iter();
        let outside = self.expansion.outside.iter();
        let all = accounts
            .map(|local| (&local.address, &local.via))
            .chain(outside.map(|outside| (&outside.address, &outside.via)));
        for (address, via) in all {
            reached.insert(address.canonical());
            onward.extend(via.iter().filter_map(|step| match step {
                Step::Redirect(address) => Some(address.canonical()),
                _ => None,
            }));
        }
        // Who is reached by another, shorter path is reached.
        let stays = |(recipient, targets): &(LocalRecipient, Vec<Target>)| {
            let has_it = |target: &Target| match target {
                Target::Account(id) => local.contains(id),
                Target::Address(address) => reached.contains(&address.canonical()),
            };
            !onward.contains(&recipient.address.canonical()) && !targets.iter().any(has_it)
        };
        let away = std::mem::take(&mut self.away);
        let stay = away.into_iter().filter(stays);
        self.expansion
            .accounts
            .extend(stay.map(|(recipient, _)| recipient));
    }

    /// Looks up an address that an alias or a group named.
    fn visit(&mut self, address: EmailAddress, via: Arc<[Step]>) -> Result<Option<()>, StoreError> {
        match find(self.reader, &address)? {
            Found::UnknownDomain => {
                self.expansion
                    .outside
                    .push(OutsideRecipient { address, via });
                Ok(Some(()))
            }
            Found::UnknownUser => {
                self.skip(Target::Address(address), SkipReason::Unknown, &via);
                Ok(Some(()))
            }
            Found::Targets(targets, step) => {
                let via = via.iter().cloned().chain([step]).collect();
                self.take(targets, &via)
            }
            Found::Row(row, tag) => {
                let tagged = tag.is_some();
                let start = start_of(self.reader, &address, row, tagged, self.extent)?;
                self.is_cut |= start.is_cut;
                let via = via.iter().chain(start.via.iter()).cloned().collect();
                self.take(start.targets, &via)
            }
        }
    }

    fn skip(&mut self, target: Target, reason: SkipReason, via: &Arc<[Step]>) {
        let via = via.clone();
        self.expansion.skipped.push(Skipped {
            target,
            reason,
            via,
        });
    }
}
