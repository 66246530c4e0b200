//! How many things of one account are under way at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tern_base::AccountId;

type Taken = Arc<Mutex<HashMap<AccountId, u32>>>;

/// So many for each account.
pub(super) struct Slots {
    most: u32,
    taken: Taken,
}

/// One of them, given back when it is dropped.
pub(super) struct Slot {
    taken: Taken,
    account: AccountId,
}

impl Slots {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            taken: Taken::default(),
        }
    }

    /// Takes one; `None` where the account has all of its own.
    pub(super) fn take(&self, account: AccountId) -> Option<Slot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = taken.entry(account).or_default();
        if *of_account >= self.most {
            return None;
        }
        *of_account += 1;
        drop(taken);
        Some(Slot {
            taken: Arc::clone(&self.taken),
            account,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_account) = taken.get_mut(&self.account) {
            *of_account = of_account.saturating_sub(1);
            if *of_account == 0 {
                taken.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_and_gets_them_back() {
        let slots = Slots::new(2);
        let first = slots.take(AccountId(1));
        let second = slots.take(AccountId(1));
        assert!(first.is_some() && second.is_some());
        assert!(slots.take(AccountId(1)).is_none());
        assert!(slots.take(AccountId(2)).is_some(), "another account's");
        drop(first);
        assert!(slots.take(AccountId(1)).is_some());
        drop(second);
        assert!(slots.taken.lock().expect("whole").is_empty());
    }
}
