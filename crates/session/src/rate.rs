//! How often one account may do something: so many times within a period, at once or spread (the
//! generic cell rate algorithm, ITU-T I.371, which is a token bucket that keeps a time and no tokens).
//!
//! Invariant: what is refused does not count, so that whoever waits as long as they were told is let
//! through. An account that has all of its share again is forgotten. Refuses to read a clock: times are
//! told by whoever asks, each on the same clock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tern_base::AccountId;

use crate::limits::RATE_TIDY_FROM;

/// So many times for each account; without a limit where that is zero.
#[derive(Debug)]
pub struct Rate {
    /// What one takes of the period.
    step: Duration,
    period: Duration,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When each account has all of its share again.
    full_at: HashMap<AccountId, Duration>,
    tidy_at: usize,
}

impl Rate {
    /// So many within a period.
    pub fn new(most: u32, period: Duration) -> Self {
        Self {
            step: period.checked_div(most).unwrap_or_default(),
            period,
            known: Mutex::default(),
        }
    }

    /// Takes one, or says how long it is until there is one. `now` is the time since whatever moment the
    /// clock of whoever asks began at.
    pub fn take(&self, account: AccountId, now: Duration) -> Result<(), Duration> {
        self.take_many(account, 1, now)
    }

    /// Takes so many at once, or none of them. What is more than the period has is never let through.
    pub fn take_many(&self, account: AccountId, many: u32, now: Duration) -> Result<(), Duration> {
        if self.step.is_zero() {
            return Ok(());
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.forget(now);
        let full_at = known.full_at.get(&account).copied().unwrap_or(now).max(now);
        let full_at = full_at.saturating_add(self.step.saturating_mul(many));
        let over = full_at.saturating_sub(now.saturating_add(self.period));
        if !over.is_zero() {
            return Err(over);
        }
        known.full_at.insert(account, full_at);
        Ok(())
    }
}

impl Known {
    fn forget(&mut self, now: Duration) {
        if self.full_at.len() >= self.tidy_at.max(RATE_TIDY_FROM) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.tidy_at = 2 * self.full_at.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const BOB: AccountId = AccountId(1);

    const fn second(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    #[test]
    fn an_account_has_its_share_at_once_and_then_as_time_goes_by() {
        let rate = Rate::new(3, MINUTE);
        for _ in 0..3 {
            assert_eq!(rate.take(BOB, second(0)), Ok(()));
        }
        let refused = rate.take(BOB, second(0));
        assert_eq!(refused, Err(Duration::from_secs(20)));
        assert_eq!(rate.take(BOB, second(15)), Err(Duration::from_secs(5)));
        assert_eq!(rate.take(AccountId(2), second(15)), Ok(()), "another's");
        assert_eq!(rate.take(BOB, second(20)), Ok(()));
        assert!(rate.take(BOB, second(20)).is_err());
        // After a pause it is all there again, and no more than that.
        for _ in 0..3 {
            assert_eq!(rate.take(BOB, second(600)), Ok(()));
        }
        assert!(rate.take(BOB, second(600)).is_err());
    }

    #[test]
    fn many_are_taken_whole_or_not_at_all() {
        let rate = Rate::new(6, MINUTE);
        assert_eq!(rate.take_many(BOB, 4, second(0)), Ok(()));
        let refused = rate.take_many(BOB, 4, second(0));
        assert_eq!(refused, Err(Duration::from_secs(20)));
        assert_eq!(rate.take_many(BOB, 2, second(0)), Ok(()), "none was taken");
        assert_eq!(rate.take_many(BOB, 0, second(0)), Ok(()));
        assert!(rate.take(BOB, second(0)).is_err());
        assert!(rate.take_many(BOB, 7, second(6_000)).is_err());
        assert_eq!(rate.take_many(BOB, 6, second(6_000)), Ok(()));
    }

    #[test]
    fn none_is_no_limit() {
        let rate = Rate::new(0, MINUTE);
        assert!((0..10_000).all(|_| rate.take(BOB, second(0)) == Ok(())));
    }

    #[test]
    fn accounts_that_have_all_of_it_are_forgotten() {
        let rate = Rate::new(60, MINUTE);
        for n in 0..5_000 {
            let now = Duration::from_millis(n.into());
            assert_eq!(rate.take(AccountId(n), now), Ok(()));
        }
        let known = rate.known.lock().expect("whole").full_at.len();
        assert!(known < 2 * RATE_TIDY_FROM + 2, "{known}");
    }
}
