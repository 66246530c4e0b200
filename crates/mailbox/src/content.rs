//! Reading messages: rows, structure, octets.

use std::ops::Range;
use std::sync::Arc;

use tern_base::{AccountId, ContentDigest, MailboxId, MessageId, Uid};
use tern_mime::ParsedMessage;
use tern_store::{StoreError, limits as store_limits};

use crate::rows::{AccountHead, CopyRow, MessageRow};
use crate::{MailboxError, Mailboxes, tables};

/// A message as a session reads it.
pub type MessageFacts = MessageRow;

/// The octets of a message: its prefix, then its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

impl Mailboxes {
    /// The rows of messages, in the order of `ids`: `None` for one that is not there. A sealed
    /// message is [`MailboxError::Sealed`].
    pub fn messages(
        &self,
        account: AccountId,
        ids: &[MessageId],
    ) -> Result<Vec<Option<Result<MessageRow, MailboxError>>>, MailboxError> {
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| tables::message(account, *id)).collect();
        let rows = self.engine.get_many(&keys)?;
        let decode = |row: Vec<u8>| -> Result<Result<MessageRow, MailboxError>, MailboxError> {
            let row = MessageRow::decode(&row)?;
            let sealed = self.is_sealed(row.digest, account, row.origin);
            Ok(if sealed {
                Err(MailboxError::Sealed)
            } else {
                Ok(row)
            })
        };
        rows.into_iter()
            .map(|row| row.map(decode).transpose())
            .collect()
    }

    /// The row of one message.
    pub fn message(&self, account: AccountId, id: MessageId) -> Result<MessageRow, MailboxError> {
        let found = self.messages(account, &[id])?.pop().flatten();
        found.unwrap_or(Err(MailboxError::NoMessage))
    }

    /// The structure of a message's content. Offsets count from the start of the content: a
    /// message's prefix stands before it.
    pub fn structure(&self, row: &MessageRow) -> Result<Arc<ParsedMessage>, MailboxError> {
        if let Some(parsed) = self.parsed.get(&row.blob) {
            return Ok(parsed);
        }
        let stored = self.engine.get(&tables::parsed(row.blob))?;
        let parsed = match stored.as_deref().and_then(tern_mime::decode) {
            Some(parsed) => parsed,
            // Too large for a row: parsed again from the content.
            None => {
                let length = u64::from(row.size) - row.prefix.len() as u64;
                tern_mime::parse(&self.read_blob(row, 0..length)?)
            }
        };
        let parsed = Arc::new(parsed);
        self.parsed.insert(row.blob, Arc::clone(&parsed));
        Ok(parsed)
    }

    /// Octets of a message, prefix included; a range past its end is cut there. Answers
    /// [`MailboxError::Sealed`] if the letter was sealed by the time the octets were read.
    pub fn read(
        &self,
        account: AccountId,
        row: &MessageRow,
        range: Range<u64>,
    ) -> Result<Body, MailboxError> {
        let size = u64::from(row.size);
        let prefix = row.prefix.len() as u64;
        let (start, end) = (range.start.min(size), range.end.min(size));
        let mut out = Vec::with_capacity(end.saturating_sub(start) as usize);
        if start < end && start < prefix {
            let head = row.prefix.get(start as usize..end.min(prefix) as usize);
            out.extend_from_slice(head.unwrap_or_default());
        }
        if start < end && end > prefix {
            out.extend(self.read_blob(row, start.saturating_sub(prefix)..end - prefix)?);
        }
        if self.is_sealed(row.digest, account, row.origin) {
            return Err(MailboxError::Sealed);
        }
        Ok(Body(out))
    }

    /// Octets of a content. `range` must lie within it.
    fn read_blob(&self, row: &MessageRow, range: Range<u64>) -> Result<Vec<u8>, MailboxError> {
        const PIECE: u64 = store_limits::BLOB_PIECE as u64;
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let number = (at / PIECE) as u32;
            let piece = self
                .engine
                .blob_piece(row.blob, number)?
                .ok_or(StoreError::Damaged)?;
            let from = (at % PIECE) as usize;
            let to = piece
                .len()
                .min((range.end - u64::from(number) * PIECE) as usize);
            if from == 0 && to == piece.len() && out.is_empty() {
                out = piece;
            } else {
                out.extend_from_slice(piece.get(from..to).ok_or(StoreError::Damaged)?);
            }
            at = (u64::from(number) + 1) * PIECE;
        }
        Ok(out)
    }

    /// The octets of a content that another table refers to (the queue).
    pub fn read_blob_of(
        &self,
        blob: tern_base::BlobId,
        size: u32,
    ) -> Result<Vec<u8>, MailboxError> {
        let mut out = Vec::with_capacity(size as usize);
        let mut number = 0;
        while out.len() < size as usize {
            let piece = self
                .engine
                .blob_piece(blob, number)?
                .ok_or(StoreError::Damaged)?;
            out.extend_from_slice(&piece);
            number += 1;
        }
        Ok(out)
    }

    /// An account's counters.
    pub fn account_head(&self, account: AccountId) -> Result<AccountHead, MailboxError> {
        let row = self
            .engine
            .get(&tables::account(account))?
            .ok_or(MailboxError::NoAccount)?;
        Ok(AccountHead::decode(&row)?)
    }

    /// Every copy of a letter that is in a mailbox, by account and message.
    pub fn copies(&self, digest: ContentDigest) -> Result<Vec<CopyRow>, MailboxError> {
        let mut out = Vec::new();
        let mut next = Some(tables::copies(digest));
        while let Some(range) = next {
            let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
            for (key, value) in &page.rows {
                out.push(CopyRow::decode(key, value)?);
            }
            next = page.next;
        }
        Ok(out)
    }

    /// Whether a copy of a letter is in a mailbox.
    pub fn has_copy(
        &self,
        digest: ContentDigest,
        account: AccountId,
        message: MessageId,
    ) -> Result<bool, MailboxError> {
        let row = self.engine.get(&tables::copy(digest, account, message))?;
        Ok(row.is_some())
    }

    /// Where a message is shown.
    pub fn placements(
        &self,
        account: AccountId,
        id: MessageId,
    ) -> Result<Vec<(MailboxId, Uid)>, MailboxError> {
        self.message(account, id).map(|row| row.placements)
    }
}
