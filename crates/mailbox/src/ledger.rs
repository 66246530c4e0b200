//! The ledger of one copy: to whom which of its content was served, how much, and when.
//!
//! Invariants: an entry says at least what was served, never less: a share that was begun counts
//! whole. The first time of a level is exact; the last is at most [`limits::LAST_SERVED_MS`] older
//! than the truth, so that serving the same again is no write. At most
//! [`limits::MAX_SERVINGS`] entries are kept apart; what comes after them is folded into one.

use std::ops::Range;

use tern_base::Timestamp;
use tern_base::codec::{Damaged, Reader, Writer};

use crate::client::{DeviceId, shortened};
use crate::{ExposureLevel, Viewer, limits};

const VERSION: u8 = 1;

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
    fn new(viewer: &Viewer) -> Self {
        Self {
            protocol: viewer.protocol.to_owned(),
            client: shortened(&viewer.client).to_owned(),
            device: viewer.device,
            address: shortened(&viewer.address).to_owned(),
            moments: Vec::new(),
            share: Share::NONE,
        }
    }

    fn is_of(&self, viewer: &Viewer) -> bool {
        self.device == viewer.device
            && self.protocol == viewer.protocol
            && self.address == shortened(&viewer.address)
    }

    /// The most that was served.
    pub fn level(&self) -> Option<ExposureLevel> {
        self.moments.iter().map(|moment| moment.level).max()
    }

    /// When anything was last served.
    pub fn last(&self) -> Option<Timestamp> {
        self.moments.iter().map(|moment| moment.last).max()
    }

    /// Whether it says as much already, within this span of time.
    fn says(&self, level: ExposureLevel, share: Share, now: Timestamp) -> bool {
        let span = |at: Timestamp| at.0 / limits::LAST_SERVED_MS;
        let lately = |moment: &Moment| moment.level >= level && span(moment.last) >= span(now);
        self.share.holds(share) && self.moments.iter().any(lately)
    }

    fn enter(&mut self, level: ExposureLevel, share: Share, now: Timestamp) {
        self.share = self.share.with(share);
        if let Some(moment) = self.moments.iter_mut().find(|moment| moment.level == level) {
            moment.last = moment.last.max(now);
            return;
        }
        // A higher level that was served before was this one, too.
        let higher = self.moments.iter().filter(|moment| moment.level > level);
        let first = higher.map(|moment| moment.first).min();
        self.moments.push(Moment {
            level,
            first: first.unwrap_or(now).min(now),
            last: now,
        });
        self.moments.sort_by_key(|moment| moment.level);
    }

    fn write(&self, w: &mut Writer) {
        w.text(&self.protocol)
            .text(&self.client)
            .array(&self.device.0)
            .text(&self.address)
            .byte(self.share.0);
        w.list(&self.moments, |w, moment| {
            w.byte(moment.level as u8)
                .number(moment.first.0)
                .number(moment.last.0);
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            protocol: r.text()?,
            client: r.text()?,
            device: DeviceId(r.array()?),
            address: r.text()?,
            share: Share(r.byte()?),
            moments: r.list(|r| {
                Ok(Moment {
                    level: ExposureLevel::from_number(r.byte()?)?,
                    first: Timestamp(r.number()?),
                    last: Timestamp(r.number()?),
                })
            })?,
        })
    }
}

/// Everything that is on record of what was served of one copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// By client, protocol and address, the first to be served first.
    pub servings: Vec<Serving>,
    /// What was served to others, once there were too many to be told apart.
    pub others: Option<Serving>,
}

impl Ledger {
    /// Enters what is about to be served. Answers whether that is news.
    pub(crate) fn enter(
        &mut self,
        viewer: &Viewer,
        level: ExposureLevel,
        share: Share,
        now: Timestamp,
    ) -> bool {
        let known = self.servings.iter().position(|one| one.is_of(viewer));
        if known.is_none() && self.servings.len() < limits::MAX_SERVINGS {
            self.servings.push(Serving::new(viewer));
        }
        let place = known.unwrap_or(self.servings.len().saturating_sub(1));
        let apart = self.servings.get_mut(place);
        let serving = match apart.filter(|one| one.is_of(viewer)) {
            Some(serving) => serving,
            None => self
                .others
                .get_or_insert_with(|| Serving::new(&Viewer::default())),
        };
        if serving.says(level, share, now) {
            return false;
        }
        serving.enter(level, share, now);
        true
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.list(&self.servings, |w, serving| serving.write(w));
        w.option(self.others.as_ref(), |w, others| others.write(w));
        w.finish()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            servings: r.list(Serving::read)?,
            others: r.option(Serving::read)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(n: u8) -> Viewer {
        Viewer {
            protocol: "imap",
            client: "c".repeat(1_000),
            address: format!("192.0.2.{n}"),
            device: DeviceId([n; 8]),
        }
    }

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

    #[test]
    fn times_are_kept_by_level() {
        let mut ledger = Ledger::default();
        let hour = limits::LAST_SERVED_MS;
        let mut serve = |level, at| ledger.enter(&viewer(1), level, Share::NONE, Timestamp(at));
        assert!(serve(ExposureLevel::Body, 5));
        assert!(
            !serve(ExposureLevel::Headers, 6),
            "a body is more than that"
        );
        assert!(!serve(ExposureLevel::Body, hour - 1));
        assert!(
            serve(ExposureLevel::Body, hour + 5),
            "the last time goes on"
        );
        assert!(serve(ExposureLevel::Headers, 3 * hour));
        let moments = &ledger.servings[0].moments;
        let told: Vec<_> = moments.iter().map(|m| (m.first.0, m.last.0)).collect();
        assert_eq!(told, [(5, 3 * hour), (5, hour + 5)]);
    }

    #[test]
    fn too_many_are_folded_into_one_and_the_row_stays_small() {
        let mut ledger = Ledger::default();
        for n in 0..=u8::MAX {
            for level in ExposureLevel::ALL {
                let at = Timestamp(u64::MAX / 2 + u64::from(n));
                assert!(ledger.enter(&viewer(n), level, Share(n), at) || n >= 17);
            }
        }
        assert_eq!(ledger.servings.len(), limits::MAX_SERVINGS);
        let others = ledger.others.as_ref().unwrap();
        assert_eq!(
            (others.level(), others.share),
            (Some(ExposureLevel::Relayed), Share::ALL)
        );
        let row = ledger.encode();
        assert!(row.len() <= limits::MAX_LEDGER_ROW, "{}", row.len());
        assert_eq!(Ledger::decode(&row), Ok(ledger));
    }
}
