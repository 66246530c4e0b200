//! Guesses at accounts at which others have guessed wrong too often, from networks that the account has not
//! logged in from of late: they wait apart.
//!
//! Invariants: of one account one such guess is under way, with a pause behind it, from however many networks
//! they come; networks that have not failed of late come first; what waits is bounded, and one that came from a
//! network which failed makes room. Refuses to lock anybody out: networks of late are never strangers, and
//! whoever waits is looked at.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use tern_base::Timestamp;

use super::failures::Level;
use super::line::Guess;
use crate::net::Network;

/// The pause behind a guess.
pub(super) const PAUSE_MS: u64 = 2_000;
/// Most guesses at one account that wait.
pub(super) const MAX_WAITING_OF_ONE: usize = 64;
/// Most guesses that wait.
const MAX_WAITING: usize = 8_192;
/// Most accounts whose failures are remembered.
const MAX_ACCOUNTS: usize = 65_536;
/// Most networks of accounts that are remembered, and how long.
const MAX_KNOWN: usize = 262_144;
/// See [`MAX_KNOWN`].
const KNOWN_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// What is known of an account, by a digest of its name: whether there is such an account plays no part.
#[derive(Debug)]
struct Account<T> {
    level: Level,
    /// Guesses under way, and when the last one ended.
    running: bool,
    ended: Timestamp,
    /// From networks that have not failed of late.
    fresh: VecDeque<(Guess, T)>,
    others: VecDeque<(Guess, T)>,
}

impl<T> Default for Account<T> {
    fn default() -> Self {
        Self {
            level: Level::default(),
            running: false,
            ended: Timestamp(0),
            fresh: VecDeque::new(),
            others: VecDeque::new(),
        }
    }
}

impl<T> Account<T> {
    fn waiting(&self) -> usize {
        self.fresh.len() + self.others.len()
    }

    /// When the next one may be looked at; none while one is.
    fn due(&self) -> Option<Timestamp> {
        let may = !self.running && self.waiting() > 0;
        may.then(|| self.ended.plus_millis(PAUSE_MS))
    }

    fn put(&mut self, guess: Guess, job: T, is_fresh: bool) {
        let lane = match is_fresh {
            true => &mut self.fresh,
            false => &mut self.others,
        };
        lane.push_back((guess, job));
    }

    fn take(&mut self, may: impl Fn(IpAddr) -> bool) -> Option<(Guess, T)> {
        for lane in [&mut self.fresh, &mut self.others] {
            let place = lane.iter().position(|(guess, _)| may(guess.peer));
            if let Some(found) = place.and_then(|place| lane.remove(place)) {
                return Some(found);
            }
        }
        None
    }
}

/// The accounts that were guessed at, and who waits.
#[derive(Debug)]
pub(super) struct Strangers<T> {
    max: u32,
    accounts: HashMap<u64, Account<T>>,
    known: HashMap<(u64, Network), Timestamp>,
    /// Accounts at which some guesses wait, in the order of their turns.
    turns: VecDeque<u64>,
    length: usize,
}

impl<T> Strangers<T> {
    pub(super) fn new(max: u32) -> Self {
        Self {
            max,
            accounts: HashMap::new(),
            known: HashMap::new(),
            turns: VecDeque::new(),
            length: 0,
        }
    }

    /// Whether a guess is to wait apart.
    pub(super) fn are(&self, guess: Guess, now: Timestamp) -> bool {
        let account = self.accounts.get(&guess.account);
        let failures = account.map_or(0, |account| account.level.failures(self.max, now));
        failures >= self.max && !self.is_known(guess, now)
    }

    fn is_known(&self, guess: Guess, now: Timestamp) -> bool {
        let at = self.known.get(&(guess.account, Network::wide(guess.peer)));
        at.is_some_and(|at| now.millis_since(*at) < KNOWN_MS)
    }

    /// Has a guess wait; answers whether there was room. What it took the place of is dropped.
    pub(super) fn push(&mut self, guess: Guess, job: T, is_fresh: bool, now: Timestamp) -> bool {
        let is_full = self.length >= MAX_WAITING;
        let account = self.account(guess.account, now);
        if account.waiting() >= MAX_WAITING_OF_ONE || is_full {
            if account.others.pop_back().is_none() {
                return false;
            }
            account.put(guess, job, is_fresh);
            return true;
        }
        let is_first = account.waiting() == 0;
        account.put(guess, job, is_fresh);
        self.length += 1;
        if is_first {
            self.turns.push_back(guess.account);
        }
        true
    }

    /// The next guess whose time has come and that `may` be looked at.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        may: impl Fn(IpAddr) -> bool,
    ) -> Option<(Guess, T)> {
        for _ in 0..self.turns.len() {
            let key = self.turns.pop_front()?;
            let Some(account) = self.accounts.get_mut(&key) else {
                continue;
            };
            // A clock that was set back has nobody wait until it is where it was.
            account.ended = account.ended.min(now);
            let found = match account.due() {
                Some(due) if due <= now => account.take(&may),
                _ => None,
            };
            if account.waiting() > 0 {
                self.turns.push_back(key);
            }
            if found.is_some() {
                self.length -= 1;
                return found;
            }
        }
        None
    }

    /// One that waited is looked at.
    pub(super) fn begin(&mut self, guess: Guess) {
        if let Some(account) = self.accounts.get_mut(&guess.account) {
            account.running = true;
        }
    }

    /// When the next of those that wait may be looked at.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let accounts = self.turns.iter().filter_map(|key| self.accounts.get(key));
        accounts.filter_map(Account::due).min()
    }

    /// One that waited was looked at.
    pub(super) fn done(&mut self, guess: Guess, now: Timestamp) {
        if let Some(account) = self.accounts.get_mut(&guess.account) {
            account.running = false;
            account.ended = now;
        }
    }

    /// Counts a failure, where it came from a network that the account has not logged in from.
    pub(super) fn fail(&mut self, guess: Guess, now: Timestamp) {
        if !self.is_known(guess, now) {
            let max = self.max;
            self.account(guess.account, now).level.add(max, now);
        }
    }

    /// Remembers from where an account has logged in.
    pub(super) fn succeeded(&mut self, guess: Guess, now: Timestamp) {
        if self.known.len() >= MAX_KNOWN {
            // More than this server has people: the older half is let go.
            let mut times: Vec<Timestamp> = self.known.values().copied().collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(now);
            self.known.retain(|_, at| *at > middle);
        }
        let network = Network::wide(guess.peer);
        self.known.insert((guess.account, network), now);
    }

    fn account(&mut self, key: u64, now: Timestamp) -> &mut Account<T> {
        if self.accounts.len() >= MAX_ACCOUNTS && !self.accounts.contains_key(&key) {
            let max = self.max;
            self.accounts.retain(|_, account| {
                let is_idle = account.waiting() == 0 && !account.running;
                !is_idle || account.level.failures(max, now) >= max
            });
            if self.accounts.len() >= MAX_ACCOUNTS {
                self.accounts
                    .retain(|_, account| account.waiting() > 0 || account.running);
            }
        }
        self.accounts.entry(key).or_default()
    }
}
