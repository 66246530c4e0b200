//! What is under way, and what rests: so that a destination that is slow or away, or an item that
//! can't be taken, keeps back nobody else's mail.
//!
//! Invariant: no more than so many attempts are under way at all, fewer to one destination, and fewer with
//! one address; an item is in one attempt at most; what is counted ends with the guard that stands for it. An address that fell silent is
//! left alone for a while, and what is for it waits without a slot.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tern_queue::QueueId;
use tokio::sync::Notify;
use tokio::time::Instant;

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
}

/// Where a connection may be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// At these.
    Some(Vec<SocketAddr>),
    /// At none now: each has as many sessions as it may have.
    Busy,
    /// At none now: none of them answered a moment ago.
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

    /// Lets an attempt begin, if it may now. `bounded`: the destination, where its bound counts.
    pub(super) fn admit(self: &Arc<Self>, id: QueueId, bounded: Option<&str>) -> Option<Pass> {
        let mut state = self.state();
        if state.attempts >= self.total || !state.is_free(id) {
            return None;
        }
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
        Some(Pass {
            traffic: Arc::clone(self),
            takes_others: !state.resting.contains_key(&id),
            ids: vec![id],
            bounded: bounded.map(str::to_owned),
        })
    }

    /// Which of these may be connected to. `limited`: no more than so many sessions with each.
    pub(super) fn choose(&self, addresses: &[SocketAddr], limited: bool) -> Choice {
        let mut state = self.state();
        let now = Instant::now();
        state.away.retain(|_, until| *until > now);
        let (mut chosen, mut is_busy) = (Vec::new(), false);
        for address in addresses.iter().filter(|it| !state.away.contains_key(it)) {
            let sessions = state.sessions.get(address).copied();
            match limited && sessions.unwrap_or(0) >= self.each {
                true => is_busy = true,
                false => chosen.push(*address),
            }
        }
        match (chosen.is_empty(), is_busy) {
            (false, _) => Choice::Some(chosen),
            (true, true) => Choice::Busy,
            (true, false) => Choice::Away,
        }
    }

    /// These did not answer in time.
    pub(super) fn note_away(&self, addresses: &[SocketAddr]) {
        let until = Instant::now() + AWAY;
        let away = addresses.iter().map(|address| (*address, until));
        self.state().away.extend(away);
    }

    /// A session with this address begins.
    pub(super) fn begin(self: &Arc<Self>, address: SocketAddr) -> Session {
        *self.state().sessions.entry(address).or_default() += 1;
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
}

impl Pass {
    pub(super) fn ids(&self) -> &[QueueId] {
        &self.ids
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

/// A session under way.
pub(super) struct Session {
    traffic: Arc<Traffic>,
    address: SocketAddr,
}

impl Session {
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

    fn addresses() -> [SocketAddr; 2] {
        [1, 2].map(|n| SocketAddr::from(([192, 0, 2, n], 25)))
    }

    #[test]
    fn one_domain_leaves_room_for_others() {
        let traffic = Arc::new(Traffic::new(3, 2));
        let slow: Vec<Pass> = (1..=9)
            .filter_map(|n| traffic.admit(id(n), Some("slow.test")))
            .collect();
        let ids: Vec<_> = slow.iter().flat_map(Pass::ids).copied().collect();
        assert_eq!(ids, [id(1), id(2)]);
        assert_eq!(traffic.room(), 1);
        assert!(
            traffic.admit(id(1), Some("other.test")).is_none(),
            "under way"
        );
        let other = traffic.admit(id(10), Some("other.test"));
        assert!(other.is_some());
        drop(slow);
        assert_eq!(traffic.room(), 2);
        // What goes by the route of all is bounded by nothing but the whole.
        let all: Vec<Pass> = (20..29)
            .filter_map(|n| traffic.admit(id(n), None))
            .collect();
        assert_eq!((all.len(), traffic.room()), (2, 0));
        drop((all, other));
        assert!(traffic.is_idle());
    }

    #[test]
    fn what_could_not_be_taken_rests_and_is_forgotten_once_it_is() {
        let traffic = Arc::new(Traffic::new(3, 2));
        let pass = traffic.admit(ONE, None).expect("admitted");
        pass.rest();
        drop(pass);
        assert!(traffic.admit(ONE, None).is_none());
        assert!(traffic.admit(id(2), None).is_some());
        let rested = |traffic: &Traffic| traffic.state().resting[&ONE].1;
        assert_eq!(rested(&traffic), REST.0);
        traffic
            .state()
            .resting
            .insert(ONE, (Instant::now(), REST.0));
        let again = traffic.admit(ONE, None).expect("its time has come");
        again.rest();
        assert_eq!(rested(&traffic), REST.0 * 2);
        again.go();
        drop(again);
        assert!(traffic.admit(ONE, None).is_some());
    }

    #[test]
    fn an_item_is_in_one_attempt_and_what_rested_goes_alone() {
        let traffic = Arc::new(Traffic::new(3, 2));
        let mut pass = traffic.admit(ONE, None).expect("admitted");
        assert!(pass.join(id(2)));
        assert!(!pass.join(id(2)), "it is in it");
        assert_eq!(traffic.room(), 2, "one attempt");
        assert!(traffic.admit(id(2), None).is_none());
        pass.rest();
        drop(pass);
        assert_eq!(traffic.room(), 3);
        let mut other = traffic.admit(id(3), None).expect("admitted");
        assert!(!other.join(ONE), "it rests");
        let over = (Instant::now(), REST.0);
        traffic.state().resting.insert(ONE, over);
        assert!(!other.join(ONE), "it has rested, and goes alone");
        let mut alone = traffic.admit(ONE, None).expect("its time has come");
        assert!(!alone.join(id(4)));
        alone.go();
        drop(alone);
        assert!(other.join(ONE), "it was taken");
    }

    #[test]
    fn addresses_that_are_away_or_busy_are_passed_over() {
        let traffic = Arc::new(Traffic::new(9, 1));
        let [first, second] = addresses();
        let both = Choice::Some(vec![first, second]);
        assert_eq!(traffic.choose(&addresses(), true), both);
        let session = traffic.begin(first);
        assert_eq!(
            traffic.choose(&addresses(), true),
            Choice::Some(vec![second])
        );
        assert_eq!(traffic.choose(&addresses(), false), both);
        let other = traffic.begin(second);
        assert_eq!(traffic.choose(&addresses(), true), Choice::Busy);
        other.note_away();
        drop((session, other));
        assert_eq!(
            traffic.choose(&addresses(), true),
            Choice::Some(vec![first])
        );
        traffic.note_away(&[first]);
        assert_eq!(traffic.choose(&addresses(), false), Choice::Away);
    }
}
