//! The rows of the queue, tables 0x30 to 0x3f.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0x30 item | id 16 | the live item |
//! | 0x31 due | time u64, id 16 | - |
//! | 0x32 origin | origin 16, id 16 | - |
//! | 0x33 finished | id 16 | the history row |
//! | 0x34 finished by time | time u64, id 16 | - |
//!
//! A live item has a row in 0x30 and in 0x32, and in 0x31 unless it is held; a finished one in
//! 0x32, 0x33 and 0x34. [`put_item`], [`finish`] and [`forget`] are the only writers.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, BlobId, EmailAddress, OriginId, Timestamp};
use tern_store::key::{Key, KeyReader};
use tern_store::{Range, Read, StoreError, Transaction};

use crate::item::{
    AfterFlight, Dsn, DsnReturn, Ending, Finished, Item, LeaseId, Notify, QueueId, Reply, State,
};

const ITEM: u8 = 0x30;
const DUE: u8 = 0x31;
const ORIGIN: u8 = 0x32;
const FINISHED: u8 = 0x33;
const FINISHED_BY_TIME: u8 = 0x34;
const VERSION: u8 = 1;
const ITEM_VERSION: u8 = 3;

pub(crate) fn item_key(id: QueueId) -> Vec<u8> {
    Key::table(ITEM).array(&id.0).finish()
}

pub(crate) fn due_key(time: Timestamp, id: QueueId) -> Vec<u8> {
    Key::table(DUE).u64(time.0).array(&id.0).finish()
}

pub(crate) fn origin_key(origin: OriginId, id: QueueId) -> Vec<u8> {
    Key::table(ORIGIN).array(&origin.0).array(&id.0).finish()
}

pub(crate) fn finished_key(id: QueueId) -> Vec<u8> {
    Key::table(FINISHED).array(&id.0).finish()
}

pub(crate) fn finished_by_time_key(time: Timestamp, id: QueueId) -> Vec<u8> {
    Key::table(FINISHED_BY_TIME)
        .u64(time.0)
        .array(&id.0)
        .finish()
}

/// Live items from `start` on, in the order of their ids.
pub(crate) fn items(start: Option<QueueId>) -> Range {
    let all = Range::prefix(Key::table(ITEM).finish());
    match start {
        Some(id) => all.starting_at(item_key(id)),
        None => all,
    }
}

/// Due rows up to a time, with it.
pub(crate) fn due_until(time: Timestamp) -> Range {
    let mut range = Range::prefix(Key::table(DUE).finish());
    if let Some(end) = time.0.checked_add(1) {
        range.end = Key::table(DUE).u64(end).finish();
    }
    range
}

/// Due rows after a time.
pub(crate) fn due_after(time: Timestamp) -> Range {
    let start = due_until(time).end;
    Range::prefix(Key::table(DUE).finish()).starting_at(start)
}

/// Every item of an origin.
pub(crate) fn of_origin(origin: OriginId) -> Range {
    Range::prefix(Key::table(ORIGIN).array(&origin.0).finish())
}

/// History rows that finished before a time.
pub(crate) fn finished_before(time: Timestamp) -> Range {
    let mut range = Range::prefix(Key::table(FINISHED_BY_TIME).finish());
    range.end = Key::table(FINISHED_BY_TIME).u64(time.0).finish();
    range
}

/// A whole table, for checks.
pub(crate) fn whole(table: Table) -> Range {
    let byte = match table {
        Table::Due => DUE,
        Table::Origin => ORIGIN,
        Table::Finished => FINISHED,
        Table::FinishedByTime => FINISHED_BY_TIME,
    };
    Range::prefix(Key::table(byte).finish())
}

/// Tables that a check reads whole.
#[derive(Clone, Copy)]
pub(crate) enum Table {
    Due,
    Origin,
    Finished,
    FinishedByTime,
}

/// The time and the id of a due or a finished-by-time key.
pub(crate) fn read_time_key(key: &[u8]) -> Result<(Timestamp, QueueId), Damaged> {
    let mut r = KeyReader::new(key);
    let time = r.u64().ok_or(Damaged)?;
    Ok((Timestamp(time), QueueId(r.array().ok_or(Damaged)?)))
}

/// The id of an item or a finished key.
pub(crate) fn read_id_key(key: &[u8]) -> Result<QueueId, Damaged> {
    KeyReader::new(key).array().map(QueueId).ok_or(Damaged)
}

/// Origin and id of an origin key.
pub(crate) fn read_origin_key(key: &[u8]) -> Result<(OriginId, QueueId), Damaged> {
    let mut r = KeyReader::new(key);
    let origin = r.array().map(OriginId).ok_or(Damaged)?;
    Ok((origin, QueueId(r.array().ok_or(Damaged)?)))
}

/// When an item's row stands in the due index.
pub(crate) fn due_time(state: &State) -> Option<Timestamp> {
    match state {
        State::Ready { next_attempt } => Some(*next_attempt),
        State::Held { .. } => None,
        State::InFlight { until, .. } => Some(*until),
    }
}

/// A live item in a transaction.
pub(crate) fn get_item(txn: &mut Transaction<'_>, id: QueueId) -> Result<Option<Item>, StoreError> {
    match txn.get(&item_key(id))? {
        Some(row) => Ok(Some(decode_item(id, &row)?)),
        None => Ok(None),
    }
}

/// A history row in a transaction.
pub(crate) fn get_finished(
    txn: &mut Transaction<'_>,
    id: QueueId,
) -> Result<Option<Finished>, StoreError> {
    match txn.get(&finished_key(id))? {
        Some(row) => Ok(Some(decode_finished(id, &row)?)),
        None => Ok(None),
    }
}

/// A live item outside a transaction.
pub(crate) fn read_item(reader: &dyn Read, id: QueueId) -> Result<Option<Item>, StoreError> {
    match reader.get(&item_key(id))? {
        Some(row) => Ok(Some(decode_item(id, &row)?)),
        None => Ok(None),
    }
}

/// A history row outside a transaction.
pub(crate) fn read_finished(
    reader: &dyn Read,
    id: QueueId,
) -> Result<Option<Finished>, StoreError> {
    match reader.get(&finished_key(id))? {
        Some(row) => Ok(Some(decode_finished(id, &row)?)),
        None => Ok(None),
    }
}

/// Writes a live item and its index rows. `before` is its state as stored; `None` for a new item.
pub(crate) fn put_item(txn: &mut Transaction<'_>, before: Option<&State>, item: &Item) {
    let mark = || Writer::versioned(VERSION).finish();
    let (old, new) = (before.and_then(due_time), due_time(&item.state));
    if before.is_none() {
        txn.put(origin_key(item.origin, item.id), mark());
    }
    if old != new {
        if let Some(time) = old {
            txn.delete(due_key(time, item.id));
        }
        if let Some(time) = new {
            txn.put(due_key(time, item.id), mark());
        }
    }
    txn.put(item_key(item.id), encode_item(item));
}

/// Turns a live item into a history row.
pub(crate) fn finish(
    txn: &mut Transaction<'_>,
    before: &State,
    item: &Item,
    ending: Ending,
    now: Timestamp,
) -> Finished {
    let row = Finished {
        id: item.id,
        origin: item.origin,
        account: item.account,
        recipient: item.recipient.clone(),
        created: item.created,
        finished: now,
        ending,
        attempts: item.attempts,
        lost_attempts: item.lost_attempts,
        last_reply: item.last_reply.clone(),
    };
    if let Some(time) = due_time(before) {
        txn.delete(due_key(time, item.id));
    }
    txn.delete(item_key(item.id));
    txn.put(finished_key(item.id), encode_finished(&row));
    let mark = Writer::versioned(VERSION).finish();
    txn.put(finished_by_time_key(now, item.id), mark);
    row
}

/// Removes a history row.
pub(crate) fn forget(txn: &mut Transaction<'_>, row: &Finished) {
    txn.delete(finished_key(row.id));
    txn.delete(finished_by_time_key(row.finished, row.id));
    txn.delete(origin_key(row.origin, row.id));
}

fn encode_item(item: &Item) -> Vec<u8> {
    let mut w = Writer::versioned(ITEM_VERSION);
    w.array(&item.origin.0);
    write_account(&mut w, item.account);
    w.option(item.mail_from.as_ref(), |w, address| {
        w.text(&address.to_string());
    });
    w.text(&item.recipient.to_string());
    w.option(item.named.as_ref(), |w, address| {
        w.text(&address.to_string());
    });
    write_dsn(&mut w, &item.dsn);
    w.byte(u8::from(item.smtputf8))
        .array(&item.blob.0)
        .bytes(&item.prefix)
        .number(item.size)
        .number(item.created.0)
        .number(item.expires.0);
    write_state(&mut w, &item.state);
    w.number(item.attempts.into())
        .number(item.lost_attempts.into())
        .byte(u8::from(item.delay_told));
    w.option(item.at_most, |w, at_most| {
        w.number(at_most.into());
    });
    write_last_reply(&mut w, &item.last_reply);
    w.finish()
}

pub(crate) fn decode_item(id: QueueId, bytes: &[u8]) -> Result<Item, Damaged> {
    let mut r = Reader::of_version(bytes, ITEM_VERSION)?;
    let r = &mut r;
    let item = Item {
        id,
        origin: OriginId(r.array()?),
        account: read_account(r)?,
        mail_from: r.option(read_address)?,
        recipient: read_address(r)?,
        named: r.option(read_address)?,
        dsn: read_dsn(r)?,
        smtputf8: read_bool(r)?,
        blob: BlobId(r.array()?),
        prefix: r.bytes()?.to_vec(),
        size: r.number()?,
        created: Timestamp(r.number()?),
        expires: Timestamp(r.number()?),
        state: read_state(r)?,
        attempts: r.number32()?,
        lost_attempts: r.number32()?,
        delay_told: read_bool(r)?,
        at_most: r.option(Reader::number32)?,
        last_reply: read_last_reply(r)?,
    };
    if r.is_empty() { Ok(item) } else { Err(Damaged) }
}

fn encode_finished(row: &Finished) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    w.array(&row.origin.0);
    write_account(&mut w, row.account);
    w.text(&row.recipient.to_string())
        .number(row.created.0)
        .number(row.finished.0)
        .byte(match row.ending {
            Ending::Relayed => 0,
            Ending::Refused => 1,
            Ending::Expired => 2,
            Ending::Cancelled => 3,
        })
        .number(row.attempts.into())
        .number(row.lost_attempts.into());
    write_last_reply(&mut w, &row.last_reply);
    w.finish()
}

pub(crate) fn decode_finished(id: QueueId, bytes: &[u8]) -> Result<Finished, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    let r = &mut r;
    Ok(Finished {
        id,
        origin: OriginId(r.array()?),
        account: read_account(r)?,
        recipient: read_address(r)?,
        created: Timestamp(r.number()?),
        finished: Timestamp(r.number()?),
        ending: match r.byte()? {
            0 => Ending::Relayed,
            1 => Ending::Refused,
            2 => Ending::Expired,
            3 => Ending::Cancelled,
            _ => return Err(Damaged),
        },
        attempts: r.number32()?,
        lost_attempts: r.number32()?,
        last_reply: read_last_reply(r)?,
    })
}

fn write_account(w: &mut Writer, account: Option<AccountId>) {
    w.option(account, |w, account| {
        w.number(account.0.into());
    });
}

fn read_account(r: &mut Reader<'_>) -> Result<Option<AccountId>, Damaged> {
    r.option(|r| r.number32().map(AccountId))
}

fn read_address(r: &mut Reader<'_>) -> Result<EmailAddress, Damaged> {
    EmailAddress::parse(&r.text()?).map_err(|_| Damaged)
}

fn read_bool(r: &mut Reader<'_>) -> Result<bool, Damaged> {
    match r.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Damaged),
    }
}

fn write_text(w: &mut Writer, text: &Option<String>) {
    w.option(text.as_deref(), |w, text| {
        w.text(text);
    });
}

fn write_dsn(w: &mut Writer, dsn: &Dsn) {
    w.option(dsn.ret, |w, ret| {
        w.byte(match ret {
            DsnReturn::Full => 0,
            DsnReturn::Headers => 1,
        });
    });
    write_text(w, &dsn.envid);
    w.option(dsn.notify, |w, notify| {
        let bit = |on, bit: u8| if on { bit } else { 0 };
        w.byte(bit(notify.success, 1) | bit(notify.failure, 2) | bit(notify.delay, 4));
    });
    write_text(w, &dsn.orcpt);
}

fn read_dsn(r: &mut Reader<'_>) -> Result<Dsn, Damaged> {
    Ok(Dsn {
        ret: r.option(|r| match r.byte()? {
            0 => Ok(DsnReturn::Full),
            1 => Ok(DsnReturn::Headers),
            _ => Err(Damaged),
        })?,
        envid: r.option(Reader::text)?,
        notify: r.option(|r| {
            let bits = r.byte()?;
            Ok(Notify {
                success: bits & 1 != 0,
                failure: bits & 2 != 0,
                delay: bits & 4 != 0,
            })
        })?,
        orcpt: r.option(Reader::text)?,
    })
}

fn write_state(w: &mut Writer, state: &State) {
    match state {
        State::Ready { next_attempt } => w.byte(0).number(next_attempt.0),
        State::Held { reason } => w.byte(1).text(reason),
        State::InFlight {
            lease,
            since,
            until,
            then,
        } => {
            w.byte(2).number(lease.0).number(since.0).number(until.0);
            match then {
                AfterFlight::Retry => w.byte(0),
                AfterFlight::Hold(reason) => w.byte(1).text(reason),
                AfterFlight::Cancel => w.byte(2),
                AfterFlight::Expire => w.byte(3),
            }
        }
    };
}

fn read_state(r: &mut Reader<'_>) -> Result<State, Damaged> {
    Ok(match r.byte()? {
        0 => State::Ready {
            next_attempt: Timestamp(r.number()?),
        },
        1 => State::Held { reason: r.text()? },
        2 => State::InFlight {
            lease: LeaseId(r.number()?),
            since: Timestamp(r.number()?),
            until: Timestamp(r.number()?),
            then: match r.byte()? {
                0 => AfterFlight::Retry,
                1 => AfterFlight::Hold(r.text()?),
                2 => AfterFlight::Cancel,
                3 => AfterFlight::Expire,
                _ => return Err(Damaged),
            },
        },
        _ => return Err(Damaged),
    })
}

fn write_last_reply(w: &mut Writer, last: &Option<(Timestamp, Reply)>) {
    w.option(last.as_ref(), |w, (time, reply)| {
        w.number(time.0).number(reply.code.into());
        w.option(reply.enhanced, |w, (class, subject, detail)| {
            w.byte(class).number(subject.into()).number(detail.into());
        });
        w.text(&reply.text);
        write_text(w, &reply.host);
    });
}

fn read_last_reply(r: &mut Reader<'_>) -> Result<Option<(Timestamp, Reply)>, Damaged> {
    fn number16(r: &mut Reader<'_>) -> Result<u16, Damaged> {
        u16::try_from(r.number()?).map_err(|_| Damaged)
    }
    r.option(|r| {
        let time = Timestamp(r.number()?);
        let reply = Reply {
            code: number16(r)?,
            enhanced: r.option(|r| Ok((r.byte()?, number16(r)?, number16(r)?)))?,
            text: r.text()?,
            host: r.option(Reader::text)?,
        };
        Ok((time, reply))
    })
}
