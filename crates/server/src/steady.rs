//! Whether a clock is to be believed that says that much time has gone by.
//!
//! Invariant: what is removed for its age is removed by a clock that has gone evenly for a day: one that has
//! leapt ahead is doubted for so long, and whoever put it wrong can put it right meanwhile. Knows no clock itself.

use std::time::Duration;

use tern_base::Timestamp;

/// How far ahead of what was expected a clock may be, and how long it is doubted where it is further.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known of the clock.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    /// What it said last, and how long this process had run then.
    last: Option<(Timestamp, Duration)>,
    doubted_until: Option<Duration>,
}

impl Steady {
    /// Takes what the clock says after so long; whether to believe it. `known` is the newest time that is on
    /// record from before.
    pub(crate) fn is_believed(&mut self, now: Timestamp, up: Duration, known: Timestamp) -> bool {
        let expected = match self.last {
            Some((then, at)) => then.plus_millis(millis(up.saturating_sub(at))),
            None => known,
        };
        if now.millis_since(expected) > millis(DAY) {
            self.doubted_until = Some(up + DAY);
        }
        self.last = Some((now, up));
        self.doubted_until.is_none_or(|until| up >= until)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const BEGIN: Timestamp = Timestamp(500_000 * HOUR);

    fn at(hours: u64) -> Timestamp {
        BEGIN.plus_millis(hours * HOUR)
    }

    const fn up(hours: u64) -> Duration {
        Duration::from_millis(hours * HOUR)
    }

    #[test]
    fn a_clock_that_leaps_ahead_is_doubted_for_a_day() {
        let mut clock = Steady::default();
        assert!(clock.is_believed(at(1), up(0), at(0)));
        assert!(clock.is_believed(at(10), up(9), at(0)));
        // A year ahead, and an hour later back.
        assert!(!clock.is_believed(at(9_000), up(10), at(0)));
        assert!(!clock.is_believed(at(12), up(11), at(0)));
        assert!(!clock.is_believed(at(34), up(33), at(0)));
        assert!(clock.is_believed(at(35), up(34), at(0)));
        // It is right, and was not before: after a day it counts.
        assert!(!clock.is_believed(at(9_000), up(40), at(0)));
        assert!(!clock.is_believed(at(9_023), up(63), at(0)));
        assert!(clock.is_believed(at(9_024), up(64), at(0)));
        // Back is no leap: what is older by then is older still.
        assert!(clock.is_believed(at(100), up(65), at(0)));
    }

    #[test]
    fn so_it_is_where_it_leapt_while_the_server_did_not_run() {
        let mut clock = Steady::default();
        assert!(!clock.is_believed(at(9_000), up(0), at(0)));
        assert!(clock.is_believed(at(9_024), up(24), at(0)));
    }
}
