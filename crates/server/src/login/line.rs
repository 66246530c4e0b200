//! Whose password is looked at next, and whose is not looked at any more.
//!
//! Invariants: networks take turns, whoever asks more often; of one network no more guesses are
//! under way than failures are left to it, so that guesses side by side get no further than guesses
//! one by one; what waits is bounded. Guesses at an account that many have guessed at wait apart
//! ([`super::strangers`]). Knows nothing of threads: see [`super::hashers`].

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tern_base::Timestamp;

use super::known::Known;
use super::networks::Networks;
use super::strangers::{Standing, Strangers};
use crate::config::Network as Range;
use crate::net::Network;

/// The shortest delay of an answer to a failure, unless verifying may take longer.
const LEAST_DELAY: Duration = Duration::from_millis(250);
/// However slow hashes were as the server began: programs give up waiting.
const MOST_LEAST_DELAY: Duration = Duration::from_secs(2);
/// The longest, as far.
const MAX_DELAY: Duration = Duration::from_secs(8);
/// Most logins of one wide network that wait.
const MAX_WAITING_OF_ONE: usize = 1_024;
/// Most logins that wait.
const MAX_WAITING: usize = 16_384;
/// Those that wait apart come when nobody else waits, and every so many turns.
const APART_EVERY: u32 = 8;

/// A login that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) peer: IpAddr,
    /// A digest of whose it is said to be.
    pub(super) account: u64,
    /// A digest of all that was shown.
    pub(super) shown: u64,
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
    Run(Turn, T),
    /// Its network has failed too often since it came.
    Throttled(T),
}

/// A login that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    guess: Guess,
    waited_apart: bool,
}

/// The networks as they are now.
struct Now<'a>(&'a Networks, Timestamp);

impl Standing for Now<'_> {
    fn is_fresh(&self, peer: IpAddr) -> bool {
        !self.0.has_failed(peer, self.1)
    }

    fn is_one(&self, peer: IpAddr) -> bool {
        self.0.are_counted(peer)
    }
}

/// The logins that wait, and the failures of late.
#[derive(Debug)]
pub(super) struct Line<T> {
    networks: Networks,
    /// By wide network.
    waiting: HashMap<Network, VecDeque<(Guess, T)>>,
    /// Those of which some wait, in the order of their turns.
    turns: VecDeque<Network>,
    length: usize,
    strangers: Strangers<T>,
    least_delay: Duration,
    /// Turns since one that waited apart had one.
    turns_taken: u32,
}

impl<T> Line<T> {
    /// A line in which an address may fail so often, but for those that are not one client; and from where accounts
    /// have logged in before.
    pub(super) fn new(max: u32, uncounted: Vec<Range>, known: Known) -> Self {
        Self {
            networks: Networks::new(max.max(1), uncounted),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            length: 0,
            strangers: Strangers::new(max.max(1), known),
            least_delay: LEAST_DELAY,
            turns_taken: 0,
        }
    }

    /// The same where verifying may take so long: no answer to a failure comes sooner.
    pub(super) fn slower_than(self, hash: Duration) -> Self {
        Self {
            least_delay: LEAST_DELAY.max(hash).min(MOST_LEAST_DELAY),
            ..self
        }
    }

    /// Puts a login in line.
    pub(super) fn push(&mut self, guess: Guess, job: T, now: Timestamp) -> Result<(), Refused> {
        if self.networks.is_over(guess.peer, now) {
            return Err(Refused::Throttled);
        }
        if self.strangers.are(guess, now) {
            return match self.set_apart(guess, job, now) {
                true => Ok(()),
                false => Err(Refused::Busy),
            };
        }
        let wide = Network::wide(guess.peer);
        let waiting = self.waiting.get(&wide).map_or(0, VecDeque::len);
        if self.length >= MAX_WAITING || waiting >= MAX_WAITING_OF_ONE {
            return Err(Refused::Busy);
        }
        if waiting == 0 {
            self.turns.push_back(wide);
        }
        self.waiting
            .entry(wide)
            .or_default()
            .push_back((guess, job));
        self.length += 1;
        Ok(())
    }

    fn set_apart(&mut self, guess: Guess, job: T, now: Timestamp) -> bool {
        let standing = Now(&self.networks, now);
        self.strangers.push(guess, job, &standing, now)
    }

    /// The next login, if there is one that may be looked at now.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Next<T>> {
        self.turns_taken = self.turns_taken.saturating_add(1);
        if self.turns_taken >= APART_EVERY
            && let Some(next) = self.next_apart(now)
        {
            return Some(next);
        }
        self.next_in_turn(now).or_else(|| self.next_apart(now))
    }

    fn next_in_turn(&mut self, now: Timestamp) -> Option<Next<T>> {
        let mut blocked = 0;
        while blocked < self.turns.len() {
            let wide = self.turns.pop_front()?;
            let first = self.waiting.get(&wide).and_then(VecDeque::front);
            let Some(peer) = first.map(|(guess, _)| guess.peer) else {
                self.waiting.remove(&wide);
                continue;
            };
            let is_over = self.networks.is_over(peer, now);
            if !is_over && !self.networks.may_run(peer, now) {
                // Those that are under way come first: they decide whether this one is looked at.
                self.turns.push_back(wide);
                blocked += 1;
                continue;
            }
            let (guess, job) = self.take(wide)?;
            if is_over {
                return Some(Next::Throttled(job));
            }
            if self.strangers.are(guess, now) {
                // Others have guessed at the account since it came. Where there is no room it is dropped.
                self.set_apart(guess, job, now);
                continue;
            }
            return Some(self.run(guess, job, false, now));
        }
        None
    }

    fn next_apart(&mut self, now: Timestamp) -> Option<Next<T>> {
        let networks = &self.networks;
        let may = |peer: IpAddr| networks.is_over(peer, now) || networks.may_run(peer, now);
        let (guess, job) = self.strangers.next(now, &Now(networks, now), may)?;
        if self.networks.is_over(guess.peer, now) {
            return Some(Next::Throttled(job));
        }
        self.turns_taken = 0;
        self.strangers.begin(guess);
        Some(self.run(guess, job, true, now))
    }

    fn run(&mut self, guess: Guess, job: T, waited_apart: bool, now: Timestamp) -> Next<T> {
        self.networks.begin(guess.peer, now);
        let turn = Turn {
            guess,
            waited_apart,
        };
        Next::Run(turn, job)
    }

    /// From where accounts have logged in, to be written, where that has changed.
    pub(super) fn take_known(&mut self, now: Timestamp) -> Option<String> {
        self.strangers.take_known(now)
    }

    /// When there may be a next login though nothing happens until then.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.strangers.due()
    }

    /// Takes the first of a network, and gives the network its next turn behind all others.
    fn take(&mut self, wide: Network) -> Option<(Guess, T)> {
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

    /// A login that was looked at is done; answers how long to wait before that is told.
    pub(super) fn done(&mut self, turn: Turn, failed: bool, now: Timestamp) -> Duration {
        let guess = turn.guess;
        self.networks.end(guess.peer, now);
        if turn.waited_apart {
            self.strangers.done(guess, now);
        }
        if failed {
            return self.fail(guess, now);
        }
        // Behind what is not one client is anybody.
        if self.networks.are_counted(guess.peer) {
            self.strangers.succeeded(guess, now);
        }
        self.networks.succeeded(guess.peer, now);
        Duration::ZERO
    }

    /// Counts a failure; answers how long to wait before it is told.
    pub(super) fn fail(&mut self, guess: Guess, now: Timestamp) -> Duration {
        let failed = self.networks.fail(guess, now);
        if failed.is_new {
            self.strangers.fail(guess, now);
        }
        let doublings = failed.failures.saturating_sub(1).min(6);
        let delay = (LEAST_DELAY * (1 << doublings)).min(MAX_DELAY);
        delay.max(self.least_delay)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::failures::WINDOW_MS;
    use super::super::strangers::PAUSE_MS;
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn line_of(max: u32) -> Line<u32> {
        Line::new(max, Vec::new(), nobody())
    }

    fn nobody() -> Known {
        Known::none(&mut tern_base::SeededEntropy::new(1))
    }

    /// A guess at an account of its own, and other than each before.
    fn from(text: &str) -> Guess {
        static SHOWN: AtomicU64 = AtomicU64::new(0);
        let shown = SHOWN.fetch_add(1, Ordering::Relaxed);
        Guess {
            peer: ip(text),
            account: u64::MAX - shown,
            shown,
        }
    }

    /// A guess at one account.
    fn at(account: u64, text: &str) -> Guess {
        Guess {
            account,
            ..from(text)
        }
    }

    /// The guess that may be looked at now, if there is one.
    fn turn(line: &mut Line<u32>, now: Timestamp) -> Option<Turn> {
        match line.next(now)? {
            Next::Run(turn, _) => Some(turn),
            Next::Throttled(job) => panic!("{job} is not looked at"),
        }
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
        let mut line = line_of(3);
        let peer = "192.0.2.1";
        let delays: Vec<u128> = (0..3)
            .map(|_| line.fail(from(peer), NOW).as_millis())
            .collect();
        assert_eq!(delays, [250, 500, 1_000]);
        assert_eq!(line.push(from(peer), 1, NOW), Err(Refused::Throttled));
        assert_eq!(line.push(from("192.0.2.2"), 2, NOW), Ok(()));
        let later = NOW.plus_millis(WINDOW_MS);
        assert_eq!(line.push(from(peer), 3, later), Ok(()));
        assert_eq!(line.fail(from(peer), later).as_millis(), 250);
        for _ in 0..20 {
            assert!(line.fail(from(peer), later) <= MAX_DELAY);
        }
    }

    #[test]
    fn an_answer_is_kept_back_for_longer_than_any_hash_takes() {
        let slow = Duration::from_millis(400);
        let mut line = line_of(3).slower_than(slow);
        assert_eq!(line.fail(from("192.0.2.1"), NOW), slow);
        assert_eq!(line.fail(from("192.0.2.1"), NOW), 2 * LEAST_DELAY);
        let mut quick = line_of(3).slower_than(Duration::from_millis(1));
        assert_eq!(quick.fail(from("192.0.2.1"), NOW), LEAST_DELAY);
    }

    #[test]
    fn guesses_side_by_side_get_no_further_than_one_by_one() {
        let mut line = line_of(3);
        for job in 0..10 {
            line.push(from("192.0.2.1"), job, NOW).expect("room");
        }
        let mut running: Vec<Turn> = (0..3).filter_map(|_| turn(&mut line, NOW)).collect();
        assert_eq!(running.len(), 3, "as many as may fail");
        assert_eq!(line.next(NOW), None);
        line.done(running.remove(0), false, NOW);
        running.extend(turn(&mut line, NOW));
        assert_eq!(running.len(), 3, "a success leaves room for another");
        assert_eq!(line.next(NOW), None);
        for turn in running {
            line.done(turn, true, NOW);
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
        let mut line = line_of(2);
        for n in 0..8_u16 {
            let peer = &format!("2001:db8:0:{n}::1");
            line.push(from(peer), 0, NOW).expect("room");
            let turn = turn(&mut line, NOW).expect("a turn");
            line.done(turn, true, NOW);
        }
        let neighbour = "2001:db8:0:ffff::1";
        assert_eq!(line.push(from(neighbour), 0, NOW), Err(Refused::Throttled));
        assert_eq!(line.push(from("2001:db8:1::1"), 0, NOW), Ok(()));
    }

    #[test]
    fn networks_take_turns() {
        let mut line = line_of(100);
        for job in 0..5 {
            line.push(from("192.0.2.1"), job, NOW).expect("room");
        }
        line.push(from("198.51.100.1"), 10, NOW).expect("room");
        line.push(from("203.0.113.1"), 20, NOW).expect("room");
        line.push(from("198.51.100.2"), 11, NOW).expect("room");
        assert_eq!(run(&mut line), [0, 10, 20, 1, 11, 2, 3, 4]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut line = line_of(1);
        let peer = "192.0.2.1";
        for _ in 0..MAX_WAITING_OF_ONE {
            line.push(from(peer), 0, NOW).expect("room");
        }
        assert_eq!(line.push(from(peer), 0, NOW), Err(Refused::Busy));
        assert_eq!(line.push(from("198.51.100.1"), 0, NOW), Ok(()));
    }

    #[test]
    fn a_login_that_succeeds_leaves_no_trace() {
        let mut line = line_of(3);
        let peer = "192.0.2.1";
        line.push(from(peer), 0, NOW).expect("room");
        let turn = turn(&mut line, NOW).expect("a turn");
        line.done(turn, false, NOW);
        assert!(line.networks.len() == 0);
    }

    #[test]
    fn failures_run_off_one_by_one() {
        let mut line = line_of(10);
        let peer = "192.0.2.1";
        for _ in 0..10 {
            line.fail(from(peer), NOW);
        }
        assert_eq!(line.push(from(peer), 0, NOW), Err(Refused::Throttled));
        // A tenth of the window: there is room for one, and no more.
        let later = NOW.plus_millis(WINDOW_MS / 10);
        assert_eq!(line.push(from(peer), 1, later), Ok(()));
        let first = turn(&mut line, later).expect("a turn");
        assert_eq!(line.push(from(peer), 2, later), Ok(()));
        assert_eq!(line.next(later), None, "the first decides");
        line.done(first, true, later);
        assert_eq!(line.next(later), Some(Next::Throttled(2)));
    }

    #[test]
    fn a_program_that_retries_shuts_nobody_out() {
        let mut line = line_of(3);
        // Fifty telephones behind one address, each with an old password, for a day.
        let guesses: Vec<Guess> = (0..50).map(|_| from("192.0.2.1")).collect();
        let mut now = NOW;
        let mut refused = 0;
        for _ in 0..288 {
            refused = 0;
            for guess in &guesses {
                now = now.plus_millis(6_000);
                match line.push(*guess, 0, now) {
                    Ok(()) => {
                        let turn = turn(&mut line, now).expect("a turn");
                        line.done(turn, true, now);
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        assert_eq!(refused, 0, "in the end all of them are known");
        let good = from("192.0.2.1");
        assert_eq!(line.push(good, 1, now), Ok(()));
        let turn = turn(&mut line, now).expect("a turn");
        assert_eq!(line.done(turn, false, now), Duration::ZERO);
        // A flood of one guess is not a program that retries.
        let again = from("198.51.100.1");
        for _ in 0..3 {
            line.fail(again, now);
        }
        assert_eq!(line.push(again, 2, now), Err(Refused::Throttled));
    }

    #[test]
    fn what_is_not_one_client_does_not_count() {
        let loopback = "127.0.0.0/8".parse().expect("a network");
        let mut line: Line<u32> = Line::new(1, vec![loopback], nobody());
        for job in 0..10 {
            let guess = from("127.0.0.1");
            assert_eq!(line.push(guess, job, NOW), Ok(()));
            let turn = turn(&mut line, NOW).expect("a turn");
            line.done(turn, true, NOW);
        }
        assert_eq!(line.networks.len(), 0);
        // The account does, and that its owner comes that way too excepts nobody.
        line.push(at(7, "127.0.0.1"), 0, NOW).expect("room");
        let good = turn(&mut line, NOW).expect("a turn");
        line.done(good, false, NOW);
        line.fail(at(7, "127.0.0.1"), NOW);
        line.push(at(7, "127.0.0.1"), 1, NOW).expect("room");
        line.push(at(7, "127.0.0.1"), 2, NOW).expect("room");
        let first = turn(&mut line, NOW).expect("a turn");
        assert_eq!(line.next(NOW), None, "one by one");
        line.done(first, true, NOW);
        assert_eq!(line.next(NOW), None, "and with a pause");
    }

    /// An account that was guessed at from three networks, where three failures are borne.
    fn guessed_at(account: u64) -> Line<u32> {
        let mut line = line_of(3);
        for n in 1..=3 {
            let guess = at(account, &format!("203.0.{n}.1"));
            assert_eq!(line.push(guess, 0, NOW), Ok(()));
            let turn = turn(&mut line, NOW).expect("a turn");
            line.done(turn, true, NOW);
        }
        line
    }

    #[test]
    fn guesses_at_one_account_are_looked_at_one_by_one_from_however_many_networks() {
        let mut line = guessed_at(7);
        for n in 0..20 {
            line.push(at(7, &format!("198.51.{n}.1")), n, NOW)
                .expect("room");
        }
        line.push(from("192.0.2.1"), 100, NOW).expect("room");
        assert!(
            matches!(line.next(NOW), Some(Next::Run(_, 100))),
            "others come first"
        );
        let mut now = NOW;
        for n in 0..5 {
            let Some(Next::Run(turn, job)) = line.next(now) else {
                panic!("the first of {n}");
            };
            assert_eq!(job, n);
            assert_eq!(line.next(now), None, "one is under way");
            line.done(turn, true, now);
            assert_eq!(line.next(now), None, "there is a pause behind it");
            now = now.plus_millis(PAUSE_MS);
            assert_eq!(line.due(), Some(now));
        }
    }

    #[test]
    fn what_many_send_at_once_is_looked_at_no_faster() {
        let mut line = line_of(3);
        for n in 0..20 {
            line.push(at(7, &format!("198.51.{n}.1")), n, NOW)
                .expect("room");
        }
        let mut looked_at = 0;
        while let Some(turn) = turn(&mut line, NOW) {
            looked_at += 1;
            line.done(turn, true, NOW);
        }
        assert_eq!(
            looked_at, 4,
            "three, and the first of those that wait apart"
        );
    }

    #[test]
    fn nobody_is_locked_out_of_their_account() {
        let mut line = line_of(3);
        let home = at(7, "192.0.2.1");
        line.push(home, 0, NOW).expect("room");
        let first = turn(&mut line, NOW).expect("a turn");
        line.done(first, false, NOW);
        for n in 0..100 {
            line.fail(at(7, &format!("203.0.{n}.1")), NOW);
        }
        for n in 0..200 {
            let _ = line.push(at(7, &format!("203.0.{}.1", n % 100)), n, NOW);
        }
        // From where they were before, as if nothing had happened.
        line.push(at(7, "192.0.2.9"), 1_000, NOW).expect("room");
        assert!(matches!(line.next(NOW), Some(Next::Run(_, 1_000))));
        // From somewhere new, before all who have failed, though all places are taken.
        line.push(at(7, "198.51.100.1"), 2_000, NOW).expect("room");
        let next = line.next(NOW.plus_millis(PAUSE_MS));
        assert!(matches!(next, Some(Next::Run(_, 2_000))), "{next:?}");
        // Others are not concerned.
        line.push(at(8, "198.51.100.2"), 3_000, NOW).expect("room");
        assert!(matches!(line.next(NOW), Some(Next::Run(_, 3_000))));
    }

    #[test]
    fn one_address_that_has_not_failed_yet_takes_a_few_places_and_keeps_none_when_it_has() {
        let mut line = guessed_at(7);
        for n in 0..100 {
            line.push(at(7, "198.51.100.66"), n, NOW).expect("room");
        }
        // Somebody else finds a place, and is looked at behind the first two.
        line.push(at(7, "192.0.2.1"), 1_000, NOW).expect("room");
        let mut now = NOW;
        let mut looked_at = Vec::new();
        for _ in 0..3 {
            let Some(Next::Run(turn, job)) = line.next(now) else {
                panic!("nobody behind {looked_at:?}");
            };
            looked_at.push(job);
            line.done(turn, true, now);
            now = now.plus_millis(PAUSE_MS);
        }
        // The second came from an address that had failed by then.
        assert_eq!(looked_at[..2], [0, 1_000], "{looked_at:?}");
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out() {
        let back = Timestamp(NOW.0 - 2 * WINDOW_MS);
        let mut line = guessed_at(7);
        line.push(at(7, "198.51.100.1"), 1, NOW).expect("room");
        line.push(at(7, "198.51.101.1"), 2, NOW).expect("room");
        let first = turn(&mut line, NOW).expect("a turn");
        line.done(first, true, NOW);
        assert_eq!(line.next(back), None, "the pause begins again");
        assert_eq!(line.due(), Some(back.plus_millis(PAUSE_MS)));
        let later = back.plus_millis(PAUSE_MS);
        assert!(matches!(line.next(later), Some(Next::Run(_, 2))));
        let mut line = line_of(1);
        line.fail(from("192.0.2.1"), NOW);
        assert_eq!(line.push(from("192.0.2.1"), 3, back), Ok(()));
    }
}
