//! What of a copy was served, to whom, and when: what is asked of it.
//!
//! What is on record lies by account and *block* of neighbouring messages, so that a fetch of many
//! messages writes few rows: the [`Roll`] of a block has the most that was served of each message, and
//! each client a [`Sheet`](crate::sheet::Sheet) with all that it was served. Which letter a message is
//! follows from the message: the copies of a letter are found by its index, and what is on record of each
//! by its block. Of a copy that is in no mailbox any more, and of those of a letter that came to many
//! at once ([`crate::wide`]), the most that was served has a row of its own, by letter
//! ([`tables::exposure`]).
//!
//! It is written in [`crate::record`].

use std::collections::{BTreeMap, BTreeSet};
use tern_base::codec::{Damaged, Reader, Writer};

use tern_base::{AccountId, ContentDigest, MessageId, OriginId, Timestamp};
use tern_store::limits::MAX_PAGE;

use crate::client::{DeviceId, shortened};
use crate::ledger::{Ledger, Share};
use crate::roll::{ClientKey, Most, OTHERS, Roll};
use crate::sheet::Sheet;
use crate::slots::{Slots, block_of};
use crate::{CopyRow, MailboxError, MessageRow, Sealing, tables};

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

/// The layout of an [`Exposure`].
const EXPOSURE_VERSION: u8 = 2;

impl Exposure {
    /// What the roll of a block and the sheet of a client say of a copy.
    pub(crate) fn of(most: Most, sheet: &Sheet, origin: OriginId) -> Self {
        Self {
            level: most.level,
            at: most.at,
            protocol: sheet.protocol.clone(),
            client: sheet.client.clone(),
            address: sheet.address.clone(),
            origin,
        }
    }

    /// The stored form, for tables above that keep a copy of it.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(EXPOSURE_VERSION);
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
        let mut r = Reader::of_version(bytes, EXPOSURE_VERSION)?;
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

impl Served {
    /// So much of the message that a row is of.
    pub fn of(
        (account, message): (AccountId, MessageId),
        row: &MessageRow,
        level: ExposureLevel,
        share: Share,
    ) -> Self {
        Self {
            account,
            message,
            digest: row.digest,
            origin: row.origin,
            carries: !row.carried.is_empty(),
            level,
            share,
        }
    }
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
    /// A short name, by which it is told apart on record and in what is remembered of that. Somebody who
    /// reads another's mail has one, whatever their client calls itself: with a new name each time they
    /// would use up the room in which the owner's clients, and themselves, are told apart.
    pub(crate) fn key(&self) -> ClientKey {
        let mut w = Writer::default();
        match self.device.reader() {
            Some(reader) => w.text("reader").number(reader.0.into()),
            None => w
                .array(&self.device.0)
                .text(self.protocol)
                .text(shortened(&self.client))
                .text(shortened(&self.address)),
        };
        let digest = tern_mime::blob_id(&[0; 32], &w.finish());
        digest.0.first_chunk().copied().unwrap_or_default()
    }
}

impl Sealing {
    /// Everything that is on record of what was served of one copy, also of one that is gone.
    pub fn ledger(&self, account: AccountId, message: MessageId) -> Result<Ledger, MailboxError> {
        let found = self.ledgers(&[(account, message)])?.pop();
        Ok(found.unwrap_or_default())
    }

    /// The same of many, in their order. What is read of them has to fit into memory: of each a row, and one
    /// for each client that the block of its message has.
    pub fn ledgers(&self, copies: &[(AccountId, MessageId)]) -> Result<Vec<Ledger>, MailboxError> {
        let roll = |(account, message): &(AccountId, MessageId)| {
            tables::roll(*account, block_of(*message))
        };
        let rolls: Vec<Vec<u8>> = copies.iter().map(roll).collect();
        let (mut sheets, mut keys) = (Vec::new(), Vec::new());
        let mut ledgers: Vec<Ledger> = Vec::with_capacity(copies.len());
        for ((account, message), row) in copies.iter().zip(self.0.engine.get_many(&rolls)?) {
            let roll = Roll::decoded(row.as_deref())?;
            if roll.most.get(Slots::of(*message)).is_some() {
                for client in roll.sheets() {
                    sheets.push((ledgers.len(), client, Slots::of(*message)));
                    keys.push(tables::sheet(*account, block_of(*message), client));
                }
            }
            ledgers.push(Ledger::default());
        }
        for ((n, client, slot), row) in sheets.into_iter().zip(self.0.engine.get_many(&keys)?) {
            let (Some(row), Some(ledger)) = (row, ledgers.get_mut(n)) else {
                continue;
            };
            let serving = Sheet::decode(&row)?.serving(slot);
            match client {
                OTHERS => ledger.others = serving,
                _ => ledger.servings.extend(serving),
            }
        }
        for ledger in &mut ledgers {
            ledger.servings.sort_by_key(crate::Serving::first);
        }
        Ok(ledgers)
    }

    /// The most that was served of every copy of a letter, by account and message.
    pub fn exposures(
        &self,
        digest: ContentDigest,
    ) -> Result<Vec<(AccountId, MessageId, Exposure)>, MailboxError> {
        // Those in mailboxes first: of one that goes meanwhile there is a row below.
        let copies = match self.0.is_wide(digest)? {
            true => Vec::new(),
            false => self.0.copies(digest)?,
        };
        let of_copies = self.exposures_of(&copies)?;
        let mut all = BTreeMap::new();
        let mut next = Some(tables::exposures(digest));
        while let Some(range) = next {
            let page = self.0.engine.scan(&range, MAX_PAGE)?;
            for (key, value) in &page.rows {
                let mut parts = tern_store::key::KeyReader::new(key);
                let _digest: Option<[u8; 16]> = parts.array();
                let (account, message) = (parts.u32().ok_or(Damaged)?, parts.u64().ok_or(Damaged)?);
                let exposure = Exposure::decode(value)?;
                all.insert((AccountId(account), MessageId(message)), exposure);
            }
            next = page.next;
        }
        // One that was put back has had such a row, and may have been served since.
        for (copy, exposure) in copies.iter().zip(of_copies) {
            if let Some(exposure) = exposure {
                all.insert((copy.account, copy.message), exposure);
            }
        }
        let of = |((account, message), exposure)| (account, message, exposure);
        Ok(all.into_iter().map(of).collect())
    }

    /// What was served of these copies: of a carrier what was served of the whole of it.
    pub fn exposures_of(&self, copies: &[CopyRow]) -> Result<Vec<Option<Exposure>>, MailboxError> {
        let mut out = Vec::with_capacity(copies.len());
        for copies in copies.chunks(MAX_PAGE) {
            let mut of_copies = Vec::with_capacity(copies.len());
            let key = |copy: &CopyRow| tables::roll(copy.account, block_of(copy.message));
            let keys: Vec<Vec<u8>> = copies.iter().map(key).collect();
            for (copy, row) in copies.iter().zip(self.0.engine.get_many(&keys)?) {
                let roll = Roll::decoded(row.as_deref())?;
                of_copies.push(roll.most.get(Slots::of(copy.message)).copied());
            }
            let sheets = self.sheets(copies, &of_copies)?;
            for (copy, most) in copies.iter().zip(of_copies) {
                let exposure = most.map(|most| {
                    let sheet = sheets.get(&sheet_of(copy, most)).ok_or(Damaged)?;
                    Ok::<_, Damaged>(Exposure::of(most, sheet, copy.origin))
                });
                out.push(exposure.transpose()?);
            }
        }
        Ok(out)
    }

    /// The sheets of the clients that were served the most of some copies, by key.
    fn sheets(
        &self,
        copies: &[CopyRow],
        most: &[Option<Most>],
    ) -> Result<BTreeMap<Vec<u8>, Sheet>, MailboxError> {
        let of_copies = copies.iter().zip(most);
        let keys = of_copies.filter_map(|(copy, most)| Some(sheet_of(copy, (*most)?)));
        let keys: BTreeSet<Vec<u8>> = keys.collect();
        let keys: Vec<Vec<u8>> = keys.into_iter().collect();
        let rows = self.0.engine.get_many(&keys)?;
        let mut sheets = BTreeMap::new();
        for (key, row) in keys.into_iter().zip(rows) {
            if let Some(row) = row {
                sheets.insert(key, Sheet::decode(&row)?);
            }
        }
        Ok(sheets)
    }
}

fn sheet_of(copy: &CopyRow, most: Most) -> Vec<u8> {
    tables::sheet(copy.account, block_of(copy.message), most.client)
}
