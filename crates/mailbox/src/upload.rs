//! Octets that a client brought and has not put into a message yet (RFC 8620 6.1), held for a day.
//!
//! They come piece by piece, as they arrive, under a random name, so that what one upload takes of the
//! memory is one piece. What is cut off is collected like any content that nothing refers to.
//!
//! Invariant: an upload is there whole or not at all; only its account finds it; what all uploads of
//! an account hold together is bounded.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, BlobId, Entropy, Timestamp};
use tern_store::{StoreError, Transaction, Verdict, limits as store_limits, transact};

use crate::rows::BlobRow;
use crate::{MailboxError, Mailboxes, blob, limits, tables};

/// What is known of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// What it is called.
    pub blob: BlobId,
    /// Octets.
    pub size: u64,
    /// Its media type, as the client gave it.
    pub media_type: String,
    /// When it came.
    pub uploaded: Timestamp,
}

impl Uploaded {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        w.number(self.size)
            .text(&self.media_type)
            .number(self.uploaded.0);
        w.finish()
    }

    fn decode(key: &[u8], row: &[u8]) -> Result<Self, Damaged> {
        let blob = key.get(5..).and_then(BlobId::from_slice).ok_or(Damaged)?;
        let mut r = Reader::of_version(row, 1)?;
        Ok(Self {
            blob,
            size: r.number()?,
            media_type: r.text()?,
            uploaded: Timestamp(r.number()?),
        })
    }
}

/// An upload under way.
#[derive(Debug)]
pub struct Upload {
    account: AccountId,
    blob: BlobId,
    media_type: String,
    begun: Timestamp,
    pieces: u32,
    size: u64,
    /// What does not fill a piece yet.
    rest: Vec<u8>,
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
        transact(&*self.engine, |txn| -> Result<_, MailboxError> {
            self.check_room(txn, account, most)?;
            // As many pieces as there may be: what is cut off is found, and collected whole.
            let row = BlobRow {
                references: 0,
                size: most,
                unreferenced_since: now,
            };
            txn.put(tables::blob(blob), row.encode());
            txn.put(tables::unreferenced(now, blob), Vec::new());
            Ok(Verdict::Commit(()))
        })?;
        Ok(Upload {
            account,
            blob,
            media_type: media_type.unwrap_or_default().to_owned(),
            begun: now,
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
        self.engine
            .stage_blob_piece(upload.blob, upload.pieces, &upload.rest)?;
        upload.pieces += 1;
        upload.rest.clear();
        Ok(())
    }

    /// Ends an upload: on return it is durable.
    pub fn finish_upload(
        &self,
        mut upload: Upload,
        now: Timestamp,
    ) -> Result<Uploaded, MailboxError> {
        if !upload.rest.is_empty() {
            self.stage_rest(&mut upload)?;
        }
        let uploaded = Uploaded {
            blob: upload.blob,
            size: upload.size,
            media_type: upload.media_type,
            uploaded: now,
        };
        let done = transact(&*self.engine, |txn| -> Result<_, MailboxError> {
            self.check_room(txn, upload.account, uploaded.size)?;
            if txn.get(&tables::blob(upload.blob))?.is_none() {
                // It took so long that it was collected; what came after that is nobody's.
                txn.delete_blob(upload.blob, upload.pieces);
                return Ok(Verdict::Commit(false));
            }
            let row = BlobRow {
                references: 1,
                size: uploaded.size,
                unreferenced_since: Timestamp(0),
            };
            txn.delete(tables::unreferenced(upload.begun, upload.blob));
            txn.put(tables::blob(upload.blob), row.encode());
            let key = tables::upload(upload.account, upload.blob);
            txn.put(key, uploaded.encode());
            Ok(Verdict::Commit(true))
        })?;
        match done {
            true => Ok(uploaded),
            false => Err(StoreError::Busy.into()),
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
        Ok(row.map(|row| Uploaded::decode(&key, &row)).transpose()?)
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

    /// Lets uploads go that are older than a day, at most so many. Answers how many.
    pub fn expire_uploads(&self, now: Timestamp, most: usize) -> Result<usize, MailboxError> {
        let mut gone = 0;
        let mut next = Some(tables::whole(tables::UPLOAD));
        while let (Some(range), true) = (next.take(), gone < most) {
            let page = self.engine.scan(&range, 1_000)?;
            for (key, row) in &page.rows {
                let uploaded = Uploaded::decode(key, row)?;
                if now.millis_since(uploaded.uploaded) >= limits::UPLOAD_LIFETIME_MS && gone < most
                {
                    transact(&*self.engine, |txn| -> Result<_, MailboxError> {
                        if txn.get(key)?.is_some() {
                            txn.delete(key.clone());
                            blob::unlink(txn, uploaded.blob, now)?;
                        }
                        Ok(Verdict::Commit(()))
                    })?;
                    gone += 1;
                }
            }
            next = page.next;
        }
        Ok(gone)
    }
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
