//! Contents and what is made of them: everything that is kept belongs to something, and nothing is left of
//! what was removed.

use tern_base::BlobId;
use tern_store::{StoreError, limits as store_limits};

use super::Seen;
use crate::rows::BlobRow;
use crate::{MailboxError, Mailboxes, tables};

impl Mailboxes {
    /// Every content is there whole, with as many references as there are, and no octets, structure
    /// or preview are of a content that is not.
    pub(super) fn check_contents(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        self.look_at_each(tables::whole(tables::BLOB), seen, |seen, key, value| {
            self.check_blob(key, value, seen)
        })?;
        let references = std::mem::take(&mut seen.references);
        for (blob, count) in references.into_iter().filter(|(_, count)| *count > 0) {
            seen.fault(format!(
                "content {blob} is missing, with {count} references"
            ));
        }
        self.look_at_each(tables::whole(tables::PARSED), seen, |seen, key, _| {
            let of = key.get(1..).and_then(BlobId::from_slice);
            let row = tables::blob(of.ok_or(StoreError::Damaged)?);
            seen.belongs(key, row, "structure and preview of no content");
            self.ask_some(seen)
        })?;
        let mut after = None;
        loop {
            let page = self.engine.blobs_after(after, store_limits::MAX_PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            let keys: Vec<Vec<u8>> = page.iter().map(|blob| tables::blob(*blob)).collect();
            for (blob, row) in page.iter().zip(self.engine.get_many(&keys)?) {
                if row.is_none() {
                    seen.fault(format!("octets of no content: {blob}"));
                }
            }
        }
    }

    fn check_blob(&self, key: &[u8], value: &[u8], seen: &mut Seen) -> Result<(), MailboxError> {
        let blob = key.get(1..).and_then(BlobId::from_slice);
        let blob = blob.ok_or(StoreError::Damaged)?;
        let expected = seen.references.remove(&blob).unwrap_or(0);
        let row = BlobRow::decode(value)?;
        if row.references != expected {
            seen.fault(format!(
                "content {blob} counts {} references, has {expected}",
                row.references
            ));
        }
        if row.references == 0 {
            let key = tables::unreferenced(row.unreferenced_since, blob);
            if self.engine.get(&key)?.is_none() {
                seen.fault(format!("content {blob} would never be collected"));
            }
            return Ok(());
        }
        if seen.under_way.contains(&blob) {
            return Ok(());
        }
        let mut size = 0;
        for number in 0..row.pieces() {
            let Some(piece) = self.engine.blob_piece(blob, number)? else {
                break;
            };
            size += piece.len() as u64;
        }
        if size != row.size {
            seen.fault(format!("content {blob} has {size} of {} octets", row.size));
        }
        Ok(())
    }
}
