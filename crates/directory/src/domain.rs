//! Domains for which this server holds the mailboxes.

use tern_base::{Domain, Timestamp};
use tern_store::{Engine, Read, ReadExt as _, StoreError, Transaction, Verdict, transact};

use crate::error::DirectoryError;
use crate::grant::{self, GrantScope};
use crate::tables;
use crate::target::{Target, settle};

/// What may be set for a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainSettings {
    /// Who gets mail for addresses that do not exist; `None` refuses it.
    pub catch_all: Option<Target>,
    /// Who gets mail for `postmaster@` where no such address exists (RFC 5321 4.5.1); `None` is
    /// the first account that is not disabled.
    pub postmaster: Option<Target>,
}

/// A domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainInfo {
    /// Its name.
    pub domain: Domain,
    /// When it was added.
    pub created: Timestamp,
    /// How many addresses it has: accounts, aliases and groups.
    pub addresses: u64,
    /// Its settings.
    pub settings: DomainSettings,
}

/// Adds a domain. False when it is there already.
pub fn add_domain(
    engine: &dyn Engine,
    domain: &Domain,
    now: Timestamp,
) -> Result<bool, DirectoryError> {
    transact(engine, |txn| {
        add_domain_in(txn, domain, now).map(Verdict::Commit)
    })
}

/// [`add_domain`] as a part of a transaction.
pub fn add_domain_in(
    txn: &mut Transaction<'_>,
    domain: &Domain,
    now: Timestamp,
) -> Result<bool, DirectoryError> {
    if tables::get_domain(txn, domain)?.is_some() {
        return Ok(false);
    }
    let info = DomainInfo {
        domain: domain.clone(),
        created: now,
        addresses: 0,
        settings: DomainSettings::default(),
    };
    txn.put(tables::domain_key(domain), tables::encode_domain(&info));
    Ok(true)
}

/// Changes the settings of a domain.
pub fn set_domain(
    engine: &dyn Engine,
    domain: &Domain,
    settings: &DomainSettings,
) -> Result<(), DirectoryError> {
    transact(engine, |txn| {
        let mut info = tables::get_domain(txn, domain)?.ok_or(DirectoryError::UnknownDomain)?;
        let mut settled = settings.clone();
        for target in [&mut settled.catch_all, &mut settled.postmaster] {
            if let Some(wanted) = target {
                *target = Some(settle(txn, wanted)?);
            }
        }
        info.settings = settled;
        txn.put(tables::domain_key(domain), tables::encode_domain(&info));
        Ok(Verdict::Commit(()))
    })
}

/// Removes a domain without addresses, and the roles that are held over it. False when it was not
/// there.
pub fn remove_domain(engine: &dyn Engine, domain: &Domain) -> Result<bool, DirectoryError> {
    transact(engine, |txn| {
        remove_domain_in(txn, domain).map(Verdict::Commit)
    })
}

/// [`remove_domain`] as a part of a transaction.
pub fn remove_domain_in(
    txn: &mut Transaction<'_>,
    domain: &Domain,
) -> Result<bool, DirectoryError> {
    match tables::get_domain(txn, domain)? {
        None => Ok(false),
        Some(info) if info.addresses > 0 => Err(DirectoryError::DomainNotEmpty),
        Some(_) => {
            let over = GrantScope::Domain(domain.clone());
            grant::drop_grants_in(txn, |grant| grant.scope == over)?;
            txn.delete(tables::domain_key(domain));
            Ok(true)
        }
    }
}

/// A domain of this server; `None` for any other.
pub fn domain(reader: &dyn Read, domain: &Domain) -> Result<Option<DomainInfo>, StoreError> {
    match reader.get(&tables::domain_key(domain))? {
        Some(row) => Ok(Some(tables::decode_domain(domain.clone(), &row)?)),
        None => Ok(None),
    }
}

/// Every domain of this server, by name.
pub fn list_domains(reader: &dyn Read) -> Result<Vec<DomainInfo>, StoreError> {
    let mut found = Vec::new();
    reader.each(&tables::domains(), |key, value| {
        let domain = tables::read_domain_key(key)?;
        found.push(tables::decode_domain(domain, value)?);
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}
