//! What is under way, and what rests: so that a destination that is slow or away, or an item that
//! can't be taken, keeps back nobody else's mail.
//!
//! Invariant: no more than so many attempts are under way at all, fewer to one destination, and fewer
//! sessions with one address, those that are being connected included; an item is in one attempt at
//! most; what is counted ends with the guard that stands for it. An address that fell silent is left
//! alone for a while. What is for addresses that are all full or left alone waits without an attempt
//! from then on when one has found that out.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tern_queue::QueueId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::route::Destination;

/// How long an address is left alone that did not answer in time.
const AWAY: Duration = Duration::from_secs(60);
/// How long an item rests that could not be taken, at first and at most; each time twice as long.
const REST: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));

/// The traffic of one relay.
pub(super) struct Traffic {
    state: Mutex<State>,
    freed: Notify,
    /// Most attempts at once.
    total: usize,
    /// Most of them to one destination, and most sessions with one address.
    each: usize,
}

#[derive(Default)]
struct State {
    attempts: usize,
    under_way: HashSet<QueueId>,
    destinations: HashMap<String, usize>,
    sessions: HashMap<SocketAddr, usize>,
    away: HashMap<SocketAddr, Instant>,
    resting: HashMap<QueueId, (Instant, Duration)>,
    /// Where mail for a destination goes, of those where it could not be connected to.
    waited_for: HashMap<String, Addresses>,
}

/// Addresses that a destination's mail goes to, and whether their sessions are bounded.
struct Addresses {
    all: Vec<SocketAddr>,
    is_limited: bool,
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
    pub(super) fn new(total: usize, each: usize) -> Self {
        let total = total.max(1);
        Self {
            state: Mutex::default(),
            freed: Notify::new(),
            total,
            each: each.clamp(1, total),
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
        id: QueueId,
        to: &Destination,
        owes_word: bool,
    ) -> Option<Pass> {
        let bounded = (!to.is_of_all).then_some(&*to.name);
        let mut state = self.state();
        if state.attempts >= self.total || !state.is_free(id) {
            return None;
        }
        let place = match state.waited_for.get(&to.name) {
            None => None,
            Some(known) => match state.open_of(known, self.each) {
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
        state.under_way.insert(id);
        let place = place.map(|address| self.count(&mut state, address));
        Some(Pass {
            traffic: Arc::clone(self),
            takes_others: !state.resting.contains_key(&id),
            ids: vec![id],
            bounded: bounded.map(str::to_owned),
            place,
        })
    }

    /// Which of these may be connected to, so many at most: a session is counted with each, until it is
    /// let go. `is_limited`: no more than so many with one address.
    pub(super) fn choose(
        self: &Arc<Self>,
        addresses: &[SocketAddr],
        is_limited: bool,
        most: usize,
    ) -> Result<Vec<Session>, Closed> {
        let mut state = self.state();
        let now = Instant::now();
        state.away.retain(|_, until| *until > now);
        let (mut chosen, mut closed) = (Vec::new(), Closed::Away);
        for address in addresses {
            if state.is_open(*address, is_limited, self.each) {
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
    pub(super) fn wait_for(&self, destination: &str, addresses: Vec<SocketAddr>, is_limited: bool) {
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
            is_limited,
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
    fn is_open(&self, address: SocketAddr, is_limited: bool, each: usize) -> bool {
        let is_away = |until: &Instant| *until > Instant::now();
        let sessions = self.sessions.get(&address).copied().unwrap_or(0);
        let is_full = is_limited && sessions >= each;
        !(is_full || self.away.get(&address).is_some_and(is_away))
    }

    fn open_of(&self, known: &Addresses, each: usize) -> Option<SocketAddr> {
        let mut all = known.all.iter().copied();
        all.find(|address| self.is_open(*address, known.is_limited, each))
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
}

impl Session {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The other end fell silent.
    pub(super) fn note_away(&self) {
        self.traffic.note_away(&[self.address]);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        one_less(&mut self.traffic.state().sessions, &self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: QueueId = QueueId([1; 16]);

    fn id(n: u8) -> QueueId {
        QueueId([n; 16])
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
        let traffic = Arc::new(Traffic::new(3, 2));
        let slow: Vec<Pass> = (1..=9)
            .filter_map(|n| traffic.admit(id(n), &to("slow.test"), false))
            .collect();
        let ids: Vec<_> = slow.iter().flat_map(Pass::ids).copied().collect();
        assert_eq!(ids, [id(1), id(2)]);
        assert_eq!(traffic.room(), 1);
        assert!(
            traffic.admit(id(1), &to("other.test"), false).is_none(),
            "under way"
        );
        let other = traffic.admit(id(10), &to("other.test"), false);
        assert!(other.is_some());
        drop(slow);
        assert_eq!(traffic.room(), 2);
        // What goes by the route of all is bounded by nothing but the whole.
        let all: Vec<Pass> = (20..29)
            .filter_map(|n| traffic.admit(id(n), &of_all(), false))
            .collect();
        assert_eq!((all.len(), traffic.room()), (2, 0));
        drop((all, other));
        assert!(traffic.is_idle());
    }

    #[test]
    fn what_could_not_be_taken_rests_and_is_forgotten_once_it_is() {
        let traffic = Arc::new(Traffic::new(3, 2));
        let pass = traffic.admit(ONE, &of_all(), false).expect("admitted");
        pass.rest();
        drop(pass);
        assert!(traffic.admit(ONE, &of_all(), false).is_none());
        assert!(traffic.admit(id(2), &of_all(), false).is_some());
        let rested = |traffic: &Traffic| traffic.state().resting[&ONE].1;
        assert_eq!(rested(&traffic), REST.0);
        traffic
            .state()
            .resting
            .insert(ONE, (Instant::now(), REST.0));
        let again = traffic
            .admit(ONE, &of_all(), false)
            .expect("its time has come");
        again.rest();
        assert_eq!(rested(&traffic), REST.0 * 2);
        again.go();
        drop(again);
        assert!(traffic.admit(ONE, &of_all(), false).is_some());
    }

    #[test]
    fn an_item_is_in_one_attempt_and_what_rested_goes_alone() {
        let traffic = Arc::new(Traffic::new(3, 2));
        let mut pass = traffic.admit(ONE, &of_all(), false).expect("admitted");
        assert!(pass.join(id(2)));
        assert!(!pass.join(id(2)), "it is in it");
        assert_eq!(traffic.room(), 2, "one attempt");
        assert!(traffic.admit(id(2), &of_all(), false).is_none());
        pass.rest();
        drop(pass);
        assert_eq!(traffic.room(), 3);
        let mut other = traffic.admit(id(3), &of_all(), false).expect("admitted");
        assert!(!other.join(ONE), "it rests");
        let over = (Instant::now(), REST.0);
        traffic.state().resting.insert(ONE, over);
        assert!(!other.join(ONE), "it has rested, and goes alone");
        let mut alone = traffic
            .admit(ONE, &of_all(), false)
            .expect("its time has come");
        assert!(!alone.join(id(4)));
        alone.go();
        drop(alone);
        assert!(other.join(ONE), "it was taken");
    }

    /// Which are chosen; the sessions are let go.
    fn chosen(traffic: &Arc<Traffic>, is_limited: bool) -> Result<Vec<SocketAddr>, Closed> {
        let chosen = traffic.choose(&addresses(), is_limited, 8)?;
        Ok(chosen.iter().map(Session::address).collect())
    }

    fn begin(traffic: &Arc<Traffic>, address: SocketAddr) -> Session {
        let chosen = traffic.choose(&[address], false, 1);
        chosen.expect("open").remove(0)
    }

    #[test]
    fn addresses_that_are_away_or_busy_are_passed_over() {
        let traffic = Arc::new(Traffic::new(9, 1));
        let [first, second] = addresses();
        let both = Ok(vec![first, second]);
        assert_eq!(chosen(&traffic, true), both);
        let session = begin(&traffic, first);
        assert_eq!(chosen(&traffic, true), Ok(vec![second]));
        assert_eq!(chosen(&traffic, false), both);
        let other = begin(&traffic, second);
        assert_eq!(chosen(&traffic, true), Err(Closed::Busy));
        other.note_away();
        drop((session, other));
        assert_eq!(chosen(&traffic, true), Ok(vec![first]));
        traffic.note_away(&[first]);
        assert_eq!(chosen(&traffic, false), Err(Closed::Away));
    }

    #[test]
    fn those_that_connect_count_before_they_are_connected() {
        let traffic = Arc::new(Traffic::new(9, 2));
        let only = [addresses()[0]];
        let connecting: Vec<_> = (0..9)
            .filter_map(|_| traffic.choose(&only, true, 8).ok())
            .collect();
        assert_eq!(connecting.len(), 2, "of nine that come at once");
        assert_eq!(
            traffic.choose(&addresses(), true, 1).map(|it| it.len()),
            Ok(1)
        );
        drop(connecting);
        assert!(traffic.choose(&only, true, 8).is_ok());
    }

    #[test]
    fn what_waits_for_a_host_is_passed_over_until_there_is_room_for_it() {
        let traffic = Arc::new(Traffic::new(9, 1));
        let [first, second] = addresses();
        let (one, two) = (begin(&traffic, first), begin(&traffic, second));
        for domain in ["a.test", "b.test"] {
            traffic.wait_for(domain, addresses().into(), true);
        }
        let admit = |n, domain, owes_word| traffic.admit(id(n), &to(domain), owes_word);
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
        traffic.wait_for("d.test", vec![first], true);
        assert_eq!(traffic.state().waited_for.len(), 1);
    }

    #[test]
    fn what_falls_silent_is_waited_for_by_those_without_a_bound_as_well() {
        let traffic = Arc::new(Traffic::new(9, 1));
        traffic.note_away(&addresses());
        traffic.wait_for("all", addresses().into(), false);
        assert!(traffic.admit(ONE, &of_all(), false).is_none());
        traffic.state().away.remove(&addresses()[0]);
        assert!(traffic.admit(ONE, &of_all(), false).is_some());
    }
}
