//! The server's one clock and its one source of randomness; every floor below is handed both.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tern_base::{Entropy, Timestamp};

/// The time now.
pub fn now() -> Timestamp {
    // A clock before 1970 is no clock; the epoch is as good as any answer then.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    Timestamp(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// How long it is until `then`; nothing when that is past.
pub fn until(then: Timestamp) -> Duration {
    Duration::from_millis(then.millis_since(now()))
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the operating system has no randomness to give: no key or id made without it would
    /// be worth anything.
    fn fill(&mut self, out: &mut [u8]) {
        assert!(
            getrandom::fill(out).is_ok(),
            "the operating system gives no randomness"
        );
    }
}
