//! Seals: content that nobody may be served any more, and that may not come back.
//!
//! This is what a seal says, and its row: one for each letter and tag, beside a *head* for the
//! letter. Invariant: whatever changes a seal of a letter rewrites its head with another value, so
//! that a transaction which reads the head and then scans the seals depends on all of them, however
//! many there are ([`crate::sealing`]).

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, ContentDigest, OriginId, Timestamp};

use crate::{Carriage, tables};

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
/// word for word; and it can have been sent here from elsewhere. A seal must not reach the copies of a sender
/// it does not speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All that came since a time, but what these transactions brought.
    AllBut {
        /// What came earlier is something else, even if it is the same letter.
        since: Timestamp,
        /// Also what was not sent from here, as far as is known.
        foreign: bool,
        /// The transactions of others.
        others: Vec<OriginId>,
    },
    /// What was not sent from here, as far as is known, and what came since a time.
    ForeignOrSince(Timestamp),
    /// Only what these transactions brought.
    Only(Vec<OriginId>),
}

impl Origins {
    /// Whatever brought a copy.
    pub const fn all() -> Self {
        Self::AllBut {
            since: Timestamp(0),
            foreign: true,
            others: Vec::new(),
        }
    }

    /// Whether all that another one covers is covered.
    pub fn covers_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Only(these)) => these.iter().all(|origin| self.covers(*origin)),
            (Self::Only(_), Self::AllBut { .. } | Self::ForeignOrSince(_)) => false,
            (Self::ForeignOrSince(since), Self::ForeignOrSince(later)) => since <= later,
            (Self::ForeignOrSince(since), Self::AllBut { since: later, .. }) => since <= later,
            (
                Self::AllBut {
                    since,
                    foreign,
                    others,
                },
                Self::ForeignOrSince(later),
            ) => {
                let is_older = |origin: &OriginId| !origin.is_foreign() && origin.time() < *later;
                *foreign && since.0 == 0 && others.iter().all(is_older)
            }
            (
                Self::AllBut {
                    since,
                    foreign,
                    others,
                },
                Self::AllBut {
                    since: later,
                    foreign: asked,
                    others: fewer,
                },
            ) => {
                let all = others.iter().all(|origin| fewer.contains(origin));
                all && since <= later && (*foreign || !asked)
            }
        }
    }

    /// Whether a copy that this transaction brought is covered.
    pub fn covers(&self, origin: OriginId) -> bool {
        match self {
            Self::AllBut {
                since,
                foreign,
                others,
            } => {
                let is_theirs = *foreign || !origin.is_foreign();
                is_theirs && origin.time() >= *since && !others.contains(&origin)
            }
            Self::ForeignOrSince(since) => origin.is_foreign() || origin.time() >= *since,
            Self::Only(these) => these.contains(&origin),
        }
    }
}

/// Which copies on their way out of the server a seal covers.
#[derive(Clone, Debug, PartialEq)]
pub enum Outside {
    /// Every copy that a covered transaction sends out.
    All,
    /// Of what each of these transactions sends out, the recipients with these numbers: those that
    /// `tern_queue::QueueId::number_in` tells of an item.
    Only(BTreeMap<OriginId, RoaringBitmap>),
}

impl Outside {
    /// The recipients with these numbers, of as many of these transactions as fit so many octets of a row: the
    /// first of them, those without any left out.
    pub fn only(
        sent: impl IntoIterator<Item = (OriginId, RoaringBitmap)>,
        most_octets: usize,
    ) -> Self {
        let (mut all, mut octets) = (BTreeMap::new(), 0);
        for (origin, numbers) in sent.into_iter().filter(|(_, numbers)| !numbers.is_empty()) {
            octets += origin.0.len() + LENGTH_OCTETS + set_bytes(&numbers).len();
            if octets > most_octets {
                break;
            }
            all.insert(origin, numbers);
        }
        Self::Only(all)
    }

    /// Whether all that another one covers is covered.
    pub fn covers_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(all), Self::Only(asked)) => asked.iter().all(|(origin, numbers)| {
                let held = all.get(origin);
                numbers.is_empty() || held.is_some_and(|held| numbers.is_subset(held))
            }),
        }
    }

    fn covers(&self, origin: OriginId, number: Option<u32>) -> bool {
        match self {
            Self::All => true,
            Self::Only(all) => number.is_some_and(|number| {
                all.get(&origin)
                    .is_some_and(|numbers| numbers.contains(number))
            }),
        }
    }

    fn covers_any_of(&self, origin: OriginId) -> bool {
        match self {
            Self::All => true,
            Self::Only(all) => all.get(&origin).is_some_and(|numbers| !numbers.is_empty()),
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
    /// Messages that carry the letter inside them are covered as copies of it are.
    pub attached: bool,
    /// The part of the letter that it is about; a copy that lacks it is not covered. None for the whole.
    pub part: Option<u8>,
    /// Copies may still be in mailboxes.
    pub active: bool,
    /// Until when arriving copies are kept out.
    pub until: Timestamp,
}

impl Seal {
    /// Whether it covers an account's message that a transaction brought, and that is the letter or
    /// carries it.
    pub fn covers(&self, account: AccountId, origin: OriginId, carriage: Option<Carriage>) -> bool {
        self.cover.covers(account) && self.reaches(origin, carriage)
    }

    /// Whether it covers what a transaction sends to its recipient of this number, and that is the
    /// letter or carries it.
    pub fn covers_outside(
        &self,
        origin: OriginId,
        number: Option<u32>,
        carriage: Option<Carriage>,
    ) -> bool {
        self.outside.covers(origin, number) && self.reaches(origin, carriage)
    }

    /// Whether it covers anything that a transaction sends out, and that is the letter or carries it.
    pub(crate) fn covers_any_outside(&self, origin: OriginId, carriage: Option<Carriage>) -> bool {
        self.outside.covers_any_of(origin) && self.reaches(origin, carriage)
    }

    fn reaches(&self, origin: OriginId, carriage: Option<Carriage>) -> bool {
        let within_reach = match carriage {
            None | Some(Carriage::Returned(_)) => true,
            Some(Carriage::Attached(_)) => self.attached,
            Some(Carriage::Reduced(lacks)) => self.part.is_none_or(|part| !lacks.has(part)),
        };
        within_reach && self.origins.covers(Carriage::brought_by(carriage, origin))
    }

    /// Whether it keeps out what arrives at this time.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.active || self.until > now
    }
}

/// The most octets that the length of a set takes in a row.
const LENGTH_OCTETS: usize = 3;
/// The layout of a seal.
const VERSION: u8 = 7;
/// The layout of what all seals of a letter share.
const HEAD_VERSION: u8 = 1;

impl Seal {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        let (kind, accounts) = match &self.cover {
            Cover::Except(accounts) => (0, accounts),
            Cover::Only(accounts) => (1, accounts),
        };
        w.byte(self.active.into())
            .byte(self.attached.into())
            .number(self.until.0);
        w.option(self.part, |w, part| {
            w.byte(part);
        });
        w.byte(kind).bytes(&set_bytes(accounts));
        match &self.outside {
            Outside::All => drop(w.byte(0)),
            Outside::Only(all) => {
                w.byte(1).number(all.len() as u64);
                for (origin, numbers) in all {
                    w.array(&origin.0).bytes(&set_bytes(numbers));
                }
            }
        }
        let write = |w: &mut Writer, origin: &OriginId| {
            w.array(&origin.0);
        };
        match &self.origins {
            Origins::AllBut {
                since,
                foreign,
                others,
            } => w
                .byte(0)
                .number(since.0)
                .byte((*foreign).into())
                .list(others, write),
            Origins::Only(these) => w.byte(1).list(these, write),
            Origins::ForeignOrSince(since) => w.byte(2).number(since.0),
        };
        w.finish()
    }

    pub(crate) fn decode(tag: SealTag, bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        let active = r.byte()? != 0;
        let attached = r.byte()? != 0;
        let until = Timestamp(r.number()?);
        let part = r.option(Reader::byte)?;
        let kind = r.byte()?;
        let accounts = read_set(&mut r)?;
        let cover = match kind {
            0 => Cover::Except(accounts),
            1 => Cover::Only(accounts),
            _ => return Err(Damaged),
        };
        let outside = match r.byte()? {
            0 => Outside::All,
            1 => {
                let each = |r: &mut Reader<'_>| Ok((OriginId(r.array()?), read_set(r)?));
                Outside::Only(r.list(each)?.into_iter().collect())
            }
            _ => return Err(Damaged),
        };
        let read = |r: &mut Reader<'_>| r.array().map(OriginId);
        let origins = match r.byte()? {
            0 => Origins::AllBut {
                since: Timestamp(r.number()?),
                foreign: r.byte()? != 0,
                others: r.list(read)?,
            },
            1 => Origins::Only(r.list(read)?),
            2 => Origins::ForeignOrSince(Timestamp(r.number()?)),
            _ => return Err(Damaged),
        };
        Ok(Self {
            tag,
            cover,
            outside,
            origins,
            attached,
            part,
            active,
            until,
        })
    }
}

/// What a letter has that was ever sealed. It stays when its last seal goes: a head that began
/// anew could say what an earlier one did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SealHead {
    /// How often the seals of the letter have changed.
    pub(crate) changes: u64,
    /// How many there are.
    pub(crate) seals: u64,
}

impl SealHead {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut w = Writer::versioned(HEAD_VERSION);
        w.number(self.changes).number(self.seals).finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, HEAD_VERSION)?;
        Ok(Self {
            changes: r.number()?,
            seals: r.number()?,
        })
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

/// The letter and the tag that the key of a seal's row says.
pub(crate) fn read_key(key: &[u8]) -> Result<(ContentDigest, SealTag), Damaged> {
    let mut parts = tern_store::key::KeyReader::new(key);
    match (parts.array(), parts.array()) {
        (Some(digest), Some(tag)) => Ok((ContentDigest(digest), SealTag(tag))),
        _ => Err(Damaged),
    }
}

/// A change of one seal, as a committed row says it.
#[derive(Clone, Debug, PartialEq)]
pub struct SealChange {
    /// The letter.
    pub digest: ContentDigest,
    /// On whose behalf.
    pub tag: SealTag,
    /// The seal; `None` when it is gone.
    pub seal: Option<Seal>,
}

/// What a committed row says of a seal: for an observer of commits that relies on nothing in
/// memory. `None` when it is the row of another table.
pub fn sealed_by_row(key: &[u8], value: Option<&[u8]>) -> Option<Result<SealChange, Damaged>> {
    if key.first() != Some(&tables::SEAL_OF) {
        return None;
    }
    let change = read_key(key).and_then(|(digest, tag)| {
        let seal = value.map(|value| Seal::decode(tag, value)).transpose()?;
        Ok(SealChange { digest, tag, seal })
    });
    Some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> OriginId {
        let mut id = [7; 16];
        id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        OriginId(id)
    }

    fn all_but(since: u64, foreign: bool, others: &[OriginId]) -> Origins {
        Origins::AllBut {
            since: at(since).time(),
            foreign,
            others: others.to_vec(),
        }
    }

    /// Whatever a cover is said to cover of another one, it does cover.
    #[test]
    fn what_covers_all_of_another_covers_each() {
        let since = |millis: u64| Origins::ForeignOrSince(at(millis).time());
        let origins = [0, 3, 5, 9].map(at).map(|id| [id, id.foreign()]).concat();
        let covers = [
            Origins::all(),
            since(5),
            since(9),
            all_but(0, true, &[at(3)]),
            all_but(0, true, &[at(3).foreign()]),
            all_but(5, true, &[]),
            all_but(5, false, &[at(9)]),
            Origins::Only(vec![at(3), at(9).foreign()]),
        ];
        let mut held = 0;
        for (one, other) in covers
            .iter()
            .flat_map(|one| covers.iter().map(move |other| (one, other)))
        {
            if one.covers_all_of(other) {
                held += 1;
                let missed = origins
                    .iter()
                    .find(|id| other.covers(**id) && !one.covers(**id));
                assert_eq!(missed, None, "{one:?} {other:?}");
            }
        }
        assert!(held > covers.len(), "{held}");
        assert!(since(5).covers(at(3).foreign()) && !since(5).covers(at(3)));
        assert!(since(5).covers_all_of(&since(9)) && !since(9).covers_all_of(&since(5)));
        assert!(all_but(0, true, &[at(3)]).covers_all_of(&since(5)));
        assert!(!all_but(0, true, &[at(9)]).covers_all_of(&since(5)));
    }

    #[test]
    fn what_leaves_is_covered_by_sending_and_number() {
        let only = |sent: &[(u64, &[u32])], most| {
            let sent = sent
                .iter()
                .map(|(of, numbers)| (at(*of), numbers.iter().copied().collect()));
            Outside::only(sent, most)
        };
        let both = only(&[(1, &[0]), (2, &[1, 4])], 4_096);
        assert!(both.covers(at(2), Some(4)) && !both.covers(at(1), Some(4)));
        assert!(
            !both.covers(at(1), None) && both.covers_any_of(at(1)) && !both.covers_any_of(at(3))
        );
        for (asked, expected) in [
            (only(&[(2, &[4])], 4_096), true),
            (only(&[(2, &[4]), (3, &[])], 4_096), true),
            (only(&[(1, &[4])], 4_096), false),
            (only(&[(3, &[0])], 4_096), false),
            (Outside::All, false),
        ] {
            assert_eq!(both.covers_all_of(&asked), expected, "{asked:?}");
        }
        // Of too many the first.
        let Outside::Only(fit) = only(&[(9, &[1]), (1, &[2]), (5, &[3])], 80) else {
            panic!("all");
        };
        assert_eq!(fit.into_keys().collect::<Vec<_>>(), [at(1), at(9)]);
    }

    #[test]
    fn a_row_says_what_a_seal_says() {
        let outside = Outside::only([(at(2), RoaringBitmap::from([1, 9]))], 4_096);
        for (outside, origins) in [
            (Outside::All, all_but(5, true, &[at(3)])),
            (outside.clone(), Origins::Only(vec![at(1)])),
            (outside, Origins::ForeignOrSince(Timestamp(77))),
        ] {
            let seal = Seal {
                tag: SealTag([1; 16]),
                cover: Cover::Only(RoaringBitmap::from([3])),
                outside,
                origins,
                attached: true,
                part: Some(2),
                active: false,
                until: Timestamp(9),
            };
            assert_eq!(Seal::decode(seal.tag, &seal.encode()), Ok(seal));
        }
    }
}
