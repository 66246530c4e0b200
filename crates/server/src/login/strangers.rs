//! Guesses at accounts at which others have guessed wrong too often, from networks that the account has not
//! logged in from of late: they wait apart.
//!
//! Invariants: of one account one such guess is under way, with a pause behind it, from however many networks
//! they come; networks that have not failed of late come first, a few guesses of each, for as long as they have not;
//! what waits is bounded, and one that came from a network which failed makes room. Refuses to lock anybody out:
//! networks of late are never strangers, whoever waits is looked at, and it takes as many addresses as places to
//! keep somebody from one.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use tern_base::Timestamp;

use super::failures::Level;
use super::known::Known;
use super::line::Guess;
use crate::net::Network;

/// The pause behind a guess.
pub(super) const PAUSE_MS: u64 = 2_000;
/// Most guesses at one account that wait.
pub(super) const MAX_WAITING_OF_ONE: usize = 64;
/// Of these, most that one address which has not failed has before those that have: what is behind it waits among
/// them, so that nobody fills the places with one address that has never failed yet.
const MAX_FRESH_OF_ONE: usize = 2;
/// The same for what is not one client.
const MAX_FRESH_OF_MANY: usize = 16;
/// Most guesses that wait.
const MAX_WAITING: usize = 8_192;
/// Most accounts whose failures are remembered.
const MAX_ACCOUNTS: usize = 65_536;

/// What the networks say of an address now.
pub(super) trait Standing {
    /// Whether it has not failed of late.
    fn is_fresh(&self, peer: IpAddr) -> bool;
    /// Whether it is one client.
    fn is_one(&self, peer: IpAddr) -> bool;
}

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

    fn put(&mut self, guess: Guess, job: T, standing: &impl Standing) {
        let network = Network::narrow(guess.peer);
        let places = match standing.is_one(guess.peer) {
            true => MAX_FRESH_OF_ONE,
            false => MAX_FRESH_OF_MANY,
        };
        let of_network = |(other, _): &&(Guess, T)| Network::narrow(other.peer) == network;
        let has_place = || self.fresh.iter().filter(of_network).count() < places;
        let lane = match standing.is_fresh(guess.peer) && has_place() {
            true => &mut self.fresh,
            false => &mut self.others,
        };
        lane.push_back((guess, job));
    }

    /// Puts those that came from an address which has failed since among those that have.
    fn judge(&mut self, standing: &impl Standing) {
        let mut at = 0;
        while let Some((guess, _)) = self.fresh.get(at) {
            match standing.is_fresh(guess.peer) {
                true => at += 1,
                false => self.others.extend(self.fresh.remove(at)),
            }
        }
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
    known: Known,
    /// Accounts at which some guesses wait, in the order of their turns.
    turns: VecDeque<u64>,
    length: usize,
}

impl<T> Strangers<T> {
    pub(super) fn new(max: u32, known: Known) -> Self {
        Self {
            max,
            accounts: HashMap::new(),
            known,
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
        self.known.holds(guess.account, guess.peer, now)
    }

    /// Has a guess wait; answers whether there was room. What it took the place of is dropped.
    pub(super) fn push(
        &mut self,
        guess: Guess,
        job: T,
        standing: &impl Standing,
        now: Timestamp,
    ) -> bool {
        let is_full = self.length >= MAX_WAITING;
        let account = self.account(guess.account, now);
        if account.waiting() >= MAX_WAITING_OF_ONE || is_full {
            account.judge(standing);
            if account.others.pop_back().is_none() {
                return false;
            }
            account.put(guess, job, standing);
            return true;
        }
        let is_first = account.waiting() == 0;
        account.put(guess, job, standing);
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
        standing: &impl Standing,
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
                Some(due) if due <= now => {
                    account.judge(standing);
                    account.take(&may)
                }
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
        self.known.note(guess.account, guess.peer, now);
    }

    /// From where they have, to be written, where that has changed.
    pub(super) fn take_known(&mut self, now: Timestamp) -> Option<String> {
        self.known.take_text(now)
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
