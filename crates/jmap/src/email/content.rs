//! The octets of a message and their structure, wherever they are: stored, or in memory as what was
//! found within another.
//!
//! Invariant: ranges count from the start of the content; what stands before it for this recipient
//! alone belongs to the header. What is stored as one piece is read once, whatever is taken of it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use tern_base::AccountId;
use tern_mailbox::{MailboxError, Mailboxes, MessageRow};
use tern_mime::Structure;
use tern_store::limits::BLOB_PIECE;

use crate::blob_id::{BlobKey, BlobRef};

/// A message that is read.
pub(crate) struct Content<'a> {
    octets: Octets<'a>,
    pub(crate) structure: Arc<Structure>,
    /// Its blob, where it has one.
    pub(crate) blob: BlobRef,
    key: BlobKey,
    account: AccountId,
}

enum Octets<'a> {
    Stored(Stored<'a>),
    Memory(&'a [u8]),
}

/// A message in the store.
struct Stored<'a> {
    mailboxes: &'a Mailboxes,
    account: AccountId,
    row: &'a MessageRow,
    /// All of it, once something was read of a message that is one piece: the store reads the whole
    /// piece for any range.
    whole: OnceCell<Vec<u8>>,
}

impl Stored<'_> {
    /// Octets of it, prefix included.
    fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, MailboxError> {
        let size = u64::from(self.row.size);
        if size > BLOB_PIECE as u64 {
            let read = self.mailboxes.read(self.account, self.row, range)?;
            return Ok(Cow::Owned(read.0));
        }
        let whole = match self.whole.get() {
            Some(whole) => whole,
            None => {
                let read = self.mailboxes.read(self.account, self.row, 0..size)?.0;
                self.whole.get_or_init(|| read)
            }
        };
        let range = range.start as usize..range.end as usize;
        Ok(Cow::Borrowed(whole.get(range).unwrap_or_default()))
    }
}

impl<'a> Content<'a> {
    /// A message of an account.
    pub(crate) fn stored(
        mailboxes: &'a Mailboxes,
        account: AccountId,
        row: &'a MessageRow,
        blob: BlobRef,
        structure: Arc<Structure>,
    ) -> Self {
        Self {
            octets: Octets::Stored(Stored {
                mailboxes,
                account,
                row,
                whole: OnceCell::new(),
            }),
            structure,
            blob,
            key: BlobKey::new(mailboxes.content_key()),
            account,
        }
    }

    /// Octets that were found in a blob.
    pub(crate) fn in_memory(
        mailboxes: &Mailboxes,
        account: AccountId,
        octets: &'a [u8],
        blob: BlobRef,
    ) -> Self {
        Self {
            structure: Arc::new(Structure::of(&tern_mime::parse(octets))),
            octets: Octets::Memory(octets),
            blob,
            key: BlobKey::new(mailboxes.content_key()),
            account,
        }
    }

    /// The id of its blob.
    pub(crate) fn blob_id(&self) -> String {
        self.blob.id(&self.key, self.account)
    }

    /// The id of a part's blob.
    pub(crate) fn part_blob_id(&self, path: &[u32]) -> String {
        self.blob.part(path).id(&self.key, self.account)
    }

    /// Octets of the content.
    pub(crate) fn read(&self, range: Range<u32>) -> Result<Cow<'_, [u8]>, MailboxError> {
        match &self.octets {
            Octets::Memory(octets) => {
                let range = range.start as usize..range.end as usize;
                Ok(Cow::Borrowed(octets.get(range).unwrap_or_default()))
            }
            Octets::Stored(stored) => {
                let prefix = stored.row.prefix.len() as u64;
                stored.read(u64::from(range.start) + prefix..u64::from(range.end) + prefix)
            }
        }
    }

    /// The message's header, this recipient's fields first.
    pub(crate) fn header(&self, length: u32) -> Result<Cow<'_, [u8]>, MailboxError> {
        match &self.octets {
            Octets::Memory(_) => self.read(0..length),
            Octets::Stored(stored) => {
                stored.read(0..stored.row.prefix.len() as u64 + u64::from(length))
            }
        }
    }
}
