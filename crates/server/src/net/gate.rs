//! The limits at the door: how many connections there are, in all, at each listener and from each
//! network.
//!
//! Invariant: a ticket is held for as long as its connection lives; the counts are exact. A part
//! of all is kept for each kind of listener that is used, so that a flood at one leaves room at the
//! others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::prefix::Network;

/// How many kinds of listeners there are at most.
pub(crate) const KINDS: usize = 6;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// In all.
    pub(crate) total: usize,
    /// From one IPv4 address or IPv6 /64.
    pub(crate) narrow: u32,
    /// From one IPv4 /24 or IPv6 /48.
    pub(crate) wide: u32,
    /// Kept for each kind of listener, out of all.
    pub(crate) kept: [usize; KINDS],
}

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Gate {
    bounds: Bounds,
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    by_kind: [usize; KINDS],
    by_network: HashMap<Network, u32>,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Server,
    Network,
}

/// A connection's right to be there.
#[derive(Debug)]
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    kind: usize,
    counted: Option<[Network; 2]>,
}

impl Open {
    fn total(&self) -> usize {
        self.by_kind.iter().sum()
    }

    /// Whether one more of a kind leaves the others what is kept for them.
    fn has_room(&self, kind: usize, bounds: &Bounds) -> bool {
        let kinds = self.by_kind.iter().zip(bounds.kept).enumerate();
        let taken = |(n, (open, kept)): (usize, (&usize, usize))| match n == kind {
            true => open + 1,
            false => kept.max(*open),
        };
        kinds.map(taken).sum::<usize>() <= bounds.total
    }
}

impl Gate {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            open: Mutex::default(),
            left: Notify::new(),
        })
    }

    /// Lets a connection to a listener of this kind in.
    pub(crate) fn enter(self: &Arc<Self>, kind: usize, peer: IpAddr) -> Result<Ticket, Full> {
        let mut open = self.lock();
        if !open.has_room(kind, &self.bounds) {
            return Err(Full::Server);
        }
        // A proxy or a script of the host itself is not one client.
        let counted = (!peer.to_canonical().is_loopback())
            .then(|| [Network::narrow(peer), Network::wide(peer)]);
        if let Some(networks) = counted {
            let most = [self.bounds.narrow, self.bounds.wide];
            let count = |network| open.by_network.get(network).copied().unwrap_or(0);
            if networks.iter().zip(most).any(|(n, most)| count(n) >= most) {
                return Err(Full::Network);
            }
            for network in networks {
                *open.by_network.entry(network).or_default() += 1;
            }
        }
        if let Some(count) = open.by_kind.get_mut(kind) {
            *count += 1;
        }
        Ok(Ticket {
            gate: Arc::clone(self),
            kind,
            counted,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every connection is gone.
    pub(crate) async fn drained(&self) {
        loop {
            let left = self.left.notified();
            if self.lock().total() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self.gate.lock();
        if let Some(count) = open.by_kind.get_mut(self.kind) {
            *count = count.saturating_sub(1);
        }
        for network in self.counted.into_iter().flatten() {
            if let Some(count) = open.by_network.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    open.by_network.remove(&network);
                }
            }
        }
        if open.total() == 0 {
            self.gate.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn gate(total: usize, narrow: u32, wide: u32, kept: [usize; KINDS]) -> Arc<Gate> {
        Gate::new(Bounds {
            total,
            narrow,
            wide,
            kept,
        })
    }

    #[test]
    fn counts_in_all_and_by_network() {
        let gate = gate(4, 2, 100, [0; KINDS]);
        let first = gate.enter(0, ip("2001:db8::1")).expect("room");
        let _second = gate.enter(1, ip("2001:db8::2")).expect("room");
        let refused = gate.enter(0, ip("2001:db8::3")).expect_err("full");
        assert_eq!(refused, Full::Network);
        drop(first);
        let _third = gate.enter(0, ip("2001:db8::3")).expect("room again");
        let _fourth = gate.enter(0, ip("192.0.2.1")).expect("room");
        let fifth = gate.enter(0, ip("192.0.2.1")).expect("room");
        let refused = gate.enter(0, ip("192.0.2.2")).expect_err("full");
        assert_eq!(refused, Full::Server);
        drop(fifth);
        assert_eq!(gate.lock().total(), 3);
    }

    #[test]
    fn neighbours_share_the_wide_limit() {
        let gate = gate(100, 2, 3, [0; KINDS]);
        for addresses in [
            ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"],
            [
                "2001:db8:0:1::1",
                "2001:db8:0:2::1",
                "2001:db8:0:3::1",
                "2001:db8:0:4::1",
            ],
        ] {
            let entered: Vec<_> = addresses.map(|peer| gate.enter(0, ip(peer))).into();
            let refused: Vec<bool> = entered.iter().map(Result::is_err).collect();
            assert_eq!(refused, [false, false, false, true]);
        }
        assert!(gate.enter(0, ip("192.0.3.1")).is_ok());
        assert!(gate.enter(0, ip("2001:db8:1::1")).is_ok());
        assert!(gate.lock().by_network.is_empty());
    }

    #[test]
    fn a_flood_at_one_listener_leaves_room_at_the_others() {
        let gate = gate(10, 100, 100, [1, 0, 0, 2, 3, 0]);
        let enter = |kind| gate.enter(kind, ip("127.0.0.1"));
        let flood: Vec<_> = (0..20).map_while(|_| enter(0).ok()).collect();
        assert_eq!(flood.len(), 5);
        assert!(enter(1).is_err(), "nothing is kept for it");
        let users: Vec<_> = [3, 3, 4, 4, 4].map(enter).into();
        assert!(users.iter().all(Result::is_ok));
        assert_eq!(enter(4).expect_err("full"), Full::Server);
        drop(flood);
        assert!(enter(4).is_ok());
        assert!(enter(0).is_ok(), "what is kept for it is there again");
    }

    #[test]
    fn loopback_counts_for_the_total_alone() {
        let gate = gate(3, 1, 1, [0; KINDS]);
        let all: Vec<_> = (0..3).map(|_| gate.enter(0, ip("127.0.0.1"))).collect();
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(gate.enter(0, ip("::1")).expect_err("full"), Full::Server);
    }
}
