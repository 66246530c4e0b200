//! Seals: content that nobody may be served any more, and that may not come back.
//!
//! A seal is one row, keyed by what makes two messages the same letter. While it is *active*,
//! copies may still be in mailboxes: every read of content asks the set in memory, which is filled
//! before the row is committed, so there is no moment in which the row is durable and content is
//! served. When all copies have been withdrawn the seal is *settled*: arriving content asks for
//! it, inside the arriving transaction, and so does whoever is half-way through a message that it
//! found before the seal: the set keeps settled seals for as long as arrivals ask them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use roaring::RoaringBitmap;
use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};
use tern_store::{Engine, StoreError, Transaction, Verdict};

use crate::{MailboxError, Mailboxes, tables};

/// On whose behalf content is sealed or withdrawn: an id of the floors above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealTag(pub [u8; 16]);

/// Whose copies in mailboxes a seal covers.
#[derive(Clone, Debug, PartialEq)]
pub enum Cover {
    /// Every account but these.
    Except(RoaringBitmap),
    /// These accounts only.
    Only(RoaringBitmap),
}

impl Cover {
    /// Whether it covers an account's copies.
    pub fn covers(&self, account: AccountId) -> bool {
        match self {
            Self::Except(accounts) => !accounts.contains(account.0),
            Self::Only(accounts) => accounts.contains(account.0),
        }
    }
}

/// Which copies of a letter a seal covers, by how they came onto the server.
///
/// The same letter can have been sent by two accounts: whoever received one can send it again,
/// word for word. A seal must not reach the copies of a sender it does not speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All but what these transactions brought.
    AllBut(Vec<OriginId>),
    /// Only what these transactions brought.
    Only(Vec<OriginId>),
}

impl Origins {
    /// Whether a copy that this transaction brought is covered.
    pub fn covers(&self, origin: OriginId) -> bool {
        match self {
            Self::AllBut(others) => !others.contains(&origin),
            Self::Only(these) => these.contains(&origin),
        }
    }
}

/// Which copies on their way out of the server a seal covers.
#[derive(Clone, Debug, PartialEq)]
pub enum Outside {
    /// Every copy that a covered transaction sends out.
    All,
    /// Of what one transaction sends out, the recipients with these numbers: those that
    /// `tern_queue::QueueId::number_in` tells of an item.
    Only(OriginId, RoaringBitmap),
}

impl Outside {
    fn covers(&self, origin: OriginId, number: Option<u32>) -> bool {
        match self {
            Self::All => true,
            Self::Only(of, numbers) => {
                *of == origin && number.is_some_and(|number| numbers.contains(number))
            }
        }
    }

    fn covers_any_of(&self, origin: OriginId) -> bool {
        match self {
            Self::All => true,
            Self::Only(of, numbers) => *of == origin && !numbers.is_empty(),
        }
    }
}

/// One seal of a letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Seal {
    /// On whose behalf.
    pub tag: SealTag,
    /// Whose copies in mailboxes.
    pub cover: Cover,
    /// Which copies on their way out.
    pub outside: Outside,
    /// Brought by which transactions.
    pub origins: Origins,
    /// Copies may still be in mailboxes.
    pub active: bool,
    /// Until when arriving copies are kept out.
    pub until: Timestamp,
}

impl Seal {
    /// Whether it covers an account's copy that a transaction brought.
    pub fn covers(&self, account: AccountId, origin: OriginId) -> bool {
        self.cover.covers(account) && self.origins.covers(origin)
    }

    /// Whether it covers the copy that a transaction sends to its recipient of this number.
    pub fn covers_outside(&self, origin: OriginId, number: Option<u32>) -> bool {
        self.origins.covers(origin) && self.outside.covers(origin, number)
    }

    fn holds_at(&self, now: Timestamp) -> bool {
        self.active || self.until > now
    }
}

/// All seals of one letter: two requests may cover different accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SealRow(pub(crate) Vec<Seal>);

const VERSION: u8 = 2;

impl SealRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.list(&self.0, |w, seal| {
            let (kind, accounts) = match &seal.cover {
                Cover::Except(accounts) => (0, accounts),
                Cover::Only(accounts) => (1, accounts),
            };
            w.array(&seal.tag.0)
                .byte(seal.active.into())
                .number(seal.until.0);
            w.byte(kind).bytes(&set_bytes(accounts));
            match &seal.outside {
                Outside::All => drop(w.byte(0)),
                Outside::Only(of, numbers) => {
                    w.byte(1).array(&of.0).bytes(&set_bytes(numbers));
                }
            }
            let (kind, origins) = match &seal.origins {
                Origins::AllBut(others) => (0, others.as_slice()),
                Origins::Only(these) => (1, these.as_slice()),
            };
            w.byte(kind).list(origins, |w, origin| {
                w.array(&origin.0);
            });
        });
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let seals = Reader::of_version(bytes, VERSION)?.list(|r| {
            let (tag, active) = (SealTag(r.array()?), r.byte()? != 0);
            let until = Timestamp(r.number()?);
            let kind = r.byte()?;
            let accounts = read_set(r)?;
            let cover = if kind == 0 {
                Cover::Except(accounts)
            } else {
                Cover::Only(accounts)
            };
            let outside = match r.byte()? {
                0 => Outside::All,
                1 => Outside::Only(OriginId(r.array()?), read_set(r)?),
                _ => return Err(Damaged),
            };
            let kind = r.byte()?;
            let origins = r.list(|r| r.array().map(OriginId))?;
            let origins = match kind {
                0 => Origins::AllBut(origins),
                1 => Origins::Only(origins),
                _ => return Err(Damaged),
            };
            Ok(Seal {
                tag,
                cover,
                outside,
                origins,
                active,
                until,
            })
        })?;
        Ok(Self(seals))
    }
}

/// A set in the form that is shortest: runs where it has any.
fn set_bytes(set: &RoaringBitmap) -> Vec<u8> {
    let mut set = set.clone();
    set.optimize();
    let mut bytes = Vec::with_capacity(set.serialized_size());
    // Writing to memory can't fail.
    let _ = set.serialize_into(&mut bytes);
    bytes
}

fn read_set(r: &mut Reader<'_>) -> Result<RoaringBitmap, Damaged> {
    RoaringBitmap::deserialize_from(r.bytes()?).map_err(|_| Damaged)
}

/// The seals that a committed row says, by the letter: for an observer of commits that relies on
/// nothing in memory. `None` when it is the row of another table.
pub fn sealed_by_row(
    key: &[u8],
    value: Option<&[u8]>,
) -> Option<Result<(ContentDigest, Vec<Seal>), Damaged>> {
    let (table, digest) = key.split_first()?;
    let digest = ContentDigest::from_slice(digest)?;
    let seals = value.map_or(Ok(Vec::new()), |value| {
        SealRow::decode(value).map(|row| row.0)
    });
    (*table == tables::SEAL).then_some(seals.map(|seals| (digest, seals)))
}

/// The active seals, in memory.
#[derive(Debug, Default)]
pub(crate) struct SealSet {
    active: AtomicUsize,
    seals: RwLock<HashMap<ContentDigest, Vec<Seal>>>,
}

impl SealSet {
    pub(crate) fn load(engine: &dyn Engine) -> Result<Self, MailboxError> {
        let set = Self::default();
        let mut next = Some(tables::whole(tables::SEAL));
        while let Some(range) = next {
            let page = engine.scan(&range, 1_000)?;
            for (key, value) in &page.rows {
                let digest = key.get(1..).and_then(ContentDigest::from_slice);
                let digest = digest.ok_or(StoreError::Damaged)?;
                for seal in SealRow::decode(value)?
                    .0
                    .into_iter()
                    .filter(|seal| seal.active)
                {
                    set.insert(digest, seal);
                }
            }
            next = page.next;
        }
        Ok(set)
    }

    /// Whether an account's copies of a letter may not be served.
    pub(crate) fn covers(
        &self,
        digest: ContentDigest,
        account: AccountId,
        origin: OriginId,
    ) -> bool {
        self.any(digest, |seal| seal.covers(account, origin))
    }

    fn any(&self, digest: ContentDigest, fits: impl Fn(&Seal) -> bool) -> bool {
        if self.active.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let seals = self.seals.read().unwrap_or_else(PoisonError::into_inner);
        seals.get(&digest).is_some_and(|of| of.iter().any(fits))
    }

    /// Adds a seal. One of the same tag stays beside it: which of the two counts shows only when
    /// the commit is through, and until then both hold.
    fn insert(&self, digest: ContentDigest, seal: Seal) {
        let mut seals = self.seals.write().unwrap_or_else(PoisonError::into_inner);
        seals.entry(digest).or_default().push(seal);
        self.active.store(seals.len(), Ordering::SeqCst);
    }

    /// Puts what is durable of a tag in the place of whatever is held of it. The row is read under
    /// the lock: of two that do this, the later one sees the later row.
    fn reload(
        &self,
        digest: ContentDigest,
        tag: SealTag,
        durable: impl FnOnce() -> Result<Option<Seal>, MailboxError>,
    ) -> Result<(), MailboxError> {
        let mut seals = self.seals.write().unwrap_or_else(PoisonError::into_inner);
        let durable = durable()?;
        let of = seals.entry(digest).or_default();
        of.retain(|seal| seal.tag != tag);
        of.extend(durable);
        if of.is_empty() {
            seals.remove(&digest);
        }
        self.active.store(seals.len(), Ordering::SeqCst);
        Ok(())
    }

    /// Those whose time is over.
    fn over(&self, now: Timestamp) -> Vec<(ContentDigest, SealTag)> {
        let seals = self.seals.read().unwrap_or_else(PoisonError::into_inner);
        let of_letter = |(digest, of): (&ContentDigest, &Vec<Seal>)| {
            let over = of.iter().filter(|seal| seal.until <= now);
            over.map(|seal| (*digest, seal.tag)).collect::<Vec<_>>()
        };
        seals.iter().flat_map(of_letter).collect()
    }

    fn remove(&self, digest: ContentDigest, tag: SealTag) {
        let mut seals = self.seals.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = seals.get_mut(&digest) {
            of.retain(|seal| seal.tag != tag);
            if of.is_empty() {
                seals.remove(&digest);
            }
        }
        self.active.store(seals.len(), Ordering::SeqCst);
    }
}

/// The seal that covers an account's copies of a letter, if any; the transaction depends on it.
pub(crate) fn covering_in(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    account: AccountId,
    origin: OriginId,
    now: Timestamp,
) -> Result<Option<SealTag>, MailboxError> {
    find_in(txn, digest, |seal| {
        seal.holds_at(now) && seal.covers(account, origin)
    })
}

fn find_in(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    fits: impl Fn(&Seal) -> bool,
) -> Result<Option<SealTag>, MailboxError> {
    let Some(row) = txn.get(&tables::seal(digest))? else {
        return Ok(None);
    };
    let seals = SealRow::decode(&row)?.0;
    Ok(seals.iter().find(|seal| fits(seal)).map(|seal| seal.tag))
}

impl Mailboxes {
    /// Seals a letter, together with whatever `accompany` writes, in one durable commit. From the
    /// moment of that commit on no covered copy is served. Sealing again under the same tag
    /// replaces the cover.
    pub fn seal<T, E: From<MailboxError> + From<StoreError>>(
        &self,
        digest: ContentDigest,
        seal: Seal,
        mut accompany: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (tag, active) = (seal.tag, seal.active);
        if active {
            self.seals.insert(digest, seal.clone());
        }
        let outcome = self.transact(&[], |txn| {
            let outcome = accompany(txn)?;
            change_row(txn, digest, |seals| {
                seals.retain(|held| held.tag != tag);
                seals.push(seal.clone());
            })?;
            Ok(Verdict::Commit(outcome))
        });
        if active {
            // An unknown outcome may have been committed, and one that failed may have met another
            // seal under the same tag: the row decides. Where it can't be read all stays: content is
            // withheld rather than leaked.
            let _ = self.forget_unsealed(digest, tag);
        }
        outcome
    }

    /// Marks a seal as settled within a transaction: no covered copy is in a mailbox any more. A
    /// reader may still hold the row of one, so it stays in the set in memory.
    pub fn settle_seal_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
        tag: SealTag,
    ) -> Result<(), MailboxError> {
        change_row(txn, digest, |seals| {
            for seal in seals.iter_mut().filter(|seal| seal.tag == tag) {
                seal.active = false;
            }
        })
    }

    /// Takes a seal away within a transaction: the letter may be served and may arrive again.
    /// Call [`Mailboxes::forget_unsealed`] afterwards, whatever came of the commit.
    pub fn unseal_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
        tag: SealTag,
    ) -> Result<(), MailboxError> {
        change_row(txn, digest, |seals| seals.retain(|seal| seal.tag != tag))
    }

    /// Stops asking a seal when content is read, where its row is gone. The row decides, since the
    /// answer of the commit that removed it may have been lost; if it can't be read the seal
    /// stays, and this is to be called again.
    pub fn forget_unsealed(&self, digest: ContentDigest, tag: SealTag) -> Result<(), MailboxError> {
        self.seals.reload(digest, tag, || self.seal_of(digest, tag))
    }

    /// Stops asking the settled seals whose time is over, which arrivals ask no more either: what
    /// arrives from now on is served. To be called now and then.
    pub fn forget_over(&self, now: Timestamp) -> Result<(), MailboxError> {
        for (digest, tag) in self.seals.over(now) {
            let seal = self.seal_of(digest, tag)?;
            if seal.is_none_or(|seal| !seal.holds_at(now)) {
                self.forget_seal(digest, tag);
            }
        }
        Ok(())
    }

    /// Stops asking a seal when content is read, whatever its row says.
    pub fn forget_seal(&self, digest: ContentDigest, tag: SealTag) {
        self.seals.remove(digest, tag);
    }

    /// The seal that keeps a copy from leaving, if any: the one that a transaction sends to its
    /// recipient of this number. The transaction depends on the answer, as an arrival's does.
    pub fn sealed_outside_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
        origin: OriginId,
        number: Option<u32>,
        now: Timestamp,
    ) -> Result<Option<SealTag>, MailboxError> {
        find_in(txn, digest, |seal| {
            seal.holds_at(now) && seal.covers_outside(origin, number)
        })
    }

    /// The seal that keeps any copy from leaving that a transaction sends out, if one does. The
    /// transaction depends on the answer.
    pub fn any_sealed_outside_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
        origin: OriginId,
        now: Timestamp,
    ) -> Result<Option<SealTag>, MailboxError> {
        find_in(txn, digest, |seal| {
            seal.holds_at(now) && seal.origins.covers(origin) && seal.outside.covers_any_of(origin)
        })
    }

    /// A seal other than `tag` that covers an account's copy of a letter, within a transaction that
    /// depends on the answer: what one request gives back, another may still hold.
    pub fn other_seal_in(
        &self,
        txn: &mut Transaction<'_>,
        digest: ContentDigest,
        account: AccountId,
        origin: OriginId,
        tag: SealTag,
        now: Timestamp,
    ) -> Result<Option<SealTag>, MailboxError> {
        find_in(txn, digest, |seal| {
            seal.tag != tag && seal.holds_at(now) && seal.covers(account, origin)
        })
    }

    /// The seal of a letter under a tag, as it is durable.
    pub fn seal_of(
        &self,
        digest: ContentDigest,
        tag: SealTag,
    ) -> Result<Option<Seal>, MailboxError> {
        let row = self.engine.get(&tables::seal(digest))?;
        let seals = row.map(|row| SealRow::decode(&row)).transpose()?;
        let mut seals = seals.unwrap_or_default().0.into_iter();
        Ok(seals.find(|seal| seal.tag == tag))
    }

    /// The tags of every seal of a letter.
    pub fn seal_tags(&self, digest: ContentDigest) -> Result<Vec<SealTag>, MailboxError> {
        let row = self.engine.get(&tables::seal(digest))?;
        let seals = row.map(|row| SealRow::decode(&row)).transpose()?;
        let seals = seals.unwrap_or_default().0;
        Ok(seals.iter().map(|seal| seal.tag).collect())
    }

    /// Whether an account's copy of a letter is sealed now.
    pub fn is_sealed(&self, digest: ContentDigest, account: AccountId, origin: OriginId) -> bool {
        self.seals.covers(digest, account, origin)
    }
}

fn change_row(
    txn: &mut Transaction<'_>,
    digest: ContentDigest,
    change: impl FnOnce(&mut Vec<Seal>),
) -> Result<(), MailboxError> {
    let key = tables::seal(digest);
    let mut row = match txn.get(&key)? {
        Some(row) => SealRow::decode(&row)?,
        None => SealRow::default(),
    };
    change(&mut row.0);
    if row.0.is_empty() {
        txn.delete(key);
    } else {
        txn.put(key, row.encode());
    }
    Ok(())
}
