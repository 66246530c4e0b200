//! Accounts: who has mailboxes and may log in.

use tern_base::{AccountId, EmailAddress, Timestamp};
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::error::{DirectoryError, Limit};
use crate::group::GroupId;
use crate::principal::rows::note_account_in;
use crate::redirect::Redirect;
use crate::tables::{self, AddressRow, Counter};
use crate::target::Target;
use crate::{alias, delegate, factor, grant, group, identity, limits, subscription};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id, for ever.
    pub id: AccountId,
    /// Its primary address, which is its login name.
    pub address: EmailAddress,
    /// The name that people read.
    pub display_name: String,
    /// How many bytes its mailboxes may hold; 0 is no limit.
    pub quota_bytes: u64,
    /// It gets no mail and nobody logs in.
    pub disabled: bool,
    /// Its removal has begun: it counts as disabled, and nothing can be added to it any more.
    pub removing: bool,
    /// Where its mail is sent on to.
    pub redirect: Option<Redirect>,
    /// When it was made.
    pub created: Timestamp,
}

impl Account {
    /// Whether it is there for others: it gets mail, and stays.
    pub(crate) const fn is_listed(&self) -> bool {
        !self.disabled && !self.removing
    }
}

/// An account to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Its primary address.
    pub address: EmailAddress,
    /// The name that people read.
    pub display_name: String,
    /// How many bytes its mailboxes may hold; 0 is no limit.
    pub quota_bytes: u64,
}

/// Makes an account. The same address at the same time again is the same account, so the verb can
/// be repeated after a lost answer.
pub fn create_account(
    engine: &dyn Engine,
    new: &NewAccount,
    now: Timestamp,
) -> Result<Account, DirectoryError> {
    transact(engine, |txn| {
        create_account_in(txn, new, now).map(Verdict::Commit)
    })
}

/// [`create_account`] as a part of a transaction.
pub fn create_account_in(
    txn: &mut Transaction<'_>,
    new: &NewAccount,
    now: Timestamp,
) -> Result<Account, DirectoryError> {
    if new.display_name.len() > limits::MAX_TEXT {
        return Err(DirectoryError::Limit(Limit::DisplayName));
    }
    if let Some(AddressRow::Account(id)) = tables::get_address(txn, &new.address)? {
        let known = tables::get_account(txn, id)?.ok_or(StoreError::Damaged)?;
        return match known.created == now && known.display_name == new.display_name {
            true => Ok(known),
            false => Err(DirectoryError::AddressTaken),
        };
    }
    let account = Account {
        id: AccountId(tables::next_id(txn, Counter::Account)?),
        address: new.address.clone(),
        display_name: new.display_name.clone(),
        quota_bytes: new.quota_bytes,
        disabled: false,
        removing: false,
        redirect: None,
        created: now,
    };
    tables::claim_address(txn, &account.address, &AddressRow::Account(account.id))?;
    txn.put(
        tables::account_key(account.id),
        tables::encode_account(&account),
    );
    note_account_in(txn, None, &account)?;
    Ok(account)
}

/// Changes what `change` changes of the display name, the quota and the disabled flag; other
/// fields stay as they are.
pub fn update_account(
    engine: &dyn Engine,
    id: AccountId,
    mut change: impl FnMut(&mut Account),
) -> Result<Account, DirectoryError> {
    transact(engine, |txn| {
        update_account_in(txn, id, &mut change).map(Verdict::Commit)
    })
}

/// [`update_account`] as a part of a transaction.
pub fn update_account_in(
    txn: &mut Transaction<'_>,
    id: AccountId,
    change: impl FnOnce(&mut Account),
) -> Result<Account, DirectoryError> {
    let old = tables::require_account(txn, id)?;
    let mut wanted = old.clone();
    change(&mut wanted);
    if wanted.display_name.len() > limits::MAX_TEXT {
        return Err(DirectoryError::Limit(Limit::DisplayName));
    }
    let account = Account {
        display_name: wanted.display_name,
        quota_bytes: wanted.quota_bytes,
        disabled: wanted.disabled,
        ..old.clone()
    };
    if account.disabled {
        subscription::drop_subscriptions_in(txn, id, None)?;
    }
    txn.put(tables::account_key(id), tables::encode_account(&account));
    note_account_in(txn, Some(&old), &account)?;
    Ok(account)
}

/// Removes an account with its credentials, second factors, identities, push subscriptions and roles, and takes it out of every alias, group and
/// domain setting. False when it was not there. Its mailboxes are the caller's to remove, before.
///
/// An alias whose only target it was goes with it.
pub fn remove_account(engine: &dyn Engine, id: AccountId) -> Result<bool, DirectoryError> {
    let known = transact(engine, |txn| begin_removal_in(txn, id).map(Verdict::Commit))?;
    if !known {
        return Ok(false);
    }
    while unlink_some(engine, id)? {}
    transact(engine, |txn| {
        let Some(account) = tables::get_account(txn, id)? else {
            return Ok(Verdict::Abandon(()));
        };
        let page = txn.scan(&tables::credentials_of(id), limits::MAX_APP_PASSWORDS + 1)?;
        for (key, _) in page.rows {
            txn.delete(key);
        }
        factor::drop_factors_in(txn, id)?;
        identity::drop_identities_in(txn, id)?;
        delegate::drop_delegates_in(txn, id)?;
        subscription::forget_subscriptions_in(txn, id)?;
        clear_settings(txn, id)?;
        grant::drop_grants_in(txn, |grant| grant.account == id)?;
        tables::free_address(txn, &account.address)?;
        txn.delete(tables::account_key(id));
        Ok::<_, DirectoryError>(Verdict::Commit(()))
    })?;
    Ok(true)
}

/// The mark with which [`remove_account`] begins, as a part of a transaction. From here on the
/// account counts as disabled. False when there is no such account.
///
/// Whoever links to the account depends on its row: what was linked before the mark is seen by the
/// scans of the removal, and nothing is linked after it.
pub fn begin_removal_in(txn: &mut Transaction<'_>, id: AccountId) -> Result<bool, DirectoryError> {
    let Some(account) = tables::get_account(txn, id)? else {
        return Ok(false);
    };
    if account.removing {
        return Ok(true);
    }
    let marked = Account {
        removing: true,
        ..account.clone()
    };
    subscription::drop_subscriptions_in(txn, id, None)?;
    txn.put(tables::account_key(id), tables::encode_account(&marked));
    note_account_in(txn, Some(&account), &marked)?;
    Ok(true)
}

/// Takes the account out of some aliases and groups. False when none are left.
fn unlink_some(engine: &dyn Engine, id: AccountId) -> Result<bool, DirectoryError> {
    transact(engine, |txn| {
        let aliases = txn.scan(&tables::aliases_of(id), UNLINK_CHUNK)?.rows;
        let groups = txn.scan(&tables::groups_of(id), UNLINK_CHUNK)?.rows;
        for (key, _) in &aliases {
            let (_, address) = tables::read_alias_of_key(key)?;
            alias::drop_target(txn, &address, &Target::Account(id))?;
        }
        for (key, _) in &groups {
            let (_, number) = tables::read_two(key)?;
            group::drop_member(txn, GroupId(number), &Target::Account(id))?;
        }
        Ok(match aliases.is_empty() && groups.is_empty() {
            true => Verdict::Abandon(false),
            false => Verdict::Commit(true),
        })
    })
}

/// How many aliases, and how many groups, one transaction of a removal changes. An alias row may
/// be 33 KB long, and the batch must hold them all.
const UNLINK_CHUNK: usize = 20;

/// Takes the account out of the settings of every domain.
fn clear_settings(txn: &mut Transaction<'_>, id: AccountId) -> Result<(), DirectoryError> {
    let named = Some(Target::Account(id));
    let mut range = Some(tables::domains());
    while let Some(next) = range {
        let page = txn.scan(&next, limits::MAX_LIST)?;
        for (key, _) in page.rows {
            let domain = tables::read_domain_key(&key)?;
            let Some(mut info) = tables::get_domain(txn, &domain)? else {
                continue;
            };
            let settings = &mut info.settings;
            let targets = [&mut settings.catch_all, &mut settings.postmaster];
            let mut changed = false;
            for target in targets.into_iter().filter(|target| **target == named) {
                *target = None;
                changed = true;
            }
            if changed {
                txn.put(key, tables::encode_domain(&info));
            }
        }
        range = page.next;
    }
    Ok(())
}

/// Whether an account is there and is not being removed.
pub fn has_account(reader: &dyn Read, id: AccountId) -> Result<bool, StoreError> {
    Ok(account(reader, id)?.is_some_and(|account| !account.removing))
}

/// [`has_account`] as a part of a transaction: it is done before the removal begins, or not at all.
pub fn has_account_in(txn: &mut Transaction<'_>, id: AccountId) -> Result<bool, StoreError> {
    let known = tables::get_account(txn, id)?;
    Ok(known.is_some_and(|account| !account.removing))
}

/// An account by its id.
pub fn account(reader: &dyn Read, id: AccountId) -> Result<Option<Account>, StoreError> {
    match reader.get(&tables::account_key(id))? {
        Some(row) => Ok(Some(tables::decode_account(id, &row)?)),
        None => Ok(None),
    }
}

/// The account whose primary address this is, in any case.
pub fn account_by_address(
    reader: &dyn Read,
    address: &EmailAddress,
) -> Result<Option<Account>, StoreError> {
    match reader.get(&tables::address_key(address))? {
        None => Ok(None),
        Some(row) => match tables::decode_address(&row)? {
            AddressRow::Account(id) => account(reader, id),
            AddressRow::Alias(_) | AddressRow::Group(_) => Ok(None),
        },
    }
}

/// The addresses that are the account's: its primary one first, then the aliases that name it.
pub fn addresses_of(reader: &dyn Read, id: AccountId) -> Result<Vec<EmailAddress>, StoreError> {
    let Some(account) = account(reader, id)? else {
        return Ok(Vec::new());
    };
    let mut found = vec![account.address];
    for key in tables::all_keys(reader, tables::aliases_of(id))? {
        found.push(tables::read_alias_of_key(&key)?.1);
    }
    Ok(found)
}

/// The groups that name the account as a member, not those around them.
pub fn groups_of(reader: &dyn Read, id: AccountId) -> Result<Vec<GroupId>, StoreError> {
    let keys = tables::all_keys(reader, tables::groups_of(id))?;
    let read = |key: &Vec<u8>| Ok(GroupId(tables::read_two(key)?.1));
    keys.iter().map(read).collect()
}

/// Some accounts, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountPage {
    /// Accounts in the order of their ids.
    pub accounts: Vec<Account>,
    /// The `from` of the next call.
    pub next: Option<AccountId>,
}

/// Accounts from id `from` on.
pub fn list_accounts(
    reader: &dyn Read,
    from: AccountId,
    limit: usize,
) -> Result<AccountPage, StoreError> {
    let rows = reader.scan(&tables::accounts(from), limit.clamp(1, limits::MAX_LIST))?;
    let mut page = AccountPage::default();
    for (key, value) in &rows.rows {
        let id = tables::read_account_key(key)?;
        page.accounts.push(tables::decode_account(id, value)?);
    }
    if let Some(range) = rows.next {
        page.next = Some(tables::read_account_key(&range.start)?);
    }
    Ok(page)
}
