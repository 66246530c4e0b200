//! What is known of when principals came, changed and went: tables 0xc0 and 0xc1.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0xc0 principal | 0 and account u32, or 1 and group u32 | number of the change that made it, of its newest, whether it is listed, domain |
//! | 0xc1 principals | - | number of the newest change, floor |
//!
//! Invariant: whoever makes, renames, lists, unlists or removes an account or a group notes it in the
//! transaction that does it. What is gone leaves its row: ids are never given again.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Domain};
use tern_store::key::{Key, KeyReader};
use tern_store::{Range, Read, StoreError, Transaction};

use super::PrincipalId;
use crate::account::Account;
use crate::anew::skipped;
use crate::group::{Group, GroupId};

const PRINCIPAL: u8 = 0xc0;
const PRINCIPALS: u8 = 0xc1;
const VERSION: u8 = 1;

/// What holds for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the newest change.
    pub(crate) state: u64,
    /// What changed before this one can't be told from a row each: one has come back.
    pub(crate) floor: u64,
}

/// What is known of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) created: u64,
    pub(crate) changed: u64,
    pub(crate) is_listed: bool,
    pub(crate) domain: Domain,
}

fn key(id: PrincipalId) -> Vec<u8> {
    let key = Key::table(PRINCIPAL);
    match id {
        PrincipalId::Account(id) => key.array(&[0]).u32(id.0).finish(),
        PrincipalId::Group(id) => key.array(&[1]).u32(id.0).finish(),
    }
}

fn head_key() -> Vec<u8> {
    Key::table(PRINCIPALS).finish()
}

pub(crate) fn all() -> Range {
    Range::prefix(Key::table(PRINCIPAL).finish())
}

pub(crate) fn read_key(key: &[u8]) -> Result<PrincipalId, Damaged> {
    let mut r = KeyReader::new(key);
    let kind = r.array::<1>().ok_or(Damaged)?;
    let number = r.u32().ok_or(Damaged)?;
    match kind {
        [0] => Ok(PrincipalId::Account(AccountId(number))),
        [1] => Ok(PrincipalId::Group(GroupId(number))),
        _ => Err(Damaged),
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Row, Damaged> {
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Row {
        created: r.number()?,
        changed: r.number()?,
        is_listed: r.byte()? != 0,
        domain: Domain::parse(&r.text()?).map_err(|_| Damaged)?,
    })
}

fn encode(row: &Row) -> Vec<u8> {
    let mut w = Writer::versioned(VERSION);
    w.number(row.created)
        .number(row.changed)
        .byte(row.is_listed.into())
        .text(row.domain.as_str());
    w.finish()
}

fn decode_head(bytes: Option<&[u8]>) -> Result<Head, Damaged> {
    let Some(bytes) = bytes else {
        return Ok(Head::default());
    };
    let mut r = Reader::of_version(bytes, VERSION)?;
    Ok(Head {
        state: r.number()?,
        floor: r.number()?,
    })
}

pub(crate) fn head(reader: &dyn Read) -> Result<Head, StoreError> {
    Ok(decode_head(reader.get(&head_key())?.as_deref())?)
}

/// An account was made, or is not what it was.
pub(crate) fn note_account_in(
    txn: &mut Transaction<'_>,
    before: Option<&Account>,
    now: &Account,
) -> Result<(), StoreError> {
    let is_same = before.is_some_and(|before| {
        let listed = (before.is_listed(), now.is_listed());
        // What nobody sees may change.
        listed.0 == listed.1 && (!listed.0 || before.display_name == now.display_name)
    });
    if is_same {
        return Ok(());
    }
    let id = PrincipalId::Account(now.id);
    let domain = now.address.domain();
    note_in(txn, id, domain, before.is_none(), now.is_listed())
}

/// A group was made, or is gone.
pub(crate) fn note_group_in(
    txn: &mut Transaction<'_>,
    group: &Group,
    is_there: bool,
) -> Result<(), StoreError> {
    let id = PrincipalId::Group(group.id);
    note_in(txn, id, group.address.domain(), is_there, is_there)
}

fn note_in(
    txn: &mut Transaction<'_>,
    id: PrincipalId,
    domain: &Domain,
    is_new: bool,
    is_listed: bool,
) -> Result<(), StoreError> {
    let mut head = decode_head(txn.get(&head_key())?.as_deref())?;
    head.state += 1;
    let known = txn.get(&key(id))?.map(|row| decode(&row)).transpose()?;
    let came_back = is_listed && known.as_ref().is_some_and(|row| !row.is_listed);
    if came_back {
        head.floor = head.state;
    }
    let created = match &known {
        _ if is_new || came_back => head.state,
        Some(row) => row.created,
        None => 0,
    };
    let row = Row {
        created,
        changed: head.state,
        is_listed,
        domain: domain.clone(),
    };
    txn.put(key(id), encode(&row));
    put_head(txn, head);
    Ok(())
}

fn put_head(txn: &mut Transaction<'_>, head: Head) {
    let mut w = Writer::versioned(VERSION);
    w.number(head.state).number(head.floor);
    txn.put(head_key(), w.finish());
}

/// Goes on far behind every number that may have been told; nothing is known of what changed since.
pub(crate) fn skip_numbers(txn: &mut Transaction<'_>) -> Result<(), StoreError> {
    let head = decode_head(txn.get(&head_key())?.as_deref())?;
    let state = skipped(head.state);
    put_head(
        txn,
        Head {
            state,
            floor: state,
        },
    );
    Ok(())
}
