//! Value layout of every table. Each value begins with a version byte, and a reader reads that version alone:
//! a store with others is refused by the `FORMAT` beside it, which counts them.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{
    AccountId, BlobId, ContentDigest, MailboxId, MessageId, Modseq, OriginId, ThreadId, Timestamp,
    Uid,
};

use crate::MailboxError;
use crate::folder::Role;
use crate::{Carriage, Flags, Letter, SealTag, limits};

// The layout of each row.
const HEAD_VERSION: u8 = 4;
const MAILBOX_VERSION: u8 = 2;
const COUNTERS_VERSION: u8 = 1;
const PLACEMENT_VERSION: u8 = 1;
const MESSAGE_VERSION: u8 = 2;
const COPY_VERSION: u8 = 2;
const CHANGE_VERSION: u8 = 2;
const BLOB_VERSION: u8 = 1;
const VAULT_VERSION: u8 = 3;
const VAULT_PLACEMENT_VERSION: u8 = 1;

/// An account's counters: read and written by every change of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountHead {
    /// The newest modseq given out.
    pub modseq: Modseq,
    /// The next mailbox id.
    pub next_mailbox: u32,
    /// The next message id.
    pub next_message: u64,
    /// The newest UIDVALIDITY given out (RFC 9051 2.3.1.1).
    pub uid_validity: u32,
    /// Octets of all messages that are in a mailbox.
    pub used_bytes: u64,
    /// How many messages are in a mailbox.
    pub messages: u64,
    /// In how many mailboxes each is, added up.
    pub placements: u64,
    /// Most octets the account may use; 0 is no bound.
    pub quota_bytes: u64,
    /// Octets of messages that its owner removed and that must be kept.
    pub kept_bytes: u64,
    /// How many changes the change log has.
    pub logged: u64,
    /// The modseq after which it has all of them.
    pub log_from: Modseq,
    /// Whether there may be rows of words: a message that goes takes the row of its block with it.
    pub has_words: bool,
}

impl AccountHead {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(HEAD_VERSION);
        w.number(self.modseq.0)
            .number(self.next_mailbox.into())
            .number(self.next_message);
        w.number(self.uid_validity.into())
            .number(self.used_bytes)
            .number(self.messages)
            .number(self.placements);
        w.number(self.quota_bytes).number(self.kept_bytes);
        w.number(self.logged).number(self.log_from.0);
        w.byte(self.has_words.into()).finish()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, HEAD_VERSION)?;
        Ok(Self {
            modseq: Modseq(r.number()?),
            next_mailbox: r.number32()?,
            next_message: r.number()?,
            uid_validity: r.number32()?,
            used_bytes: r.number()?,
            messages: r.number()?,
            placements: r.number()?,
            quota_bytes: r.number()?,
            kept_bytes: r.number()?,
            logged: r.number()?,
            log_from: Modseq(r.number()?),
            has_words: r.byte()? != 0,
        })
    }

    /// Whether `size` more octets fit: the quota what is in mailboxes, and `kept_quotas` times the
    /// quota that and what is kept of the account; 0 is no bound.
    pub const fn room_for(&self, size: u64, kept_quotas: u32) -> Result<(), MailboxError> {
        if self.quota_bytes == 0 {
            return Ok(());
        }
        let used = self.used_bytes.saturating_add(size);
        if used > self.quota_bytes {
            return Err(MailboxError::QuotaExceeded);
        }
        let bound = self.quota_bytes.saturating_mul(kept_quotas as u64);
        if kept_quotas > 0 && used.saturating_add(self.kept_bytes) > bound {
            return Err(MailboxError::KeptQuotaExceeded);
        }
        Ok(())
    }

    /// Whether one more placement fits: the octets of a message don't tell what its rows take, and a copy
    /// takes no octets. What there may be follows from the quota; 0 is no bound.
    pub const fn room_for_placement(&self) -> Result<(), MailboxError> {
        let by_quota = self.quota_bytes / limits::QUOTA_OF_PLACEMENT;
        let bound = match by_quota > limits::LEAST_PLACEMENTS {
            true => by_quota,
            false => limits::LEAST_PLACEMENTS,
        };
        match self.quota_bytes == 0 || self.placements < bound {
            true => Ok(()),
            false => Err(MailboxError::QuotaExceeded),
        }
    }
}

/// What a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    /// The mailbox it is in.
    pub parent: Option<MailboxId>,
    /// Its name at its level, in UTF-8 (RFC 9051 5.1).
    pub name: String,
    /// Its special use (RFC 6154).
    pub role: Option<Role>,
    /// Whether its owner subscribed to it.
    pub subscribed: bool,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
    /// Where it stands among those beside it (RFC 8621 2).
    pub sort_order: u32,
}

impl MailboxRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(MAILBOX_VERSION);
        w.number(self.parent.map_or(0, |parent| parent.0.into()))
            .text(&self.name);
        w.byte(self.role.map_or(0, Role::number))
            .byte(self.subscribed.into());
        w.number(self.uid_validity.into())
            .number(self.sort_order.into())
            .finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, MAILBOX_VERSION)?;
        let parent = r.number32()?;
        Ok(Self {
            parent: (parent != 0).then_some(MailboxId(parent)),
            name: r.text()?,
            role: Role::from_number(r.byte()?)?,
            subscribed: r.byte()? != 0,
            uid_validity: r.number32()?,
            sort_order: r.number32()?,
        })
    }
}

/// A mailbox's counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// The next UID.
    pub uid_next: Uid,
    /// The modseq of the newest change in the mailbox.
    pub highest_modseq: Modseq,
    /// How many messages.
    pub total: u32,
    /// How many without `\Seen`.
    pub unseen: u32,
    /// How many with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub bytes: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            uid_next: Uid(1),
            highest_modseq: Modseq(1),
            total: 0,
            unseen: 0,
            deleted: 0,
            bytes: 0,
        }
    }
}

impl Counters {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(COUNTERS_VERSION);
        w.number(self.uid_next.0.into())
            .number(self.highest_modseq.0)
            .number(self.total.into());
        w.number(self.unseen.into())
            .number(self.deleted.into())
            .number(self.bytes)
            .finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, COUNTERS_VERSION)?;
        Ok(Self {
            uid_next: Uid(r.number32()?),
            highest_modseq: Modseq(r.number()?),
            total: r.number32()?,
            unseen: r.number32()?,
            deleted: r.number32()?,
            bytes: r.number()?,
        })
    }
}

/// One message in one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementRow {
    /// The message.
    pub message: MessageId,
    /// When this row last changed.
    pub modseq: Modseq,
    /// Its flags here.
    pub flags: Flags,
    /// When the message was received: IMAP's INTERNALDATE.
    pub received: Timestamp,
    /// RFC822.SIZE, in octets.
    pub size: u32,
    /// When it was put into this mailbox (RFC 8514).
    pub saved: Timestamp,
}

impl PlacementRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(PLACEMENT_VERSION);
        w.number(self.message.0).number(self.modseq.0);
        self.flags.write(&mut w);
        w.number(self.received.0)
            .number(self.size.into())
            .number(self.saved.0)
            .finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, PLACEMENT_VERSION)?;
        Ok(Self {
            message: MessageId(r.number()?),
            modseq: Modseq(r.number()?),
            flags: Flags::read(&mut r)?,
            received: Timestamp(r.number()?),
            size: r.number32()?,
            saved: Timestamp(r.number()?),
        })
    }
}

/// How a copy of a letter came into an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Lineage {
    /// Delivered to an address of the account.
    Delivered = 1,
    /// Delivered by way of an alias or a group.
    Expanded = 2,
    /// Sent on by a rule.
    Redirected = 3,
    /// Put there by a client: APPEND, copy from another account, import.
    Copied = 4,
}

impl Lineage {
    fn from_number(number: u8) -> Result<Self, Damaged> {
        match number {
            1 => Ok(Self::Delivered),
            2 => Ok(Self::Expanded),
            3 => Ok(Self::Redirected),
            4 => Ok(Self::Copied),
            _ => Err(Damaged),
        }
    }
}

/// One message of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its content.
    pub blob: BlobId,
    /// What stands before the content for this recipient only (Return-Path, Delivered-To).
    pub prefix: Vec<u8>,
    /// Octets of prefix and content together.
    pub size: u32,
    /// When it was received.
    pub received: Timestamp,
    /// Its conversation.
    pub thread: ThreadId,
    /// The transaction that brought it onto the server.
    pub origin: OriginId,
    /// What makes it the same letter as another copy.
    pub digest: ContentDigest,
    /// How it came.
    pub lineage: Lineage,
    /// The letters inside it.
    pub carried: Vec<Letter>,
    /// Where it is shown; of a message in the vault, where it was.
    pub placements: Vec<(MailboxId, Uid)>,
}

impl MessageRow {
    fn write(&self, w: &mut Writer) {
        w.array(&self.blob.0)
            .bytes(&self.prefix)
            .number(self.size.into())
            .number(self.received.0);
        w.number(self.thread.0)
            .array(&self.origin.0)
            .array(&self.digest.0);
        w.byte(self.lineage as u8)
            .list(&self.carried, |w, letter| letter.write(w));
        w.list(&self.placements, |w, (mailbox, uid)| {
            w.number(mailbox.0.into()).number(uid.0.into());
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        let blob = BlobId(r.array()?);
        let (prefix, size) = (r.bytes()?.to_vec(), r.number32()?);
        // The prefix counts as part of the message: readers subtract it.
        if prefix.len() as u64 > u64::from(size) {
            return Err(Damaged);
        }
        Ok(Self {
            blob,
            prefix,
            size,
            received: Timestamp(r.number()?),
            thread: ThreadId(r.number()?),
            origin: OriginId(r.array()?),
            digest: ContentDigest(r.array()?),
            lineage: Lineage::from_number(r.byte()?)?,
            carried: r.list(Letter::read)?,
            placements: r.list(|r| Ok((MailboxId(r.number32()?), Uid(r.number32()?))))?,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(MESSAGE_VERSION);
        self.write(&mut w);
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        Self::read(&mut Reader::of_version(bytes, MESSAGE_VERSION)?)
    }
}

/// The reverse index: where a letter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRow {
    /// The account that has it.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// The transaction that brought it.
    pub origin: OriginId,
    /// How it came.
    pub lineage: Lineage,
    /// Where the message is not the letter but carries it: how, and which letter the message is.
    pub carrier: Option<(Carriage, ContentDigest)>,
}

impl CopyRow {
    /// How the message carries the letter; `None` when it is the letter.
    pub fn carriage(&self) -> Option<Carriage> {
        self.carrier.map(|(carriage, _)| carriage)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(COPY_VERSION);
        w.array(&self.origin.0).byte(self.lineage as u8);
        w.option(self.carrier, |w, (carriage, of)| {
            carriage.write(w);
            w.array(&of.0);
        });
        w.finish()
    }

    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, Damaged> {
        let mut k = tern_store::key::KeyReader::new(key);
        let _digest: [u8; 16] = k.array().ok_or(Damaged)?;
        let mut r = Reader::of_version(bytes, COPY_VERSION)?;
        Ok(Self {
            account: AccountId(k.u32().ok_or(Damaged)?),
            message: MessageId(k.u64().ok_or(Damaged)?),
            origin: OriginId(r.array()?),
            lineage: Lineage::from_number(r.byte()?)?,
            carrier: r.option(|r| {
                let carriage = Carriage::read(r)?;
                Ok((carriage, ContentDigest(r.array()?)))
            })?,
        })
    }
}

/// One entry of the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A message was put into a mailbox.
    Placed {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its UID there.
        uid: Uid,
        /// The message.
        message: MessageId,
        /// Its conversation, where the account did not have the message before.
        created: Option<ThreadId>,
    },
    /// Flags changed.
    Flagged {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its UID there.
        uid: Uid,
        /// The message.
        message: MessageId,
    },
    /// A message left a mailbox.
    Vanished {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its UID there.
        uid: Uid,
        /// The message.
        message: MessageId,
        /// Its conversation, where that was its last mailbox and the account no longer has it.
        destroyed: Option<ThreadId>,
    },
    /// A mailbox was made.
    MailboxCreated(MailboxId),
    /// A mailbox was renamed, subscribed or given a role.
    MailboxUpdated(MailboxId),
    /// A mailbox was deleted.
    MailboxDestroyed(MailboxId),
}

/// All that one transaction changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeRow(pub Vec<Change>);

impl ChangeRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(CHANGE_VERSION);
        w.list(&self.0, write_change);
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        Reader::of_version(bytes, CHANGE_VERSION)?
            .list(read_change)
            .map(Self)
    }
}

fn write_change(w: &mut Writer, change: &Change) {
    let mut of_message = |kind: u8, mailbox: &MailboxId, uid: &Uid, message: &MessageId| {
        w.byte(kind)
            .number(mailbox.0.into())
            .number(uid.0.into())
            .number(message.0);
    };
    let thread = |thread: &Option<ThreadId>, w: &mut Writer| {
        w.option(*thread, |w, thread| {
            w.number(thread.0);
        });
    };
    match change {
        Change::Placed {
            mailbox,
            uid,
            message,
            created,
        } => {
            of_message(1, mailbox, uid, message);
            thread(created, w);
        }
        Change::Flagged {
            mailbox,
            uid,
            message,
        } => of_message(2, mailbox, uid, message),
        Change::Vanished {
            mailbox,
            uid,
            message,
            destroyed,
        } => {
            of_message(3, mailbox, uid, message);
            thread(destroyed, w);
        }
        Change::MailboxCreated(mailbox) => drop(w.byte(4).number(mailbox.0.into())),
        Change::MailboxUpdated(mailbox) => drop(w.byte(5).number(mailbox.0.into())),
        Change::MailboxDestroyed(mailbox) => drop(w.byte(6).number(mailbox.0.into())),
    }
}

fn read_change(r: &mut Reader<'_>) -> Result<Change, Damaged> {
    let kind = r.byte()?;
    let mailbox = MailboxId(r.number32()?);
    match kind {
        4 => return Ok(Change::MailboxCreated(mailbox)),
        5 => return Ok(Change::MailboxUpdated(mailbox)),
        6 => return Ok(Change::MailboxDestroyed(mailbox)),
        _ => {}
    }
    let (uid, message) = (Uid(r.number32()?), MessageId(r.number()?));
    let thread = |r: &mut Reader<'_>| r.option(|r| r.number().map(ThreadId));
    match kind {
        1 => Ok(Change::Placed {
            mailbox,
            uid,
            message,
            created: thread(r)?,
        }),
        2 => Ok(Change::Flagged {
            mailbox,
            uid,
            message,
        }),
        3 => Ok(Change::Vanished {
            mailbox,
            uid,
            message,
            destroyed: thread(r)?,
        }),
        _ => Err(Damaged),
    }
}

/// A content and how many rows refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRow {
    /// Messages, vault entries and queued items that refer to it.
    pub references: u64,
    /// Its length, in octets.
    pub size: u64,
    /// When the last reference went; meaningful while `references` is 0.
    pub unreferenced_since: Timestamp,
}

impl BlobRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(BLOB_VERSION);
        w.number(self.references)
            .number(self.size)
            .number(self.unreferenced_since.0)
            .finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, BLOB_VERSION)?;
        Ok(Self {
            references: r.number()?,
            // A message's size is a 32-bit number (RFC 9051 7.5.2), and so is a content's.
            size: r.number32()?.into(),
            unreferenced_since: Timestamp(r.number()?),
        })
    }

    /// How many pieces the content has in the store.
    pub fn pieces(&self) -> u32 {
        self.size.div_ceil(tern_store::limits::BLOB_PIECE as u64) as u32
    }
}

/// A withdrawn message: kept outside every mailbox and every quota. What its placements were has
/// rows of its own ([`VaultPlacementRow`]): all of them together may be longer than a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultRow {
    /// On whose behalf: an id of the floors above.
    pub tag: SealTag,
    /// When it was withdrawn.
    pub withdrawn: Timestamp,
    /// The modseq of the account's change that took it away.
    pub modseq: Modseq,
    /// The message as it was.
    pub message: MessageRow,
    /// It arrived under a seal and was never shown.
    pub late: bool,
}

impl VaultRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VAULT_VERSION);
        w.array(&self.tag.0)
            .number(self.withdrawn.0)
            .number(self.modseq.0)
            .byte(self.late.into());
        self.message.write(&mut w);
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VAULT_VERSION)?;
        let (tag, withdrawn) = (SealTag(r.array()?), Timestamp(r.number()?));
        let modseq = Modseq(r.number()?);
        let late = r.byte()? != 0;
        Ok(Self {
            tag,
            withdrawn,
            modseq,
            message: MessageRow::read(&mut r)?,
            late,
        })
    }
}

/// What a placement was that a withdrawal took away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultPlacementRow {
    /// The flags it had.
    pub flags: Flags,
    /// When it was put into the mailbox.
    pub saved: Timestamp,
}

impl VaultPlacementRow {
    /// What is kept of a placement.
    pub(crate) fn of(placement: &PlacementRow) -> Self {
        Self {
            flags: placement.flags.clone(),
            saved: placement.saved,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VAULT_PLACEMENT_VERSION);
        w.number(self.saved.0);
        self.flags.write(&mut w);
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VAULT_PLACEMENT_VERSION)?;
        Ok(Self {
            saved: Timestamp(r.number()?),
            flags: Flags::read(&mut r)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_no_smaller_than_its_prefix() {
        let row = |size| MessageRow {
            blob: BlobId([1; 32]),
            prefix: b"X: y\r\n".to_vec(),
            size,
            received: Timestamp(1),
            thread: ThreadId(1),
            origin: OriginId([1; 16]),
            digest: ContentDigest([1; 16]),
            lineage: Lineage::Delivered,
            carried: Vec::new(),
            placements: Vec::new(),
        };
        assert_eq!(MessageRow::decode(&row(6).encode()), Ok(row(6)));
        assert_eq!(MessageRow::decode(&row(5).encode()), Err(Damaged));
    }
}
