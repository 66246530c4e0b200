//! Which networks failed of late, and how many of their guesses are under way.
//!
//! Invariant: what is remembered is bounded; a flood from everywhere has the rest forgotten, and leaves the slow
//! hash, the turns and the delay.

use std::collections::HashMap;
use std::net::IpAddr;

use tern_base::Timestamp;

use super::failures::{Level, Seen};
use super::line::Guess;
use crate::config::Network as Range;
use crate::net::Network;

/// Most networks whose failures are remembered.
const MAX_NETWORKS: usize = 65_536;
/// A wide network may fail so many times as often as a narrow one.
const WIDE_FACTOR: u32 = 4;

/// What of a network counts.
#[derive(Clone, Debug, Default)]
struct Count {
    level: Level,
    /// Guesses under way: each may become a failure.
    running: u32,
    /// Of a narrow network.
    seen: Seen,
}

impl Count {
    fn is_idle(&self, max: u32, now: Timestamp) -> bool {
        self.running == 0 && self.level.failures(max, now) == 0 && self.seen.is_over(now)
    }
}

/// What a failure came to.
pub(super) struct Failed {
    /// Failures of the narrow network by now.
    pub(super) failures: u32,
    /// Whether this one counts.
    pub(super) is_new: bool,
}

/// The networks.
#[derive(Debug)]
pub(super) struct Networks {
    max: u32,
    /// Addresses that are not one client.
    uncounted: Vec<Range>,
    counts: HashMap<Network, Count>,
}

impl Networks {
    pub(super) fn new(max: u32, uncounted: Vec<Range>) -> Self {
        Self {
            max,
            uncounted,
            counts: HashMap::new(),
        }
    }

    /// The networks that a peer counts with, the narrow one first, and how often each may fail.
    fn of(&self, peer: IpAddr) -> impl DoubleEndedIterator<Item = (Network, u32)> + use<> {
        let is_counted = self.are_counted(peer);
        let wide = self.max.saturating_mul(WIDE_FACTOR);
        let networks = [
            (Network::narrow(peer), self.max),
            (Network::wide(peer), wide),
        ];
        is_counted.then_some(networks).into_iter().flatten()
    }

    /// Whether a peer is one client, or some of a network.
    pub(super) fn are_counted(&self, peer: IpAddr) -> bool {
        !self.uncounted.iter().any(|range| range.holds(peer))
    }

    /// Whether so many failures are known that nothing more is looked at.
    pub(super) fn is_over(&self, peer: IpAddr, now: Timestamp) -> bool {
        let is_over = |(network, max): (Network, u32)| {
            let count = self.counts.get(&network);
            count.is_some_and(|count| count.level.failures(max, now) >= max)
        };
        self.of(peer).any(is_over)
    }

    /// Whether one more guess may be under way.
    pub(super) fn may_run(&self, peer: IpAddr, now: Timestamp) -> bool {
        let may = |(network, max): (Network, u32)| {
            let count = self.counts.get(&network);
            count.is_none_or(|count| count.level.failures(max, now) + count.running < max)
        };
        self.of(peer).all(may)
    }

    /// Whether the address itself has failed of late.
    pub(super) fn has_failed(&self, peer: IpAddr, now: Timestamp) -> bool {
        let narrow = self.of(peer).next();
        narrow.is_some_and(|(network, max)| {
            let count = self.counts.get(&network);
            count.is_some_and(|count| count.level.failures(max, now) > 0)
        })
    }

    /// One more is under way.
    pub(super) fn begin(&mut self, peer: IpAddr, now: Timestamp) {
        for (network, _) in self.of(peer) {
            self.count(network, now).running += 1;
        }
    }

    /// One that was under way is done.
    pub(super) fn end(&mut self, peer: IpAddr, now: Timestamp) {
        for (network, _) in self.of(peer) {
            let count = self.count(network, now);
            count.running = count.running.saturating_sub(1);
        }
    }

    /// Counts a failure. What a program tries again and again is one.
    pub(super) fn fail(&mut self, guess: Guess, now: Timestamp) -> Failed {
        let Some((narrow, max)) = self.of(guess.peer).next() else {
            return Failed {
                failures: 1,
                is_new: true,
            };
        };
        let count = self.count(narrow, now);
        let is_new = !count.seen.is_retry(guess.shown, now);
        if is_new {
            for (network, max) in self.of(guess.peer) {
                self.count(network, now).level.add(max, now);
            }
        }
        let failures = self.count(narrow, now).level.failures(max, now);
        Failed { failures, is_new }
    }

    /// A network that has not failed and of which nothing is under way needs no row. A success
    /// forgets no failure: who has one account here must not guess at others.
    pub(super) fn succeeded(&mut self, peer: IpAddr, now: Timestamp) {
        for (network, max) in self.of(peer) {
            let count = self.counts.get(&network);
            if count.is_some_and(|count| count.is_idle(max, now)) {
                self.counts.remove(&network);
            }
        }
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    fn count(&mut self, network: Network, now: Timestamp) -> &mut Count {
        if self.counts.len() >= MAX_NETWORKS && !self.counts.contains_key(&network) {
            let max = self.max;
            self.counts.retain(|_, count| !count.is_idle(max, now));
            if self.counts.len() >= MAX_NETWORKS {
                self.counts.retain(|_, count| count.running > 0);
            }
        }
        self.counts.entry(network).or_default()
    }
}
