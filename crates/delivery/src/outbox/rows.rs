//! The rows of the outbox. Table bytes 0xa0 to 0xa3.
//!
//! | table | key after the table byte | value after the version byte |
//! |---|---|---|
//! | 0xa0 sending | account u32, origin 16 | [`Row`] |
//! | 0xa1 head | account u32 | [`Head`] |
//! | 0xa2 due | time u64, account u32, origin 16 | - |
//! | 0xa3 envelope | account u32, origin 16, row u32 | stops: the first is the sender |
//!
//! A sending that holds its content has a row in 0xa2 and one reference to the content. A change of any
//! row of an account rewrites its head. What is gone keeps its row in 0xa0 for a while, without anything
//! in it.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, BlobId, MessageId, OriginId, ThreadId, Timestamp};
use tern_mailbox::Connection;
use tern_store::key::{Key, KeyReader};
use tern_store::{Range, Read, StoreError, Transaction};

use super::envelope::{Envelope, Stop};
use super::{Sending, Stage};
use crate::{DeliveryError, Refusal, Submitter, limits};

const SENDING: u8 = 0xa0;
const HEAD: u8 = 0xa1;
const DUE: u8 = 0xa2;
const ENVELOPE: u8 = 0xa3;
const VERSION: u8 = 1;
const HEAD_VERSION: u8 = 2;

/// What holds for all sendings of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The number of the newest change.
    pub(crate) state: u64,
    /// What changed up to here is not known in full any more.
    pub(crate) floor: u64,
    /// How it stands with recipients may change without a change of any row here.
    pub(crate) open: bool,
}

/// A sending, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: OriginId,
    pub(crate) created: u64,
    pub(crate) changed: u64,
    pub(crate) kept: Option<Kept>,
}

/// A sending and what is kept with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) sending: Sending,
    /// Who asked for it, by which connection.
    pub(crate) submitter: Submitter,
    /// How many rows its envelope has.
    pub(crate) envelope_rows: u32,
    /// What it holds until it was sent.
    pub(crate) held: Option<Held>,
    /// What was told of its recipients last.
    pub(crate) told: u64,
    /// Nothing about its recipients will change any more.
    pub(crate) settled: bool,
}

impl Kept {
    /// Whether it may come to stand otherwise with its recipients, by other hands.
    pub(crate) fn is_open(&self) -> bool {
        self.sending.stage == Stage::Sent && !self.settled
    }
}

/// What a sending holds until it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) blob: BlobId,
    pub(crate) size: u32,
    pub(crate) due: Timestamp,
}

pub(crate) fn row_key(account: AccountId, id: OriginId) -> Vec<u8> {
    Key::table(SENDING).u32(account.0).array(&id.0).finish()
}

pub(crate) fn head_key(account: AccountId) -> Vec<u8> {
    Key::table(HEAD).u32(account.0).finish()
}

pub(crate) fn due_key(at: Timestamp, account: AccountId, id: OriginId) -> Vec<u8> {
    let key = Key::table(DUE).u64(at.0).u32(account.0);
    key.array(&id.0).finish()
}

fn envelope_key(account: AccountId, id: OriginId, row: u32) -> Vec<u8> {
    let key = Key::table(ENVELOPE).u32(account.0).array(&id.0);
    key.u32(row).finish()
}

/// Every sending of an account, the oldest first.
pub(crate) fn read(
    reader: &dyn Read,
    account: AccountId,
) -> Result<(Head, Vec<Row>), DeliveryError> {
    let head = head(reader, account)?;
    let mut rows = Vec::new();
    let mut next = Some(Range::prefix(Key::table(SENDING).u32(account.0).finish()));
    while let Some(range) = next {
        let page = reader.scan(&range, 1_000)?;
        for (key, value) in &page.rows {
            let (_, id) = read_row_key(key)?;
            rows.push(Row::decode(id, value)?);
        }
        next = page.next;
    }
    Ok((head, rows))
}

pub(crate) fn row(
    reader: &dyn Read,
    account: AccountId,
    id: OriginId,
) -> Result<Option<Row>, StoreError> {
    let row = reader.get(&row_key(account, id))?;
    Ok(row.map(|row| Row::decode(id, &row)).transpose()?)
}

pub(crate) fn row_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: OriginId,
) -> Result<Option<Row>, StoreError> {
    let row = txn.get(&row_key(account, id))?;
    Ok(row.map(|row| Row::decode(id, &row)).transpose()?)
}

pub(crate) fn head(reader: &dyn Read, account: AccountId) -> Result<Head, StoreError> {
    let head = reader.get(&head_key(account))?;
    Ok(decode_head(head.as_deref())?)
}

pub(crate) fn head_in(txn: &mut Transaction<'_>, account: AccountId) -> Result<Head, StoreError> {
    let head = txn.get(&head_key(account))?;
    Ok(decode_head(head.as_deref())?)
}

pub(crate) fn put_head(txn: &mut Transaction<'_>, account: AccountId, head: Head) {
    let mut w = Writer::versioned(HEAD_VERSION);
    w.number(head.state)
        .number(head.floor)
        .byte(head.open.into());
    txn.put(head_key(account), w.finish());
}

/// Writes a row that has changed, with the number of the change.
pub(crate) fn change_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    row: &mut Row,
) -> Result<(), DeliveryError> {
    let mut head = head_in(txn, account)?;
    head.state += 1;
    head.open |= row.kept.as_ref().is_some_and(Kept::is_open);
    put_head(txn, account, head);
    row.changed = head.state;
    if row.created == 0 {
        row.created = head.state;
    }
    txn.put(row_key(account, row.id), row.encode());
    Ok(())
}

fn decode_head(bytes: Option<&[u8]>) -> Result<Head, Damaged> {
    let Some(bytes) = bytes else {
        return Ok(Head::default());
    };
    let mut r = Reader::of_version(bytes, HEAD_VERSION)?;
    Ok(Head {
        state: r.number()?,
        floor: r.number()?,
        open: r.byte()? != 0,
    })
}

pub(crate) fn read_row_key(key: &[u8]) -> Result<(AccountId, OriginId), Damaged> {
    let mut r = KeyReader::new(key);
    let account = AccountId(r.u32().ok_or(Damaged)?);
    Ok((account, OriginId(r.array().ok_or(Damaged)?)))
}

/// What is due at a time or before.
pub(crate) fn due_until(at: Timestamp) -> Range {
    let mut range = all_due();
    if let Some(end) = at.0.checked_add(1) {
        range.end = Key::table(DUE).u64(end).finish();
    }
    range
}

pub(crate) fn all_due() -> Range {
    Range::prefix(vec![DUE])
}

pub(crate) fn all_sendings() -> Range {
    Range::prefix(vec![SENDING])
}

pub(crate) fn mark() -> Vec<u8> {
    Writer::versioned(VERSION).finish()
}

pub(crate) fn read_due_key(key: &[u8]) -> Result<(Timestamp, AccountId, OriginId), Damaged> {
    let mut r = KeyReader::new(key);
    let at = Timestamp(r.u64().ok_or(Damaged)?);
    let account = AccountId(r.u32().ok_or(Damaged)?);
    Ok((at, account, OriginId(r.array().ok_or(Damaged)?)))
}

/// Writes an envelope; answers in how many rows.
pub(crate) fn put_envelope_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: OriginId,
    envelope: &Envelope,
) -> u32 {
    let stops = std::iter::once(&envelope.mail_from).chain(&envelope.rcpt_to);
    let (mut rows, mut row) = (0, Vec::new());
    for stop in stops {
        let mut w = Writer::default();
        w.text(&stop.email)
            .list(&stop.parameters, |w, (name, value)| {
                w.text(name).option(value.as_deref(), |w, value| {
                    w.text(value);
                });
            });
        let bytes = w.finish();
        if row.len() + bytes.len() > limits::PLAN_ROW_BYTES {
            txn.put(envelope_key(account, id, rows), std::mem::take(&mut row));
            rows += 1;
        }
        if row.is_empty() {
            row = mark();
        }
        row.extend_from_slice(&bytes);
    }
    txn.put(envelope_key(account, id, rows), row);
    rows + 1
}

pub(crate) fn drop_envelope_in(txn: &mut Transaction<'_>, account: AccountId, row: &Row) {
    let rows = row.kept.as_ref().map_or(0, |kept| kept.envelope_rows);
    for number in 0..rows {
        txn.delete(envelope_key(account, row.id, number));
    }
}

/// The envelope of a sending.
pub(crate) fn envelope(
    reader: &dyn Read,
    account: AccountId,
    id: OriginId,
) -> Result<Envelope, DeliveryError> {
    let prefix = Key::table(ENVELOPE).u32(account.0).array(&id.0).finish();
    let (mut stops, mut next) = (Vec::new(), Some(Range::prefix(prefix)));
    while let Some(range) = next {
        let page = reader.scan(&range, 100)?;
        for (_, value) in &page.rows {
            let mut r = Reader::of_version(value, VERSION)?;
            while !r.is_empty() {
                stops.push(Stop {
                    email: r.text()?,
                    parameters: r.list(|r| Ok((r.text()?, r.option(Reader::text)?)))?,
                });
            }
        }
        next = page.next;
    }
    let mut stops = stops.into_iter();
    Ok(Envelope {
        mail_from: stops.next().ok_or(Damaged)?,
        rcpt_to: stops.collect(),
    })
}

impl Row {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.number(self.created).number(self.changed);
        w.option(self.kept.as_ref(), |w, kept| {
            let sending = &kept.sending;
            w.number(sending.identity.into())
                .number(sending.email.0)
                .number(sending.thread.0)
                .number(sending.send_at.0);
            match sending.stage {
                Stage::Pending => w.byte(0),
                Stage::Leaving => w.byte(1),
                Stage::Sent => w.byte(2),
                Stage::Canceled => w.byte(3),
                Stage::Refused(refusal) => w.byte(4).byte(refusal.number()),
            };
            let submitter = &kept.submitter;
            w.number(submitter.account.0.into()).text(&submitter.login);
            w.option(submitter.connection.as_ref(), |w, connection| {
                w.bytes(&connection.encode());
            });
            w.number(kept.envelope_rows.into());
            w.option(kept.held, |w, held| {
                w.array(&held.blob.0)
                    .number(held.size.into())
                    .number(held.due.0);
            });
            w.number(kept.told).byte(kept.settled.into());
        });
        w.finish()
    }

    pub(crate) fn decode(id: OriginId, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        let (created, changed) = (r.number()?, r.number()?);
        let kept = r.option(|r| read_kept(id, r))?;
        Ok(Self {
            id,
            created,
            changed,
            kept,
        })
    }
}

fn read_kept(id: OriginId, r: &mut Reader<'_>) -> Result<Kept, Damaged> {
    Ok(Kept {
        sending: Sending {
            id,
            identity: r.number32()?,
            email: MessageId(r.number()?),
            thread: ThreadId(r.number()?),
            send_at: Timestamp(r.number()?),
            stage: match r.byte()? {
                0 => Stage::Pending,
                1 => Stage::Leaving,
                2 => Stage::Sent,
                3 => Stage::Canceled,
                4 => Stage::Refused(Refusal::from_number(r.byte()?)?),
                _ => return Err(Damaged),
            },
        },
        submitter: Submitter {
            account: AccountId(r.number32()?),
            login: r.text()?,
            connection: r.option(|r| Connection::decode(r.bytes()?))?,
        },
        envelope_rows: r.number32()?,
        held: r.option(|r| {
            Ok(Held {
                blob: BlobId(r.array()?),
                size: r.number32()?,
                due: Timestamp(r.number()?),
            })
        })?,
        told: r.number()?,
        settled: r.byte()? != 0,
    })
}
