//! The rows of vacation responses. Table bytes 0xa4 to 0xa7.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0xa4 vacation | account u32 | [`Stored`] |
//! | 0xa5 owed | account u32, origin 16 | [`Owed`] |
//! | 0xa6 answered | account u32, address | when |
//! | 0xa7 answered by time | time u64, account u32, address | - |
//!
//! The rows 0xa6 and 0xa7 stand side by side.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, EmailAddress, OriginId, Timestamp};
use tern_store::key::{Key, KeyReader};
use tern_store::{Range, Read, StoreError, Transaction};

use super::Vacation;
use crate::entry::{read_address, write_address};

const VACATION: u8 = 0xa4;
const OWED: u8 = 0xa5;
const ANSWERED: u8 = 0xa6;
const ANSWERED_BY_TIME: u8 = 0xa7;
const VERSION: u8 = 1;

/// What an account answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// How often it was changed.
    pub(crate) state: u64,
    /// When it was changed last.
    pub(crate) since: Timestamp,
    pub(crate) vacation: Vacation,
}

/// An answer that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    /// To whom.
    pub(crate) to: EmailAddress,
    /// The account's address that was written to.
    pub(crate) from: EmailAddress,
    /// The subject of the message, for people.
    pub(crate) subject: String,
    /// Its Message-ID, without angle brackets.
    pub(crate) message_id: Option<String>,
}

fn vacation_key(account: AccountId) -> Vec<u8> {
    Key::table(VACATION).u32(account.0).finish()
}

pub(crate) fn owed_key(account: AccountId, origin: OriginId) -> Vec<u8> {
    Key::table(OWED).u32(account.0).array(&origin.0).finish()
}

fn answered_key(account: AccountId, address: &[u8]) -> Vec<u8> {
    Key::table(ANSWERED).u32(account.0).array(address).finish()
}

fn answered_by_time_key(at: Timestamp, account: AccountId, address: &[u8]) -> Vec<u8> {
    let key = Key::table(ANSWERED_BY_TIME).u64(at.0).u32(account.0);
    key.array(address).finish()
}

/// Every answer that is to be written.
pub(crate) fn all_owed() -> Range {
    Range::prefix(vec![OWED])
}

/// What was answered before a time.
pub(crate) fn answered_before(at: Timestamp) -> Range {
    let mut range = Range::prefix(vec![ANSWERED_BY_TIME]);
    range.end = Key::table(ANSWERED_BY_TIME).u64(at.0).finish();
    range
}

/// The rows of an account, but for those by time.
pub(crate) fn of_account(account: AccountId) -> [Range; 3] {
    [VACATION, OWED, ANSWERED].map(|table| Range::prefix(Key::table(table).u32(account.0).finish()))
}

/// Removes a row of [`of_account`], and what stands beside it.
pub(crate) fn forget_in(
    txn: &mut Transaction<'_>,
    key: &[u8],
    value: &[u8],
) -> Result<(), Damaged> {
    if key.first() == Some(&ANSWERED) {
        let mut r = KeyReader::new(key);
        let account = AccountId(r.u32().ok_or(Damaged)?);
        txn.delete(answered_by_time_key(decode_time(value)?, account, r.rest()));
    }
    txn.delete(key.to_vec());
    Ok(())
}

/// Removes a row of [`answered_before`], and what stands beside it.
pub(crate) fn forget_by_time_in(txn: &mut Transaction<'_>, key: &[u8]) -> Result<(), Damaged> {
    let mut r = KeyReader::new(key);
    r.u64().ok_or(Damaged)?;
    let account = AccountId(r.u32().ok_or(Damaged)?);
    txn.delete(answered_key(account, r.rest()));
    txn.delete(key.to_vec());
    Ok(())
}

pub(crate) fn read_owed_key(key: &[u8]) -> Result<(AccountId, OriginId), Damaged> {
    let mut r = KeyReader::new(key);
    let account = AccountId(r.u32().ok_or(Damaged)?);
    Ok((account, OriginId(r.array().ok_or(Damaged)?)))
}

pub(crate) fn vacation(reader: &dyn Read, account: AccountId) -> Result<Stored, StoreError> {
    decode_stored(reader.get(&vacation_key(account))?)
}

pub(crate) fn vacation_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<Stored, StoreError> {
    decode_stored(txn.get(&vacation_key(account))?)
}

fn decode_stored(row: Option<impl AsRef<[u8]>>) -> Result<Stored, StoreError> {
    let stored = row.map(|row| Stored::decode(row.as_ref())).transpose()?;
    Ok(stored.unwrap_or_default())
}

pub(crate) fn put_vacation(txn: &mut Transaction<'_>, account: AccountId, stored: &Stored) {
    let mut w = Writer::versioned(VERSION);
    let vacation = &stored.vacation;
    w.number(stored.state)
        .number(stored.since.0)
        .byte(vacation.is_enabled.into());
    for at in [vacation.from, vacation.to] {
        w.option(at, |w, at| {
            w.number(at.0);
        });
    }
    for text in [&vacation.subject, &vacation.text, &vacation.html] {
        w.option(text.as_deref(), |w, text| {
            w.text(text);
        });
    }
    txn.put(vacation_key(account), w.finish());
}

/// When an account answered an address last.
pub(crate) fn answered_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    address: &EmailAddress,
) -> Result<Option<Timestamp>, StoreError> {
    let row = txn.get(&answered_key(account, address.canonical().as_bytes()))?;
    Ok(row.map(|row| decode_time(&row)).transpose()?)
}

/// Records that an account answers an address, which it did before at `last`.
pub(crate) fn put_answered(
    txn: &mut Transaction<'_>,
    account: AccountId,
    address: &EmailAddress,
    last: Option<Timestamp>,
    now: Timestamp,
) {
    let canonical = address.canonical();
    let canonical = canonical.as_bytes();
    if let Some(last) = last {
        txn.delete(answered_by_time_key(last, account, canonical));
    }
    let time = Writer::versioned(VERSION).number(now.0).finish();
    txn.put(answered_key(account, canonical), time);
    let mark = Writer::versioned(VERSION).finish();
    txn.put(answered_by_time_key(now, account, canonical), mark);
}

fn decode_time(bytes: &[u8]) -> Result<Timestamp, Damaged> {
    Reader::of_version(bytes, VERSION)?.number().map(Timestamp)
}

impl Stored {
    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        let (state, since) = (r.number()?, Timestamp(r.number()?));
        let is_enabled = r.byte()? != 0;
        let time = |r: &mut Reader<'_>| r.option(|r| r.number().map(Timestamp));
        let (from, to) = (time(&mut r)?, time(&mut r)?);
        Ok(Self {
            state,
            since,
            vacation: Vacation {
                is_enabled,
                from,
                to,
                subject: r.option(Reader::text)?,
                text: r.option(Reader::text)?,
                html: r.option(Reader::text)?,
            },
        })
    }
}

impl Owed {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        write_address(&mut w, &self.to);
        write_address(&mut w, &self.from);
        w.text(&self.subject);
        w.option(self.message_id.as_deref(), |w, id| {
            w.text(id);
        });
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            to: read_address(&mut r)?,
            from: read_address(&mut r)?,
            subject: r.text()?,
            message_id: r.option(Reader::text)?,
        })
    }
}
