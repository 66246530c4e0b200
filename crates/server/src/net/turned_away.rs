//! What the log is told of connections that find no room.
//!
//! Invariant: a flood writes no more than [`MAX_TOLD`] lines and one a minute, however many connections and
//! networks it has; what no line of its own says is counted in the next one.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::prefix::Network;

/// The time within which a wide network is told of once.
const WINDOW: Duration = Duration::from_secs(60);
/// Most networks that are told of within [`WINDOW`].
const MAX_TOLD: usize = 64;

/// Counts connections that were turned away.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    told: HashSet<Network>,
    untold: u64,
}

/// What is to be told now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// This connection: it is the first of its network of late.
    pub(crate) this: bool,
    /// So many others before it, within the last time that is over; 0 for none.
    pub(crate) others: u64,
}

impl TurnedAway {
    /// One more.
    pub(crate) fn count(&self, peer: IpAddr, now: Instant) -> Told {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = Told::default();
        if window.begun.is_none_or(|begun| now >= begun + WINDOW) {
            told.others = window.untold;
            *window = Window {
                begun: Some(now),
                ..Window::default()
            };
        }
        told.this = window.told.len() < MAX_TOLD && window.told.insert(Network::wide(peer));
        window.untold += u64::from(!told.this);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_told_of_once_a_minute_and_counted() {
        let turned_away = TurnedAway::default();
        let flood = |lines: &mut u64| {
            let mut counted = 0;
            for n in 0..10_000_u32 {
                let peer = std::net::Ipv4Addr::from(0xC633_0000 | (n % 256) << 8 | (n / 256));
                let told = turned_away.count(peer.into(), Instant::now());
                *lines += u64::from(told.this) + u64::from(told.others > 0);
                counted += told.others;
            }
            counted
        };
        let mut lines = 0;
        assert_eq!(flood(&mut lines), 0);
        assert_eq!(lines, MAX_TOLD as u64);
        tokio::time::advance(WINDOW).await;
        assert_eq!(flood(&mut lines), 10_000 - MAX_TOLD as u64);
        assert_eq!(lines, 2 * MAX_TOLD as u64 + 1);
        let one = "192.0.2.1".parse().expect("an address");
        tokio::time::advance(WINDOW).await;
        let again = [0; 3].map(|_| turned_away.count(one, Instant::now()).this);
        assert_eq!(again, [true, false, false]);
    }
}
