//! Reading messages: rows, structure, octets.

use std::ops::Range;
use std::sync::Arc;

use tern_base::codec::Damaged;
use tern_base::{AccountId, BlobId, ContentDigest, MailboxId, MessageId, ThreadId, Uid};
use tern_mime::Structure;
use tern_store::{Range as KeyRange, StoreError, limits as store_limits};

use crate::rows::{AccountHead, CopyRow, MessageRow, PlacementRow};
use crate::{MailboxError, Mailboxes, Sealing, SystemFlag, tables};

/// A message as a session reads it.
pub type MessageFacts = MessageRow;

/// The octets of a message: its prefix, then its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

impl Sealing {
    /// The content of a message, whatever seals it; not to be served to anybody.
    pub fn sealed_content(&self, row: &MessageRow) -> Result<Vec<u8>, MailboxError> {
        self.0.content_of(row)
    }

    /// Whether an account has any copy of a letter in a mailbox.
    pub fn has_copies(
        &self,
        digest: ContentDigest,
        account: AccountId,
    ) -> Result<bool, MailboxError> {
        let page = self.0.engine.scan(&tables::copies_of(digest, account), 1)?;
        Ok(!page.rows.is_empty())
    }
}

impl Mailboxes {
    /// The content of a message without what stands before it for its recipient, whatever seals it.
    pub(crate) fn content_of(&self, row: &MessageRow) -> Result<Vec<u8>, MailboxError> {
        self.read_blob_of(row.blob, row.size.saturating_sub(row.prefix.len() as u32))
    }

    /// The rows of messages, in the order of `ids`: `None` for one that is not there. A sealed
    /// message is [`MailboxError::Sealed`].
    pub fn messages(
        &self,
        account: AccountId,
        ids: &[MessageId],
    ) -> Result<Vec<Option<Result<MessageRow, MailboxError>>>, MailboxError> {
        let decode = |row: &[u8]| -> Result<Result<MessageRow, MailboxError>, Damaged> {
            let row = MessageRow::decode(row)?;
            let sealed = self.is_sealed(account, &row);
            Ok(if sealed {
                Err(MailboxError::Sealed)
            } else {
                Ok(row)
            })
        };
        if let Some(range) = neighbours(account, ids) {
            return self.neighbours(&range, ids, decode);
        }
        let keys: Vec<Vec<u8>> = ids.iter().map(|id| tables::message(account, *id)).collect();
        let rows = self.engine.get_many(&keys)?.into_iter();
        let found: Result<_, Damaged> = rows
            .map(|row| row.as_deref().map(decode).transpose())
            .collect();
        Ok(found?)
    }

    /// The row of one message.
    pub fn message(&self, account: AccountId, id: MessageId) -> Result<MessageRow, MailboxError> {
        let found = self.messages(account, &[id])?.pop().flatten();
        found.unwrap_or(Err(MailboxError::NoMessage))
    }

    /// What `decode` makes of the rows of neighbours, read in one walk over the table: that costs a fraction
    /// of a look-up for each.
    fn neighbours<T>(
        &self,
        range: &KeyRange,
        ids: &[MessageId],
        decode: impl Fn(&[u8]) -> Result<T, Damaged>,
    ) -> Result<Vec<Option<T>>, MailboxError> {
        let mut out = Vec::with_capacity(ids.len());
        let mut wanted = ids.iter().copied().peekable();
        let mut show = |key: &[u8], row: &[u8]| -> Result<(), Damaged> {
            let id = tables::message_of(key).ok_or(Damaged)?;
            while wanted.next_if(|wanted| *wanted < id).is_some() {
                out.push(None);
            }
            if wanted.next_if_eq(&id).is_some() {
                out.push(Some(decode(row)?));
            }
            Ok(())
        };
        let mut shown = Ok(());
        self.engine.visit(range, &mut |key, row| {
            shown = show(key, row);
            shown.is_ok()
        })?;
        shown?;
        out.resize_with(ids.len(), || None);
        Ok(out)
    }

    /// The structure of a message's content. Offsets count from the start of the content: a
    /// message's prefix stands before it.
    pub fn structure(&self, row: &MessageRow) -> Result<Arc<Structure>, MailboxError> {
        self.structure_and_work(row).map(|(structure, _)| structure)
    }

    /// The same, and how many octets it was made of: those of its row, or all of the content where that is too
    /// much for a row.
    pub fn structure_and_work(
        &self,
        row: &MessageRow,
    ) -> Result<(Arc<Structure>, u64), MailboxError> {
        if let Some(structure) = self.structures(&[row])?.pop().flatten() {
            let octets = structure.row_len() as u64;
            return Ok((structure, octets));
        }
        let length = u64::from(row.size) - row.prefix.len() as u64;
        let parsed = tern_mime::parse(&self.read_blob(row, 0..length)?);
        let structure = Arc::new(Structure::of(&parsed));
        self.structures.insert(row.blob, Arc::clone(&structure));
        Ok((structure, length))
    }

    /// The structures of many messages, read together, in the order of `rows`. `None` for one that
    /// is too large for a row: [`Mailboxes::structure`] makes it again from the content.
    pub fn structures(
        &self,
        rows: &[&MessageRow],
    ) -> Result<Vec<Option<Arc<Structure>>>, MailboxError> {
        let cached = rows.iter().map(|row| self.structures.get(&row.blob));
        let mut found: Vec<Option<Arc<Structure>>> = cached.collect();
        let slots = rows.iter().zip(&mut found);
        let missing: Vec<_> = slots.filter(|(_, slot)| slot.is_none()).collect();
        let key = |row: &MessageRow| tables::parsed(row.blob);
        let keys: Vec<Vec<u8>> = missing.iter().map(|(row, _)| key(row)).collect();
        let stored = match keys.as_slice() {
            [] => Vec::new(),
            keys => self.engine.get_many(keys)?,
        };
        for ((row, slot), stored) in missing.into_iter().zip(stored) {
            *slot = stored.and_then(Structure::from_row).map(Arc::new);
            if let Some(structure) = slot {
                self.structures.insert(row.blob, Arc::clone(structure));
            }
        }
        Ok(found)
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
        let mut out = Vec::new();
        if start < end && end > prefix {
            out = self.read_blob(row, start.saturating_sub(prefix)..end - prefix)?;
        }
        if start < end && start < prefix {
            let head = row.prefix.get(start as usize..end.min(prefix) as usize);
            out.splice(..0, head.unwrap_or_default().iter().copied());
        }
        if self.is_sealed(account, row) {
            return Err(MailboxError::Sealed);
        }
        Ok(Body(out))
    }

    /// Octets of a content. `range` must lie within it.
    fn read_blob(&self, row: &MessageRow, range: Range<u64>) -> Result<Vec<u8>, MailboxError> {
        let read = self.read_content(row.blob, range);
        let missing = matches!(read, Err(MailboxError::Store(StoreError::Damaged)));
        // Whoever reads slowly may have the row of a message that is gone, and whose content was
        // collected since: nothing is damaged then.
        if missing && self.engine.get(&tables::blob(row.blob))?.is_none() {
            return Err(MailboxError::NoMessage);
        }
        read
    }

    /// Octets of a content. `range` must lie within it.
    pub(crate) fn read_content(
        &self,
        blob: BlobId,
        range: Range<u64>,
    ) -> Result<Vec<u8>, MailboxError> {
        const PIECE: u64 = store_limits::BLOB_PIECE as u64;
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let number = (at / PIECE) as u32;
            let piece = self
                .engine
                .blob_piece(blob, number)?
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
    pub fn read_blob_of(&self, blob: BlobId, size: u32) -> Result<Vec<u8>, MailboxError> {
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
        self.copy_rows(tables::copies(digest))
    }

    /// Those of one account.
    pub fn copies_in(
        &self,
        account: AccountId,
        digest: ContentDigest,
    ) -> Result<Vec<CopyRow>, MailboxError> {
        self.copy_rows(tables::copies_of(digest, account))
    }

    /// Some of them, the first so many.
    pub fn first_copies(
        &self,
        digest: ContentDigest,
        most: usize,
    ) -> Result<Vec<CopyRow>, MailboxError> {
        let page = self.engine.scan(&tables::copies(digest), most)?;
        let rows = page.rows.iter();
        Ok(rows
            .map(|(key, value)| CopyRow::decode(key, value))
            .collect::<Result<_, _>>()?)
    }

    pub(crate) fn copy_rows(&self, range: KeyRange) -> Result<Vec<CopyRow>, MailboxError> {
        let mut out = Vec::new();
        let mut next = Some(range);
        while let Some(range) = next {
            let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
            for (key, value) in &page.rows {
                out.push(CopyRow::decode(key, value)?);
            }
            next = page.next;
        }
        Ok(out)
    }

    /// The messages of a conversation.
    pub fn thread(
        &self,
        account: AccountId,
        thread: ThreadId,
    ) -> Result<Vec<MessageId>, MailboxError> {
        let id = |key: &[u8]| {
            let mut parts = tern_store::key::KeyReader::new(key);
            let _account_and_thread = (parts.u32(), parts.u64());
            parts.u64().map(MessageId).ok_or(StoreError::Damaged)
        };
        let mut ids = Vec::new();
        let mut next = Some(tables::thread_members(account, thread));
        while let Some(range) = next {
            let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
            for (key, _) in &page.rows {
                ids.push(id(key)?);
            }
            next = page.next;
        }
        Ok(ids)
    }

    /// Whether a message bears a flag in any mailbox, by a look at its own rows alone.
    pub fn bears(
        &self,
        account: AccountId,
        row: &MessageRow,
        flag: SystemFlag,
    ) -> Result<bool, MailboxError> {
        for (mailbox, uid) in &row.placements {
            // It may have been moved since.
            if let Some(placed) = self
                .engine
                .get(&tables::placement(account, *mailbox, *uid))?
                && PlacementRow::decode(&placed)?.flags.has(flag)
            {
                return Ok(true);
            }
        }
        Ok(false)
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

/// Fewer messages than this are looked up one by one.
const FEW: usize = 16;
/// How many ids there may be for each message of a walk. Threads take ids of the same sequence.
const SPARSE: u64 = 4;

/// The range of rows that holds messages which lie close together and in order.
fn neighbours(account: AccountId, ids: &[MessageId]) -> Option<KeyRange> {
    let (first, last) = (ids.first()?, ids.last()?);
    let ascend = ids.is_sorted_by(|a, b| a < b);
    let span = last.0.saturating_sub(first.0);
    if ids.len() < FEW || !ascend || span / SPARSE > ids.len() as u64 {
        return None;
    }
    Some(KeyRange {
        start: tables::message(account, *first),
        end: tables::message(account, MessageId(last.0.saturating_add(1))),
        reverse: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::INBOX;
    use crate::testing::{BOB, bob};

    #[test]
    fn neighbours_are_found_as_one_by_one() {
        let (_, mailboxes) = bob(40);
        let known: Vec<MessageId> = mailboxes
            .view(BOB, INBOX)
            .unwrap()
            .iter()
            .map(|e| e.message)
            .collect();
        let last = known.last().unwrap().0;
        let every: Vec<MessageId> = (0..=last + 3).map(MessageId).collect();
        let backwards: Vec<MessageId> = every.iter().rev().copied().collect();
        let odd: Vec<MessageId> = every.iter().copied().filter(|id| id.0 % 2 == 1).collect();
        for ids in [&known, &every, &odd] {
            assert!(neighbours(BOB, ids).is_some());
        }
        assert!(neighbours(BOB, &backwards).is_none());
        for ids in [&known, &every, &odd, &backwards] {
            let found = mailboxes.messages(BOB, ids).unwrap();
            let alone: Vec<_> = ids
                .iter()
                .map(|id| mailboxes.message(BOB, *id).ok())
                .collect();
            let found: Vec<_> = found
                .into_iter()
                .map(|row| row.and_then(Result::ok))
                .collect();
            assert_eq!(found, alone);
            assert_eq!(
                found.iter().flatten().count(),
                ids.iter().filter(|id| known.contains(id)).count()
            );
        }
    }

    #[test]
    fn structures_come_from_the_store_once_and_in_order() {
        let (_, mailboxes) = bob(40);
        let known: Vec<MessageId> = mailboxes
            .view(BOB, INBOX)
            .unwrap()
            .iter()
            .map(|e| e.message)
            .collect();
        let rows: Vec<MessageRow> = known
            .iter()
            .map(|id| mailboxes.message(BOB, *id).unwrap())
            .collect();
        // Some are at hand already.
        mailboxes.structure(&rows[7]).unwrap();
        mailboxes.structure(&rows[30]).unwrap();
        let rows: Vec<&MessageRow> = rows.iter().collect();
        for _ in 0..2 {
            let found = mailboxes.structures(&rows).unwrap();
            for (number, structure) in found.iter().enumerate() {
                let envelope = structure.as_ref().unwrap().envelope().unwrap();
                assert_eq!(envelope.subject, Some(number.to_string().as_bytes()));
            }
        }
    }
}
