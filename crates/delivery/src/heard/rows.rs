//! The rows of what was heard of sendings. Table byte 0xa8.
//!
//! | key after the table byte | value after the version byte |
//! |---|---|
//! | account u32, origin 16, 0 u32 | [`Lists`] |
//! | account u32, origin 16, 1 and the number of a recipient u32 | [`Said`] |
//!
//! They stand beside the row of a sending, and go with it.

use std::collections::BTreeMap;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MessageId, OriginId};
use tern_store::key::{Key, KeyReader};
use tern_store::{Range, Read, StoreError, Transaction};

use crate::limits;

const HEARD: u8 = 0xa8;
const VERSION: u8 = 1;

/// The notifications that came back, of each kind in the order of their receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pub(super) dsn: Vec<MessageId>,
    pub(super) mdn: Vec<MessageId>,
}

/// What they say of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whether it was delivered, once that is known for good.
    pub(crate) delivered: Option<bool>,
    /// The last reply.
    pub(crate) reply: Option<String>,
    pub(crate) displayed: bool,
}

/// All of what was heard of a sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct All {
    pub(super) lists: Lists,
    /// By the number of the recipient in the envelope.
    pub(crate) said: BTreeMap<u32, Said>,
}

fn of_sending(account: AccountId, id: OriginId) -> Range {
    Range::prefix(Key::table(HEARD).u32(account.0).array(&id.0).finish())
}

fn key(account: AccountId, id: OriginId, row: u32) -> Vec<u8> {
    let key = Key::table(HEARD).u32(account.0).array(&id.0);
    key.u32(row).finish()
}

fn said_key(account: AccountId, id: OriginId, recipient: u32) -> Vec<u8> {
    key(account, id, recipient + 1)
}

/// Every row there is.
pub(crate) fn all() -> Range {
    Range::prefix(vec![HEARD])
}

/// Of which sending a row is.
pub(crate) fn read_key(key: &[u8]) -> Result<(AccountId, OriginId), Damaged> {
    let (account, id, _) = parts_of(key)?;
    Ok((account, id))
}

fn parts_of(key: &[u8]) -> Result<(AccountId, OriginId, u32), Damaged> {
    let mut r = KeyReader::new(key);
    let account = AccountId(r.u32().ok_or(Damaged)?);
    let id = OriginId(r.array().ok_or(Damaged)?);
    Ok((account, id, r.u32().ok_or(Damaged)?))
}

/// What was heard of a sending.
pub(crate) fn read(reader: &dyn Read, account: AccountId, id: OriginId) -> Result<All, StoreError> {
    let (mut all, mut next) = (All::default(), Some(of_sending(account, id)));
    while let Some(range) = next {
        let page = reader.scan(&range, 1_000)?;
        for (key, value) in &page.rows {
            match parts_of(key)?.2.checked_sub(1) {
                None => all.lists = Lists::decode(value)?,
                Some(recipient) => drop(all.said.insert(recipient, Said::decode(value)?)),
            }
        }
        next = page.next;
    }
    Ok(all)
}

pub(super) fn lists_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: OriginId,
) -> Result<Lists, StoreError> {
    let row = txn.get(&key(account, id, 0))?;
    Ok(row.map_or(Ok(Lists::default()), |row| Lists::decode(&row))?)
}

pub(super) fn put_lists(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: OriginId,
    lists: &Lists,
) {
    txn.put(key(account, id, 0), lists.encode());
}

pub(super) fn said_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: OriginId,
    recipient: u32,
) -> Result<Said, StoreError> {
    let row = txn.get(&said_key(account, id, recipient))?;
    Ok(row.map_or(Ok(Said::default()), |row| Said::decode(&row))?)
}

pub(super) fn put_said(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: OriginId,
    (recipient, said): (u32, &Said),
) {
    txn.put(said_key(account, id, recipient), said.encode());
}

/// Removes what was heard of a sending that goes. The caller reads the account's head in the same
/// transaction, which whoever hears anything changes.
pub(crate) fn drop_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: OriginId,
) -> Result<(), StoreError> {
    let most = limits::MAX_ENVELOPE_RECIPIENTS + 1;
    let page = txn.scan(&of_sending(account, id), most)?;
    for (key, _) in page.rows {
        txn.delete(key);
    }
    Ok(())
}

impl Lists {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        for list in [&self.dsn, &self.mdn] {
            w.list(list, |w, message| {
                w.number(message.0);
            });
        }
        w.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        let mut list = || r.list(|r| r.number().map(MessageId));
        Ok(Self {
            dsn: list()?,
            mdn: list()?,
        })
    }
}

impl Said {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.option(self.delivered, |w, delivered| {
            w.byte(delivered.into());
        });
        w.option(self.reply.as_deref(), |w, reply| {
            w.text(reply);
        });
        w.byte(self.displayed.into()).finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            delivered: r.option(|r| Ok(r.byte()? != 0))?,
            reply: r.option(Reader::text)?,
            displayed: r.byte()? != 0,
        })
    }
}
