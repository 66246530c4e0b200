//! The memory for content on its way, by SMTP, APPEND and JMAP: messages and requests that come in, and
//! answers of JMAP that their clients have not taken: one budget, and shares of it.
//!
//! Invariants: what all sessions hold stays within the budget; what those hold that have not
//! authenticated stays within their part of it, so that they can't keep users from sending; what
//! one holder has stays within one share; a quarter of each is for holders of little, so that those of
//! much can't keep ordinary mail out. A holder is an account, or the network of a connection
//! that has not authenticated.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_base::AccountId;
use tern_session::{ContentMemory, Reservation};

use crate::net::Holder;

/// How much may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// By all.
    pub(crate) total: u64,
    /// By all that have not authenticated.
    pub(crate) strangers: u64,
    /// By one holder.
    pub(crate) share: u64,
}

/// Of a share, what is little: with the shares as they come it is a message of a mebibyte.
const LITTLE: u64 = 64;

impl Budget {
    /// Of what all may hold, what those may bring it to who hold so much themselves.
    const fn open_to(&self, all: u64, mine: u64) -> u64 {
        match mine > self.share / LITTLE {
            true => all - all / 4,
            false => all,
        }
    }
}

#[derive(Debug, Default)]
struct Held {
    total: u64,
    strangers: u64,
    by_holder: HashMap<Holder, u64>,
}

/// The budget.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Budget,
    held: Mutex<Held>,
}

impl Memory {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        Arc::new(Self {
            budget,
            held: Mutex::default(),
        })
    }

    /// The budget as a connection from `peer` may draw on it.
    pub(crate) fn of(self: &Arc<Self>, peer: IpAddr) -> PeerMemory {
        PeerMemory {
            memory: Arc::clone(self),
            stranger: Holder::stranger(peer),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(self: &Arc<Self>, holder: Holder, bytes: u64) -> Option<Reserved> {
        let budget = &self.budget;
        let mut held = self.lock();
        let fits = |held: u64, most: u64| held.saturating_add(bytes) <= most;
        let mine = held.by_holder.get(&holder).copied().unwrap_or(0);
        let open = |all| budget.open_to(all, mine.saturating_add(bytes));
        let has_room = fits(held.total, open(budget.total))
            && (holder == Holder::Loopback || fits(mine, budget.share))
            && (!holder.is_stranger() || fits(held.strangers, open(budget.strangers)));
        if !has_room {
            return None;
        }
        held.total += bytes;
        if holder.is_stranger() {
            held.strangers += bytes;
        }
        held.by_holder.insert(holder, mine + bytes);
        drop(held);
        Some(Reserved {
            memory: Arc::clone(self),
            holder,
            bytes,
        })
    }
}

/// The budget as one connection may draw on it.
#[derive(Clone, Debug)]
pub(crate) struct PeerMemory {
    memory: Arc<Memory>,
    stranger: Holder,
}

impl ContentMemory for PeerMemory {
    fn reserve(&self, account: Option<AccountId>, bytes: u64) -> Option<Reservation> {
        let holder = account.map_or(self.stranger, Holder::Account);
        let reserved = self.memory.reserve(holder, bytes)?;
        Some(Box::new(reserved))
    }

    fn most(&self) -> u64 {
        let budget = &self.memory.budget;
        budget.share.min(budget.open_to(budget.total, budget.share))
    }
}

/// A piece of [`Memory`].
struct Reserved {
    memory: Arc<Memory>,
    holder: Holder,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut held = self.memory.lock();
        held.total = held.total.saturating_sub(self.bytes);
        if self.holder.is_stranger() {
            held.strangers = held.strangers.saturating_sub(self.bytes);
        }
        if let Some(mine) = held.by_holder.get_mut(&self.holder) {
            *mine = mine.saturating_sub(self.bytes);
            if *mine == 0 {
                held.by_holder.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: u64 = 640;

    fn memory() -> Arc<Memory> {
        Memory::new(Budget {
            total: 1_600,
            strangers: 960,
            share: SHARE,
        })
    }

    #[test]
    fn what_an_account_may_have_at_most_is_there_where_nobody_has_anything() {
        for (total, most) in [(1_600, SHARE), (800, 600)] {
            let memory = Memory::new(Budget {
                total,
                strangers: 0,
                share: SHARE,
            });
            let memory = peer(&memory, "192.0.2.1");
            assert_eq!(memory.most(), most);
            let account = Some(AccountId(1));
            assert!(memory.reserve(account, most + 1).is_none());
            assert!(memory.reserve(account, most).is_some());
        }
    }

    fn peer(memory: &Arc<Memory>, text: &str) -> PeerMemory {
        memory.of(text.parse().expect("an address"))
    }

    #[test]
    fn memory_is_given_back() {
        let memory = memory();
        let one = peer(&memory, "192.0.2.1");
        let first = one.reserve(None, 400).expect("room");
        assert!(one.reserve(None, 400).is_none());
        drop(first);
        assert!(one.reserve(None, SHARE).is_some());
        let held = memory.lock();
        assert_eq!(
            (held.total, held.strangers, held.by_holder.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_network_has_one_share_and_strangers_leave_room_for_accounts() {
        let memory = memory();
        let _first = peer(&memory, "192.0.2.1").reserve(None, SHARE);
        assert!(
            peer(&memory, "192.0.2.200").reserve(None, 1).is_none(),
            "its neighbour"
        );
        let other = peer(&memory, "2001:db8::1");
        let _second = other.reserve(None, 80).expect("room");
        assert!(
            other.reserve(None, 1).is_none(),
            "what strangers of much may have"
        );
        // From the very network that holds the most, too.
        let mine = peer(&memory, "192.0.2.1");
        let _third = mine.reserve(Some(AccountId(1)), 480).expect("room");
        assert!(
            mine.reserve(Some(AccountId(1)), 161).is_none(),
            "an account has one share"
        );
        assert!(mine.reserve(Some(AccountId(2)), 11).is_none(), "much");
        assert!(mine.reserve(Some(AccountId(2)), 10).is_some(), "little");
    }

    #[test]
    fn two_hosts_with_much_keep_nobody_out_with_little() {
        let memory = memory();
        let big = ["192.0.2.1", "2001:db8::1"].map(|it| peer(&memory, it));
        let held: Vec<_> = big.iter().filter_map(|it| it.reserve(None, 330)).collect();
        assert_eq!(held.len(), 2);
        let small: Vec<_> = (0..24)
            .map(|n| peer(&memory, &format!("198.51.{n}.1")).reserve(None, 10))
            .collect();
        assert!(small.iter().all(Option::is_some));
    }

    #[test]
    fn the_host_itself_has_no_share_but_the_part_of_strangers() {
        let memory = memory();
        let local = peer(&memory, "::1");
        let _first = local.reserve(None, 720).expect("room");
        assert!(local.reserve(None, 1).is_none());
    }
}
