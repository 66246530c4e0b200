//! What of a copy was served, to whom, and when: written before the octets leave.
//!
//! [`Mailboxes::record_served`] returns when the record is durable; only then may the caller hand
//! the content to a client. It is the one door for every protocol. A copy whose record says as much
//! already, of the same client, costs no write.
//!
//! A record has two rows: the [`Exposure`] is the most that was served, small, so that those of every
//! copy of a letter are quickly read; the [`Ledger`] tells clients apart.
//!
//! A copy that the account's own client brings (APPEND) counts as downloaded from the start: the
//! client has what it brings. A copy that is made of another on the server begins with the record
//! of that one.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_store::{Transaction, Verdict};

use crate::client::{DeviceId, shortened};
use crate::ledger::{Ledger, Share};
use crate::rows::MessageRow;
use crate::{MailboxError, Mailboxes, limits, tables};

/// How much of a copy was served. Later levels include the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExposureLevel {
    /// Header fields: sender, subject, recipients.
    Headers = 1,
    /// The first words.
    Preview = 2,
    /// Text of the body.
    Body = 3,
    /// An attachment.
    Attachment = 4,
    /// The whole message.
    Downloaded = 5,
    /// It left this server.
    Relayed = 6,
}

impl ExposureLevel {
    /// Every level, the least first.
    pub const ALL: [Self; 6] = [
        Self::Headers,
        Self::Preview,
        Self::Body,
        Self::Attachment,
        Self::Downloaded,
        Self::Relayed,
    ];

    pub(crate) fn from_number(number: u8) -> Result<Self, Damaged> {
        Ok(match number {
            1 => Self::Headers,
            2 => Self::Preview,
            3 => Self::Body,
            4 => Self::Attachment,
            5 => Self::Downloaded,
            6 => Self::Relayed,
            _ => return Err(Damaged),
        })
    }

    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Preview => "preview",
            Self::Body => "body",
            Self::Attachment => "attachment",
            Self::Downloaded => "downloaded",
            Self::Relayed => "relayed",
        }
    }
}

/// What is known of a copy's exposure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The most that was served.
    pub level: ExposureLevel,
    /// When that level was first reached.
    pub at: Timestamp,
    /// Over which protocol.
    pub protocol: String,
    /// Which client, as it named itself.
    pub client: String,
    /// From which address.
    pub address: String,
    /// The transaction that brought the copy: what another one brought was another copy.
    pub origin: OriginId,
}

impl Exposure {
    /// What is served at this moment.
    pub(crate) fn now(
        level: ExposureLevel,
        viewer: &Viewer,
        origin: OriginId,
        now: Timestamp,
    ) -> Self {
        Self {
            level,
            at: now,
            protocol: viewer.protocol.to_owned(),
            client: shortened(&viewer.client).to_owned(),
            address: shortened(&viewer.address).to_owned(),
            origin,
        }
    }

    /// The stored form, for tables above that keep a copy of it.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(2);
        w.byte(self.level as u8)
            .number(self.at.0)
            .text(&self.protocol);
        w.text(&self.client)
            .text(&self.address)
            .array(&self.origin.0)
            .finish()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 2)?;
        Ok(Self {
            level: ExposureLevel::from_number(r.byte()?)?,
            at: Timestamp(r.number()?),
            protocol: r.text()?,
            client: r.text()?,
            address: r.text()?,
            origin: OriginId(r.array()?),
        })
    }
}

/// One copy that is about to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The account.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// Its letter.
    pub digest: ContentDigest,
    /// The transaction that brought it.
    pub origin: OriginId,
    /// It carries letters besides being one.
    pub carries: bool,
    /// How telling it is.
    pub level: ExposureLevel,
    /// How much of its octets.
    pub share: Share,
}

/// To whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewer {
    /// `imap`, `jmap`, ...
    pub protocol: &'static str,
    /// The client's name and version, as it gave them.
    pub client: String,
    /// The peer's address.
    pub address: String,
    /// What tells the client from others of the account.
    pub device: DeviceId,
}

impl Viewer {
    /// A short name, for what is remembered of it.
    fn key(&self) -> u64 {
        let text = format!("{} {} {}", self.device, self.protocol, self.address);
        let digest = tern_mime::blob_id(&[0; 32], text.as_bytes());
        digest
            .0
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

impl Mailboxes {
    /// Records that content is about to be served; durable on return. Fails with
    /// [`MailboxError::Sealed`] when any of it was sealed before the record could be made, and
    /// then nothing may be served.
    pub fn record_served(
        &self,
        served: &[Served],
        viewer: &Viewer,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let window = self.exposed.window(viewer.key(), now);
        let fresh: Vec<Served> = served
            .iter()
            .copied()
            .filter(|copy| !window.has(copy))
            .collect();
        let mut rest = &fresh[..];
        while !rest.is_empty() {
            let chunk = rest.get(..limits::CHUNK).unwrap_or(rest);
            let done = self.record_chunk(chunk, viewer, now)?;
            for copy in rest.iter().take(done) {
                window.enter(copy);
            }
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// Records some, and answers how many: as many as fit a transaction.
    fn record_chunk(
        &self,
        chunk: &[Served],
        viewer: &Viewer,
        now: Timestamp,
    ) -> Result<usize, MailboxError> {
        let of = |copy: &Served| (copy.digest, copy.account, copy.message);
        tern_store::transact(&*self.engine, |txn| {
            let mut keys = Vec::with_capacity(chunk.len() * 3);
            for (digest, account, message) in chunk.iter().map(of) {
                keys.push(tables::exposure(digest, account, message));
                keys.push(tables::ledger(digest, account, message));
                keys.push(tables::seal_head(digest));
            }
            txn.prefetch(keys)?;
            let mut done = 0;
            for copy in chunk {
                if txn.size() >= limits::CHUNK_BYTES {
                    break;
                }
                if self.is_sealed_in(txn, copy)? {
                    return Err(MailboxError::Sealed);
                }
                record_one(txn, copy, viewer, now)?;
                done += 1;
            }
            Ok(Verdict::Commit(done))
        })
    }

    /// Whether a copy is under an active seal; the transaction depends on the answer.
    fn is_sealed_in(&self, txn: &mut Transaction<'_>, copy: &Served) -> Result<bool, MailboxError> {
        let own = txn.get(&tables::seal_head(copy.digest))?;
        if own.is_none() && !copy.carries {
            return Ok(false);
        }
        let Some(row) = txn.peek(&tables::message(copy.account, copy.message))? else {
            return Ok(true);
        };
        let row = MessageRow::decode(&row)?;
        for letter in &row.carried {
            txn.get(&tables::seal_head(letter.digest))?;
        }
        Ok(self.is_sealed(copy.account, &row))
    }

    /// Everything that is on record of what was served of one copy, also of one that is gone.
    pub fn ledger(
        &self,
        digest: ContentDigest,
        account: AccountId,
        message: MessageId,
    ) -> Result<Ledger, MailboxError> {
        let row = self.engine.get(&tables::ledger(digest, account, message))?;
        let row = row.map(|row| Ledger::decode(&row)).transpose()?;
        Ok(row.unwrap_or_default())
    }

    /// The most that was served of every copy of a letter, by account and message.
    pub fn exposures(
        &self,
        digest: ContentDigest,
    ) -> Result<Vec<(AccountId, MessageId, Exposure)>, MailboxError> {
        let mut out = Vec::new();
        let mut next = Some(tables::exposures(digest));
        while let Some(range) = next {
            let page = self.engine.scan(&range, tern_store::limits::MAX_PAGE)?;
            for (key, value) in &page.rows {
                let mut parts = tern_store::key::KeyReader::new(key);
                let _digest: Option<[u8; 16]> = parts.array();
                let (account, message) = (parts.u32().ok_or(Damaged)?, parts.u64().ok_or(Damaged)?);
                out.push((
                    AccountId(account),
                    MessageId(message),
                    Exposure::decode(value)?,
                ));
            }
            next = page.next;
        }
        Ok(out)
    }
}

/// Writes both rows of a copy, where they do not say as much already.
fn record_one(
    txn: &mut Transaction<'_>,
    copy: &Served,
    viewer: &Viewer,
    now: Timestamp,
) -> Result<(), MailboxError> {
    let key = tables::ledger(copy.digest, copy.account, copy.message);
    let old = txn.get(&key)?.map(|row| Ledger::decode(&row)).transpose()?;
    let mut ledger = old.unwrap_or_default();
    if ledger.enter(viewer, copy.level, copy.share, now) {
        txn.put(key, ledger.encode());
    }
    let key = tables::exposure(copy.digest, copy.account, copy.message);
    let old = txn
        .get(&key)?
        .map(|row| Exposure::decode(&row))
        .transpose()?;
    if old.is_none_or(|old| old.level < copy.level) {
        let row = Exposure::now(copy.level, viewer, copy.origin, now);
        txn.put(key, row.encode());
    }
    Ok(())
}

/// Records, within the transaction that puts a copy there, that its client has the whole of it.
pub(crate) fn record_brought(
    txn: &mut Transaction<'_>,
    copy: (ContentDigest, AccountId, MessageId),
    origin: OriginId,
    viewer: &Viewer,
    now: Timestamp,
) -> Result<(), MailboxError> {
    let (digest, account, message) = copy;
    let copy = Served {
        account,
        message,
        digest,
        origin,
        carries: false,
        level: ExposureLevel::Downloaded,
        share: Share::ALL,
    };
    record_one(txn, &copy, viewer, now)
}

/// What is on record of one message becomes what is on record of another that is made of it.
pub(crate) fn inherit(
    txn: &mut Transaction<'_>,
    account: AccountId,
    (from, letter): (MessageId, ContentDigest),
    (to, new_letter): (MessageId, ContentDigest),
) -> Result<(), MailboxError> {
    for key in [tables::exposure, tables::ledger] {
        if let Some(row) = txn.get(&key(letter, account, from))? {
            txn.put(key(new_letter, account, to), row);
        }
    }
    Ok(())
}
