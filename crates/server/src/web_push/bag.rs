//! Which accounts that have push subscriptions have changed: the way from a commit to the postman.
//!
//! Invariants: a change after an account was put in is told; many before the postman looks are told
//! once. Whoever has no subscription costs one look at a set.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use tern_base::AccountId;
use tokio::sync::Notify;

/// The accounts with subscriptions, and those of them that changed.
#[derive(Debug, Default)]
pub(crate) struct Bag {
    subscribed: RwLock<HashSet<AccountId>>,
    changed: Mutex<HashSet<AccountId>>,
    notify: Notify,
}

impl Bag {
    /// From now on this account is told of, and at once.
    pub(crate) fn subscribe(&self, account: AccountId) {
        let mut subscribed = self
            .subscribed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        subscribed.insert(account);
        drop(subscribed);
        self.tell(&[account]);
    }

    /// It has no subscription any more.
    pub(crate) fn forget(&self, account: AccountId) {
        let mut subscribed = self
            .subscribed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        subscribed.remove(&account);
    }

    /// Tells of those of these accounts that have subscriptions.
    pub(crate) fn tell(&self, accounts: &[AccountId]) {
        let subscribed = self
            .subscribed
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut told = accounts.iter().filter(|it| subscribed.contains(it));
        if let Some(first) = told.next() {
            let mut changed = self.changed();
            changed.insert(*first);
            changed.extend(told);
            drop(changed);
            self.notify.notify_one();
        }
    }

    /// Waits until accounts have changed, and takes them.
    pub(crate) async fn take(&self) -> Vec<AccountId> {
        loop {
            let taken: Vec<AccountId> = self.changed().drain().collect();
            if !taken.is_empty() {
                return taken;
            }
            self.notify.notified().await;
        }
    }

    fn changed(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        // A plain set: one that a panic left behind is still whole.
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accounts_with_subscriptions_are_told_of_once() {
        let bag = Bag::default();
        let (ann, ben) = (AccountId(1), AccountId(2));
        bag.tell(&[ann, ben]);
        bag.subscribe(ann);
        bag.tell(&[ben, ann]);
        bag.tell(&[ann]);
        assert_eq!(bag.take().await, [ann]);
        bag.forget(ann);
        bag.tell(&[ann]);
        bag.subscribe(ben);
        assert_eq!(bag.take().await, [ben]);
    }
}
