//! The letters that a message carries besides being one: what forwarding as an attachment makes.
//!
//! A message is a copy of its own letter (`COPY`), and a *carrier* of each message inside it, and of
//! the letter that it was before a server elsewhere added to it, or this one took a part out of it
//! (`CARRIER`). Invariant: what a message carries is in its row, and it has a row in `CARRIER` for each
//! exactly while it has one in `COPY`. A message that carries nothing has no such rows, and costs none of
//! what is asked here.
//!
//! Refuses to look at more than [`limits::MAX_CARRIED`] of them: the outermost are found first.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, MessageId, OriginId};
use tern_mime::ParsedMessage;
use tern_store::Transaction;

use crate::rows::{CopyRow, MessageRow};
use crate::{MailboxError, Mailboxes, Prepared, Recogniser, limits, tables};

/// How a message carries a letter that is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carriage {
    /// It is inside the message, as a part of it; what this transaction sent out, where it proves that.
    Attached(Option<OriginId>),
    /// The message is what this transaction sent out, come back with something added to it.
    Returned(OriginId),
    /// The message is the letter without some of its parts, which were taken out of it here.
    Reduced(Parts),
}

/// Some of the parts of a message, by the order in which they stand in it: the whole message is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parts(u64);

impl Parts {
    /// The same with one more; one beyond those that can be told apart is not added.
    #[must_use]
    pub fn with(self, position: u8) -> Self {
        Self(self.0 | 1_u64.checked_shl(position.into()).unwrap_or_default())
    }

    /// Whether this one is among them.
    pub fn has(self, position: u8) -> bool {
        self.0 & Self::default().with(position).0 != 0
    }
}

impl Carriage {
    /// Whether the letter is inside the message.
    pub const fn is_attached(self) -> bool {
        matches!(self, Self::Attached(_))
    }

    /// The transaction that has brought a letter here which a message is, or carries so: not the one that
    /// brought the message where what is inside it, or has come back, is what another one sent out. What is
    /// inside and proves nothing of the kind may be anybody's.
    pub const fn brought_by(carriage: Option<Self>, origin: OriginId) -> OriginId {
        match carriage {
            Some(Self::Returned(of) | Self::Attached(Some(of))) => of,
            Some(Self::Attached(None)) => origin.foreign(),
            Some(Self::Reduced(_)) | None => origin,
        }
    }

    /// Writes the stored form.
    pub fn write(self, w: &mut Writer) {
        match self {
            Self::Attached(None) => drop(w.byte(1)),
            Self::Attached(Some(of)) => drop(w.byte(4).array(&of.0)),
            Self::Returned(of) => drop(w.byte(2).array(&of.0)),
            Self::Reduced(parts) => drop(w.byte(3).number(parts.0)),
        }
    }

    /// Reads the stored form.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        match r.byte()? {
            1 => Ok(Self::Attached(None)),
            4 => Ok(Self::Attached(Some(OriginId(r.array()?)))),
            2 => Ok(Self::Returned(OriginId(r.array()?))),
            3 => Ok(Self::Reduced(Parts(r.number()?))),
            _ => Err(Damaged),
        }
    }

    /// The name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attached(_) => "attached",
            Self::Returned(_) => "returned",
            Self::Reduced(_) => "reduced",
        }
    }
}

/// A letter that a message is, or carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The letter.
    pub digest: ContentDigest,
    /// How the message carries it; `None` when the message is the letter.
    pub carriage: Option<Carriage>,
}

impl Letter {
    /// Writes one that is carried.
    pub fn write(self, w: &mut Writer) {
        w.array(&self.digest.0);
        if let Some(carriage) = self.carriage {
            carriage.write(w);
        }
    }

    /// Reads one that is carried.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            digest: ContentDigest(r.array()?),
            carriage: Some(Carriage::read(r)?),
        })
    }
}

/// The letter that a message is, then those that it carries.
fn letters(digest: ContentDigest, carried: &[Letter]) -> impl Iterator<Item = Letter> + '_ {
    let own = Letter {
        digest,
        carriage: None,
    };
    std::iter::once(own).chain(carried.iter().copied())
}

/// What a message carries.
pub(crate) fn carried_by(
    key: &[u8; 32],
    digest: ContentDigest,
    parsed: &ParsedMessage,
    content: &[u8],
    recogniser: Option<&dyn Recogniser>,
) -> Vec<Letter> {
    let mut carried: Vec<Letter> = Vec::new();
    tern_mime::each_nested(key, parsed, content, |nested, octets| {
        let known = nested == digest || carried.iter().any(|letter| letter.digest == nested);
        if !known && carried.len() < limits::MAX_CARRIED {
            let of = recogniser.and_then(|looks| looks.sent_by(nested, octets));
            carried.push(Letter {
                digest: nested,
                carriage: Some(Carriage::Attached(of)),
            });
        }
    });
    carried
}

impl Prepared {
    /// Marks it as a letter that a transaction sent out, come back as it was or with something added. It
    /// is the first that is kept in mind of what it carries.
    pub fn came_back(&mut self, digest: ContentDigest, of: OriginId) {
        self.carries(digest, Carriage::Returned(of));
    }

    /// Marks it as a letter without some of its parts.
    pub fn lacks(&mut self, digest: ContentDigest, parts: Parts) {
        if digest != self.digest {
            self.carries(digest, Carriage::Reduced(parts));
        }
    }

    /// Marks what is inside it, and proves of no transaction that it had sent it out, as what `sent_by`
    /// says that one had.
    pub fn attribute<E>(
        &mut self,
        sent_by: impl Fn(ContentDigest) -> Result<Option<OriginId>, E>,
    ) -> Result<(), E> {
        for letter in &mut self.carried {
            if letter.carriage == Some(Carriage::Attached(None)) {
                letter.carriage = Some(Carriage::Attached(sent_by(letter.digest)?));
            }
        }
        Ok(())
    }

    fn carries(&mut self, digest: ContentDigest, carriage: Carriage) {
        self.carried.retain(|letter| letter.digest != digest);
        self.carried.truncate(limits::MAX_CARRIED - 1);
        let carriage = Some(carriage);
        self.carried.push(Letter { digest, carriage });
    }

    /// The letter that it is, then those that it carries.
    pub fn letters(&self) -> impl Iterator<Item = Letter> + '_ {
        letters(self.digest, &self.carried)
    }
}

impl MessageRow {
    /// The letter that it is, then those that it carries.
    pub fn letters(&self) -> impl Iterator<Item = Letter> + '_ {
        letters(self.digest, &self.carried)
    }

    /// How it carries a letter; `None` when it is the letter, or has nothing to do with it.
    pub fn carriage_of(&self, digest: ContentDigest) -> Option<Carriage> {
        let carried = self.carried.iter().find(|letter| letter.digest == digest);
        let carriage = carried.and_then(|letter| letter.carriage);
        carriage.filter(|_| digest != self.digest)
    }
}

/// Writes the rows by which a message is found by what it carries.
pub(crate) fn remember(
    txn: &mut Transaction<'_>,
    account: AccountId,
    message: MessageId,
    row: &MessageRow,
) {
    for letter in &row.carried {
        let copy = CopyRow {
            account,
            message,
            origin: Carriage::brought_by(letter.carriage, row.origin),
            lineage: row.lineage,
            carrier: letter.carriage.map(|carriage| (carriage, row.digest)),
        };
        let key = tables::carrier(letter.digest, account, message);
        txn.put(key, copy.encode());
    }
}

/// Removes them.
pub(crate) fn forget(
    txn: &mut Transaction<'_>,
    account: AccountId,
    message: MessageId,
    row: &MessageRow,
) {
    for letter in &row.carried {
        txn.delete(tables::carrier(letter.digest, account, message));
    }
}

impl Mailboxes {
    /// The letter that a content is, then those that it carries.
    pub fn letters_of(&self, content: &[u8]) -> Vec<Letter> {
        let digest = tern_mime::content_digest(&self.content_key, content);
        let parsed = tern_mime::parse(content);
        let looks = self.hooks.recogniser.as_deref();
        let carried = carried_by(&self.content_key, digest, &parsed, content, looks);
        letters(digest, &carried).collect()
    }

    /// Every message in a mailbox that carries a letter.
    pub fn carriers(&self, digest: ContentDigest) -> Result<Vec<CopyRow>, MailboxError> {
        self.copy_rows(tables::carriers(digest))
    }

    /// Whether a message that is a letter, or carries it, is in a mailbox.
    pub fn has_copy(&self, digest: ContentDigest, copy: &CopyRow) -> Result<bool, MailboxError> {
        let key = match copy.carrier {
            None => tables::copy(digest, copy.account, copy.message),
            Some(_) => tables::carrier(digest, copy.account, copy.message),
        };
        Ok(self.engine.get(&key)?.is_some())
    }
}
