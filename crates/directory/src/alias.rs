//! Aliases: addresses that lead to other addresses and accounts.

use std::collections::BTreeSet;

use tern_base::{AccountId, Domain, EmailAddress};
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::error::{DirectoryError, Limit};
use crate::limits;
use crate::tables::{self, AddressRow};
use crate::target::{Target, settle};

/// An alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The address.
    pub address: EmailAddress,
    /// Where it leads.
    pub targets: Vec<Target>,
}

/// Makes an alias, or gives one other targets.
pub fn set_alias(
    engine: &dyn Engine,
    address: &EmailAddress,
    targets: &[Target],
) -> Result<Alias, DirectoryError> {
    transact(engine, |txn| {
        set_alias_in(txn, address, targets).map(Verdict::Commit)
    })
}

/// [`set_alias`] as a part of a transaction.
pub fn set_alias_in(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
    targets: &[Target],
) -> Result<Alias, DirectoryError> {
    if targets.is_empty() || targets.len() > limits::MAX_ALIAS_TARGETS {
        return Err(DirectoryError::Limit(Limit::AliasTargets));
    }
    let mut settled: Vec<Target> = Vec::new();
    for target in targets {
        let target = settle(txn, target)?;
        if !settled.contains(&target) {
            settled.push(target);
        }
    }
    let old = match tables::get_address(txn, address)? {
        None => Vec::new(),
        Some(AddressRow::Alias(targets)) => targets,
        Some(_) => return Err(DirectoryError::AddressTaken),
    };
    let row = AddressRow::Alias(settled.clone());
    if old.is_empty() {
        tables::claim_address(txn, address, &row)?;
    } else {
        txn.put(tables::address_key(address), tables::encode_address(&row));
    }
    link(txn, address, &old, &settled);
    if old != settled {
        tables::roles_changed(txn)?;
    }
    Ok(Alias {
        address: address.clone(),
        targets: settled,
    })
}

/// Lets a new address lead to others. What the address leads to already stays as it is.
pub fn add_alias_in(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
    targets: &[Target],
) -> Result<Alias, DirectoryError> {
    match tables::get_address(txn, address)? {
        None => set_alias_in(txn, address, targets),
        Some(_) => Err(DirectoryError::AddressTaken),
    }
}

/// Removes an alias. False when there was none.
pub fn remove_alias(engine: &dyn Engine, address: &EmailAddress) -> Result<bool, DirectoryError> {
    transact(engine, |txn| {
        remove_alias_in(txn, address).map(Verdict::Commit)
    })
}

/// [`remove_alias`] as a part of a transaction.
pub fn remove_alias_in(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
) -> Result<bool, DirectoryError> {
    let Some(AddressRow::Alias(targets)) = tables::get_address(txn, address)? else {
        return Ok(false);
    };
    link(txn, address, &targets, &[]);
    tables::roles_changed(txn)?;
    tables::free_address(txn, address)?;
    Ok(true)
}

/// An alias.
pub fn alias(reader: &dyn Read, address: &EmailAddress) -> Result<Option<Alias>, StoreError> {
    match reader.get(&tables::address_key(address))? {
        None => Ok(None),
        Some(row) => match tables::decode_address(&row)? {
            AddressRow::Alias(targets) => Ok(Some(Alias {
                address: address.clone(),
                targets,
            })),
            AddressRow::Account(_) | AddressRow::Group(_) => Ok(None),
        },
    }
}

/// Every address of a domain, in lower case and in order: of accounts, aliases and groups.
pub fn list_addresses(reader: &dyn Read, domain: &Domain) -> Result<Vec<EmailAddress>, StoreError> {
    let keys = tables::all_keys(reader, tables::addresses_of_domain(domain))?;
    let read = |key: &Vec<u8>| Ok(tables::read_address_key(key)?);
    keys.iter().map(read).collect()
}

/// Takes one target out of an alias; the last one takes the alias with it.
pub(crate) fn drop_target(
    txn: &mut Transaction<'_>,
    address: &EmailAddress,
    target: &Target,
) -> Result<(), DirectoryError> {
    let Some(AddressRow::Alias(old)) = tables::get_address(txn, address)? else {
        return Ok(());
    };
    let left: Vec<Target> = old.iter().filter(|t| *t != target).cloned().collect();
    link(txn, address, &old, &left);
    if old != left {
        tables::roles_changed(txn)?;
    }
    if left.is_empty() {
        return tables::free_address(txn, address);
    }
    let row = tables::encode_address(&AddressRow::Alias(left));
    txn.put(tables::address_key(address), row);
    Ok(())
}

/// Makes the reverse rows of an alias those of its new targets.
fn link(txn: &mut Transaction<'_>, address: &EmailAddress, old: &[Target], new: &[Target]) {
    let accounts = |targets: &[Target]| -> BTreeSet<AccountId> {
        let account = |target: &Target| match target {
            Target::Account(id) => Some(*id),
            Target::Address(_) => None,
        };
        targets.iter().filter_map(account).collect()
    };
    let around = |targets: &[Target]| -> BTreeSet<Vec<u8>> {
        let key = |target: &Target| match target {
            Target::Account(_) => None,
            Target::Address(to) => Some(tables::alias_around_key(to, address)),
        };
        targets.iter().filter_map(key).collect()
    };
    let (before, after) = (around(old), around(new));
    let (old, new) = (accounts(old), accounts(new));
    for id in old.difference(&new) {
        txn.delete(tables::alias_of_key(*id, address));
    }
    for id in new.difference(&old) {
        txn.put(tables::alias_of_key(*id, address), tables::mark());
    }
    for key in before.difference(&after) {
        txn.delete(key.clone());
    }
    for key in after.difference(&before) {
        txn.put(key.clone(), tables::mark());
    }
}

/// The aliases that lead to an address.
pub(crate) fn aliases_around(
    reader: &dyn Read,
    address: &EmailAddress,
) -> Result<Vec<EmailAddress>, StoreError> {
    let keys = tables::all_keys(reader, tables::aliases_around(address))?;
    let alias = |key: &Vec<u8>| Ok(tables::read_alias_around_key(key)?.1);
    keys.iter().map(alias).collect()
}
