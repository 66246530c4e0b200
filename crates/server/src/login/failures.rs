//! How often somebody failed of late: a count that runs off, and guesses that are known.
//!
//! Invariant: what was counted runs off evenly, so that a program which retries now and then never adds up,
//! and who has failed too often may guess again one by one, never all at once.

use std::collections::VecDeque;

use tern_base::Timestamp;

/// In what time as many failures run off as are borne.
pub(super) const WINDOW_MS: u64 = 10 * 60 * 1000;
/// Most wrong guesses of a network that are known again.
const MAX_SEEN: usize = 64;
/// A known guess is free so long after it was last looked at: a program retries, a flood does not wait.
const RETRY_MS: u64 = 30 * 1000;

/// Failures of late, of which `max` run off in [`WINDOW_MS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level {
    /// Each failure is `WINDOW_MS` of these.
    units: u64,
    at: Timestamp,
}

impl Level {
    fn left(self, max: u32, now: Timestamp) -> u64 {
        // Either way: a clock that was set back keeps nobody out until it is where it was.
        let run_off = now.0.abs_diff(self.at.0).saturating_mul(max.into());
        self.units.saturating_sub(run_off)
    }

    /// How many have not run off; one that has in part counts.
    pub(super) fn failures(self, max: u32, now: Timestamp) -> u32 {
        let failures = self.left(max, now).div_ceil(WINDOW_MS);
        u32::try_from(failures).unwrap_or(u32::MAX)
    }

    /// Counts one more, up to twice as many as are borne.
    pub(super) fn add(&mut self, max: u32, now: Timestamp) {
        let most = u64::from(max) * 2 * WINDOW_MS;
        self.units = (self.left(max, now) + WINDOW_MS).min(most);
        self.at = now;
    }
}

/// Wrong guesses that are known, by what was guessed.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(VecDeque<(u64, Timestamp)>);

impl Seen {
    /// Notes a wrong guess; whether it is one that a program may have made again.
    pub(super) fn is_retry(&mut self, guess: u64, now: Timestamp) -> bool {
        let known = self.0.iter().position(|(known, _)| *known == guess);
        let last = known.and_then(|place| self.0.remove(place));
        if self.0.len() >= MAX_SEEN {
            self.0.pop_front();
        }
        self.0.push_back((guess, now));
        last.is_some_and(|(_, at)| now.millis_since(at) >= RETRY_MS)
    }

    /// Whether nothing of it is of late.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let last = self.0.back();
        last.is_none_or(|(_, at)| now.millis_since(*at) >= WINDOW_MS)
    }
}
