//! Which messages of a block: what is on record as served is kept by blocks of neighbouring ids, so that
//! what one client was served of many messages is one row.

use tern_base::MessageId;
use tern_base::codec::{Damaged, Reader, Writer};

/// Ids of one block: one bit each.
const BLOCK: u64 = 64;
/// Stands before a whole set, where the number of its only member would be.
const MANY: u8 = BLOCK as u8;

/// The block that a message is in.
pub(crate) const fn block_of(message: MessageId) -> u64 {
    message.0 / BLOCK
}

/// The first message of a block; `None` where there is none.
pub(crate) const fn first_of(block: u64) -> Option<MessageId> {
    match block.checked_mul(BLOCK) {
        Some(id) => Some(MessageId(id)),
        None => None,
    }
}

/// Some messages of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots(u64);

impl Slots {
    /// One message.
    pub(crate) const fn of(message: MessageId) -> Self {
        Self(1 << (message.0 % BLOCK))
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it has all of another.
    pub(crate) const fn holds(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// What is in either.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub(crate) const fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is not in another.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each by itself.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        let bits = (0..BLOCK).map(|n| Self(1 << n));
        bits.filter(move |one| self.holds(*one))
    }

    /// Where the first is within the block.
    pub(crate) const fn number(self) -> u32 {
        self.0.trailing_zeros()
    }

    /// Whether it has the message that is there within the block.
    pub(crate) const fn has(self, number: u8) -> bool {
        (number as u64) < BLOCK && self.0 >> number & 1 == 1
    }

    /// All of it, in so many octets whatever it has.
    pub(crate) const fn octets(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The set of [`Self::octets`].
    pub(crate) const fn from_octets(octets: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(octets))
    }

    pub(crate) fn write(self, w: &mut Writer) {
        if self.0.is_power_of_two() {
            w.byte(self.0.trailing_zeros() as u8);
        } else {
            w.byte(MANY).array(&self.0.to_be_bytes());
        }
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match r.byte()? {
            MANY => Self(u64::from_be_bytes(r.array()?)),
            one @ ..MANY => Self(1 << one),
            _ => return Err(Damaged),
        })
    }
}

/// Values by message, each held once however many have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BySlot<T>(pub(crate) Vec<(Slots, T)>);

impl<T> Default for BySlot<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone + PartialEq> BySlot<T> {
    /// What one message has.
    pub(crate) fn get(&self, slot: Slots) -> Option<&T> {
        let found = self.0.iter().find(|(of, _)| of.holds(slot));
        found.map(|(_, value)| value)
    }

    /// Changes what some messages have; `change` is asked once for those that have the same, and
    /// answers what they have then, or nothing where it stays. Answers whether anything changed.
    pub(crate) fn change(
        &mut self,
        slots: Slots,
        change: impl Fn(Option<&T>) -> Option<T>,
    ) -> bool {
        let mut left = slots;
        let mut changed = Vec::new();
        for (of, value) in &mut self.0 {
            let part = of.within(left);
            if part.is_empty() {
                continue;
            }
            left = left.without(part);
            if let Some(value) = change(Some(value)) {
                *of = of.without(part);
                changed.push((part, value));
            }
        }
        if !left.is_empty() {
            changed.extend(change(None).map(|value| (left, value)));
        }
        let news = !changed.is_empty();
        self.0.retain(|(of, _)| !of.is_empty());
        for (part, value) in changed {
            match self.0.iter_mut().find(|(_, known)| *known == value) {
                Some((of, _)) => *of = of.with(part),
                None => self.0.push((part, value)),
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(ids: &[u64]) -> Slots {
        let each = ids.iter().map(|id| Slots::of(MessageId(*id)));
        each.fold(Slots::default(), Slots::with)
    }

    #[test]
    fn a_set_is_read_as_it_was_written() {
        for set in [
            slots(&[]),
            slots(&[0]),
            slots(&[63]),
            slots(&[1, 127]),
            Slots(u64::MAX),
        ] {
            let mut w = Writer::default();
            set.write(&mut w);
            let bytes = w.finish();
            assert_eq!(Slots::read(&mut Reader::new(&bytes)), Ok(set));
        }
        assert_eq!(Slots::read(&mut Reader::new(&[65])), Err(Damaged));
        assert_eq!(slots(&[5, 64]).each().count(), 2);
        assert_eq!((block_of(MessageId(63)), block_of(MessageId(64))), (0, 1));
    }

    #[test]
    fn messages_with_the_same_share_one_value() {
        let mut by_slot = BySlot::default();
        let set = |to: u8| move |_: Option<&u8>| Some(to);
        assert!(by_slot.change(slots(&[1, 2, 3]), set(7)));
        assert!(by_slot.change(slots(&[2]), set(8)));
        assert!(by_slot.change(slots(&[4]), set(7)));
        assert_eq!(by_slot.0, [(slots(&[1, 3, 4]), 7), (slots(&[2]), 8)]);
        let raise = |old: Option<&u8>| old.is_none_or(|old| *old < 8).then_some(8);
        assert!(by_slot.change(slots(&[1, 2, 3, 4, 5]), raise));
        assert_eq!(by_slot.0, [(slots(&[1, 2, 3, 4, 5]), 8)]);
        assert!(!by_slot.change(slots(&[1, 5]), raise));
        assert_eq!(
            (by_slot.get(slots(&[5])), by_slot.get(slots(&[6]))),
            (Some(&8), None)
        );
    }
}
