//! Octets that a client brought and has not put into a message yet (RFC 8620 6.1), held for a day.
//!
//! They come piece by piece, as they arrive, under a random name, so that what one upload takes of the
//! memory is one piece. What is broken off is abandoned, with its pieces; what a crash leaves is let go
//! after a while.
//!
//! Invariant: an upload is there whole or not at all; only its account finds it; what all uploads of
//! an account hold together, those under way with all that they may bring, is bounded.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, BlobId, Entropy, Timestamp};
use tern_store::{StoreError, Transaction, Verdict, limits as store_limits, transact};

use crate::error::PassedOver;
use crate::rows::BlobRow;
use crate::{MailboxError, Mailboxes, Upkeep, blob, limits, tables};

/// What is known of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// What it is called.
    pub blob: BlobId,
    /// Octets.
    pub size: u64,
    /// Its media type, as the client gave it.
    pub media_type: String,
    /// When it came; of one under way, when it began.
    pub uploaded: Timestamp,
    /// Whether it is there whole.
    is_whole: bool,
}

impl Uploaded {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(2);
        w.number(self.size)
            .text(&self.media_type)
            .number(self.uploaded.0)
            .number(self.is_whole.into());
        w.finish()
    }

    /// Whether it has come, or is under way.
    pub(crate) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(crate) fn decode(key: &[u8], row: &[u8]) -> Result<Self, Damaged> {
        let blob = key.get(5..).and_then(BlobId::from_slice).ok_or(Damaged)?;
        let mut r = Reader::of_version(row, 2)?;
        Ok(Self {
            blob,
            size: r.number()?,
            media_type: r.text()?,
            uploaded: Timestamp(r.number()?),
            is_whole: r.number()? != 0,
        })
    }

    const fn lifetime(&self) -> u64 {
        match self.is_whole {
            true => limits::UPLOAD_LIFETIME_MS,
            false => limits::UNREFERENCED_GRACE_MS,
        }
    }
}

/// An upload under way.
#[derive(Debug)]
pub struct Upload {
    account: AccountId,
    blob: BlobId,
    media_type: String,
    pieces: u32,
    size: u64,
    /// What does not fill a piece yet.
    rest: Vec<u8>,
}

impl Upkeep {
    /// Lets uploads go that are older than a day, or were begun long ago and not ended, at most so many.
    /// Answers how many.
    pub fn expire_uploads(&self, now: Timestamp, most: usize) -> Result<usize, MailboxError> {
        let mut gone = 0;
        let mut damaged = PassedOver::default();
        let mut next = Some(tables::whole(tables::UPLOAD));
        while let (Some(range), true) = (next.take(), gone < most) {
            let page = self.0.engine.scan(&range, 1_000)?;
            for (key, row) in &page.rows {
                if gone < most {
                    let done = damaged.pass_over(self.expire_if_due(key, row, now))?;
                    gone += usize::from(done.unwrap_or(false));
                }
            }
            next = page.next;
        }
        damaged.answer(gone)
    }

    fn expire_if_due(&self, key: &[u8], row: &[u8], now: Timestamp) -> Result<bool, MailboxError> {
        let uploaded = Uploaded::decode(key, row)?;
        if now.millis_since(uploaded.uploaded) < uploaded.lifetime() {
            return Ok(false);
        }
        transact(&*self.0.engine, |txn| {
            // It may have been ended meanwhile.
            if txn.get(key)?.as_deref() == Some(row) {
                txn.delete(key.to_vec());
                blob::unlink(txn, uploaded.blob, now)?;
            }
            Ok(Verdict::Commit(true))
        })
    }
}

impl Mailboxes {
    /// Begins an upload of an account, with room for `most` octets.
    pub fn begin_upload(
        &self,
        account: AccountId,
        media_type: &str,
        most: u64,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Upload, MailboxError> {
        let mut name = [0; 32];
        entropy.fill(&mut name);
        let blob = BlobId(name);
        let media_type = media_type.get(..media_type.floor_char_boundary(limits::MAX_CLIENT_TEXT));
        let begun = Uploaded {
            blob,
            size: most,
            media_type: media_type.unwrap_or_default().to_owned(),
            uploaded: now,
            is_whole: false,
        };
        transact(&*self.engine, |txn| -> Result<_, MailboxError> {
            self.check_room(txn, account, most)?;
            // As many pieces as there may be: what a crash leaves is found, and collected whole.
            put(txn, account, &begun);
            Ok(Verdict::Commit(()))
        })?;
        Ok(Upload {
            account,
            blob,
            media_type: begun.media_type,
            pieces: 0,
            size: 0,
            rest: Vec::new(),
        })
    }

    /// Takes the next octets of an upload; no more in all than it was begun with.
    pub fn upload_more(&self, upload: &mut Upload, octets: &[u8]) -> Result<(), MailboxError> {
        let mut octets = octets;
        upload.size += octets.len() as u64;
        while !octets.is_empty() {
            // A whole piece goes as it is.
            if upload.rest.is_empty()
                && let Some((piece, later)) = octets.split_at_checked(store_limits::BLOB_PIECE)
            {
                self.stage(upload, piece)?;
                octets = later;
                continue;
            }
            let room = store_limits::BLOB_PIECE - upload.rest.len();
            let (now, later) = octets.split_at(room.min(octets.len()));
            upload.rest.extend_from_slice(now);
            octets = later;
            if upload.rest.len() == store_limits::BLOB_PIECE {
                self.stage_rest(upload)?;
            }
        }
        Ok(())
    }

    fn stage_rest(&self, upload: &mut Upload) -> Result<(), MailboxError> {
        let mut rest = std::mem::take(&mut upload.rest);
        self.stage(upload, &rest)?;
        rest.clear();
        upload.rest = rest;
        Ok(())
    }

    fn stage(&self, upload: &mut Upload, piece: &[u8]) -> Result<(), MailboxError> {
        self.engine
            .stage_blob_piece(upload.blob, upload.pieces, piece)?;
        upload.pieces += 1;
        Ok(())
    }

    /// Ends an upload: on return it is durable. One that can't be ended is abandoned.
    pub fn finish_upload(
        &self,
        mut upload: Upload,
        now: Timestamp,
    ) -> Result<Uploaded, MailboxError> {
        match self.try_finish(&mut upload, now) {
            Ok(uploaded) => Ok(uploaded),
            Err(error) => {
                // What can't be removed now is let go later.
                let _ = self.abandon_upload(upload);
                Err(error)
            }
        }
    }

    fn try_finish(&self, upload: &mut Upload, now: Timestamp) -> Result<Uploaded, MailboxError> {
        if !upload.rest.is_empty() {
            self.stage_rest(upload)?;
        }
        let uploaded = Uploaded {
            blob: upload.blob,
            size: upload.size,
            media_type: upload.media_type.clone(),
            uploaded: now,
            is_whole: true,
        };
        transact(&*self.engine, |txn| -> Result<_, MailboxError> {
            // It took so long that it was let go, or its account is gone.
            if txn
                .get(&tables::upload(upload.account, upload.blob))?
                .is_none()
            {
                return Err(StoreError::Busy.into());
            }
            put(txn, upload.account, &uploaded);
            Ok(Verdict::Commit(()))
        })?;
        Ok(uploaded)
    }

    /// Gives an upload up: its room is free at once, and nothing is left of it.
    pub fn abandon_upload(&self, upload: Upload) -> Result<(), MailboxError> {
        transact(&*self.engine, |txn| -> Result<_, MailboxError> {
            let key = tables::upload(upload.account, upload.blob);
            // Its name is random: nothing else is about to refer to its content. What was let go already
            // has a row that is collected by itself, and maybe pieces that came after that.
            if txn.get(&key)?.is_some() {
                txn.delete(key);
                txn.delete(tables::blob(upload.blob));
            }
            // The next one may be there, too, where its writing failed.
            txn.delete_blob(upload.blob, upload.pieces + 1);
            Ok(Verdict::Commit(()))
        })
    }

    /// Keeps octets as an upload, whole.
    pub fn upload(
        &self,
        account: AccountId,
        media_type: &str,
        octets: &[u8],
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Uploaded, MailboxError> {
        let size = octets.len() as u64;
        let mut upload = self.begin_upload(account, media_type, size, now, entropy)?;
        match self.upload_more(&mut upload, octets) {
            Ok(()) => self.finish_upload(upload, now),
            Err(error) => {
                let _ = self.abandon_upload(upload);
                Err(error)
            }
        }
    }

    /// Whether so many more octets fit. The account's head is read, which its removal deletes; two
    /// uploads at once can go beyond the bound by one of them.
    fn check_room(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        more: u64,
    ) -> Result<(), MailboxError> {
        if txn.peek(&tables::account(account))?.is_none() {
            return Err(MailboxError::NoAccount);
        }
        let all = txn.scan(
            &tables::whole_of(tables::UPLOAD, account),
            limits::MAX_UPLOADS,
        )?;
        let mut held = more;
        for (key, row) in &all.rows {
            held = held.saturating_add(Uploaded::decode(key, row)?.size);
        }
        match all.rows.len() < limits::MAX_UPLOADS && held <= limits::MAX_UPLOAD_BYTES {
            true => Ok(()),
            false => Err(MailboxError::QuotaExceeded),
        }
    }

    /// An upload of an account.
    pub fn uploaded(
        &self,
        account: AccountId,
        blob: BlobId,
    ) -> Result<Option<Uploaded>, MailboxError> {
        let key = tables::upload(account, blob);
        let row = self.engine.get(&key)?;
        let found = row.map(|row| Uploaded::decode(&key, &row)).transpose()?;
        Ok(found.filter(|uploaded| uploaded.is_whole))
    }

    /// Octets of an upload; a range past its end is cut there.
    pub fn read_upload(
        &self,
        uploaded: &Uploaded,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u8>, MailboxError> {
        let end = range.end.min(uploaded.size);
        self.read_content(uploaded.blob, range.start.min(end)..end)
    }
}

/// Writes the row of an upload, which is the one reference to its content.
fn put(txn: &mut Transaction<'_>, account: AccountId, uploaded: &Uploaded) {
    let row = BlobRow {
        references: 1,
        size: uploaded.size,
        unreferenced_since: Timestamp(0),
    };
    txn.put(tables::blob(uploaded.blob), row.encode());
    txn.put(tables::upload(account, uploaded.blob), uploaded.encode());
}

/// Lets the uploads of an account that is to go, within a transaction. Answers whether there were
/// any.
pub(crate) fn erase_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    now: Timestamp,
) -> Result<bool, MailboxError> {
    let page = txn.scan(&tables::whole_of(tables::UPLOAD, account), limits::CHUNK)?;
    for (key, row) in &page.rows {
        let uploaded = Uploaded::decode(key, row)?;
        txn.delete(key.clone());
        blob::unlink(txn, uploaded.blob, now)?;
    }
    Ok(!page.rows.is_empty())
}
