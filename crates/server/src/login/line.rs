//! Whose password is looked at next, and whose is not looked at any more.
//!
//! Invariants: networks take turns, whoever asks more often; of one network no more guesses are
//! under way than failures are left to it, so that guesses side by side get no further than guesses
//! one by one; what waits is bounded. Knows nothing of threads: see [`super::hashers`].

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tern_base::Timestamp;

use crate::net::Network;

/// How long failures are remembered.
const WINDOW_MS: u64 = 10 * 60 * 1000;
/// Most networks whose failures are remembered.
const MAX_NETWORKS: usize = 65_536;
/// The longest delay of an answer.
const MAX_DELAY_MS: u64 = 8_000;
/// A wide network may fail so many times as often as a narrow one.
const WIDE_FACTOR: u32 = 4;
/// Most logins of one wide network that wait.
const MAX_WAITING_OF_ONE: usize = 1_024;
/// Most logins that wait.
const MAX_WAITING: usize = 16_384;

/// What of a network counts.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    failures: u32,
    last: Timestamp,
    /// Guesses under way: each may become a failure.
    running: u32,
}

impl Count {
    fn failures(&self, now: Timestamp) -> u32 {
        match now.millis_since(self.last) < WINDOW_MS {
            true => self.failures,
            false => 0,
        }
    }
}

/// Why a login is not put in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its network failed too often.
    Throttled,
    /// Too many wait.
    Busy,
}

/// What is done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// Look at this one; then call [`Line::done`].
    Run(IpAddr, T),
    /// Its network has failed too often since it came.
    Throttled(T),
}

/// The logins that wait, and the failures of late.
#[derive(Debug)]
pub(super) struct Line<T> {
    max: u32,
    counts: HashMap<Network, Count>,
    /// By wide network.
    waiting: HashMap<Network, VecDeque<(IpAddr, T)>>,
    /// Those of which some wait, in the order of their turns.
    turns: VecDeque<Network>,
    length: usize,
}

impl<T> Line<T> {
    pub(super) fn new(max: u32) -> Self {
        Self {
            max: max.max(1),
            counts: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            length: 0,
        }
    }

    fn networks(&self, peer: IpAddr) -> [(Network, u32); 2] {
        [
            (Network::narrow(peer), self.max),
            (Network::wide(peer), self.max.saturating_mul(WIDE_FACTOR)),
        ]
    }

    /// Whether so many failures are known that nothing more is looked at.
    fn is_over(&self, peer: IpAddr, now: Timestamp) -> bool {
        let is_over = |(network, max)| {
            let count = self.counts.get(&network);
            count.is_some_and(|count| count.failures(now) >= max)
        };
        self.networks(peer).into_iter().any(is_over)
    }

    /// Whether one more guess may be under way.
    fn may_run(&self, peer: IpAddr, now: Timestamp) -> bool {
        let may = |(network, max)| {
            let count = self.counts.get(&network);
            count.is_none_or(|count| count.failures(now) + count.running < max)
        };
        self.networks(peer).into_iter().all(may)
    }

    /// Puts a login in line.
    pub(super) fn push(&mut self, peer: IpAddr, job: T, now: Timestamp) -> Result<(), Refused> {
        if self.is_over(peer, now) {
            return Err(Refused::Throttled);
        }
        let wide = Network::wide(peer);
        let waiting = self.waiting.get(&wide).map_or(0, VecDeque::len);
        if self.length >= MAX_WAITING || waiting >= MAX_WAITING_OF_ONE {
            return Err(Refused::Busy);
        }
        if waiting == 0 {
            self.turns.push_back(wide);
        }
        self.waiting.entry(wide).or_default().push_back((peer, job));
        self.length += 1;
        Ok(())
    }

    /// The next login, if there is one that may be looked at now.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Next<T>> {
        for _ in 0..self.turns.len() {
            let wide = self.turns.pop_front()?;
            let first = self.waiting.get(&wide).and_then(VecDeque::front);
            let Some(peer) = first.map(|(peer, _)| *peer) else {
                self.waiting.remove(&wide);
                continue;
            };
            let is_over = self.is_over(peer, now);
            if !is_over && !self.may_run(peer, now) {
                // Those that are under way come first: they decide whether this one is looked at.
                self.turns.push_back(wide);
                continue;
            }
            let (peer, job) = self.take(wide)?;
            if is_over {
                return Some(Next::Throttled(job));
            }
            for (network, _) in self.networks(peer) {
                self.count(network, now).running += 1;
            }
            return Some(Next::Run(peer, job));
        }
        None
    }

    /// Takes the first of a network, and gives the network its next turn behind all others.
    fn take(&mut self, wide: Network) -> Option<(IpAddr, T)> {
        let waiting = self.waiting.get_mut(&wide)?;
        let first = waiting.pop_front()?;
        self.length -= 1;
        if waiting.is_empty() {
            self.waiting.remove(&wide);
        } else {
            self.turns.push_back(wide);
        }
        Some(first)
    }

    /// A login that was looked at is done.
    pub(super) fn done(&mut self, peer: IpAddr, failed: bool, now: Timestamp) -> Duration {
        for (network, _) in self.networks(peer) {
            let count = self.count(network, now);
            count.running = count.running.saturating_sub(1);
        }
        match failed {
            true => self.fail(peer, now),
            false => {
                self.forget(peer, now);
                Duration::ZERO
            }
        }
    }

    /// Counts a failure; answers how long to wait before it is told.
    pub(super) fn fail(&mut self, peer: IpAddr, now: Timestamp) -> Duration {
        let mut narrow = 0;
        for (network, _) in self.networks(peer).into_iter().rev() {
            let count = self.count(network, now);
            count.failures = count.failures(now).saturating_add(1);
            count.last = now;
            narrow = count.failures;
        }
        let doublings = narrow.saturating_sub(1).min(6);
        Duration::from_millis((250 << doublings).min(MAX_DELAY_MS))
    }

    /// A network that has not failed and of which nothing is under way needs no row. A success
    /// forgets no failure: who has one account here must not guess at others.
    fn forget(&mut self, peer: IpAddr, now: Timestamp) {
        for (network, _) in self.networks(peer) {
            let count = self.counts.get(&network);
            if count.is_some_and(|count| count.running == 0 && count.failures(now) == 0) {
                self.counts.remove(&network);
            }
        }
    }

    fn count(&mut self, network: Network, now: Timestamp) -> &mut Count {
        if self.counts.len() >= MAX_NETWORKS && !self.counts.contains_key(&network) {
            self.counts
                .retain(|_, count| count.running > 0 || count.failures(now) > 0);
            if self.counts.len() >= MAX_NETWORKS {
                // A flood from everywhere: the slow hash, the turns and the delay are what is left.
                self.counts.retain(|_, count| count.running > 0);
            }
        }
        self.counts.entry(network).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Everything that may run now.
    fn run(line: &mut Line<u32>) -> Vec<u32> {
        let mut found = Vec::new();
        while let Some(next) = line.next(NOW) {
            match next {
                Next::Run(_, job) => found.push(job),
                Next::Throttled(job) => found.push(job + 1_000),
            }
        }
        found
    }

    #[test]
    fn failures_delay_then_refuse() {
        let mut line = Line::<u32>::new(3);
        let peer = ip("192.0.2.1");
        let delays: Vec<u128> = (0..3).map(|_| line.fail(peer, NOW).as_millis()).collect();
        assert_eq!(delays, [250, 500, 1_000]);
        assert_eq!(line.push(peer, 1, NOW), Err(Refused::Throttled));
        assert_eq!(line.push(ip("192.0.2.2"), 2, NOW), Ok(()));
        let later = NOW.plus_millis(WINDOW_MS);
        assert_eq!(line.push(peer, 3, later), Ok(()));
        assert_eq!(line.fail(peer, later).as_millis(), 250);
        for _ in 0..20 {
            assert!(line.fail(peer, later).as_millis() <= u128::from(MAX_DELAY_MS));
        }
    }

    #[test]
    fn guesses_side_by_side_get_no_further_than_one_by_one() {
        let mut line = Line::new(3);
        let peer = ip("192.0.2.1");
        for job in 0..10 {
            line.push(peer, job, NOW).expect("room");
        }
        assert_eq!(run(&mut line), [0, 1, 2], "as many as may fail");
        line.done(peer, false, NOW);
        assert_eq!(run(&mut line), [3], "a success leaves room for another");
        for _ in 0..3 {
            line.done(peer, true, NOW);
        }
        assert_eq!(
            run(&mut line),
            [1_004, 1_005, 1_006, 1_007, 1_008, 1_009],
            "the others are not looked at"
        );
        assert!(line.waiting.is_empty() && line.turns.is_empty());
    }

    #[test]
    fn a_wide_network_may_fail_four_times_as_often() {
        let mut line = Line::<u32>::new(2);
        for n in 0..8_u16 {
            let peer = ip(&format!("2001:db8:0:{n}::1"));
            line.push(peer, 0, NOW).expect("room");
            assert!(matches!(line.next(NOW), Some(Next::Run(..))));
            line.done(peer, true, NOW);
        }
        let neighbour = ip("2001:db8:0:ffff::1");
        assert_eq!(line.push(neighbour, 0, NOW), Err(Refused::Throttled));
        assert_eq!(line.push(ip("2001:db8:1::1"), 0, NOW), Ok(()));
    }

    #[test]
    fn networks_take_turns() {
        let mut line = Line::new(100);
        for job in 0..5 {
            line.push(ip("192.0.2.1"), job, NOW).expect("room");
        }
        line.push(ip("198.51.100.1"), 10, NOW).expect("room");
        line.push(ip("203.0.113.1"), 20, NOW).expect("room");
        line.push(ip("198.51.100.2"), 11, NOW).expect("room");
        assert_eq!(run(&mut line), [0, 10, 20, 1, 11, 2, 3, 4]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut line = Line::new(1);
        let peer = ip("192.0.2.1");
        for job in 0..MAX_WAITING_OF_ONE {
            line.push(peer, job, NOW).expect("room");
        }
        assert_eq!(line.push(peer, 0, NOW), Err(Refused::Busy));
        assert_eq!(line.push(ip("198.51.100.1"), 0, NOW), Ok(()));
    }

    #[test]
    fn a_login_that_succeeds_leaves_no_trace() {
        let mut line = Line::new(3);
        let peer = ip("192.0.2.1");
        line.push(peer, 0, NOW).expect("room");
        assert!(matches!(line.next(NOW), Some(Next::Run(..))));
        line.done(peer, false, NOW);
        assert!(line.counts.is_empty());
    }
}
