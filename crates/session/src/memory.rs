//! The memory for content on its way in: one budget for every session of every protocol.
//!
//! Invariant: content is held only where memory for it was set aside before, so that what all
//! sessions hold together stays within the budget.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_base::AccountId;

/// A share of the memory for content on its way in, given back on drop.
pub type Reservation = Box<dyn Send + Sync>;

/// The budget, as one connection may draw on it.
pub trait ContentMemory: fmt::Debug {
    /// Sets `bytes` aside, for the account where somebody has authenticated. `None` where the
    /// budget, or the share of whoever asks, is used up.
    fn reserve(&self, account: Option<AccountId>, bytes: u64) -> Option<Reservation>;

    /// What one account may have set aside at most, where nobody has anything.
    fn most(&self) -> u64;
}

/// A budget without end, for tests, the simulation and measurements.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl ContentMemory for Unlimited {
    fn reserve(&self, _account: Option<AccountId>, _bytes: u64) -> Option<Reservation> {
        Some(Box::new(()))
    }

    fn most(&self) -> u64 {
        u64::MAX
    }
}

/// A budget without shares, for tests, which knows who holds what.
#[derive(Clone, Debug)]
pub struct Budget {
    octets: u64,
    held: Arc<Held>,
}

impl Budget {
    /// So many octets.
    pub fn new(octets: u64) -> Self {
        Self {
            octets,
            held: Arc::default(),
        }
    }

    /// Octets set aside now.
    pub fn reserved(&self) -> u64 {
        held(&self.held).values().sum()
    }

    /// Those of them that are set aside for an account.
    pub fn reserved_by(&self, account: AccountId) -> u64 {
        let held = held(&self.held);
        held.get(&Some(account)).copied().unwrap_or_default()
    }
}

impl ContentMemory for Budget {
    fn reserve(&self, account: Option<AccountId>, bytes: u64) -> Option<Reservation> {
        let mut all = held(&self.held);
        let sum = all.values().sum::<u64>().saturating_add(bytes);
        if sum > self.octets {
            return None;
        }
        *all.entry(account).or_default() += bytes;
        Some(Box::new(Share(Arc::clone(&self.held), account, bytes)))
    }

    fn most(&self) -> u64 {
        self.octets
    }
}

type Held = Mutex<HashMap<Option<AccountId>, u64>>;

fn held(all: &Held) -> MutexGuard<'_, HashMap<Option<AccountId>, u64>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part of a [`Budget`].
struct Share(Arc<Held>, Option<AccountId>, u64);

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(octets) = held(&self.0).get_mut(&self.1) {
            *octets = octets.saturating_sub(self.2);
        }
    }
}
