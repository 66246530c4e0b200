//! The octets of a message and their structure, wherever they are: stored, or in memory as what was
//! found within another.
//!
//! Invariant: ranges count from the start of the content; what stands before it for this recipient
//! alone belongs to the header.

use std::ops::Range;
use std::sync::Arc;

use tern_base::AccountId;
use tern_mailbox::{MailboxError, Mailboxes, MessageRow};
use tern_mime::Structure;

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
    Stored(&'a Mailboxes, &'a MessageRow),
    Memory(&'a [u8]),
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
            octets: Octets::Stored(mailboxes, row),
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
    pub(crate) fn read(&self, range: Range<u32>) -> Result<Vec<u8>, MailboxError> {
        let range = u64::from(range.start)..u64::from(range.end);
        match &self.octets {
            Octets::Memory(octets) => {
                let range = range.start as usize..range.end as usize;
                Ok(octets.get(range).unwrap_or_default().to_vec())
            }
            Octets::Stored(mailboxes, row) => {
                let prefix = row.prefix.len() as u64;
                let range = range.start + prefix..range.end + prefix;
                Ok(mailboxes.read(self.account, row, range)?.0)
            }
        }
    }

    /// The message's header, this recipient's fields first.
    pub(crate) fn header(&self, length: u32) -> Result<Vec<u8>, MailboxError> {
        match &self.octets {
            Octets::Memory(_) => self.read(0..length),
            Octets::Stored(mailboxes, row) => {
                let end = row.prefix.len() as u64 + u64::from(length);
                Ok(mailboxes.read(self.account, row, 0..end)?.0)
            }
        }
    }
}
