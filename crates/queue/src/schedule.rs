//! When the next attempt is made.

use tern_base::Timestamp;

use crate::item::Item;
use crate::limits::OWED_WAIT_MS;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The delays between attempts, and the great deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds from the end of attempt 1, 2, 3 … to the next; the last one repeats.
    pub retry_delays_ms: Vec<u64>,
    /// How long an item may wait, in milliseconds. RFC 5321 4.5.4.1 advises 4 to 5 days.
    pub lifetime_ms: u64,
    /// After how long the sender is told of a delay, in milliseconds.
    pub delay_notice_ms: u64,
    /// How long history rows are kept, in milliseconds.
    pub history_ms: u64,
}

impl Default for Schedule {
    /// 1, 5, 15, 30 minutes, 1, 2, then every 4 hours, for 5 days; a delay is told after 4 hours;
    /// history is kept for 30 days.
    fn default() -> Self {
        Self {
            retry_delays_ms: vec![
                MINUTE_MS,
                5 * MINUTE_MS,
                15 * MINUTE_MS,
                30 * MINUTE_MS,
                HOUR_MS,
                2 * HOUR_MS,
                4 * HOUR_MS,
            ],
            lifetime_ms: 5 * 24 * HOUR_MS,
            delay_notice_ms: 4 * HOUR_MS,
            history_ms: 30 * 24 * HOUR_MS,
        }
    }
}

impl Schedule {
    /// When the item is tried again after an attempt that ended now. Up to a tenth later than the
    /// schedule says, by a share that follows from the origin: messages that failed together part
    /// ways, and the recipients of one stay together.
    /// The last attempt is made when the item expires.
    pub fn next_attempt(&self, item: &Item, now: Timestamp) -> Timestamp {
        let made = (item.attempts as usize).saturating_sub(1);
        let delays = &self.retry_delays_ms;
        let delay = delays.get(made).or(delays.last()).copied();
        let delay = delay.unwrap_or(HOUR_MS).max(1);
        let spread = u64::from(item.origin.0[15]) * delay / 2560;
        let next = now.plus_millis(delay.saturating_add(spread));
        next.min(item.expires.max(now.plus_millis(1)))
    }

    /// Whether the next attempt, whatever comes of it, has something to tell the sender: that it takes
    /// long, or that it has come to an end.
    pub fn owes_word(&self, item: &Item, now: Timestamp) -> bool {
        // What is owed its first attempt comes to no end by being unable to make it, but for a time that
        // begins when that is noted.
        let waits = item.attempts == 0 && waits_beyond_life(item).is_some();
        let is_over = now >= item.expires && !(waits && is_owed(item, false, now));
        is_over || self.owes_delay(item, now)
    }

    pub(crate) fn owes_delay(&self, item: &Item, now: Timestamp) -> bool {
        !item.delay_told && now.millis_since(item.created) >= self.delay_notice_ms
    }
}

/// Since when an item that was never tried, and whose life is over, waits for a host: what is noted of a
/// wait keeps the time of the first beyond its life.
pub(crate) fn waits_beyond_life(item: &Item) -> Option<Timestamp> {
    let since = item.last_reply.as_ref().map(|(time, _)| *time);
    since.filter(|since| *since >= item.expires)
}

/// Whether an item whose host can't be asked is owed an attempt all the same, though its life is over: one
/// is always made, even after a hold, or a stop of the server, that took longer.
pub(crate) fn is_owed(item: &Item, was_tried: bool, now: Timestamp) -> bool {
    let waits = waits_beyond_life(item).map_or(0, |since| now.millis_since(since));
    !was_tried && waits < OWED_WAIT_MS
}
