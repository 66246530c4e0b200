//! What a blob id stands for, and downloads (RFC 8620 6.2).
//!
//! Invariant: a download is on record before its first octet leaves, and each piece asks for seals after
//! it was read.

use std::ops::Range;

use tern_base::{AccountId, Timestamp};
use tern_mailbox::{ExposureLevel, MailboxError, Mailboxes, MessageRow, Served, Share};
use tern_mime::{Part, Structure};

use crate::blob_id::{BlobKey, BlobRef};
use crate::email::{Located, within};
use crate::{Caller, Verbs};

/// A blob of a message that is there.
pub(crate) struct Found {
    pub(crate) blob: BlobRef,
    pub(crate) row: MessageRow,
    octets: Octets,
}

enum Octets {
    /// So many of the message as they stand, its prefix included.
    Stored(Range<u64>),
    /// Those of a part whose transfer encoding had to be undone.
    Decoded(Vec<u8>),
}

impl Found {
    /// What an id stands for; `None` where it is the id of nothing, or of what is sealed.
    pub(crate) fn by_id(
        mailboxes: &Mailboxes,
        account: AccountId,
        id: &str,
    ) -> Result<Option<Self>, MailboxError> {
        let key = BlobKey::new(mailboxes.content_key());
        let Some(blob) = BlobRef::parse(&key, account, id) else {
            return Ok(None);
        };
        let row = match mailboxes.message(account, blob.message) {
            Ok(row) => row,
            Err(MailboxError::NoMessage | MailboxError::Sealed) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some((first, deeper)) = blob.paths.split_first() else {
            let octets = Octets::Stored(0..u64::from(row.size));
            return Ok(Some(Self { blob, row, octets }));
        };
        let structure = mailboxes.structure(&row)?;
        let Some(mut octets) = part_of_stored(mailboxes, account, &row, &structure, first)? else {
            return Ok(None);
        };
        for path in deeper {
            let outer = octets.into_vec(mailboxes, account, &row)?;
            match part_of(&outer, path) {
                Some(inner) => octets = Octets::Decoded(inner),
                None => return Ok(None),
            }
        }
        Ok(Some(Self { blob, row, octets }))
    }

    pub(crate) fn size(&self) -> u64 {
        match &self.octets {
            Octets::Stored(range) => range.end - range.start,
            Octets::Decoded(octets) => octets.len() as u64,
        }
    }

    /// All of its octets.
    pub(crate) fn into_octets(
        self,
        mailboxes: &Mailboxes,
        account: AccountId,
    ) -> Result<Vec<u8>, MailboxError> {
        self.octets.into_vec(mailboxes, account, &self.row)
    }
}

impl Octets {
    fn into_vec(
        self,
        mailboxes: &Mailboxes,
        account: AccountId,
        row: &MessageRow,
    ) -> Result<Vec<u8>, MailboxError> {
        match self {
            Self::Stored(range) => Ok(mailboxes.read(account, row, range)?.0),
            Self::Decoded(octets) => Ok(octets),
        }
    }
}

fn part_of_stored(
    mailboxes: &Mailboxes,
    account: AccountId,
    row: &MessageRow,
    structure: &Structure,
    path: &[u32],
) -> Result<Option<Octets>, MailboxError> {
    let view = structure.view();
    let found = view
        .as_ref()
        .and_then(|view| Located::root(&view.body).find(path));
    let Some(part) = found
        .filter(|part| !part.is_multipart())
        .map(|found| found.part)
    else {
        return Ok(None);
    };
    let prefix = row.prefix.len() as u64;
    let range = prefix + u64::from(part.body.start)..prefix + u64::from(part.body.end);
    if tern_mime::is_identity(part) {
        return Ok(Some(Octets::Stored(range)));
    }
    let raw = mailboxes.read(account, row, range)?.0;
    Ok(Some(Octets::Decoded(decoded(part, raw))))
}

fn part_of(message: &[u8], path: &[u32]) -> Option<Vec<u8>> {
    let parsed = tern_mime::parse(message);
    let found = Located::root(&parsed.body).find(path)?;
    let part = found.part;
    let raw = message.get(part.body.start as usize..part.body.end as usize)?;
    (!found.is_multipart()).then(|| decoded(part, raw.to_vec()))
}

/// The octets of a part; as they stand where its encoding is not known.
fn decoded<B: AsRef<[u8]> + Clone>(part: &Part<B>, raw: Vec<u8>) -> Vec<u8> {
    let decoded = tern_mime::decode_part(&within(part, &raw), &raw).map(|it| it.into_owned());
    decoded.unwrap_or(raw)
}

/// A download that is on record, read piece by piece.
pub struct Download {
    account: AccountId,
    found: Found,
}

impl Download {
    /// Begins a download; `None` where there is nothing to download by that id.
    pub fn begin(
        verbs: &Verbs<'_>,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Self>, MailboxError> {
        let (mailboxes, account) = (verbs.mailboxes, caller.account);
        let Some(found) = Found::by_id(mailboxes, account, id)? else {
            return Ok(None);
        };
        let (level, share) = match found.blob.paths.is_empty() {
            true => (ExposureLevel::Downloaded, Share::ALL),
            false => (
                ExposureLevel::Attachment,
                Share::of(&(0..found.size()), found.row.size.into()),
            ),
        };
        let served = Served {
            account,
            message: found.blob.message,
            digest: found.row.digest,
            origin: found.row.origin,
            carries: !found.row.carried.is_empty(),
            level,
            share,
        };
        match mailboxes.record_served(&[served], &caller.viewer(), now) {
            Ok(()) => Ok(Some(Self { account, found })),
            Err(MailboxError::Sealed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many octets.
    pub fn size(&self) -> u64 {
        self.found.size()
    }

    /// Octets of it; a range past its end is cut there. [`MailboxError::Sealed`] once it may not be
    /// served any more.
    pub fn read(&self, verbs: &Verbs<'_>, range: Range<u64>) -> Result<Vec<u8>, MailboxError> {
        let (start, end) = (range.start.min(self.size()), range.end.min(self.size()));
        match &self.found.octets {
            Octets::Stored(all) => {
                let range = all.start + start..all.start + end;
                Ok(verbs
                    .mailboxes
                    .read(self.account, &self.found.row, range)?
                    .0)
            }
            Octets::Decoded(octets) => {
                if verbs.mailboxes.is_sealed(self.account, &self.found.row) {
                    return Err(MailboxError::Sealed);
                }
                let octets = octets.get(start as usize..end as usize);
                Ok(octets.unwrap_or_default().to_vec())
            }
        }
    }
}
