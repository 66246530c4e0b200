//! The rows of push subscriptions. Table bytes 0xb8 and 0xb9.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0xb8 subscription | account u32, subscription u32 | [`Subscription`]; number 0 is the [`Head`] of the others |
//! | 0xb9 told | account u32, subscription u32 | what it was told last |
//!
//! Whoever makes a subscription changes the head of its account, so that whoever removes them sees all.
//! A row in 0xb9 stands beside one in 0xb8: it is rewritten with each push, and small for that.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_store::key::Key;
use tern_store::{Range, Read, ReadExt as _, StoreError, Transaction};

use super::{Proof, PushKeys, Subscription, SubscriptionId, is_good};
use crate::credential::CredentialId;
use crate::error::{DirectoryError, Limit};
use crate::{limits, tables};

const SUBSCRIPTION: u8 = 0xb8;
const TOLD: u8 = 0xb9;
const VERSION: u8 = 1;
/// The number in whose place the head stands.
const HEAD: u32 = 0;
/// More rows than an account has; those whose time is over are among them until another is made.
const ALL: usize = 2 * limits::MAX_SUBSCRIPTIONS + 1;
/// Accounts that one look reads at once.
const ACCOUNTS: usize = 500;

/// What holds for all subscriptions of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The number that was given last.
    pub(super) next: u32,
    /// Since when those that are made are counted.
    pub(super) since: Timestamp,
    /// How many were made since.
    pub(super) made: u32,
}

fn key(account: AccountId, id: u32) -> Vec<u8> {
    Key::table(SUBSCRIPTION).u32(account.0).u32(id).finish()
}

fn told_key(account: AccountId, id: SubscriptionId) -> Vec<u8> {
    Key::table(TOLD).u32(account.0).u32(id.0).finish()
}

fn of_account(account: AccountId) -> Range {
    let prefix = Range::prefix(Key::table(SUBSCRIPTION).u32(account.0).finish());
    prefix.starting_at(key(account, HEAD + 1))
}

fn decode_all(
    account: AccountId,
    rows: &[(Vec<u8>, Vec<u8>)],
) -> Result<Vec<Subscription>, StoreError> {
    let mut all = Vec::with_capacity(rows.len());
    for (key, value) in rows {
        let (of, id) = tables::read_two(key)?;
        debug_assert_eq!(of, account.0);
        all.push(decode(SubscriptionId(id), value)?);
    }
    Ok(all)
}

pub(super) fn read(reader: &dyn Read, account: AccountId) -> Result<Vec<Subscription>, StoreError> {
    decode_all(account, &reader.scan(&of_account(account), ALL)?.rows)
}

pub(super) fn read_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<Vec<Subscription>, StoreError> {
    decode_all(account, &txn.scan(&of_account(account), ALL)?.rows)
}

pub(super) fn one(
    reader: &dyn Read,
    account: AccountId,
    id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    let row = reader.get(&key(account, id.0))?;
    Ok(row.map(|row| decode(id, &row)).transpose()?)
}

pub(super) fn one_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    let row = txn.get(&key(account, id.0))?;
    Ok(row.map(|row| decode(id, &row)).transpose()?)
}

/// Accounts with a head, from one on.
pub(super) fn subscribed(
    reader: &dyn Read,
    from: AccountId,
) -> Result<(Vec<AccountId>, Option<AccountId>), StoreError> {
    let (mut found, mut from) = (Vec::new(), Some(from));
    while let Some(next) = from.filter(|_| found.len() < ACCOUNTS) {
        let all = Range::prefix(Key::table(SUBSCRIPTION).finish());
        let page = reader.scan(&all.starting_at(key(next, HEAD)), 1)?;
        let Some((row, _)) = page.rows.first() else {
            return Ok((found, None));
        };
        let (account, _) = tables::read_two(row)?;
        found.push(AccountId(account));
        from = account.checked_add(1).map(AccountId);
    }
    Ok((found, from))
}

pub(super) fn put(
    txn: &mut Transaction<'_>,
    account: AccountId,
    it: &Subscription,
) -> Result<(), DirectoryError> {
    let mut w = Writer::versioned(VERSION);
    w.number(it.credential.0.into())
        .text(&it.device)
        .text(&it.url);
    w.option(it.keys.as_ref(), |w, keys| {
        w.array(&keys.p256dh).array(&keys.auth);
    });
    w.number(it.expires.0);
    w.option(it.types.as_deref(), |w, types| {
        w.list(types, |w, name| {
            w.text(name);
        });
    });
    w.byte(match it.proof {
        Proof::Owed => 0,
        Proof::Sent => 1,
        Proof::Given => 2,
    });
    let row = w.text(&it.code).finish();
    if row.len() > limits::MAX_SUBSCRIPTION {
        return Err(DirectoryError::Limit(Limit::Subscription));
    }
    txn.put(key(account, it.id.0), row);
    Ok(())
}

fn decode(id: SubscriptionId, bytes: &[u8]) -> Result<Subscription, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Subscription {
        id,
        credential: CredentialId(r.number32()?),
        device: r.text()?,
        url: r.text()?,
        keys: r.option(|r| {
            Ok(PushKeys {
                p256dh: r.array()?,
                auth: r.array()?,
            })
        })?,
        expires: Timestamp(r.number()?),
        types: r.option(|r| r.list(Reader::text))?,
        proof: match r.byte()? {
            0 => Proof::Owed,
            1 => Proof::Sent,
            2 => Proof::Given,
            _ => return Err(Damaged),
        },
        code: r.text()?,
    })
}

/// Removes a subscription and what it was told.
pub(super) fn delete(txn: &mut Transaction<'_>, account: AccountId, id: SubscriptionId) {
    txn.delete(key(account, id.0));
    delete_told(txn, account, id);
}

pub(super) fn head_in(txn: &mut Transaction<'_>, account: AccountId) -> Result<Head, StoreError> {
    let Some(row) = txn.get(&key(account, HEAD))? else {
        return Ok(Head::default());
    };
    Ok(decode_head(&row)?)
}

fn decode_head(bytes: &[u8]) -> Result<Head, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Head {
        next: r.number32()?,
        since: Timestamp(r.number()?),
        made: r.number32()?,
    })
}

pub(super) fn put_head(txn: &mut Transaction<'_>, account: AccountId, head: &Head) {
    let mut w = Writer::versioned(VERSION);
    w.number(head.next.into())
        .number(head.since.0)
        .number(head.made.into());
    txn.put(key(account, HEAD), w.finish());
}

pub(super) fn delete_head(txn: &mut Transaction<'_>, account: AccountId) {
    txn.delete(key(account, HEAD));
}

pub(super) fn told(
    reader: &dyn Read,
    account: AccountId,
    id: SubscriptionId,
) -> Result<Option<String>, StoreError> {
    let row = reader.get(&told_key(account, id))?;
    Ok(row.map(|row| decode_told(&row)).transpose()?)
}

fn decode_told(bytes: &[u8]) -> Result<String, Damaged> {
    Reader::of_version(bytes, VERSION)?.text()
}

pub(super) fn put_told(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: SubscriptionId,
    what: &str,
) {
    let value = Writer::versioned(VERSION).text(what).finish();
    txn.put(told_key(account, id), value);
}

pub(super) fn delete_told(txn: &mut Transaction<'_>, account: AccountId, id: SubscriptionId) {
    txn.delete(told_key(account, id));
}

/// What of these tables can't be as it is, for checks.
pub(crate) fn strays(reader: &dyn Read) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for table in [SUBSCRIPTION, TOLD] {
        reader.each(&Range::prefix(Key::table(table).finish()), |row, value| {
            let (account, id) = tables::read_two(row)?;
            let (account, id) = (AccountId(account), SubscriptionId(id));
            let is_sound = match (table, id.0) {
                (SUBSCRIPTION, HEAD) => decode_head(value).is_ok(),
                (SUBSCRIPTION, _) => is_good(reader, account, decode(id, value)?.credential)?,
                _ => decode_told(value).is_ok() && one(reader, account, id)?.is_some(),
            };
            if !is_sound {
                found.push(format!(
                    "push subscription {} of account {account} has outlived what it stands on",
                    id.0
                ));
            }
            Ok::<_, StoreError>(())
        })?;
    }
    Ok(found)
}
