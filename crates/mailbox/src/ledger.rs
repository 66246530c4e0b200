//! The ledger of one copy: to whom which of its content was served, how much, and when. What is on
//! record lies by client and block of messages ([`crate::sheet`]); this is how it is told.

use std::ops::Range;

use tern_base::Timestamp;

use crate::ExposureLevel;
use crate::client::DeviceId;

/// Which eighths of a message's octets were served: one bit each, the first the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Share(pub u8);

impl Share {
    /// None of its octets: header fields and the first words, which the level alone tells.
    pub const NONE: Self = Self(0);
    /// The whole message.
    pub const ALL: Self = Self(u8::MAX);

    /// The eighths that a range of a message's octets touches.
    pub fn of(range: &Range<u64>, size: u64) -> Self {
        let touches = |eighth: &u64| {
            let (start, end) = (size * eighth, size * (eighth + 1));
            // In eighths of an octet, so that nothing is rounded away.
            range.start * 8 < end && range.end * 8 > start && range.start < range.end
        };
        let bits = (0..8).filter(touches).map(|eighth| 1u8 << eighth);
        Self(bits.fold(0, |all, bit| all | bit))
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it holds all of another.
    pub const fn holds(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The most octets of a message of this size that it stands for.
    pub fn octets(self, size: u64) -> u64 {
        (size * u64::from(self.0.count_ones())).div_ceil(8)
    }

    /// In hundredths, rounded up.
    pub const fn percent(self) -> u32 {
        (self.0.count_ones() * 100).div_ceil(8)
    }
}

/// When content of a level was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The level.
    pub level: ExposureLevel,
    /// When at least so much was first served.
    pub first: Timestamp,
    /// When so much was last served, as far as that is on record.
    pub last: Timestamp,
}

/// What was served to one client at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Over which protocol.
    pub protocol: String,
    /// The client's name and version.
    pub client: String,
    /// The client.
    pub device: DeviceId,
    /// The address of its end.
    pub address: String,
    /// The times, by level.
    pub moments: Vec<Moment>,
    /// How much.
    pub share: Share,
}

impl Serving {
    /// The most that was served.
    pub fn level(&self) -> Option<ExposureLevel> {
        self.moments.iter().map(|moment| moment.level).max()
    }

    /// When anything was first served.
    pub fn first(&self) -> Option<Timestamp> {
        self.moments.iter().map(|moment| moment.first).min()
    }

    /// When anything was last served.
    pub fn last(&self) -> Option<Timestamp> {
        self.moments.iter().map(|moment| moment.last).max()
    }
}

/// Everything that is on record of what was served of one copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By client with its version, protocol and address, the first to be served first.
    pub servings: Vec<Serving>,
    /// What was served to others, once there were too many to be told apart.
    pub others: Option<Serving>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_says_at_least_what_was_served() {
        assert_eq!(Share::of(&(0..80), 80), Share::ALL);
        assert_eq!(Share::of(&(0..10), 80), Share(1));
        assert_eq!(Share::of(&(9..11), 80), Share(0b11));
        assert_eq!(Share::of(&(79..80), 80), Share(0x80));
        assert_eq!(Share::of(&(5..5), 80), Share::NONE);
        assert_eq!(Share::of(&(0..1), 1), Share::ALL);
        for size in 1..40u64 {
            for start in 0..size {
                for end in start..=size {
                    let share = Share::of(&(start..end), size);
                    assert!(
                        share.octets(size) >= end - start,
                        "{start}..{end} of {size}"
                    );
                }
            }
        }
        assert_eq!((Share(1).percent(), Share::ALL.percent()), (13, 100));
    }
}
