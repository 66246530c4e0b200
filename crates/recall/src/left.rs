//! Whose copies a seal leaves though they were asked for: those that a hold keeps where they are, and those
//! that are not in the state that was asked for.
//!
//! Invariant: it is on record as it was when the seal fell, in the transaction in which it falls. What is
//! said later of a copy that stays is why it was left then: a hold may be over by now, and of whoever was
//! not known to have been chosen then, nothing of that kind is said.

use roaring::RoaringBitmap;
use tern_base::codec::{Damaged, Reader, Writer};
use tern_mailbox::Cover;
use tern_store::{Read, StoreError, Transaction};

use crate::{RecallId, tables};

/// The accounts whose copies a seal leaves though they were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Left {
    /// A hold forbids to hide them.
    pub(crate) held: RoaringBitmap,
    /// One of theirs is not in the state that was asked for.
    pub(crate) spared: RoaringBitmap,
}

impl Left {
    /// Of those who were asked for.
    pub(crate) fn of(named: &Cover, held: RoaringBitmap, spared: RoaringBitmap) -> Self {
        let among = |accounts: RoaringBitmap| match named {
            Cover::Except(others) => accounts - others,
            Cover::Only(these) => accounts & these,
        };
        let (held, spared) = (among(held), among(spared));
        Self { held, spared }
    }

    pub(crate) fn all(&self) -> RoaringBitmap {
        &self.held | &self.spared
    }

    /// What a seal covers of what was asked for.
    pub(crate) fn covered(&self, named: Cover) -> Cover {
        match named {
            Cover::Except(accounts) => Cover::Except(accounts | self.all()),
            Cover::Only(accounts) => Cover::Only(accounts - self.all()),
        }
    }

    /// What was asked for when a seal of this cover fell.
    pub(crate) fn named(&self, cover: &Cover) -> Cover {
        match cover {
            Cover::Except(accounts) => Cover::Except(accounts - self.all()),
            Cover::Only(accounts) => Cover::Only(accounts | self.all()),
        }
    }

    pub(crate) fn put_in(&self, txn: &mut Transaction<'_>, id: RecallId) {
        if *self != Self::default() {
            txn.put(tables::left(id), self.encode());
        }
    }

    /// What is on record of a recall.
    pub(crate) fn read(reader: &dyn Read, id: RecallId) -> Result<Self, StoreError> {
        let row = reader.get(&tables::left(id))?;
        let left = row.map(|row| Self::decode(&row)).transpose()?;
        Ok(left.unwrap_or_default())
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        for accounts in [&self.held, &self.spared] {
            let mut accounts = accounts.clone();
            accounts.optimize();
            let mut bytes = Vec::with_capacity(accounts.serialized_size());
            // Writing to memory can't fail.
            let _ = accounts.serialize_into(&mut bytes);
            w.bytes(&bytes);
        }
        w.finish()
    }

    fn decode(row: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(row, 1)?;
        let mut set = || RoaringBitmap::deserialize_from(r.bytes()?).map_err(|_| Damaged);
        Ok(Self {
            held: set()?,
            spared: set()?,
        })
    }
}

/// Whether all that `asked` names is named by `held`, too.
pub(crate) fn names_all_of(held: &Cover, asked: &Cover) -> bool {
    match (held, asked) {
        (Cover::Except(no), Cover::Except(asked)) => no.is_subset(asked),
        (Cover::Except(no), Cover::Only(asked)) => no.is_disjoint(asked),
        (Cover::Only(these), Cover::Only(asked)) => asked.is_subset(these),
        (Cover::Only(_), Cover::Except(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn except(accounts: &[u32]) -> Cover {
        Cover::Except(accounts.iter().copied().collect())
    }

    fn only(accounts: &[u32]) -> Cover {
        Cover::Only(accounts.iter().copied().collect())
    }

    #[test]
    fn what_was_asked_for_is_what_is_covered_and_what_is_left() {
        let sets = || (RoaringBitmap::from([1, 2]), RoaringBitmap::from([2, 3, 9]));
        for (named, left, covered) in [
            (except(&[9]), [1, 2, 3].as_slice(), except(&[1, 2, 3, 9])),
            (only(&[2, 3, 4]), [2, 3].as_slice(), only(&[4])),
        ] {
            let found = Left::of(&named, sets().0, sets().1);
            assert_eq!(found.all(), left.iter().copied().collect());
            assert_eq!(found.covered(named.clone()), covered);
            assert_eq!(found.named(&covered), named);
            assert_eq!(Left::decode(&found.encode()), Ok(found));
        }
    }

    #[test]
    fn who_is_named_by_another() {
        for (held, asked, expected) in [
            (except(&[1]), except(&[1, 2]), true),
            (except(&[1, 2]), except(&[1]), false),
            (except(&[1]), only(&[2, 3]), true),
            (except(&[1]), only(&[1, 3]), false),
            (only(&[1, 2]), only(&[2]), true),
            (only(&[1]), only(&[1, 2]), false),
            (only(&[1]), except(&[]), false),
        ] {
            assert_eq!(names_all_of(&held, &asked), expected, "{held:?} {asked:?}");
        }
    }
}
