//! The limits at the door: how many connections there are, in all and from each address.
//!
//! Invariant: a ticket is held for as long as its connection lives; the counts are exact.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::login::network;

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Gate {
    max: usize,
    max_per_address: u32,
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, u32>,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Server,
    Address,
}

/// A connection's right to be there.
#[derive(Debug)]
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    counted: Option<IpAddr>,
}

impl Gate {
    pub(crate) fn new(max: usize, max_per_address: u32) -> Arc<Self> {
        Arc::new(Self {
            max,
            max_per_address,
            open: Mutex::default(),
            left: Notify::new(),
        })
    }

    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Ticket, Full> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.max {
            return Err(Full::Server);
        }
        // A proxy or a script of the host itself is not one client.
        let counted = (!peer.to_canonical().is_loopback()).then(|| network(peer));
        if let Some(network) = counted {
            let count = open.by_address.entry(network).or_default();
            if *count >= self.max_per_address {
                return Err(Full::Address);
            }
            *count += 1;
        }
        open.total += 1;
        Ok(Ticket {
            gate: Arc::clone(self),
            counted,
        })
    }

    fn total(&self) -> usize {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .total
    }

    /// Waits until every connection is gone.
    pub(crate) async fn drained(&self) {
        loop {
            let left = self.left.notified();
            if self.total() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = self
            .gate
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(network) = self.counted
            && let Some(count) = open.by_address.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&network);
            }
        }
        if open.total == 0 {
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

    #[test]
    fn counts_in_all_and_by_network() {
        let gate = Gate::new(4, 2);
        let first = gate.enter(ip("2001:db8::1")).expect("room");
        let _second = gate.enter(ip("2001:db8::2")).expect("room");
        assert_eq!(
            gate.enter(ip("2001:db8::3")).expect_err("full"),
            Full::Address
        );
        drop(first);
        let _third = gate.enter(ip("2001:db8::3")).expect("room again");
        let _fourth = gate.enter(ip("192.0.2.1")).expect("room");
        let fifth = gate.enter(ip("192.0.2.1")).expect("room");
        assert_eq!(gate.enter(ip("192.0.2.2")).expect_err("full"), Full::Server);
        drop(fifth);
        assert_eq!(gate.total(), 3);
    }

    #[test]
    fn loopback_counts_for_the_total_alone() {
        let gate = Gate::new(3, 1);
        let all: Vec<_> = (0..3).map(|_| gate.enter(ip("127.0.0.1"))).collect();
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(gate.enter(ip("::1")).expect_err("full"), Full::Server);
    }
}
