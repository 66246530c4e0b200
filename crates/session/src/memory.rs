//! The memory for content on its way in: one budget for every session of every protocol.
//!
//! Invariant: content is held only where memory for it was set aside before, so that what all
//! sessions hold together stays within the budget.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tern_base::AccountId;

/// A share of the memory for content on its way in, given back on drop.
pub type Reservation = Box<dyn Send + Sync>;

/// The budget, as one connection may draw on it.
pub trait ContentMemory: fmt::Debug {
    /// Sets `bytes` aside, for the account where somebody has authenticated. `None` where the
    /// budget, or the share of whoever asks, is used up.
    fn reserve(&self, account: Option<AccountId>, bytes: u64) -> Option<Reservation>;
}

/// A budget without end, for tests, the simulation and measurements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl ContentMemory for Unlimited {
    fn reserve(&self, _account: Option<AccountId>, _bytes: u64) -> Option<Reservation> {
        Some(Box::new(()))
    }
}

/// A budget without shares, for tests.
#[derive(Clone, Debug)]
pub struct Budget {
    octets: u64,
    reserved: Arc<AtomicU64>,
}

impl Budget {
    /// So many octets.
    pub fn new(octets: u64) -> Self {
        Self {
            octets,
            reserved: Arc::default(),
        }
    }

    /// Octets set aside now.
    pub fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }
}

impl ContentMemory for Budget {
    fn reserve(&self, _account: Option<AccountId>, bytes: u64) -> Option<Reservation> {
        let add = |reserved: u64| Some(reserved + bytes).filter(|sum| *sum <= self.octets);
        self.reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .ok()?;
        Some(Box::new(Share(Arc::clone(&self.reserved), bytes)))
    }
}

/// A part of a [`Budget`].
struct Share(Arc<AtomicU64>, u64);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}
