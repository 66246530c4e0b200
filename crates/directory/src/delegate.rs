//! Delegates: accounts that may do for another what it may do itself, as far as policies let them.
//!
//! Invariant: both are accounts that stay; what is left of one that goes names nobody. Who may make somebody a
//! delegate is the caller's to know.

use tern_base::{AccountId, Timestamp};
use tern_store::{Read, StoreError, Transaction};

use crate::error::{DirectoryError, Limit};
use crate::{limits, tables};

/// Makes `delegate` a delegate of `of`. False where it is one.
pub fn add_delegate_in(
    txn: &mut Transaction<'_>,
    of: AccountId,
    delegate: AccountId,
    now: Timestamp,
) -> Result<bool, DirectoryError> {
    if of == delegate {
        return Err(DirectoryError::OwnDelegate);
    }
    for account in [of, delegate] {
        tables::require_account(txn, account)?;
    }
    let key = tables::delegate_key(of, delegate);
    if txn.get(&key)?.is_some() {
        return Ok(false);
    }
    for range in [tables::delegates_of(of), tables::delegated_to(delegate)] {
        // Who adds one at the same time does so in the same rows: the bound may be passed by as many.
        if txn.scan(&range, limits::MAX_DELEGATES)?.rows.len() >= limits::MAX_DELEGATES {
            return Err(DirectoryError::Limit(Limit::Delegates));
        }
    }
    txn.put(key, tables::encode_grant(now));
    txn.put(tables::delegated_key(delegate, of), tables::mark());
    tables::roles_changed(txn)?;
    Ok(true)
}

/// Ends that. False where it is none.
pub fn remove_delegate_in(
    txn: &mut Transaction<'_>,
    of: AccountId,
    delegate: AccountId,
) -> Result<bool, DirectoryError> {
    let key = tables::delegate_key(of, delegate);
    if txn.get(&key)?.is_none() {
        return Ok(false);
    }
    txn.delete(key);
    txn.delete(tables::delegated_key(delegate, of));
    tables::roles_changed(txn)?;
    Ok(true)
}

/// The delegates of an account, with when they were made it.
pub fn delegates(
    reader: &dyn Read,
    of: AccountId,
) -> Result<Vec<(AccountId, Timestamp)>, StoreError> {
    let page = reader.scan(&tables::delegates_of(of), limits::MAX_LIST)?;
    let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let (_, delegate) = tables::read_two(key)?;
        Ok((AccountId(delegate), tables::decode_grant(value)?))
    };
    page.rows.iter().map(read).collect()
}

/// Whether an account is a delegate of another.
pub fn is_delegate(
    reader: &dyn Read,
    of: AccountId,
    delegate: AccountId,
) -> Result<bool, StoreError> {
    Ok(reader.get(&tables::delegate_key(of, delegate))?.is_some())
}

/// Lets go of what an account that is being removed has to do with it.
pub(crate) fn drop_delegates_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<(), StoreError> {
    let of = txn.scan(&tables::delegates_of(account), limits::MAX_LIST)?;
    for (key, _) in of.rows {
        let (_, delegate) = tables::read_two(&key)?;
        txn.delete(tables::delegated_key(AccountId(delegate), account));
        txn.delete(key);
    }
    let to = txn.scan(&tables::delegated_to(account), limits::MAX_LIST)?;
    for (key, _) in to.rows {
        let (_, of) = tables::read_two(&key)?;
        txn.delete(tables::delegate_key(AccountId(of), account));
        txn.delete(key);
    }
    Ok(())
}

/// What can't be as it is.
pub(crate) fn strays(reader: &dyn Read) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for key in tables::all_keys(reader, tables::all_delegates())? {
        let (of, delegate) = tables::read_two(&key)?;
        for id in [of, delegate] {
            if crate::account(reader, AccountId(id))?.is_none() {
                found.push(format!(
                    "account {delegate} is a delegate of {of}, and {id} is gone"
                ));
            }
        }
        let reverse = tables::delegated_key(AccountId(delegate), AccountId(of));
        if reader.get(&reverse)?.is_none() {
            found.push(format!(
                "account {delegate} is not found as a delegate of {of}"
            ));
        }
    }
    for key in tables::all_keys(reader, tables::all_delegated())? {
        let (delegate, of) = tables::read_two(&key)?;
        if !is_delegate(reader, AccountId(of), AccountId(delegate))? {
            found.push(format!(
                "account {delegate} is found as a delegate of {of}, and is none"
            ));
        }
    }
    Ok(found)
}
