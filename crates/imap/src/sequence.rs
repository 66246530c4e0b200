//! Sequence sets: the `1:5,8,10:*` of RFC 9051 9 `sequence-set`, kept as sent and compact.
//!
//! Invariant: a number is never 0 and a set never empty; `*` is kept apart from every number until
//! [`SequenceSet::resolve`] is told the largest number there is.

use std::fmt;

use roaring::RoaringBitmap;

/// The end of a range: a number, or `*`, the largest number in use.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeqNumber(u32);

impl SeqNumber {
    /// `*`.
    pub const STAR: Self = Self(0);

    /// A number; `None` for 0.
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The number, with `*` standing for `largest`.
    pub const fn resolve(self, largest: u32) -> u32 {
        if self.0 == 0 { largest } else { self.0 }
    }

    /// Whether this is `*`.
    pub const fn is_star(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            f.write_str("*")
        } else {
            self.0.fmt(f)
        }
    }
}

/// A set of message sequence numbers or UIDs, as sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SequenceSet {
    ranges: Vec<(SeqNumber, SeqNumber)>,
}

impl SequenceSet {
    /// A set of the given ranges; `None` when there are none.
    pub fn new(ranges: Vec<(SeqNumber, SeqNumber)>) -> Option<Self> {
        (!ranges.is_empty()).then_some(Self { ranges })
    }

    /// The ranges as sent: unsorted, possibly overlapping, possibly the larger end first.
    pub fn ranges(&self) -> &[(SeqNumber, SeqNumber)] {
        &self.ranges
    }

    /// Whether the set names `*`.
    pub fn has_star(&self) -> bool {
        self.ranges
            .iter()
            .any(|(from, to)| from.is_star() || to.is_star())
    }

    /// The set as sorted, disjoint, not adjacent inclusive ranges of numbers, `*` standing for
    /// `largest`. Numbers above `largest` stay in: RFC 9051 6.4.9 lets UID sets name them. With
    /// `largest` 0 (an empty mailbox) `*` names nothing.
    pub fn resolve(&self, largest: u32) -> Vec<(u32, u32)> {
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(self.ranges.len());
        for (from, to) in &self.ranges {
            let (a, b) = (from.resolve(largest), to.resolve(largest));
            // RFC 9051 9: the order of the two ends does not matter.
            let (low, high) = (a.min(b).max(1), a.max(b));
            if high > 0 {
                out.push((low, high));
            }
        }
        normalise(&mut out);
        out
    }

    /// The numbers of the set, `*` standing for `largest`.
    pub fn numbers(&self, largest: u32) -> Numbers {
        Numbers::of_normal(self.resolve(largest))
    }
}

/// Numbers in ranges, to be asked one by one. A set of four octets may name four billion numbers, so
/// nothing here counts them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Sorted, disjoint, each with how many numbers come before it.
    ranges: Vec<(u32, u32, u64)>,
}

impl Numbers {
    /// The numbers of some ranges.
    pub fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        normalise(&mut ranges);
        Self::of_normal(ranges)
    }

    fn of_normal(ranges: Vec<(u32, u32)>) -> Self {
        let mut before = 0;
        let counted = ranges.into_iter().map(|(low, high)| {
            let range = (low, high, before);
            before += u64::from(high - low) + 1;
            range
        });
        Self {
            ranges: counted.collect(),
        }
    }

    /// Whether a number is one of them.
    pub fn contains(&self, number: u32) -> bool {
        self.place_of(number).is_some()
    }

    /// How many of them are less than `number`, which is one.
    pub fn place_of(&self, number: u32) -> Option<u64> {
        let at = self.ranges.partition_point(|(_, high, _)| *high < number);
        let (low, _, before) = self.ranges.get(at)?;
        Some(before + u64::from(number.checked_sub(*low)?))
    }

    /// The one that has so many less than it.
    pub fn at(&self, place: u64) -> Option<u32> {
        let behind = self.ranges.partition_point(|(.., before)| *before <= place);
        let (low, high, before) = self.ranges.get(behind.checked_sub(1)?)?;
        let number = u64::from(*low) + (place - before);
        u32::try_from(number).ok().filter(|number| number <= high)
    }

    /// Those that are in `of`, too.
    pub fn among(&self, of: &RoaringBitmap) -> RoaringBitmap {
        let mut named = RoaringBitmap::new();
        let (Some(least), Some(most)) = (of.min(), of.max()) else {
            return named;
        };
        for (low, high, _) in &self.ranges {
            let (low, high) = (least.max(*low), most.min(*high));
            if low <= high {
                named.insert_range(low..=high);
            }
        }
        named &= of;
        named
    }
}

/// Sorts ranges and joins those that overlap or touch.
pub fn normalise(ranges: &mut Vec<(u32, u32)>) {
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges.drain(..) {
        match joined.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => joined.push((low, high)),
        }
    }
    *ranges = joined;
}

/// Joins ascending numbers into ranges: what UID sets in responses are written from.
pub fn ranges_of(numbers: impl IntoIterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut out: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match out.last_mut() {
            Some(last) if last.1.checked_add(1) == Some(number) => last.1 = number,
            _ => out.push((number, number)),
        }
    }
    out
}

impl fmt::Debug for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (from, to)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            from.fmt(f)?;
            if from != to {
                f.write_str(":")?;
                to.fmt(f)?;
            }
        }
        Ok(())
    }
}

/// The messages that a command names.
#[derive(Clone, PartialEq, Eq)]
pub enum MessageSet {
    /// A sequence set.
    Ranges(SequenceSet),
    /// `$`: the result of the last SEARCH with RETURN (SAVE) (RFC 9051 6.4.4.1, RFC 5182).
    Saved,
}

impl fmt::Debug for MessageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ranges(set) => set.fmt(f),
            Self::Saved => f.write_str("$"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> SequenceSet {
        let number = |text: &str| match text {
            "*" => SeqNumber::STAR,
            digits => SeqNumber::new(digits.parse().unwrap()).unwrap(),
        };
        let ranges = text.split(',').map(|range| {
            let (from, to) = range.split_once(':').unwrap_or((range, range));
            (number(from), number(to))
        });
        SequenceSet::new(ranges.collect()).unwrap()
    }

    #[test]
    fn resolves() {
        let check = |text: &str, largest, expect: &[(u32, u32)]| {
            assert_eq!(set(text).resolve(largest), expect, "{text} of {largest}");
            for number in 1..30 {
                let named = expect.iter().any(|(a, b)| (*a..=*b).contains(&number));
                let numbers = set(text).numbers(largest);
                assert_eq!(numbers.contains(number), named, "{text}: {number}");
            }
        };
        check("1:5,3:8,10", 20, &[(1, 8), (10, 10)]);
        check("5:1,6", 20, &[(1, 6)]);
        check("10:*", 20, &[(10, 20)]);
        check("10:*", 3, &[(3, 10)]);
        check("*", 20, &[(20, 20)]);
        check("*:4", 20, &[(4, 20)]);
        check("*", 0, &[]);
        check("9,7,8", 20, &[(7, 9)]);
        assert_eq!(set("4294967295,4294967294:*").resolve(7), [(7, u32::MAX)]);
        assert_eq!(format!("{:?}", set("1:1,5:*,3")), "1,5:*,3");
    }

    #[test]
    fn numbers_have_places_and_are_never_counted_out() {
        let numbers = set("2:4,9,4294967290:4294967295").numbers(0);
        let all: Vec<u32> = [2, 3, 4, 9]
            .into_iter()
            .chain(u32::MAX - 5..=u32::MAX)
            .collect();
        for (place, number) in all.iter().enumerate() {
            assert_eq!(numbers.place_of(*number), Some(place as u64));
            assert_eq!(numbers.at(place as u64), Some(*number));
        }
        assert_eq!(numbers.at(all.len() as u64), None);
        assert!(
            [1, 5, 8, 10]
                .iter()
                .all(|number| !numbers.contains(*number))
        );
        let of = RoaringBitmap::from_iter([1, 3, 4, 5, 70_000]);
        assert_eq!(numbers.among(&of), RoaringBitmap::from_iter([3, 4]));
        let every = set("1:4294967295").numbers(0);
        assert_eq!(every.at(u64::from(u32::MAX) - 1), Some(u32::MAX));
        assert_eq!(every.at(u64::from(u32::MAX)), None);
        assert_eq!(every.among(&of), of);
        assert!(every.among(&RoaringBitmap::new()).is_empty());
        assert_eq!(Numbers::of(vec![(7, 9), (1, 6)]).at(8), Some(9));
    }

    #[test]
    fn joins_numbers() {
        assert_eq!(ranges_of([1, 2, 3, 7, 9, 10]), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!(ranges_of([u32::MAX]), [(u32::MAX, u32::MAX)]);
        assert!(ranges_of([]).is_empty());
    }
}
