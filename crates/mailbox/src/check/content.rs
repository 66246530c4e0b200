//! Contents and what is made of them: everything that is kept belongs to something, and nothing is left of
//! what was removed.

use std::collections::BTreeSet;

use tern_base::BlobId;
use tern_store::limits as store_limits;

use super::Seen;
use crate::{MailboxError, Mailboxes, tables};

impl Mailboxes {
    /// Every content is there whole, with as many references as there are, and no octets, structure
    /// or preview are of a content that is not.
    pub(super) fn check_contents(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        let known = self.check_blobs(seen)?;
        for (key, _) in self.rows(tables::whole(tables::PARSED))? {
            let of = key.get(1..).and_then(BlobId::from_slice);
            if !of.is_some_and(|blob| known.contains(&blob)) {
                seen.fault(format!("structure and preview of no content: {key:02x?}"));
            }
        }
        let mut after = None;
        loop {
            let page = self.engine.blobs_after(after, store_limits::MAX_PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(*last);
            for blob in page.iter().filter(|blob| !known.contains(blob)) {
                seen.fault(format!("octets of no content: {blob}"));
            }
        }
    }

    fn check_blobs(&self, seen: &mut Seen) -> Result<BTreeSet<BlobId>, MailboxError> {
        let mut known = BTreeSet::new();
        let mut references = std::mem::take(&mut seen.references);
        for (blob, row) in self.blob_rows()? {
            known.insert(blob);
            let expected = references.remove(&blob).unwrap_or(0);
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
                continue;
            }
            if seen.under_way.contains(&blob) {
                continue;
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
        }
        for (blob, count) in references.into_iter().filter(|(_, count)| *count > 0) {
            seen.fault(format!(
                "content {blob} is missing, with {count} references"
            ));
        }
        Ok(known)
    }
}
