//! What one client was served of the messages of one block: a row.
//!
//! Invariants: an entry says at least what was served, never less: a share that was begun counts
//! whole. The first time of a level is exact; the last is at most [`limits::LAST_SERVED_MS`] older
//! than the truth, so that serving the same again is no write.

use tern_base::Timestamp;
use tern_base::codec::{Damaged, Reader, Writer};

use crate::client::{DeviceId, shortened};
use crate::slots::{BySlot, Slots};
use crate::{ExposureLevel, Moment, Serving, Share, Viewer, limits};

const VERSION: u8 = 1;

/// What was served of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) share: Share,
    /// By level, the lowest first.
    pub(crate) moments: Vec<Moment>,
}

impl Entry {
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

    /// What either says.
    pub(crate) fn join(&mut self, other: &Self) {
        self.share = self.share.with(other.share);
        for moment in &other.moments {
            match self
                .moments
                .iter_mut()
                .find(|own| own.level == moment.level)
            {
                Some(own) => {
                    own.first = own.first.min(moment.first);
                    own.last = own.last.max(moment.last);
                }
                None => self.moments.push(*moment),
            }
        }
        self.moments.sort_by_key(|moment| moment.level);
    }

    fn write(&self, w: &mut Writer) {
        w.byte(self.share.0);
        w.list(&self.moments, |w, moment| {
            w.byte(moment.level as u8)
                .number(moment.first.0)
                .number(moment.last.0.saturating_sub(moment.first.0));
        });
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        let share = Share(r.byte()?);
        let moments = r.list(|r| {
            let level = ExposureLevel::from_number(r.byte()?)?;
            let first = r.number()?;
            let last = first.checked_add(r.number()?).ok_or(Damaged)?;
            Ok(Moment {
                level,
                first: Timestamp(first),
                last: Timestamp(last),
            })
        })?;
        Ok(Self { share, moments })
    }
}

/// What one client at one address was served of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sheet {
    pub(crate) protocol: String,
    pub(crate) client: String,
    pub(crate) device: DeviceId,
    pub(crate) address: String,
    pub(crate) entries: BySlot<Entry>,
}

impl Sheet {
    pub(crate) fn new(viewer: &Viewer) -> Self {
        Self {
            protocol: viewer.protocol.to_owned(),
            client: shortened(&viewer.client).to_owned(),
            device: viewer.device,
            address: shortened(&viewer.address).to_owned(),
            entries: BySlot::default(),
        }
    }

    /// Of the same client, for another block.
    pub(crate) fn without_entries(&self) -> Self {
        Self {
            entries: BySlot::default(),
            ..self.clone()
        }
    }

    /// Enters what is about to be served of some messages. Answers whether that is news.
    pub(crate) fn enter(
        &mut self,
        slots: Slots,
        level: ExposureLevel,
        share: Share,
        now: Timestamp,
    ) -> bool {
        self.entries.change(slots, |old| {
            if old.is_some_and(|old| old.says(level, share, now)) {
                return None;
            }
            let mut entry = old.cloned().unwrap_or_default();
            entry.enter(level, share, now);
            Some(entry)
        })
    }

    /// The same for one message of what is on record of another.
    pub(crate) fn join(&mut self, slot: Slots, other: &Entry) {
        self.entries.change(slot, |old| {
            let mut entry = old.cloned().unwrap_or_default();
            entry.join(other);
            Some(entry)
        });
    }

    /// What it says of one message.
    pub(crate) fn serving(&self, slot: Slots) -> Option<Serving> {
        let entry = self.entries.get(slot)?;
        Some(Serving {
            protocol: self.protocol.clone(),
            client: self.client.clone(),
            device: self.device,
            address: self.address.clone(),
            moments: entry.moments.clone(),
            share: entry.share,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.text(&self.protocol)
            .text(&self.client)
            .array(&self.device.0)
            .text(&self.address);
        w.list(&self.entries.0, |w, (slots, entry)| {
            slots.write(w);
            entry.write(w);
        });
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        Ok(Self {
            protocol: r.text()?,
            client: r.text()?,
            device: DeviceId(r.array()?),
            address: r.text()?,
            entries: BySlot(r.list(|r| Ok((Slots::read(r)?, Entry::read(r)?)))?),
        })
    }
}

#[cfg(test)]
mod tests {
    use tern_base::MessageId;

    use super::*;

    fn viewer() -> Viewer {
        Viewer {
            protocol: "imap",
            client: "c".repeat(1_000),
            address: "a".repeat(1_000),
            device: DeviceId([1; 8]),
        }
    }

    #[test]
    fn times_are_kept_by_level() {
        let mut sheet = Sheet::new(&viewer());
        let (slot, hour) = (Slots::of(MessageId(70)), limits::LAST_SERVED_MS);
        let mut serve = |level, at| sheet.enter(slot, level, Share::NONE, Timestamp(at));
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
        let moments = sheet.serving(slot).unwrap().moments;
        let told: Vec<_> = moments.iter().map(|m| (m.first.0, m.last.0)).collect();
        assert_eq!(told, [(5, 3 * hour), (5, hour + 5)]);
        assert_eq!(sheet.serving(Slots::of(MessageId(71))), None);
    }

    #[test]
    fn a_row_with_all_that_it_can_hold_is_read_as_it_was_written() {
        let mut sheet = Sheet::new(&viewer());
        for id in 0..64u8 {
            let slot = Slots::of(MessageId(id.into()));
            for level in ExposureLevel::ALL {
                let at = u64::MAX / 4 + u64::from(id);
                assert!(sheet.enter(slot, level, Share(id), Timestamp(at)));
                assert!(sheet.enter(slot, level, Share(id), Timestamp(2 * at)));
            }
        }
        let row = sheet.encode();
        assert!(row.len() <= limits::MAX_SHEET_ROW, "{}", row.len());
        assert_eq!(Sheet::decode(&row), Ok(sheet));
    }

    #[test]
    fn what_many_messages_have_in_common_is_written_once() {
        let mut sheet = Sheet::new(&Viewer::default());
        let each = (0..64).map(|id| Slots::of(MessageId(id)));
        let all = each.fold(Slots::default(), Slots::with);
        let (level, now) = (ExposureLevel::Downloaded, Timestamp(1_700_000_000_000));
        assert!(sheet.enter(all, level, Share::ALL, now));
        assert!(sheet.encode().len() < 48);
    }
}
