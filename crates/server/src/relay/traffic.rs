//! What is under way, and what rests: so that a destination that is slow or away, or an item that
//! can't be taken, keeps back nobody else's mail.
//!
//! Invariant: no more than so many attempts are under way at all, fewer to one destination or of one
//! account, half of them with a null sender, which anybody can bring about; no more sessions than that with
//! one network, and fewer with one address, those that are being connected included; an item is in one
//! attempt at most; what is counted ends with the guard that stands for it. An address that fell silent is left
//! alone for a while. What is for addresses that are all full or left alone waits without an attempt
//! from then on when one has found that out.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tern_base::AccountId;
use tern_queue::{Item, QueueId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::route::Destination;
use crate::net::Network;

/// How long an address is left alone that did not answer in time.
const AWAY: Duration = Duration::from_secs(60);
/// How long an item rests that could not be taken, at first and at most; each time twice as long.
const REST: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));
/// Largest message, in octets, that no memory is counted for: as many of them as there are attempts are held.
const SMALL: u64 = 1 << 20;

/// The traffic of one relay.
pub(super) struct Traffic {
    state: Mutex<State>,
    freed: Notify,
    /// Most attempts at once.
    total: usize,
    /// Most of them to one destination, and most sessions with one address.
    each: usize,
    /// Most octets of large messages that are held for them; one is held, however large it is.
    octets: u64,
}

#[derive(Default)]
struct State {
    attempts: usize,
    octets: u64,
    under_way: HashSet<QueueId>,
    destinations: HashMap<String, usize>,
    parties: HashMap<Party, usize>,
    sessions: HashMap<SocketAddr, usize>,
    /// Sessions that are had.
    networks: HashMap<Network, usize>,
    away: HashMap<SocketAddr, Instant>,
    resting: HashMap<QueueId, (Instant, Duration)>,
    /// Where mail for a destination goes, of those where it could not be connected to.
    waited_for: HashMap<String, Addresses>,
}

/// Who brings an attempt about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Party {
    /// Whoever writes to this server: what has a null sender answers or reports.
    Anybody,
    Account(AccountId),
    /// Nobody in particular: there is no bound.
    Nobody,
}

/// What an attempt takes, by its first item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) id: QueueId,
    pub(super) party: Party,
    /// The size of the message, where it is large.
    pub(super) octets: u64,
}

impl Load {
    pub(super) fn of(item: &Item) -> Self {
        let party = match (&item.mail_from, item.account) {
            (None, _) => Party::Anybody,
            (Some(_), Some(account)) => Party::Account(account),
            (Some(_), None) => Party::Nobody,
        };
        let octets = if item.size > SMALL { item.size } else { 0 };
        let id = item.id;
        Self { id, party, octets }
    }
}

/// How the sessions with an address are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// By nothing: all mail goes there.
    None,
    /// With each address: the configuration names it.
    Address,
    /// With each address, and with its network: others name it, and may have as many as they like.
    Network,
}

/// Addresses that a destination's mail goes to.
struct Addresses {
    all: Vec<SocketAddr>,
    bound: Bound,
}

/// Why no address may be connected to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// One has as many sessions as it may have, at least.
    Busy,
    /// None of them answered a moment ago.
    Away,
}

impl Traffic {
    pub(super) fn new(total: usize, each: usize, octets: u64) -> Self {
        let total = total.max(1);
        Self {
            state: Mutex::default(),
            freed: Notify::new(),
            total,
            each: each.clamp(1, total),
            octets,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is counted is whole after each statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many further attempts may begin.
    pub(super) fn room(&self) -> usize {
        self.total.saturating_sub(self.state().attempts)
    }

    /// Whether an attempt may begin that goes there, whoever brings it about.
    pub(super) fn is_open(&self, to: &Destination) -> bool {
        let state = self.state();
        let attempts = state.destinations.get(&to.name).copied().unwrap_or(0);
        let has_room = state.attempts < self.total && (to.is_of_all || attempts < self.each);
        let known = state.waited_for.get(&to.name);
        has_room && known.is_none_or(|known| state.open_of(known, self).is_some())
    }

    /// Returns when an attempt has ended since the last call.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.state().attempts == 0
    }

    /// Lets an attempt begin, if it may now. `owes_word`: it is begun even where nobody can be
    /// asked, since something is to be told of it.
    pub(super) fn admit(
        self: &Arc<Self>,
        load: &Load,
        to: &Destination,
        owes_word: bool,
    ) -> Option<Pass> {
        let bounded = (!to.is_of_all).then_some(&*to.name);
        let mut state = self.state();
        if state.attempts >= self.total || !state.is_free(load.id) {
            return None;
        }
        let of_party = state.parties.get(&load.party).copied().unwrap_or(0);
        let is_full = state.octets > 0 && load.octets > self.octets.saturating_sub(state.octets);
        if of_party >= self.share(load.party) || is_full {
            return None;
        }
        let place = match state.waited_for.get(&to.name) {
            None => None,
            Some(known) => match state.open_of(known, self) {
                None if !owes_word => return None,
                place => place,
            },
        };
        if let Some(destination) = bounded {
            let attempts = state
                .destinations
                .entry(destination.to_owned())
                .or_default();
            if *attempts >= self.each {
                return None;
            }
            *attempts += 1;
        }
        state.attempts += 1;
        *state.parties.entry(load.party).or_default() += 1;
        state.octets += load.octets;
        state.under_way.insert(load.id);
        let place = place.map(|address| self.count(&mut state, address));
        Some(Pass {
            traffic: Arc::clone(self),
            takes_others: !state.resting.contains_key(&load.id),
            ids: vec![load.id],
            party: load.party,
            octets: load.octets,
            bounded: bounded.map(str::to_owned),
            place,
        })
    }

    /// Most attempts that one party has under way: something is left to others.
    fn share(&self, party: Party) -> usize {
        match party {
            Party::Anybody => self.half(),
            Party::Account(_) => (self.total * 3).div_ceil(4),
            Party::Nobody => self.total,
        }
    }

    fn half(&self) -> usize {
        self.total.div_ceil(2)
    }

    /// Which of these may be connected to, so many at most: a session is counted with each, until it is
    /// let go.
    pub(super) fn choose(
        self: &Arc<Self>,
        addresses: &[SocketAddr],
        bound: Bound,
        most: usize,
    ) -> Result<Vec<Session>, Closed> {
        let mut state = self.state();
        let now = Instant::now();
        state.away.retain(|_, until| *until > now);
        let (mut chosen, mut closed) = (Vec::new(), Closed::Away);
        for address in addresses {
            if state.is_open(*address, bound, self) {
                chosen.push(*address);
            } else if !state.away.contains_key(address) {
                closed = Closed::Busy;
            }
        }
        chosen.truncate(most);
        if chosen.is_empty() {
            return Err(closed);
        }
        let counted = chosen.into_iter();
        Ok(counted.map(|it| self.count(&mut state, it)).collect())
    }

    /// What goes to this destination waits for one of these.
    pub(super) fn wait_for(&self, destination: &str, addresses: Vec<SocketAddr>, bound: Bound) {
        let mut state = self.state();
        let state = &mut *state;
        let (sessions, away) = (&state.sessions, &state.away);
        let is_used = |it: &SocketAddr| sessions.contains_key(it) || away.contains_key(it);
        // Where nothing is under way any more, the next finds out for itself.
        state
            .waited_for
            .retain(|_, known| known.all.iter().any(is_used));
        let known = Addresses {
            all: addresses,
            bound,
        };
        state.waited_for.insert(destination.to_owned(), known);
    }

    /// These did not answer in time.
    pub(super) fn note_away(&self, addresses: &[SocketAddr]) {
        let until = Instant::now() + AWAY;
        let away = addresses.iter().map(|address| (*address, until));
        self.state().away.extend(away);
    }

    fn count(self: &Arc<Self>, state: &mut State, address: SocketAddr) -> Session {
        *state.sessions.entry(address).or_default() += 1;
        Session {
            traffic: Arc::clone(self),
            address,
            network: None,
        }
    }
}

impl State {
    /// Whether an item may be attempted now.
    fn is_free(&self, id: QueueId) -> bool {
        let rests = |(until, _): &(Instant, Duration)| *until > Instant::now();
        !self.under_way.contains(&id) && !self.resting.get(&id).is_some_and(rests)
    }

    /// Whether a session with an address may begin.
    fn is_open(&self, address: SocketAddr, bound: Bound, most: &Traffic) -> bool {
        let is_away = |until: &Instant| *until > Instant::now();
        let sessions = self.sessions.get(&address).copied().unwrap_or(0);
        let network = Network::wide(address.ip());
        let of_network = self.networks.get(&network).copied().unwrap_or(0);
        let is_full = match bound {
            Bound::None => false,
            Bound::Address => sessions >= most.each,
            Bound::Network => sessions >= most.each || of_network >= most.half(),
        };
        !(is_full || self.away.get(&address).is_some_and(is_away))
    }

    fn open_of(&self, known: &Addresses, most: &Traffic) -> Option<SocketAddr> {
        let mut all = known.all.iter().copied();
        all.find(|address| self.is_open(*address, known.bound, most))
    }
}

/// One less of what is counted; what is none is forgotten.
fn one_less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// An attempt under way, with the items of it.
pub(super) struct Pass {
    traffic: Arc<Traffic>,
    /// What could not be taken before goes alone, so that it keeps back nothing else.
    takes_others: bool,
    ids: Vec<QueueId>,
    party: Party,
    octets: u64,
    bounded: Option<String>,
    /// A session that is kept free for it where others wait for one as well.
    place: Option<Session>,
}

impl Pass {
    pub(super) fn ids(&self) -> &[QueueId] {
        &self.ids
    }

    /// It connects now: what was kept free for it is free.
    pub(super) fn leave_place(&mut self) {
        self.place = None;
    }

    /// Takes another item along, if it is free.
    pub(super) fn join(&mut self, id: QueueId) -> bool {
        let mut state = self.traffic.state();
        let joins = self.takes_others && state.is_free(id) && !state.resting.contains_key(&id);
        if joins {
            state.under_way.insert(id);
            self.ids.push(id);
        }
        joins
    }

    /// The items can't be taken: others go first for a while.
    pub(super) fn rest(&self) {
        let mut state = self.traffic.state();
        for id in &self.ids {
            let before = state.resting.get(id).map(|(_, time)| *time);
            let time = before.map_or(REST.0, |time| REST.1.min(time * 2));
            state.resting.insert(*id, (Instant::now() + time, time));
        }
        // Whoever has rested for long enough was looked at again, or is gone.
        let kept = |_: &QueueId, (until, _): &mut (Instant, Duration)| until.elapsed() < REST.1;
        state.resting.retain(kept);
    }

    /// The items are taken.
    pub(super) fn go(&self) {
        let mut state = self.traffic.state();
        for id in &self.ids {
            state.resting.remove(id);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.traffic.state();
        for id in &self.ids {
            state.under_way.remove(id);
        }
        state.attempts = state.attempts.saturating_sub(1);
        state.octets = state.octets.saturating_sub(self.octets);
        one_less(&mut state.parties, &self.party);
        if let Some(destination) = &self.bounded {
            one_less(&mut state.destinations, destination);
        }
        drop(state);
        self.traffic.freed.notify_one();
    }
}

/// A session under way, or about to begin.
pub(super) struct Session {
    traffic: Arc<Traffic>,
    address: SocketAddr,
    /// Its network, where it counts with that.
    network: Option<Network>,
}

impl Session {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// It is had, and counts with its network; unless that has as many sessions as it may have, by those
    /// that were had first.
    pub(super) fn settle(&mut self) -> bool {
        let network = Network::wide(self.address.ip());
        let mut state = self.traffic.state();
        let sessions = state.networks.entry(network).or_default();
        let has_room = *sessions < self.traffic.half();
        if has_room {
            *sessions += 1;
            self.network = Some(network);
        }
        has_room
    }

    /// Whether no further attempt may begin: whoever is slow keeps others waiting.
    pub(super) fn is_crowded(&self) -> bool {
        self.traffic.room() == 0
    }

    /// The other end fell silent.
    pub(super) fn note_away(&self) {
        self.traffic.note_away(&[self.address]);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.traffic.state();
        one_less(&mut state.sessions, &self.address);
        if let Some(network) = &self.network {
            one_less(&mut state.networks, network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: QueueId = QueueId([1; 16]);

    fn id(n: u8) -> QueueId {
        QueueId([n; 16])
    }

    fn load(n: u8) -> Load {
        Load {
            id: id(n),
            party: Party::Nobody,
            octets: 0,
        }
    }

    fn to(name: &str) -> Destination {
        Destination {
            name: name.to_owned(),
            is_of_all: false,
        }
    }

    fn of_all() -> Destination {
        Destination {
            is_of_all: true,
            ..to("all")
        }
    }

    fn addresses() -> [SocketAddr; 2] {
        [1, 2].map(|n| SocketAddr::from(([192, 0, 2, n], 25)))
    }

    #[test]
    fn one_domain_leaves_room_for_others() {
        let traffic = Arc::new(Traffic::new(3, 2, 0));
        let slow: Vec<Pass> = (1..=9)
            .filter_map(|n| traffic.admit(&load(n), &to("slow.test"), false))
            .collect();
        let ids: Vec<_> = slow.iter().flat_map(Pass::ids).copied().collect();
        assert_eq!(ids, [id(1), id(2)]);
        assert_eq!(traffic.room(), 1);
        assert!(
            traffic.admit(&load(1), &to("other.test"), false).is_none(),
            "under way"
        );
        let other = traffic.admit(&load(10), &to("other.test"), false);
        assert!(other.is_some());
        drop(slow);
        assert_eq!(traffic.room(), 2);
        // What goes by the route of all is bounded by nothing but the whole.
        let all: Vec<Pass> = (20..29)
            .filter_map(|n| traffic.admit(&load(n), &of_all(), false))
            .collect();
        assert_eq!((all.len(), traffic.room()), (2, 0));
        drop((all, other));
        assert!(traffic.is_idle());
    }

    #[test]
    fn what_could_not_be_taken_rests_and_is_forgotten_once_it_is() {
        let traffic = Arc::new(Traffic::new(3, 2, 0));
        let pass = traffic.admit(&load(1), &of_all(), false).expect("admitted");
        pass.rest();
        drop(pass);
        assert!(traffic.admit(&load(1), &of_all(), false).is_none());
        assert!(traffic.admit(&load(2), &of_all(), false).is_some());
        let rested = |traffic: &Traffic| traffic.state().resting[&ONE].1;
        assert_eq!(rested(&traffic), REST.0);
        traffic
            .state()
            .resting
            .insert(ONE, (Instant::now(), REST.0));
        let again = traffic
            .admit(&load(1), &of_all(), false)
            .expect("its time has come");
        again.rest();
        assert_eq!(rested(&traffic), REST.0 * 2);
        again.go();
        drop(again);
        assert!(traffic.admit(&load(1), &of_all(), false).is_some());
    }

    #[test]
    fn an_item_is_in_one_attempt_and_what_rested_goes_alone() {
        let traffic = Arc::new(Traffic::new(3, 2, 0));
        let mut pass = traffic.admit(&load(1), &of_all(), false).expect("admitted");
        assert!(pass.join(id(2)));
        assert!(!pass.join(id(2)), "it is in it");
        assert_eq!(traffic.room(), 2, "one attempt");
        assert!(traffic.admit(&load(2), &of_all(), false).is_none());
        pass.rest();
        drop(pass);
        assert_eq!(traffic.room(), 3);
        let mut other = traffic.admit(&load(3), &of_all(), false).expect("admitted");
        assert!(!other.join(ONE), "it rests");
        let over = (Instant::now(), REST.0);
        traffic.state().resting.insert(ONE, over);
        assert!(!other.join(ONE), "it has rested, and goes alone");
        let mut alone = traffic
            .admit(&load(1), &of_all(), false)
            .expect("its time has come");
        assert!(!alone.join(id(4)));
        alone.go();
        drop(alone);
        assert!(other.join(ONE), "it was taken");
    }

    #[test]
    fn what_one_party_brings_about_leaves_room_for_others() {
        let traffic = Arc::new(Traffic::new(8, 8, 0));
        let by = |n: u8, party| Load { party, ..load(n) };
        let admitted = |numbers: std::ops::Range<u8>, party| -> Vec<Pass> {
            let passes = numbers.filter_map(|n| traffic.admit(&by(n, party), &of_all(), false));
            passes.collect()
        };
        let alice = Party::Account(AccountId(1));
        let answers = admitted(0..9, Party::Anybody);
        assert_eq!(answers.len(), 4, "half");
        drop(answers);
        let first = admitted(0..9, alice);
        assert_eq!(first.len(), 6, "three quarters");
        let rest = admitted(20..29, Party::Account(AccountId(2)));
        assert_eq!((rest.len(), traffic.room()), (2, 0));
        drop((first, rest));
        assert!(traffic.state().parties.is_empty());
        // Where there is one at a time, each has it.
        let traffic = Arc::new(Traffic::new(1, 1, 0));
        for party in [Party::Anybody, alice, Party::Nobody] {
            assert!(traffic.admit(&by(1, party), &of_all(), false).is_some());
        }
    }

    #[test]
    fn large_messages_are_held_within_a_bound_and_small_ones_pass_them() {
        let traffic = Arc::new(Traffic::new(9, 9, 100));
        let admit = |n: u8, octets| {
            let load = Load { octets, ..load(n) };
            traffic.admit(&load, &of_all(), false)
        };
        let first = admit(1, 60);
        assert!(first.is_some());
        assert!(admit(2, 41).is_none(), "too much together");
        let (second, small) = (admit(3, 40), admit(4, 0));
        assert!(second.is_some() && small.is_some());
        drop((first, second));
        // Alone, whatever is larger than the bound leaves as well.
        let huge = admit(2, 1_000);
        assert!(huge.is_some());
        assert!(admit(1, 1).is_none());
        drop((huge, small));
        assert_eq!(traffic.state().octets, 0);
    }

    #[test]
    fn a_network_has_half_of_the_sessions_whatever_addresses_it_has() {
        let traffic = Arc::new(Traffic::new(4, 3, 0));
        let session = |n: u16| {
            let address = SocketAddr::from(([0x2001, 0xdb8, 7, n, 0, 0, 0, 1], 25));
            let chosen = traffic.choose(&[address], Bound::Network, 1);
            chosen.map(|mut chosen| chosen.remove(0))
        };
        // Three connect at once: two have their session.
        let mut all: Vec<Session> = (1..4).filter_map(|n| session(n).ok()).collect();
        let settled: Vec<bool> = all.iter_mut().map(Session::settle).collect();
        assert_eq!(settled, [true, true, false]);
        all.pop();
        assert_eq!(session(4).map(drop), Err(Closed::Busy));
        assert!(
            chosen(&traffic, Bound::Network).is_ok(),
            "of another network"
        );
        all.pop();
        assert!(session(4).is_ok());
        drop(all);
        assert!(traffic.state().networks.is_empty());
    }

    /// Which are chosen; the sessions are let go.
    fn chosen(traffic: &Arc<Traffic>, bound: Bound) -> Result<Vec<SocketAddr>, Closed> {
        let chosen = traffic.choose(&addresses(), bound, 8)?;
        Ok(chosen.iter().map(Session::address).collect())
    }

    fn begin(traffic: &Arc<Traffic>, address: SocketAddr) -> Session {
        let chosen = traffic.choose(&[address], Bound::None, 1);
        chosen.expect("open").remove(0)
    }

    #[test]
    fn addresses_that_are_away_or_busy_are_passed_over() {
        let traffic = Arc::new(Traffic::new(9, 1, 0));
        let [first, second] = addresses();
        let both = Ok(vec![first, second]);
        assert_eq!(chosen(&traffic, Bound::Address), both);
        let session = begin(&traffic, first);
        assert_eq!(chosen(&traffic, Bound::Address), Ok(vec![second]));
        assert_eq!(chosen(&traffic, Bound::None), both);
        let other = begin(&traffic, second);
        assert_eq!(chosen(&traffic, Bound::Address), Err(Closed::Busy));
        other.note_away();
        drop((session, other));
        assert_eq!(chosen(&traffic, Bound::Address), Ok(vec![first]));
        traffic.note_away(&[first]);
        assert_eq!(chosen(&traffic, Bound::None), Err(Closed::Away));
    }

    #[test]
    fn those_that_connect_count_before_they_are_connected() {
        let traffic = Arc::new(Traffic::new(9, 2, 0));
        let only = [addresses()[0]];
        let connecting: Vec<_> = (0..9)
            .filter_map(|_| traffic.choose(&only, Bound::Address, 8).ok())
            .collect();
        assert_eq!(connecting.len(), 2, "of nine that come at once");
        assert_eq!(
            traffic
                .choose(&addresses(), Bound::Address, 1)
                .map(|it| it.len()),
            Ok(1)
        );
        drop(connecting);
        assert!(traffic.choose(&only, Bound::Address, 8).is_ok());
    }

    #[test]
    fn what_waits_for_a_host_is_passed_over_until_there_is_room_for_it() {
        let traffic = Arc::new(Traffic::new(9, 1, 0));
        let [first, second] = addresses();
        let (one, two) = (begin(&traffic, first), begin(&traffic, second));
        for domain in ["a.test", "b.test"] {
            traffic.wait_for(domain, addresses().into(), Bound::Address);
        }
        let admit = |n, domain, owes_word| traffic.admit(&load(n), &to(domain), owes_word);
        assert!(admit(1, "a.test", false).is_none());
        assert!(admit(2, "b.test", false).is_none());
        assert!(admit(3, "c.test", false).is_some(), "it waits for nobody");
        let last = admit(1, "a.test", true);
        assert!(
            last.is_some(),
            "its sender is owed a word, whatever is free"
        );
        drop(last);
        drop(one);
        // There is room for one, and one comes.
        let mut pass = admit(1, "a.test", false).expect("there is room");
        assert!(admit(2, "b.test", false).is_none(), "it is taken");
        pass.leave_place();
        let session = begin(&traffic, first);
        assert!(admit(2, "b.test", false).is_none(), "it is in use");
        drop((session, two));
        assert!(admit(2, "b.test", false).is_some());
        // Nothing is kept of those that nobody waits for.
        traffic.wait_for("d.test", vec![first], Bound::Address);
        assert_eq!(traffic.state().waited_for.len(), 1);
    }

    #[test]
    fn what_falls_silent_is_waited_for_by_those_without_a_bound_as_well() {
        let traffic = Arc::new(Traffic::new(9, 1, 0));
        traffic.note_away(&addresses());
        traffic.wait_for("all", addresses().into(), Bound::None);
        assert!(traffic.admit(&load(1), &of_all(), false).is_none());
        traffic.state().away.remove(&addresses()[0]);
        assert!(traffic.admit(&load(1), &of_all(), false).is_some());
    }
}
