//! What of a copy was served, to whom, and when: written before the octets leave.
//!
//! [`Mailboxes::record_served`] returns when the record is durable; only then may the caller hand
//! the content to a client. A copy whose record says as much already costs no write.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_store::{Transaction, Verdict};

use crate::rows::MessageRow;
use crate::{MailboxError, Mailboxes, tables};

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
    fn from_number(number: u8) -> Result<Self, Damaged> {
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
    /// How much of it.
    pub level: ExposureLevel,
}

/// To whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewer {
    /// `imap`, `jmap`, ...
    pub protocol: &'static str,
    /// The client as it named itself.
    pub client: String,
    /// The peer's address.
    pub address: String,
}

/// Longest client name that is kept, in bytes.
const MAX_CLIENT: usize = 200;

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
        let fresh: Vec<Served> = served
            .iter()
            .copied()
            .filter(|copy| !self.exposed.has(copy.account, copy.message, copy.level))
            .collect();
        for chunk in fresh.chunks(crate::limits::CHUNK) {
            self.record_chunk(chunk, viewer, now)?;
            for copy in chunk {
                self.exposed.enter(copy.account, copy.message, copy.level);
            }
        }
        Ok(())
    }

    fn record_chunk(
        &self,
        chunk: &[Served],
        viewer: &Viewer,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let key = |copy: &Served| tables::exposure(copy.digest, copy.account, copy.message);
        tern_store::transact(&*self.engine, |txn| {
            txn.prefetch(chunk.iter().map(key).collect())?;
            txn.prefetch(chunk.iter().map(|copy| tables::seal(copy.digest)).collect())?;
            for copy in chunk {
                if self.is_sealed_in(txn, copy)? {
                    return Err(MailboxError::Sealed);
                }
                let old = txn
                    .get(&key(copy))?
                    .map(|row| Exposure::decode(&row))
                    .transpose()?;
                if old.is_some_and(|old| old.level >= copy.level) {
                    continue;
                }
                let row = Exposure {
                    level: copy.level,
                    at: now,
                    protocol: viewer.protocol.to_owned(),
                    client: shortened(&viewer.client),
                    address: viewer.address.clone(),
                    origin: copy.origin,
                };
                txn.put(key(copy), row.encode());
            }
            Ok(Verdict::Commit(()))
        })
    }

    /// Whether a copy is under an active seal; the transaction depends on the answer.
    fn is_sealed_in(&self, txn: &mut Transaction<'_>, copy: &Served) -> Result<bool, MailboxError> {
        if txn.get(&tables::seal(copy.digest))?.is_none() {
            return Ok(false);
        }
        let Some(row) = txn.peek(&tables::message(copy.account, copy.message))? else {
            return Ok(true);
        };
        let origin = MessageRow::decode(&row)?.origin;
        Ok(self.is_sealed(copy.digest, copy.account, origin))
    }

    /// What is known of the exposure of every copy of a letter, by account and message.
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

fn shortened(text: &str) -> String {
    text.chars()
        .scan(0, |used, c| {
            *used += c.len_utf8();
            (*used <= MAX_CLIENT).then_some(c)
        })
        .collect()
}
