//! What a blob id stands for, and downloads (RFC 8620 6.2).
//!
//! Invariant: a download is on record before its first octet leaves, and each piece asks for seals after
//! it was read. What a client uploaded itself is no exposure: it has it. What is read of a blob within a
//! request is taken from its work before.

use std::ops::Range;

use tern_base::{AccountId, Timestamp};
use tern_mailbox::{ExposureLevel, MailboxError, Mailboxes, MessageRow, Served, Share, Uploaded};
use tern_mime::Part;

use crate::blob_id::{BlobKey, BlobRef, Whole};
use crate::budget::{Unread, Work};
use crate::context::Context;
use crate::email::{Located, within};
use crate::scope::Scope;
use crate::{Caller, Verbs, limits};

/// A blob that is there.
pub(crate) struct Found {
    account: AccountId,
    pub(crate) blob: BlobRef,
    source: Source,
    octets: Octets,
    /// Where in the whole the outermost part stands, as it is encoded there.
    raw: Range<u64>,
}

/// What the blob is, or is a part of.
enum Source {
    Message(MessageRow),
    Upload(Uploaded),
}

enum Octets {
    /// So many of the whole as they stand, of a message its prefix included.
    Stored(Range<u64>),
    /// Those of a part whose transfer encoding had to be undone.
    Decoded(Vec<u8>),
}

impl Source {
    /// `None` where there is nothing that is seen, or what there is is sealed.
    fn find(
        mailboxes: &Mailboxes,
        scope: &Scope,
        whole: Whole,
    ) -> Result<Option<Self>, MailboxError> {
        match whole {
            // RFC 8620 6.1: whoever uploaded it finds it, whatever account it is for, and nobody else.
            Whole::Upload(blob) => Ok(mailboxes.uploaded(scope.caller, blob)?.map(Self::Upload)),
            Whole::Message(message) => match mailboxes.message(scope.account, message) {
                Ok(row) => Ok(scope.sees(&row).then_some(Self::Message(row))),
                Err(MailboxError::NoMessage | MailboxError::Sealed) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Message(row) => row.size.into(),
            Self::Upload(uploaded) => uploaded.size,
        }
    }

    fn read(
        &self,
        mailboxes: &Mailboxes,
        account: AccountId,
        range: Range<u64>,
    ) -> Result<Vec<u8>, MailboxError> {
        match self {
            Self::Message(row) => Ok(mailboxes.read(account, row, range)?.0),
            Self::Upload(uploaded) => mailboxes.read_upload(uploaded, range),
        }
    }

    /// The part at a path, decoded where `decode` says; `None` where there is none, or it is made of parts.
    fn part(
        &self,
        (mailboxes, account): (&Mailboxes, AccountId),
        work: &mut Work,
        path: &[u32],
        decode: bool,
    ) -> Result<Option<(Range<u64>, Octets)>, Unread> {
        let read = |range: Range<u64>| self.read(mailboxes, account, range);
        match self {
            Self::Message(row) => {
                work.take(limits::WORK_PER_READ)?;
                let structure = mailboxes.structure(row)?;
                let view = structure.view();
                let root = view.as_ref().map(|view| Located::root(&view.body));
                let found = root.and_then(|root| root.find(path));
                part_within(found, row.prefix.len() as u64, work, decode, read)
            }
            Self::Upload(uploaded) => {
                let of = (uploaded.blob, uploaded.size);
                let parsed = work.parsed(of, || Ok::<_, Unread>(read(0..self.size())?))?;
                let found = Located::root(&parsed.body).find(path);
                part_within(found, 0, work, decode, read)
            }
        }
    }
}

impl Found {
    /// What an id stands for; `None` where it is the id of nothing, or of what is sealed.
    pub(crate) fn by_id(
        mailboxes: &Mailboxes,
        work: &mut Work,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Self>, Unread> {
        Self::find(mailboxes, work, scope, id, true)
    }

    /// What the blob of an id is, or is a part of, where there is one.
    pub(crate) fn whole_of(
        mailboxes: &Mailboxes,
        work: &mut Work,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Whole>, Unread> {
        let found = Self::find(mailboxes, work, scope, id, false)?;
        Ok(found.map(|found| found.blob.whole))
    }

    /// Without `decode` its octets are not those of the blob.
    fn find(
        mailboxes: &Mailboxes,
        work: &mut Work,
        scope: &Scope,
        id: &str,
        decode: bool,
    ) -> Result<Option<Self>, Unread> {
        let account = scope.account;
        let key = BlobKey::new(mailboxes.content_key());
        let Some(blob) = BlobRef::parse(&key, account, id) else {
            return Ok(None);
        };
        let Some(source) = Source::find(mailboxes, scope, blob.whole)? else {
            return Ok(None);
        };
        let mut raw = 0..source.size();
        let mut octets = Octets::Stored(raw.clone());
        for (depth, path) in blob.paths.iter().enumerate() {
            let decode = decode || depth + 1 < blob.paths.len();
            let inner = match depth {
                0 => source.part((mailboxes, account), work, path, decode)?,
                _ => {
                    // Read, parsed and decoded.
                    work.take(3 * octets.len())?;
                    let outer = octets.into_vec(mailboxes, account, &source)?;
                    let part = part_of(&outer, path).map(Octets::Decoded);
                    part.map(|part| (raw, part))
                }
            };
            match inner {
                Some(inner) => (raw, octets) = inner,
                None => return Ok(None),
            }
        }
        Ok(Some(Self {
            account,
            blob,
            source,
            octets,
            raw,
        }))
    }

    /// What the caller uploaded, where it is that or a part of it.
    pub(crate) const fn as_upload(&self) -> Option<&BlobRef> {
        match self.source {
            Source::Upload(_) => Some(&self.blob),
            Source::Message(_) => None,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.octets.len()
    }

    /// The media type that it was uploaded with, or that of a message.
    pub(crate) fn media_type(&self) -> Option<&str> {
        match &self.source {
            _ if !self.blob.paths.is_empty() => None,
            Source::Upload(uploaded) => Some(&uploaded.media_type),
            Source::Message(_) => Some("message/rfc822"),
        }
    }

    /// Puts on record that it is about to be served. [`MailboxError::Sealed`] where it may not be.
    pub(crate) fn record(
        &self,
        mailboxes: &Mailboxes,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let (Source::Message(row), Whole::Message(message)) = (&self.source, self.blob.whole)
        else {
            return Ok(());
        };
        let (level, share) = match self.blob.paths.is_empty() {
            true => (ExposureLevel::Downloaded, Share::ALL),
            false => {
                let share = Share::of(&self.raw, row.size.into());
                (ExposureLevel::Attachment, share)
            }
        };
        let served = Served::of((self.account, message), row, level, share);
        mailboxes.record_served(&[served], &caller.viewer_in(self.account), now)
    }

    /// Whether it may not be served any more.
    pub(crate) fn is_sealed(&self, mailboxes: &Mailboxes) -> bool {
        match &self.source {
            Source::Message(row) => mailboxes.is_sealed(self.account, row),
            Source::Upload(_) => false,
        }
    }

    /// Octets of it; a range past its end is cut there.
    pub(crate) fn read(
        &self,
        mailboxes: &Mailboxes,
        work: &mut Work,
        range: Range<u64>,
    ) -> Result<Vec<u8>, Unread> {
        let end = range.end.min(self.size());
        work.take(end.saturating_sub(range.start))?;
        Ok(self.read_uncounted(mailboxes, range)?)
    }

    fn read_uncounted(
        &self,
        mailboxes: &Mailboxes,
        range: Range<u64>,
    ) -> Result<Vec<u8>, MailboxError> {
        let account = self.account;
        let (start, end) = (range.start.min(self.size()), range.end.min(self.size()));
        match &self.octets {
            Octets::Stored(all) => {
                self.source
                    .read(mailboxes, account, all.start + start..all.start + end)
            }
            Octets::Decoded(_) if self.is_sealed(mailboxes) => Err(MailboxError::Sealed),
            Octets::Decoded(octets) => {
                let octets = octets.get(start as usize..end as usize);
                Ok(octets.unwrap_or_default().to_vec())
            }
        }
    }

    /// All of its octets for the account's own use: what is put into another message or mailbox has
    /// been served.
    pub(crate) fn take(&self, cx: &mut Context<'_>) -> Result<Vec<u8>, Unread> {
        let mailboxes = cx.verbs.mailboxes;
        cx.answer.hold(self.size())?;
        self.record(mailboxes, cx.caller, cx.now)?;
        self.read_all(mailboxes, &mut cx.work)
    }

    /// All of its octets.
    pub(crate) fn read_all(
        &self,
        mailboxes: &Mailboxes,
        work: &mut Work,
    ) -> Result<Vec<u8>, Unread> {
        self.read(mailboxes, work, 0..self.size())
    }
}

impl Octets {
    const fn len(&self) -> u64 {
        match self {
            Self::Stored(range) => range.end - range.start,
            Self::Decoded(octets) => octets.len() as u64,
        }
    }

    fn into_vec(
        self,
        mailboxes: &Mailboxes,
        account: AccountId,
        source: &Source,
    ) -> Result<Vec<u8>, MailboxError> {
        match self {
            Self::Stored(range) => source.read(mailboxes, account, range),
            Self::Decoded(octets) => Ok(octets),
        }
    }
}

/// A part of what is stored, whose content begins behind a prefix.
fn part_within<B: AsRef<[u8]> + Clone>(
    found: Option<Located<'_, B>>,
    prefix: u64,
    work: &mut Work,
    decode: bool,
    read: impl Fn(Range<u64>) -> Result<Vec<u8>, MailboxError>,
) -> Result<Option<(Range<u64>, Octets)>, Unread> {
    let found = found.filter(|part| !part.is_multipart());
    let Some(part) = found.map(|found| found.part) else {
        return Ok(None);
    };
    let range = prefix + u64::from(part.body.start)..prefix + u64::from(part.body.end);
    if !decode || tern_mime::is_identity(part) {
        return Ok(Some((range.clone(), Octets::Stored(range))));
    }
    work.take(2 * (range.end - range.start))?;
    let raw = read(range.clone())?;
    Ok(Some((range, Octets::Decoded(decoded(part, raw)))))
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

/// How many octets a download would have, of which nothing is served; `None` where there is nothing to
/// download by that id.
pub fn download_size(
    verbs: &Verbs<'_>,
    caller: &Caller,
    (account, id): (&str, &str),
) -> Result<Option<u64>, MailboxError> {
    let found = find_to_download(verbs, caller, (account, id))?;
    Ok(found.map(|found| found.size()))
}

/// How many octets are in memory at most while a download is begun, or its size found out: of a part, as it
/// stands and decoded. No more are set aside than for anything else that is held whole.
pub fn download_needs(
    verbs: &Verbs<'_>,
    caller: &Caller,
    (account, id): (&str, &str),
) -> Result<u64, MailboxError> {
    let mailboxes = verbs.mailboxes;
    let Some(scope) = Scope::by_id(verbs, caller, account)? else {
        return Ok(0);
    };
    let key = BlobKey::new(mailboxes.content_key());
    let blob = BlobRef::parse(&key, scope.account, id).filter(|blob| !blob.paths.is_empty());
    let Some(blob) = blob else {
        return Ok(0);
    };
    let Some(source) = Source::find(mailboxes, &scope, blob.whole)? else {
        return Ok(0);
    };
    let octets = match (&source, blob.paths.as_slice()) {
        (Source::Message(_), [path]) => {
            let of = (mailboxes, scope.account);
            let part = source.part(of, &mut Work::default(), path, false);
            part.ok()
                .flatten()
                .map_or(0, |(raw, _)| raw.end - raw.start)
        }
        // An upload is read whole for its structure, and what is within a part is in that.
        _ => source.size(),
    };
    Ok((2 * octets).min(limits::MAX_HOLD))
}

fn find_to_download(
    verbs: &Verbs<'_>,
    caller: &Caller,
    (account, id): (&str, &str),
) -> Result<Option<Found>, MailboxError> {
    let Some(scope) = Scope::by_id(verbs, caller, account)? else {
        return Ok(None);
    };
    let found = Found::by_id(verbs.mailboxes, &mut Work::default(), &scope, id);
    match found {
        Ok(found) => Ok(found.filter(|found| !found.is_sealed(verbs.mailboxes))),
        // It is too deep within others to be there; nothing is held for it.
        Err(Unread::TooMuch | Unread::NoMemory) => Ok(None),
        Err(Unread::Mailbox(error)) => Err(error),
    }
}

/// A download that is on record, read piece by piece.
pub struct Download {
    caller: Caller,
    found: Found,
}

impl Download {
    /// Begins a download from an account; `None` where there is nothing to download by that id.
    pub fn begin(
        verbs: &Verbs<'_>,
        caller: &Caller,
        of: (&str, &str),
        now: Timestamp,
    ) -> Result<Option<Self>, MailboxError> {
        let Some(found) = find_to_download(verbs, caller, of)? else {
            return Ok(None);
        };
        match found.record(verbs.mailboxes, caller, now) {
            Ok(()) => Ok(Some(Self {
                caller: caller.clone(),
                found,
            })),
            Err(MailboxError::Sealed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many octets.
    pub fn size(&self) -> u64 {
        self.found.size()
    }

    /// How many octets it holds for as long as it is there: those of a part whose transfer encoding had to
    /// be undone.
    pub fn held(&self) -> u64 {
        match &self.found.octets {
            Octets::Stored(_) => 0,
            Octets::Decoded(octets) => octets.len() as u64,
        }
    }

    /// Octets of it; a range past its end is cut there. An error once it may not be served any more.
    pub fn read(&self, verbs: &Verbs<'_>, range: Range<u64>) -> Result<Vec<u8>, MailboxError> {
        let octets = self.found.read_uncounted(verbs.mailboxes, range)?;
        self.may_still(verbs)?;
        Ok(octets)
    }

    /// Whether its reader still has the right to it: asked for each piece, since it may have been taken
    /// away, or the message moved from under them.
    fn may_still(&self, verbs: &Verbs<'_>) -> Result<(), MailboxError> {
        let account = self.found.account;
        let Source::Message(_) = &self.found.source else {
            return Ok(());
        };
        if account == self.caller.account {
            return Ok(());
        }
        let scope = Scope::of(verbs, &self.caller, account)?;
        let scope = scope.ok_or(MailboxError::NoMessage)?;
        let found = Source::find(verbs.mailboxes, &scope, self.found.blob.whole)?;
        found.map(drop).ok_or(MailboxError::NoMessage)
    }
}
