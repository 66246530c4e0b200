//! Grants: who holds which role, over whom.
//!
//! Invariants:
//! - A grant names an account, a domain or group, that exist; it goes with either.
//! - Nobody gives themselves a role.
//!
//! Every account is [`Role::User`] without a grant. What a role may do is policy's to say.

use std::fmt;

use tern_base::{AccountId, Domain, EmailAddress, Timestamp};
use tern_store::{Engine, Read, ReadExt as _, StoreError, Transaction, Verdict, transact};

use crate::error::{DirectoryError, Limit};
use crate::group::{GroupId, groups_around};
use crate::{account, limits, tables};

/// A bundle of permissions. The list is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Every account.
    User,
    /// Answers for other people's mail.
    Manager,
    /// Runs the queue.
    Operator,
    /// Answers for what the law asks.
    ComplianceOfficer,
    /// Looks, and changes nothing.
    Auditor,
    /// Runs the server.
    Administrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [
        Self::User,
        Self::Manager,
        Self::Operator,
        Self::ComplianceOfficer,
        Self::Auditor,
        Self::Administrator,
    ];

    /// Its name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Manager => "manager",
            Self::Operator => "operator",
            Self::ComplianceOfficer => "compliance-officer",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }

    /// The role of a name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::User => 0,
            Self::Manager => 1,
            Self::Operator => 2,
            Self::ComplianceOfficer => 3,
            Self::Auditor => 4,
            Self::Administrator => 5,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.number() == number)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Over whom a role is held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GrantScope {
    /// Everyone, and the server as a whole.
    Everyone,
    /// The accounts of a domain.
    Domain(Domain),
    /// The members of a group.
    Group(GroupId),
}

/// One role of one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// Who holds it.
    pub account: AccountId,
    /// Which.
    pub role: Role,
    /// Over whom.
    pub scope: GrantScope,
}

/// Who gives or takes a role: an account, or nobody's account, which is an operator at the
/// server's machine.
pub type Granter = Option<AccountId>;

/// Gives a role. False when it was held already.
pub fn grant_role(
    engine: &dyn Engine,
    grant: &Grant,
    by: Granter,
    now: Timestamp,
) -> Result<bool, DirectoryError> {
    transact(engine, |txn| {
        Ok(match grant_role_in(txn, grant, by, now)? {
            true => Verdict::Commit(true),
            false => Verdict::Abandon(false),
        })
    })
}

/// [`grant_role`] as a part of the caller's transaction.
pub fn grant_role_in(
    txn: &mut Transaction<'_>,
    grant: &Grant,
    by: Granter,
    now: Timestamp,
) -> Result<bool, DirectoryError> {
    if by == Some(grant.account) {
        return Err(DirectoryError::OwnRole);
    }
    // Nobody needs to be given what everybody has.
    if grant.role == Role::User {
        return Err(DirectoryError::EverybodysRole);
    }
    tables::require_account(txn, grant.account)?;
    match &grant.scope {
        GrantScope::Everyone => {}
        GrantScope::Domain(domain) => {
            tables::get_domain(txn, domain)?.ok_or(DirectoryError::UnknownDomain)?;
        }
        GrantScope::Group(id) => {
            tables::get_group(txn, *id)?.ok_or(DirectoryError::NotFound("group"))?;
        }
    }
    let key = tables::grant_key(grant);
    if txn.get(&key)?.is_some() {
        return Ok(false);
    }
    let count = tables::grant_count(txn)?;
    if count >= limits::MAX_GRANTS {
        return Err(DirectoryError::Limit(Limit::Grants));
    }
    tables::put_grant_count(txn, count + 1)?;
    txn.put(key, tables::encode_grant(now));
    Ok(true)
}

/// Takes a role away. False when it was not held.
pub fn revoke_role(engine: &dyn Engine, grant: &Grant) -> Result<bool, DirectoryError> {
    transact(engine, |txn| {
        Ok(match revoke_role_in(txn, grant)? {
            true => Verdict::Commit(true),
            false => Verdict::Abandon(false),
        })
    })
}

/// [`revoke_role`] as a part of the caller's transaction.
pub fn revoke_role_in(txn: &mut Transaction<'_>, grant: &Grant) -> Result<bool, DirectoryError> {
    let key = tables::grant_key(grant);
    if txn.get(&key)?.is_none() {
        return Ok(false);
    }
    let count = tables::grant_count(txn)?;
    tables::put_grant_count(txn, count.saturating_sub(1))?;
    txn.delete(key);
    Ok(true)
}

/// Takes away every grant that `gone` names. Whoever removes an account, a domain or a group calls
/// this in the transaction that removes its row: the count is changed by every grant, so none
/// slips in meanwhile.
pub(crate) fn drop_grants_in(
    txn: &mut Transaction<'_>,
    gone: impl Fn(&Grant) -> bool,
) -> Result<(), DirectoryError> {
    let count = tables::grant_count(txn)?;
    // One page holds them all, see `limits::MAX_GRANTS`.
    let page = txn.scan(&tables::grants(), limits::MAX_GRANTS as usize + 1)?;
    let mut dropped = 0;
    for (key, _) in page.rows {
        if gone(&tables::read_grant_key(&key)?) {
            txn.delete(key);
            dropped += 1;
        }
    }
    if dropped > 0 {
        tables::put_grant_count(txn, count.saturating_sub(dropped))?;
    }
    Ok(())
}

/// How often who may do what over whom has changed: with each grant that is given or taken, each delegate, and
/// each change of who is in a group. It only counts up, so that whoever decides by roles sees whether they
/// still are what they were.
pub fn role_changes(reader: &dyn Read) -> Result<u64, StoreError> {
    let row = reader.get(&tables::counters_key())?;
    Ok(tables::Counters::decode(row.as_deref())?.roles)
}

/// How often who may do what has changed ([`role_changes`]), within a transaction that then depends on it.
pub fn role_changes_in(txn: &mut Transaction<'_>) -> Result<u64, StoreError> {
    Ok(tables::Counters::get(txn)?.roles)
}

/// Every grant, by account; with when it was given.
pub fn list_grants(reader: &dyn Read) -> Result<Vec<(Grant, Timestamp)>, StoreError> {
    grants_in(reader, tables::grants())
}

/// The grants of one account.
pub fn grants_of(
    reader: &dyn Read,
    account: AccountId,
) -> Result<Vec<(Grant, Timestamp)>, StoreError> {
    grants_in(reader, tables::grants_of(account))
}

fn grants_in(
    reader: &dyn Read,
    range: tern_store::Range,
) -> Result<Vec<(Grant, Timestamp)>, StoreError> {
    let mut found = Vec::new();
    reader.each(&range, |key, value| {
        found.push((tables::read_grant_key(key)?, tables::decode_grant(value)?));
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

/// What a role is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The server as a whole.
    Server,
    /// An account, or something of it. One that is gone is of no domain and no group.
    Account(AccountId),
}

/// The roles that an account holds over something, each once. A role over a group is held over
/// everybody who is in it, by way of an alias or another group as well.
pub fn roles_over(
    reader: &dyn Read,
    holder: AccountId,
    about: About,
) -> Result<Vec<Role>, StoreError> {
    let mut roles = vec![Role::User];
    let grants = grants_of(reader, holder)?;
    if grants.is_empty() {
        return Ok(roles);
    }
    let over_groups = |grant: &Grant| matches!(grant.scope, GrantScope::Group(_));
    let over_groups = grants.iter().any(|(grant, _)| over_groups(grant));
    let (mut domain, mut groups) = (None, Vec::new());
    if let About::Account(id) = about {
        domain = account::account(reader, id)?.map(|a| a.address.domain().clone());
        if over_groups {
            let around = groups_around(reader, id)?.into_iter();
            groups = around.map(|group| group.id).collect();
        }
    }
    for (grant, _) in grants {
        let holds = match &grant.scope {
            GrantScope::Everyone => true,
            GrantScope::Domain(over) => domain.as_ref() == Some(over),
            GrantScope::Group(over) => groups.contains(over),
        };
        if holds {
            roles.push(grant.role);
        }
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

/// The addresses of the groups that an account is in, those around them included.
pub fn group_addresses_of(
    reader: &dyn Read,
    account: AccountId,
) -> Result<Vec<EmailAddress>, StoreError> {
    let groups = groups_around(reader, account)?.into_iter();
    Ok(groups.map(|group| group.address).collect())
}
