//! Putting on record what is about to be served, before the octets leave.
//!
//! [`Mailboxes::record_served`] returns when the record is durable; only then may the caller hand
//! the content to a client. It is the one door for every protocol. What is on record already, of the
//! same client, costs no write.
//!
//! Invariant: a record and a seal that are made at the same moment are a conflict, since every change of
//! any seal changes the one row that every record reads ([`tables::seal_changes`]). So whoever seals, and
//! asks about copies after that, finds all that was served before. A record and the removal of
//! a message by its owner meet in the roll of its block.
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
        tern_store::transact(&*self.engine, |txn| {
            let rolls = read_ahead(txn, &blocks, client.1)?;
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
                    if self.is_withheld(txn, copy, is_gone)? {
                        return Err(MailboxError::Sealed);
                    }
                }
                let at = (first.account, first.message);
                let news = enter(txn, at, roll, client, &together(copies), now)?;
                for copy in copies.iter().filter(|copy| self.wide.has(copy.digest)) {
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

    /// Whether a copy is under an active seal, or not there any more. The transaction depends on the
    /// answer: it has read what every change of a seal and of the roll changes. The seals in memory are
    /// asked after that, and have what was durable then.
    fn is_withheld(
        &self,
        txn: &Transaction<'_>,
        copy: &Served,
        is_gone: bool,
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
        Ok(self.is_sealed(copy.account, &MessageRow::decode(&row)?))
    }
}

/// Reads all that the records of some blocks need in two calls to the engine.
fn read_ahead(
    txn: &mut Transaction<'_>,
    blocks: &[&[Served]],
    key: &ClientKey,
) -> Result<Vec<Roll>, MailboxError> {
    let places = blocks.iter().filter_map(|copies| copies.first());
    let places = places.map(|copy| (copy.account, block_of(copy.message)));
    let rolls = places
        .clone()
        .map(|(account, block)| tables::roll(account, block));
    txn.prefetch(
        std::iter::once(tables::seal_changes())
            .chain(rolls)
            .collect(),
    )?;
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

    /// What is on record of one message becomes what is on record of another that is made of it.
    pub(crate) fn inherit(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        from: MessageId,
        (to, row): (MessageId, &MessageRow),
    ) -> Result<(), MailboxError> {
        inherit(txn, account, from, to)?;
        if self.wide.has(row.digest) {
            leave(txn, (row.digest, account, to), row.origin)?;
        }
        Ok(())
    }
}

fn inherit(
    txn: &mut Transaction<'_>,
    account: AccountId,
    from: MessageId,
    to: MessageId,
) -> Result<(), MailboxError> {
    let (slot, new_slot) = (Slots::of(from), Slots::of(to));
    let old = Roll::of(txn, account, from)?;
    let Some(most) = old.most.get(slot).copied() else {
        return Ok(());
    };
    let mut roll = Roll::of(txn, account, to)?;
    for client in old.sheets() {
        let key = tables::sheet(account, block_of(from), client);
        let Some(row) = txn.get(&key)? else {
            continue;
        };
        let sheet = Sheet::decode(&row)?;
        let Some(entry) = sheet.entries.get(slot) else {
            continue;
        };
        let new_client = match old.key_of(client) {
            Some(key) => roll.enlist(key).0,
            None => OTHERS,
        };
        let key = tables::sheet(account, block_of(to), new_client);
        let mut new = match txn.get(&key)? {
            Some(row) => Sheet::decode(&row)?,
            None if new_client == OTHERS => Sheet::new(&Viewer::default()),
            None => sheet.without_entries(),
        };
        new.join(new_slot, entry);
        txn.put(key, new.encode());
        if client == most.client {
            let most = Most {
                client: new_client,
                ..most
            };
            roll.raise(new_slot, most);
        }
    }
    txn.put(tables::roll(account, block_of(to)), roll.encode());
    Ok(())
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
    (digest, account, message): (ContentDigest, AccountId, MessageId),
    origin: OriginId,
) -> Result<(), MailboxError> {
    leave(txn, (digest, account, message), origin)?;
    let mut roll = Roll::of(txn, account, message)?;
    roll.gone = roll.gone.with(Slots::of(message));
    txn.put(tables::roll(account, block_of(message)), roll.encode());
    Ok(())
}
