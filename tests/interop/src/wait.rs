//! Waiting for a condition, with a deadline and no blind sleep.

use std::time::{Duration, Instant};

/// How long a test waits for anything that should happen at once.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How often a condition is looked at again.
const TICK: Duration = Duration::from_millis(5);

/// Looks until there is something, and says how long that took. Panics at the deadline.
pub fn until<T>(what: &str, deadline: Duration, look: impl FnMut() -> Option<T>) -> (T, Duration) {
    match until_or(deadline, look) {
        Some(found) => found,
        None => panic!("{what}: not within {deadline:?}"),
    }
}

/// Looks until there is something; none at the deadline.
pub fn until_or<T>(
    deadline: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> Option<(T, Duration)> {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some((found, started.elapsed()));
        }
        if started.elapsed() >= deadline {
            return None;
        }
        std::thread::park_timeout(TICK);
    }
}
