//! Content held once, counted by reference, collected some time after the last reference went.
//!
//! Content is never removed in the transaction that drops its last reference: a writer that has
//! just staged the same content may be about to refer to it. [`Upkeep::collect`] removes it
//! after a grace time, if the row is still unreferenced.

use tern_base::{BlobId, Timestamp};
use tern_store::{Engine, StoreError, Transaction, Verdict, limits as store_limits, transact};

use crate::error::PassedOver;
use crate::rows::BlobRow;
use crate::{MailboxError, Mailboxes, Prepared, Upkeep, limits, tables};

/// Content up to this many octets travels in the batch that refers to it.
pub(crate) const INLINE: usize = 2 * store_limits::BLOB_PIECE;

/// Writes content that is too large for a batch, and its structure, ahead of the transaction that will refer
/// to it.
pub(crate) fn stage(
    engine: &dyn Engine,
    blob: BlobId,
    (content, parsed): (&[u8], &[u8]),
    now: Timestamp,
) -> Result<(), MailboxError> {
    let referenced = transact(engine, |txn| -> Result<_, MailboxError> {
        let old = read(txn, blob)?;
        if old.as_ref().is_some_and(|row| row.references > 0) {
            return Ok(Verdict::Abandon(true));
        }
        if let Some(row) = old {
            txn.delete(tables::unreferenced(row.unreferenced_since, blob));
        }
        let row = BlobRow {
            references: 0,
            size: content.len() as u64,
            unreferenced_since: now,
        };
        txn.put(tables::blob(blob), row.encode());
        txn.put(tables::unreferenced(now, blob), Vec::new());
        put_structure(txn, blob, parsed);
        Ok(Verdict::Commit(false))
    })?;
    if !referenced {
        for (number, piece) in (0..).zip(content.chunks(store_limits::BLOB_PIECE)) {
            engine.stage_blob_piece(blob, number, piece)?;
        }
    }
    Ok(())
}

/// Adds references to a content, which is written with them if nothing refers to it yet.
pub(crate) fn link(
    txn: &mut Transaction<'_>,
    prepared: &Prepared,
    count: u64,
) -> Result<(), MailboxError> {
    let (blob, content) = (prepared.blob, &prepared.content);
    let old = read(txn, blob)?;
    let held = old.as_ref().map_or(0, |row| row.references);
    if held == 0 {
        if !prepared.is_staged {
            for (number, piece) in (0..).zip(content.chunks(store_limits::BLOB_PIECE)) {
                txn.put_blob_piece(blob, number, piece.to_vec());
            }
            put_structure(txn, blob, &prepared.parsed_row);
        } else if old.is_none() {
            // It was staged and then collected: the grace time passed in between.
            return Err(StoreError::Busy.into());
        }
        if let Some(row) = old {
            txn.delete(tables::unreferenced(row.unreferenced_since, blob));
        }
    }
    let row = BlobRow {
        references: held + count,
        size: content.len() as u64,
        unreferenced_since: Timestamp(0),
    };
    txn.put(tables::blob(blob), row.encode());
    Ok(())
}

/// Writes the structure of a content, where it fits a row.
fn put_structure(txn: &mut Transaction<'_>, blob: BlobId, parsed: &[u8]) {
    if parsed.len() <= store_limits::MAX_VALUE {
        txn.put(tables::parsed(blob), parsed.to_vec());
    }
}

/// Adds one reference to a content that something refers to already.
pub(crate) fn link_again(txn: &mut Transaction<'_>, blob: BlobId) -> Result<(), MailboxError> {
    let mut row = read(txn, blob)?.ok_or(StoreError::Damaged)?;
    if row.references == 0 {
        txn.delete(tables::unreferenced(row.unreferenced_since, blob));
    }
    row.references += 1;
    txn.put(tables::blob(blob), row.encode());
    Ok(())
}

/// Takes one reference away.
pub(crate) fn unlink(
    txn: &mut Transaction<'_>,
    blob: BlobId,
    now: Timestamp,
) -> Result<(), MailboxError> {
    let mut row = read(txn, blob)?.ok_or(StoreError::Damaged)?;
    row.references = row.references.checked_sub(1).ok_or(StoreError::Damaged)?;
    if row.references == 0 {
        row.unreferenced_since = now;
        txn.put(tables::unreferenced(now, blob), Vec::new());
    }
    txn.put(tables::blob(blob), row.encode());
    Ok(())
}

fn read(txn: &mut Transaction<'_>, blob: BlobId) -> Result<Option<BlobRow>, MailboxError> {
    let row = txn.get(&tables::blob(blob))?;
    Ok(row.map(|row| BlobRow::decode(&row)).transpose()?)
}

impl Upkeep {
    /// Removes at most `limit` contents that nothing has referred to for the grace time, and what is kept of
    /// letters that came to many, and of conversations, of which no copy and no message is left. Answers how
    /// many contents it removed.
    pub fn collect(&self, now: Timestamp, limit: usize) -> Result<usize, MailboxError> {
        let until = Timestamp(now.0.saturating_sub(limits::UNREFERENCED_GRACE_MS));
        let removed = self.0.collect_until(until, limit);
        self.0.forget_wide(limits::WIDE_LOOKED_AT)?;
        self.0.forget_references(limits::REFERENCES_LOOKED_AT)?;
        removed
    }

    /// Removes every unreferenced content at once, for tests: a writer that has just staged one would find it
    /// gone.
    pub fn collect_all(&self) -> Result<usize, MailboxError> {
        self.0.collect_until(Timestamp(u64::MAX), usize::MAX)
    }
}

impl Mailboxes {
    /// Adds one reference to a content on behalf of another table (the queue).
    pub fn link_blob_in(
        &self,
        txn: &mut Transaction<'_>,
        prepared: &Prepared,
        count: u64,
    ) -> Result<(), MailboxError> {
        link(txn, prepared, count)
    }

    /// [`Mailboxes::prepare`] for a message whose other rows may take all that a transaction holds: however
    /// small it is, its content is staged.
    pub fn prepare_ahead(
        &self,
        content: Vec<u8>,
        now: Timestamp,
    ) -> Result<Prepared, MailboxError> {
        let mut prepared = self.prepare(content, now)?;
        self.stage_prepared(&mut prepared, now)?;
        Ok(prepared)
    }

    /// Stages the content of a prepared message, unless it is.
    pub(crate) fn stage_prepared(
        &self,
        prepared: &mut Prepared,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        if !prepared.is_staged {
            let rows = (&*prepared.content, &*prepared.parsed_row);
            stage(&*self.engine, prepared.blob, rows, now)?;
            prepared.is_staged = true;
        }
        Ok(())
    }

    /// Takes away a reference that [`Mailboxes::link_blob_in`] added.
    pub fn unlink_blob_in(
        &self,
        txn: &mut Transaction<'_>,
        blob: BlobId,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        unlink(txn, blob, now)
    }

    fn collect_until(&self, until: Timestamp, limit: usize) -> Result<usize, MailboxError> {
        let mut range = tables::whole(tables::UNREFERENCED);
        range.end = range
            .end
            .min(tables::unreferenced(until, BlobId([0xff; 32])));
        let mut removed = 0;
        let mut damaged = PassedOver::default();
        let mut next = Some(range);
        while let (Some(range), true) = (next.take(), removed < limit) {
            let page = self.engine.scan(&range, (limit - removed).min(1_000))?;
            for (key, _) in &page.rows {
                let done = damaged.pass_over(self.collect_one(key))?;
                removed += usize::from(done.unwrap_or(false));
            }
            next = page.next;
        }
        damaged.answer(removed)
    }

    fn collect_one(&self, key: &[u8]) -> Result<bool, MailboxError> {
        let mut parts = tern_store::key::KeyReader::new(key);
        let (Some(since), Some(blob)) = (parts.u64(), parts.array()) else {
            return Err(StoreError::Damaged.into());
        };
        let blob = BlobId(blob);
        let removed = transact(&*self.engine, |txn| -> Result<_, MailboxError> {
            txn.delete(key.to_vec());
            let row = read(txn, blob)?;
            let Some(row) = row.filter(|r| r.references == 0 && r.unreferenced_since.0 == since)
            else {
                return Ok(Verdict::Commit(false));
            };
            txn.delete(tables::blob(blob));
            txn.delete(tables::parsed(blob));
            txn.delete_blob(blob, row.pieces());
            Ok(Verdict::Commit(true))
        })?;
        if removed {
            self.structures.remove(&blob);
        }
        Ok(removed)
    }
}
