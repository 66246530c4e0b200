//! Putting on record what is about to be served, before the octets leave.
//!
//! [`Mailboxes::record_served`] returns when the record is durable; only then may the caller hand
//! the content to a client. It is the one door for every protocol. What is on record already, of the
//! same client, costs no write.
//!
//! Invariant: what is served is on record before whoever seals it can ask, and nothing is served after its
//! seal. A seal is in memory first, and durable then; whoever sealed asks what was served after that. A
//! record takes a snapshot first, asks the seals in memory then, and commits last, on the condition that
//! no seal of what it is about has changed since the snapshot. So of the two commits one is first:
//! - the record's: it is durable before the seal is, and whoever asks after the seal finds it;
//! - the seal's, after the snapshot: the record is a conflict, is made again, and finds the seal in memory;
//! - the seal's, before the snapshot: it was in memory before it was durable, and is found there.
//!
//! A record that does not commit serves nothing, so none is left of what was sealed first: it would say
//! that more was served than was. Both are durable by commits of one store, so a crash between them leaves
//! what one of the three cases leaves; memory then holds what is durable, and what was served was on
//! record by then. Content itself asks the seals in memory again, once it was read ([`Mailboxes::read`]).
//!
//! The condition takes one of two forms. At first one row stands for all seals, which every change of any
//! changes ([`tables::seal_changes`]): one comparison, however many letters a record is about. A record that
//! has met a conflict, and one of few messages from the start, compares what the seals of its own letters
//! change ([`tables::seal_head`]), so that it is done whatever else is sealed meanwhile, and how often.
//!
//! A record and the removal of a message by its owner meet in the roll of its block, and so do a record
//! and what makes its letter one that has come to many ([`crate::wide`]).
//!
//! A copy that the account's own client brings (APPEND) counts as downloaded from the start: the
//! client has what it brings. A copy that is made of another on the server begins with the record
//! of that one.

use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_store::{Transaction, Verdict};

use crate::expose::{Exposure, ExposureLevel, Served, Viewer};
use crate::ledger::Share;
use crate::roll::{ClientKey, Most, OTHERS, Roll};
use crate::rows::MessageRow;
use crate::sheet::Sheet;
use crate::slots::{Slots, block_of};
use crate::{Letter, MailboxError, Mailboxes, limits, tables};

/// What is about to be served of some messages of a block.
type What = (Slots, ExposureLevel, Share);

impl Mailboxes {
    /// Records that content is about to be served; durable on return. Fails with
    /// [`MailboxError::Sealed`] when any of it was sealed, or gone, before the record could be made,
    /// and then nothing may be served.
    pub fn record_served(
        &self,
        served: &[Served],
        viewer: &Viewer,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let key = viewer.key();
        let mut window = self.exposed.window(key, now);
        let fresh = served.iter().filter(|copy| !window.has(copy));
        let mut fresh: Vec<Served> = fresh.copied().collect();
        // Messages of one block side by side.
        fresh.sort_by_key(|copy| (copy.account, copy.message));
        let mut rest = &fresh[..];
        while !rest.is_empty() {
            let chunk = rest.get(..limits::RECORD_CHUNK).unwrap_or(rest);
            let done = self.record_chunk(chunk, (viewer, &key), now)?;
            for copy in rest.iter().take(done) {
                window.enter(copy);
            }
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// Records some, and answers how many: as many as fit a transaction.
    fn record_chunk(
        &self,
        chunk: &[Served],
        client: (&Viewer, &ClientKey),
        now: Timestamp,
    ) -> Result<usize, MailboxError> {
        let place = |copy: &Served| (copy.account, block_of(copy.message));
        let blocks: Vec<&[Served]> = chunk.chunk_by(|a, b| place(a) == place(b)).collect();
        let mut against = match chunk.len() > limits::FEW_RECORDS {
            true => Against::AnySeal,
            false => Against::OwnSeals,
        };
        tern_store::transact(&*self.engine, |txn| {
            let against = std::mem::replace(&mut against, Against::OwnSeals);
            let rolls = read_ahead(txn, &blocks, client.1, against)?;
            let mut done = 0;
            for (copies, roll) in blocks.iter().zip(rolls) {
                if txn.size() >= limits::CHUNK_BYTES {
                    break;
                }
                let Some(first) = copies.first() else {
                    continue;
                };
                for copy in *copies {
                    let is_gone = roll.gone.holds(Slots::of(copy.message));
                    if self.is_withheld(txn, copy, is_gone, against)? {
                        return Err(MailboxError::Sealed);
                    }
                }
                let at = (first.account, first.message);
                let news = enter(txn, at, roll, client, &together(copies), now)?;
                for copy in copies.iter().filter(|copy| self.is_by_letter(copy, &news)) {
                    if let Some(exposure) = news.of(copy.message, copy.origin) {
                        let key = tables::exposure(copy.digest, copy.account, copy.message);
                        txn.put(key, exposure.encode());
                    }
                }
                done += copies.len();
            }
            Ok(Verdict::Commit(done))
        })
    }

    /// Whether what is served of a copy is on record by its letter as well.
    fn is_by_letter(&self, copy: &Served, news: &News) -> bool {
        news.roll.by_letter.holds(Slots::of(copy.message)) || self.wide.has(copy.digest)
    }

    /// Whether a copy is under an active seal, or not there any more. The transaction depends on the
    /// answer: it has read what every change of a seal that may cover it changes, and of the roll. The
    /// seals in memory are asked after that, and have what was durable then.
    fn is_withheld(
        &self,
        txn: &mut Transaction<'_>,
        copy: &Served,
        is_gone: bool,
        against: Against,
    ) -> Result<bool, MailboxError> {
        if !copy.carries && !is_gone && !self.seals.was_forgotten_lately(copy.digest) {
            let letter = Letter {
                digest: copy.digest,
                carriage: None,
            };
            return Ok(self.seals.covers(letter, copy.account, copy.origin));
        }
        let Some(row) = txn.peek(&tables::message(copy.account, copy.message))? else {
            return Ok(true);
        };
        let row = MessageRow::decode(&row)?;
        if let Against::OwnSeals = against {
            for letter in row.letters() {
                txn.get(&tables::seal_head(letter.digest))?;
            }
        }
        Ok(self.is_sealed(copy.account, &row))
    }
}

/// Which seals are a conflict for a record where they change at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    /// Whatever is sealed.
    AnySeal,
    /// Those of the letters that the messages are, or carry.
    OwnSeals,
}

/// Reads all that the records of some blocks need in two calls to the engine.
fn read_ahead(
    txn: &mut Transaction<'_>,
    blocks: &[&[Served]],
    key: &ClientKey,
    against: Against,
) -> Result<Vec<Roll>, MailboxError> {
    let places = blocks.iter().filter_map(|copies| copies.first());
    let places = places.map(|copy| (copy.account, block_of(copy.message)));
    let rolls = places
        .clone()
        .map(|(account, block)| tables::roll(account, block));
    let mut keys: Vec<Vec<u8>> = rolls.collect();
    match against {
        Against::AnySeal => keys.push(tables::seal_changes()),
        Against::OwnSeals => {
            let copies = blocks.iter().copied().flatten();
            keys.extend(copies.map(|copy| tables::seal_head(copy.digest)));
        }
    }
    txn.prefetch(keys)?;
    let mut rolls = Vec::with_capacity(blocks.len());
    let mut sheets = Vec::with_capacity(blocks.len());
    for (account, block) in places {
        let row = txn.get(&tables::roll(account, block))?;
        let roll = Roll::decoded(row.as_deref())?;
        let client = roll.client(key);
        sheets.extend(client.map(|client| tables::sheet(account, block, client)));
        rolls.push(roll);
    }
    txn.prefetch(sheets)?;
    Ok(rolls)
}

/// What is served of the messages of a block, those together of which the same is.
fn together(copies: &[Served]) -> Vec<What> {
    let mut all: Vec<What> = Vec::new();
    for copy in copies {
        let slot = Slots::of(copy.message);
        let same = |(_, level, share): &&mut What| (*level, *share) == (copy.level, copy.share);
        match all.iter_mut().rev().find(same) {
            Some((slots, ..)) => *slots = slots.with(slot),
            None => all.push((slot, copy.level, copy.share)),
        }
    }
    all
}

/// Enters what one client is served of the block of a message, where it is not on record already.
fn enter(
    txn: &mut Transaction<'_>,
    (account, message): (AccountId, MessageId),
    mut roll: Roll,
    (viewer, key): (&Viewer, &ClientKey),
    served: &[What],
    now: Timestamp,
) -> Result<News, MailboxError> {
    let block = block_of(message);
    let (client, is_new) = roll.enlist(key);
    let sheet_key = tables::sheet(account, block, client);
    let mut sheet = match txn.get(&sheet_key)? {
        Some(row) => Sheet::decode(&row)?,
        None if client == OTHERS => Sheet::new(&Viewer::default()),
        None => Sheet::new(viewer),
    };
    let (mut is_news, mut is_more) = (false, is_new);
    for &(slots, level, share) in served {
        is_news |= sheet.enter(slots, level, share, now);
        let most = Most {
            level,
            at: now,
            client,
        };
        is_more |= roll.raise(slots, most);
    }
    if is_news {
        txn.put(sheet_key, sheet.encode());
    }
    if is_more {
        txn.put(tables::roll(account, block), roll.encode());
    }
    Ok(News {
        roll,
        sheet,
        client,
    })
}

/// What is on record of a block after something was entered.
struct News {
    roll: Roll,
    sheet: Sheet,
    client: u8,
}

impl News {
    /// The most that was served of a message, where this client was.
    fn of(&self, message: MessageId, origin: OriginId) -> Option<Exposure> {
        let most = self.roll.most.get(Slots::of(message))?;
        let is_this = most.client == self.client;
        is_this.then(|| Exposure::of(*most, &self.sheet, origin))
    }
}

impl Mailboxes {
    /// Records, within the transaction that puts a copy there, that its client has the whole of it.
    pub(crate) fn record_brought(
        &self,
        txn: &mut Transaction<'_>,
        copy: (ContentDigest, AccountId, MessageId),
        origin: OriginId,
        viewer: &Viewer,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let (_, account, message) = copy;
        let whole = (Slots::of(message), ExposureLevel::Downloaded, Share::ALL);
        let roll = Roll::of(txn, account, message)?;
        let client = (viewer, &viewer.key());
        enter(txn, (account, message), roll, client, &[whole], now)?;
        // Whether or not the letter came to many: it may come to them at this moment, and whoever finds that
        // out has looked for copies before this one is there.
        leave(txn, copy, origin)?;
        Ok(())
    }
}

/// What was served most of a copy, within a transaction that depends on it.
fn most_served(
    txn: &mut Transaction<'_>,
    account: AccountId,
    message: MessageId,
    origin: OriginId,
) -> Result<Option<Exposure>, MailboxError> {
    let roll = Roll::of(txn, account, message)?;
    exposure_in(txn, &roll, (account, message), origin)
}

fn exposure_in(
    txn: &Transaction<'_>,
    roll: &Roll,
    (account, message): (AccountId, MessageId),
    origin: OriginId,
) -> Result<Option<Exposure>, MailboxError> {
    let Some(most) = roll.most.get(Slots::of(message)).copied() else {
        return Ok(None);
    };
    // Who a sheet is of does not change.
    let row = txn.peek(&tables::sheet(account, block_of(message), most.client))?;
    let sheet = Sheet::decode(&row.ok_or(tern_store::StoreError::Damaged)?)?;
    Ok(Some(Exposure::of(most, &sheet, origin)))
}

/// The most that was served of a copy, as it is on record by its letter.
pub(crate) fn by_letter(
    txn: &mut Transaction<'_>,
    (digest, account, message): (ContentDigest, AccountId, MessageId),
) -> Result<Option<Exposure>, MailboxError> {
    let row = txn.get(&tables::exposure(digest, account, message))?;
    Ok(row.map(|row| Exposure::decode(&row)).transpose()?)
}

/// Puts the most that was served of a copy on record by its letter. Of one that is in no mailbox any more
/// this is in the transaction that takes it from the last, or never puts it into one: the index of its
/// letter does not find it from then on. Answers the most that was served of it.
pub(crate) fn leave(
    txn: &mut Transaction<'_>,
    (digest, account, message): (ContentDigest, AccountId, MessageId),
    origin: OriginId,
) -> Result<Option<Exposure>, MailboxError> {
    let exposure = most_served(txn, account, message, origin)?;
    if let Some(exposure) = &exposure {
        txn.put(
            tables::exposure(digest, account, message),
            exposure.encode(),
        );
    }
    Ok(exposure)
}

/// The same for one that its owner removes: nobody seals it first, so the roll keeps it from being
/// served at the same moment.
pub(crate) fn leave_for_good(
    txn: &mut Transaction<'_>,
    copy: (ContentDigest, AccountId, MessageId),
    origin: OriginId,
) -> Result<(), MailboxError> {
    leave(txn, copy, origin)?;
    note(txn, copy, |roll, slot| roll.gone = roll.gone.with(slot))
}

/// The same for one whose letter comes to many, which stays where it is: whoever records what is served of
/// it from here on does so by its letter as well, and at the same moment meets this in the roll.
pub(crate) fn leave_from_now_on(
    txn: &mut Transaction<'_>,
    copy: (ContentDigest, AccountId, MessageId),
    origin: OriginId,
) -> Result<(), MailboxError> {
    leave(txn, copy, origin)?;
    note(txn, copy, |roll, slot| {
        roll.by_letter = roll.by_letter.with(slot);
    })
}

fn note(
    txn: &mut Transaction<'_>,
    (_, account, message): (ContentDigest, AccountId, MessageId),
    note: impl FnOnce(&mut Roll, Slots),
) -> Result<(), MailboxError> {
    let mut roll = Roll::of(txn, account, message)?;
    note(&mut roll, Slots::of(message));
    txn.put(tables::roll(account, block_of(message)), roll.encode());
    Ok(())
}
