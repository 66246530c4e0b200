//! Whether the rows of the directory agree with each other: for `tern check` and the end of tests.

use std::collections::BTreeMap;

use tern_base::{AccountId, EmailAddress};
use tern_store::{Engine, Finding, Range, Read, StoreError};

use crate::credential::{self, CredentialId};
use crate::grant::GrantScope;
use crate::group::GroupId;
use crate::principal::{self, PrincipalId};
use crate::tables::{self, AddressRow};
use crate::target::Target;
use crate::{account, delegate, domain, factor, grant, group, identity, subscription};

/// Verifies that addresses, accounts, groups and their reverse rows name each other, that counts
/// are right, and that no id can be given twice.
pub fn check(engine: &dyn Engine) -> Result<Vec<Finding>, StoreError> {
    let snapshot = engine.snapshot()?;
    let mut check = Check {
        reader: &*snapshot,
        findings: Vec::new(),
    };
    check.addresses()?;
    check.accounts()?;
    check.groups()?;
    check.reverse_rows()?;
    check.credentials()?;
    check.grants()?;
    check.factors()?;
    check.identities()?;
    check.principals()?;
    for what in delegate::strays(check.reader)? {
        check.note(what);
    }
    for what in subscription::strays(check.reader)? {
        check.note(what);
    }
    Ok(check.findings)
}

struct Check<'a> {
    reader: &'a dyn Read,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn note(&mut self, what: String) {
        self.findings.push(Finding(what));
    }

    fn address(&self, address: &EmailAddress) -> Result<Option<AddressRow>, StoreError> {
        match self.reader.get(&tables::address_key(address))? {
            Some(row) => Ok(Some(tables::decode_address(&row)?)),
            None => Ok(None),
        }
    }

    /// Every address belongs to a domain, which counts it, and to what names it back.
    fn addresses(&mut self) -> Result<(), StoreError> {
        let mut counts: BTreeMap<_, u64> = BTreeMap::new();
        for (key, value) in rows(self.reader, tables::addresses())? {
            let address = tables::read_address_key(&key)?;
            *counts.entry(address.domain().clone()).or_default() += 1;
            let named = match tables::decode_address(&value)? {
                AddressRow::Account(id) => {
                    account::account(self.reader, id)?.is_some_and(|a| a.address == address)
                }
                AddressRow::Group(id) => {
                    group::group(self.reader, id)?.is_some_and(|g| g.address == address)
                }
                AddressRow::Alias(targets) => {
                    self.alias(&address, &targets)?;
                    true
                }
            };
            if !named {
                self.note(format!(
                    "address {address} leads to nothing of that address"
                ));
            }
        }
        for info in domain::list_domains(self.reader)? {
            for target in [&info.settings.catch_all, &info.settings.postmaster] {
                if let Some(Target::Account(id)) = target
                    && account::account(self.reader, *id)?.is_none()
                {
                    let domain = &info.domain;
                    self.note(format!("domain {domain} names account {id}, which is gone"));
                }
            }
            let found = counts.remove(&info.domain).unwrap_or(0);
            if found != info.addresses {
                let (domain, counted) = (&info.domain, info.addresses);
                self.note(format!(
                    "domain {domain} counts {counted} addresses and has {found}"
                ));
            }
        }
        for domain in counts.keys() {
            self.note(format!("domain {domain} has addresses and no row"));
        }
        Ok(())
    }

    fn alias(&mut self, address: &EmailAddress, targets: &[Target]) -> Result<(), StoreError> {
        for target in targets {
            let id = match target {
                Target::Account(id) => id,
                Target::Address(to) => {
                    let key = tables::alias_around_key(to, address);
                    if self.reader.get(&key)?.is_none() {
                        self.note(format!("alias {address} is missing from address {to}"));
                    }
                    continue;
                }
            };
            if self
                .reader
                .get(&tables::alias_of_key(*id, address))?
                .is_none()
            {
                self.note(format!("alias {address} is missing from account {id}"));
            }
            if account::account(self.reader, *id)?.is_none() {
                self.note(format!(
                    "alias {address} leads to account {id}, which is gone"
                ));
            }
        }
        Ok(())
    }

    fn accounts(&mut self) -> Result<(), StoreError> {
        let counters = self.reader.get(&tables::counters_key())?;
        let next = tables::Counters::decode(counters.as_deref())?.account;
        for (key, value) in rows(self.reader, tables::accounts(AccountId(0)))? {
            let id = tables::read_account_key(&key)?;
            let account = tables::decode_account(id, &value)?;
            if self.address(&account.address)? != Some(AddressRow::Account(id)) {
                self.note(format!(
                    "account {id} is not reached by {}",
                    account.address
                ));
            }
            if id.0 >= next {
                self.note(format!("account id {id} would be given again"));
            }
        }
        Ok(())
    }

    fn groups(&mut self) -> Result<(), StoreError> {
        let counters = self.reader.get(&tables::counters_key())?;
        let next = tables::Counters::decode(counters.as_deref())?.group;
        let mut counts: BTreeMap<GroupId, u64> = BTreeMap::new();
        for (key, _) in rows(self.reader, tables::all_members())? {
            let (id, member) = tables::read_member_key(&key)?;
            *counts.entry(id).or_default() += 1;
            let reverse = group::reverse_key(&member, id);
            if self.reader.get(&reverse)?.is_none() {
                self.note(format!("group {id} is not found by its member {member:?}"));
            }
        }
        for (key, value) in rows(self.reader, tables::groups())? {
            let id = tables::read_group_key(&key)?;
            let group = tables::decode_group(id, &value)?;
            let found = counts.remove(&id).unwrap_or(0);
            if found != group.members {
                let counted = group.members;
                self.note(format!(
                    "group {id} counts {counted} members and has {found}"
                ));
            }
            if self.address(&group.address)? != Some(AddressRow::Group(id)) {
                self.note(format!("group {id} is not reached by {}", group.address));
            }
            if id.0 >= next {
                self.note(format!("group id {id} would be given again"));
            }
        }
        for (key, _) in rows(self.reader, tables::groups_gone())? {
            let id = tables::read_group_key(&key)?;
            counts.remove(&id);
            if self.reader.get(&tables::group_key(id))?.is_some() {
                self.note(format!("group {id} is there and gone"));
            }
        }
        for id in counts.keys() {
            self.note(format!("group {id} has members and no row"));
        }
        Ok(())
    }

    fn reverse_rows(&mut self) -> Result<(), StoreError> {
        for (key, _) in rows(self.reader, tables::all_aliases_of())? {
            let (id, address) = tables::read_alias_of_key(&key)?;
            let named = match self.address(&address)? {
                Some(AddressRow::Alias(targets)) => targets.contains(&Target::Account(id)),
                _ => false,
            };
            if !named {
                self.note(format!(
                    "account {id} has alias {address}, which does not name it"
                ));
            }
        }
        for (key, _) in rows(self.reader, tables::all_aliases_around())? {
            let (to, alias) = tables::read_alias_around_key(&key)?;
            let is_it = |target: &Target| matches!(target, Target::Address(one) if one.canonical() == to.canonical());
            let named = match self.address(&alias)? {
                Some(AddressRow::Alias(targets)) => targets.iter().any(is_it),
                _ => false,
            };
            if !named {
                self.note(format!("{to} has alias {alias}, which does not name it"));
            }
        }
        for (key, _) in rows(self.reader, tables::all_groups_of())? {
            let (id, number) = tables::read_two(&key)?;
            let (id, group) = (AccountId(id), GroupId(number));
            let member = tables::member_key(group, &Target::Account(id));
            if self.reader.get(&member)?.is_none() {
                self.note(format!(
                    "account {id} has group {group}, which does not name it"
                ));
            }
        }
        for (key, _) in rows(self.reader, tables::all_groups_around())? {
            let (address, group) = tables::read_group_around_key(&key)?;
            let member = tables::member_key(group, &Target::Address(address.clone()));
            if self.reader.get(&member)?.is_none() {
                self.note(format!(
                    "{address} has group {group}, which does not name it"
                ));
            }
        }
        Ok(())
    }

    /// Every grant names an account, and a domain or group, that are there; and they are counted.
    fn grants(&mut self) -> Result<(), StoreError> {
        let grants = grant::list_grants(self.reader)?;
        for (grant, _) in &grants {
            let (id, role) = (grant.account, grant.role);
            if account::account(self.reader, id)?.is_none() {
                self.note(format!("account {id} is {role} and gone"));
            }
            let over = match &grant.scope {
                GrantScope::Everyone => true,
                GrantScope::Domain(over) => domain::domain(self.reader, over)?.is_some(),
                GrantScope::Group(over) => group::group(self.reader, *over)?.is_some(),
            };
            if !over {
                self.note(format!("account {id} is {role} over what is gone"));
            }
        }
        let counted = tables::counted_grants(self.reader)?;
        if counted != grants.len() as u64 {
            let found = grants.len();
            self.note(format!(
                "{counted} grants are counted, and {found} are there"
            ));
        }
        Ok(())
    }

    /// Every second factor can be read, and belongs to an account.
    fn factors(&mut self) -> Result<(), StoreError> {
        for (key, value) in rows(self.reader, tables::all_factors())? {
            let (id, factor) = tables::read_two(&key)?;
            factor::rows::Stored::decode(&value)?;
            if account::account(self.reader, AccountId(id))?.is_none() {
                self.note(format!(
                    "second factor {factor} belongs to account {id}, which is gone"
                ));
            }
        }
        for (key, value) in rows(self.reader, tables::all_factor_states())? {
            let id = tables::read_account_key(&key)?;
            factor::rows::State::decode(&value)?;
            if account::account(self.reader, id)?.is_none() {
                self.note(format!("account {id} is gone, and its wrong codes are not"));
            }
        }
        Ok(())
    }

    /// Every identity can be read, and belongs to an account.
    fn identities(&mut self) -> Result<(), StoreError> {
        for (key, value) in rows(self.reader, tables::all_identities())? {
            let (id, number) = tables::read_two(&key)?;
            identity::verify(number, &value)?;
            if account::account(self.reader, AccountId(id))?.is_none() {
                self.note(format!(
                    "identity {number} belongs to account {id}, which is gone"
                ));
            }
        }
        Ok(())
    }

    /// Every account or group that is noted as listed is there and is, and none is noted as newer than
    /// the newest change.
    fn principals(&mut self) -> Result<(), StoreError> {
        let newest = principal::rows::head(self.reader)?.state;
        for (key, value) in rows(self.reader, principal::rows::all())? {
            let id = principal::rows::read_key(&key)?;
            let row = principal::rows::decode(&value)?;
            let is_listed = match id {
                PrincipalId::Account(id) => {
                    account::account(self.reader, id)?.is_some_and(|it| it.is_listed())
                }
                PrincipalId::Group(id) => group::group(self.reader, id)?.is_some(),
            };
            if is_listed != row.is_listed {
                self.note(format!("{id:?} is noted as what it is not"));
            }
            if row.created > row.changed || row.changed > newest {
                self.note(format!("{id:?} was noted after the newest change"));
            }
        }
        Ok(())
    }

    fn credentials(&mut self) -> Result<(), StoreError> {
        for (key, value) in rows(self.reader, tables::all_credentials())? {
            let (id, credential) = tables::read_two(&key)?;
            credential::decode(CredentialId(credential), &value)?;
            if account::account(self.reader, AccountId(id))?.is_none() {
                self.note(format!(
                    "credential {credential} belongs to account {id}, which is gone"
                ));
            }
        }
        Ok(())
    }
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows(reader: &dyn Read, range: Range) -> Result<Rows, StoreError> {
    let (mut found, mut range) = (Vec::new(), Some(range));
    while let Some(next) = range {
        let page = reader.scan(&next, 10_000)?;
        found.extend(page.rows);
        range = page.next;
    }
    Ok(found)
}
