//! Which accounts that have push subscriptions have changed: the way from a commit to the postman.
//!
//! Invariants: a change after an account was put in is told; many before the postman looks are told
//! once. Whoever has no subscription costs one look at a set.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use tern_base::AccountId;
use tokio::sync::Notify;

/// The accounts with subscriptions, and those of them that changed.
#[derive(Debug, Default)]
pub(crate) struct Bag {
    subscribed: RwLock<Subscribed>,
    changed: Mutex<HashSet<AccountId>>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Subscribed {
    /// The accounts of others that each wants to hear of, too.
    accounts: HashMap<AccountId, Vec<AccountId>>,
    /// The same the other way round.
    readers: HashMap<AccountId, HashSet<AccountId>>,
}

impl Subscribed {
    /// Those who are told of an account.
    fn told(&self, account: AccountId) -> impl Iterator<Item = AccountId> {
        let own = self.accounts.contains_key(&account).then_some(account);
        let readers = self.readers.get(&account);
        own.into_iter()
            .chain(readers.into_iter().flatten().copied())
    }

    /// Has an account hear of these others and no others. Whether it hears of one that it did not hear of.
    fn set(&mut self, account: AccountId, others: Vec<AccountId>) -> bool {
        let before = match self.accounts.get_mut(&account) {
            Some(before) => std::mem::replace(before, others.clone()),
            None => return false,
        };
        for gone in before.iter().filter(|it| !others.contains(it)) {
            self.unread(*gone, account);
        }
        let mut is_new = false;
        for other in others {
            is_new |= self.readers.entry(other).or_default().insert(account);
        }
        is_new
    }

    fn unread(&mut self, other: AccountId, account: AccountId) {
        if let Some(readers) = self.readers.get_mut(&other) {
            readers.remove(&account);
            if readers.is_empty() {
                self.readers.remove(&other);
            }
        }
    }
}

impl Bag {
    /// From now on this account is told of, and at once.
    pub(crate) fn subscribe(&self, account: AccountId) {
        let mut subscribed = self
            .subscribed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        subscribed.accounts.entry(account).or_default();
        drop(subscribed);
        self.tell(&[account]);
    }

    /// It wants to hear of what these others share with it, too, and of no others. One that is new is looked
    /// at once more: what changed before was told to nobody.
    pub(crate) fn watch(&self, account: AccountId, others: Vec<AccountId>) {
        let is_known = {
            let read = self.subscribed.read();
            let read = read.unwrap_or_else(PoisonError::into_inner);
            read.accounts.get(&account) == Some(&others)
        };
        if is_known {
            return;
        }
        let mut subscribed = self
            .subscribed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let is_new = subscribed.set(account, others);
        drop(subscribed);
        if is_new {
            self.tell(&[account]);
        }
    }

    /// It has no subscription any more.
    pub(crate) fn forget(&self, account: AccountId) {
        let mut subscribed = self
            .subscribed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        subscribed.set(account, Vec::new());
        subscribed.accounts.remove(&account);
    }

    /// Tells of those of these accounts that have subscriptions.
    pub(crate) fn tell(&self, accounts: &[AccountId]) {
        let subscribed = self
            .subscribed
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut told = accounts.iter().flat_map(|it| subscribed.told(*it));
        if let Some(first) = told.next() {
            let mut changed = self.changed();
            changed.insert(first);
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
        // What somebody else shares is looked at once more, and heard of as long as it is shared.
        let owner = AccountId(3);
        bag.watch(ben, vec![owner]);
        assert_eq!(bag.take().await, [ben]);
        bag.watch(ben, vec![owner]);
        bag.tell(&[owner]);
        assert_eq!(bag.take().await, [ben]);
        bag.watch(ben, Vec::new());
        bag.tell(&[owner]);
        bag.watch(ann, vec![owner]);
        bag.tell(&[owner]);
        bag.subscribe(ann);
        assert_eq!(bag.take().await, [ann]);
    }
}
