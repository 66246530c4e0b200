//! A part of a result by the places in it: PARTIAL of SEARCH and UID FETCH (RFC 9394).
//!
//! Invariant: no place is 0; what is told is the range as it was asked for.

use std::fmt;

use roaring::RoaringBitmap;

/// A range of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The last of the result is in place 1, not the first.
    pub from_end: bool,
    /// One end of the range, and the other, as they were sent: either may be the lower one.
    pub ends: (u32, u32),
}

impl Partial {
    /// What is in those places.
    pub fn of(self, found: &RoaringBitmap) -> RoaringBitmap {
        let (one, other) = self.ends;
        let (low, high) = (one.min(other), one.max(other));
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
        // How many are before it, and how many up to its end.
        let (before, up_to) = match self.from_end {
            false => (low - 1, high.min(count)),
            true => (count.saturating_sub(high), count.saturating_sub(low - 1)),
        };
        let ends = up_to
            .checked_sub(1)
            .filter(|last| *last >= before)
            .and_then(|last| Some((found.select(before)?, found.select(last)?)));
        let mut part = RoaringBitmap::new();
        if let Some((first, last)) = ends {
            part.insert_range(first..=last);
            part &= found;
        }
        part
    }
}

/// As it is written.
impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.ends.0, self.ends.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_counting_finds() {
        let found: RoaringBitmap = (0..10).map(|n| 3 + 7 * n).collect();
        let all: Vec<u32> = found.iter().collect();
        for one in 1..13_u32 {
            for other in 1..13_u32 {
                for from_end in [false, true] {
                    let part = Partial {
                        from_end,
                        ends: (one, other),
                    };
                    let place = |at: usize| match from_end {
                        false => at as u32 + 1,
                        true => (all.len() - at) as u32,
                    };
                    let (low, high) = (one.min(other), one.max(other));
                    let is_in = |at: &usize| (low..=high).contains(&place(*at));
                    let places = (0..all.len()).filter(is_in);
                    let expected: Vec<u32> = places.map(|at| all[at]).collect();
                    assert_eq!(part.of(&found).iter().collect::<Vec<_>>(), expected);
                    assert_eq!(part.of(&RoaringBitmap::new()).len(), 0);
                }
            }
        }
        let most = Partial {
            from_end: true,
            ends: (u32::MAX, 1),
        };
        assert_eq!(most.of(&found), found);
        assert_eq!(most.to_string(), "-4294967295:-1");
    }
}
