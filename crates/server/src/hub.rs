//! Who is woken when an account changes: the way from a commit to the sessions that look at it.
//!
//! Invariant: a change that is committed after a session registered wakes it; many changes before
//! it looks are one wake. Waking costs no system call for sessions that are already awake.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_base::AccountId;
use tern_mailbox::Listener;
use tokio::sync::Notify;

/// The account changed.
const CHANGED: u8 = 1;
/// The server stops.
const STOPPING: u8 = 2;

/// What one connection waits on besides its socket.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    notify: Notify,
    told: AtomicU8,
}

/// What a signal said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) changed: bool,
    pub(crate) stopping: bool,
}

impl Signal {
    fn tell(&self, what: u8) {
        // One wake for many tellings: whoever takes them clears them all.
        if self.told.fetch_or(what, Ordering::AcqRel) & what == 0 {
            self.notify.notify_one();
        }
    }

    /// What was told since the last call.
    pub(crate) fn take(&self) -> Told {
        let told = self.told.fetch_and(!CHANGED, Ordering::AcqRel);
        Told {
            changed: told & CHANGED != 0,
            stopping: told & STOPPING != 0,
        }
    }

    /// Waits until something is told.
    pub(crate) async fn wait(&self) {
        self.notify.notified().await;
    }
}

/// How many locks the accounts are spread over.
const SHARDS: usize = 64;

type Waiters = HashMap<AccountId, Vec<Arc<Signal>>>;

/// The sessions of each account.
pub(crate) struct Hub {
    shards: Vec<Mutex<Waiters>>,
    /// Where what owners change is reported, too, once each account until it is taken.
    watcher: Mutex<Option<Watcher>>,
}

/// Accounts that changed and that one worker looks at.
struct Watcher {
    pending: Arc<Mutex<HashSet<AccountId>>>,
    sender: mpsc::Sender<AccountId>,
}

/// The worker's end of the changes.
pub(crate) struct Changes {
    pending: Arc<Mutex<HashSet<AccountId>>>,
    receiver: mpsc::Receiver<AccountId>,
}

impl Changes {
    /// Waits for the next account that changed; `None` when no more can come.
    pub(crate) fn next(&self) -> Option<AccountId> {
        let account = self.receiver.recv().ok()?;
        // Before it is looked at: a change from now on is reported again.
        lock(&self.pending).remove(&account);
        Some(account)
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            watcher: Mutex::default(),
        }
    }

    /// Reports every change that an owner asked for to one worker from now on.
    pub(crate) fn watch(&self) -> Changes {
        let (sender, receiver) = mpsc::channel();
        let pending = Arc::<Mutex<HashSet<AccountId>>>::default();
        *lock(&self.watcher) = Some(Watcher {
            pending: Arc::clone(&pending),
            sender,
        });
        Changes { pending, receiver }
    }

    /// Ends the reports: the worker's `next` answers `None` once it has taken all.
    pub(crate) fn unwatch(&self) {
        *lock(&self.watcher) = None;
    }

    /// Wakes `signal` at every change of the account, until the registration is dropped.
    pub(crate) fn register(
        self: &Arc<Self>,
        account: AccountId,
        signal: &Arc<Signal>,
    ) -> Registration {
        if let Some(shard) = self.shard(account) {
            let mut waiters = lock(shard);
            waiters.entry(account).or_default().push(Arc::clone(signal));
        }
        Registration {
            hub: Arc::clone(self),
            account,
            signal: Arc::clone(signal),
        }
    }

    fn shard(&self, account: AccountId) -> Option<&Mutex<Waiters>> {
        self.shards.get(account.0 as usize % SHARDS)
    }

    fn report(&self, accounts: &[AccountId]) {
        let watcher = lock(&self.watcher);
        let Some(watcher) = &*watcher else {
            return;
        };
        let mut pending = lock(&watcher.pending);
        for account in accounts {
            if pending.insert(*account) {
                // A worker that is gone needs to know nothing.
                let _ = watcher.sender.send(*account);
            }
        }
    }
}

impl Listener for Hub {
    fn changed(&self, accounts: &[AccountId]) {
        self.changed_unasked(accounts);
        self.report(accounts);
    }

    /// Sessions are woken. The worker is not: what it looks for is put somewhere by an owner.
    fn changed_unasked(&self, accounts: &[AccountId]) {
        for account in accounts {
            let Some(shard) = self.shard(*account) else {
                continue;
            };
            if let Some(waiters) = lock(shard).get(account) {
                waiters.iter().for_each(|signal| signal.tell(CHANGED));
            }
        }
    }
}

/// A session's place in the hub.
pub(crate) struct Registration {
    hub: Arc<Hub>,
    account: AccountId,
    signal: Arc<Signal>,
}

impl Registration {
    /// The account that is waited for.
    pub(crate) fn account(&self) -> AccountId {
        self.account
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(shard) = self.hub.shard(self.account) else {
            return;
        };
        let mut shard = lock(shard);
        if let Some(waiters) = shard.get_mut(&self.account) {
            waiters.retain(|other| !Arc::ptr_eq(other, &self.signal));
            if waiters.is_empty() {
                shard.remove(&self.account);
            }
        }
    }
}

/// Every open connection, so that all can be told to stop.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: Mutex<HashMap<u64, Arc<Signal>>>,
}

impl Connections {
    pub(crate) fn add(&self, id: u64, signal: &Arc<Signal>) {
        lock(&self.open).insert(id, Arc::clone(signal));
    }

    pub(crate) fn remove(&self, id: u64) {
        lock(&self.open).remove(&id);
    }

    /// Tells every session that the server stops.
    pub(crate) fn stop(&self) {
        lock(&self.open)
            .values()
            .for_each(|signal| signal.tell(STOPPING));
    }
}

/// The locks here guard plain collections: one that a panic left behind is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_coalesce_and_end_with_the_registration() {
        let hub = Arc::new(Hub::new());
        let signal = Arc::new(Signal::default());
        let (mine, other) = (AccountId(1), AccountId(1 + SHARDS as u32));
        let registration = hub.register(mine, &signal);
        hub.changed(&[other]);
        assert_eq!(signal.take(), Told::default());
        hub.changed(&[mine]);
        hub.changed(&[other, mine]);
        assert!(signal.take().changed);
        assert!(!signal.take().changed);
        drop(registration);
        hub.changed(&[mine]);
        assert!(!signal.take().changed);
        assert!(hub.shards.iter().all(|shard| lock(shard).is_empty()));
    }

    #[test]
    fn the_watcher_gets_each_account_once_until_it_looks() {
        let hub = Hub::new();
        let changes = hub.watch();
        hub.changed(&[AccountId(1), AccountId(2)]);
        hub.changed(&[AccountId(1)]);
        assert_eq!(changes.next(), Some(AccountId(1)));
        hub.changed(&[AccountId(1)]);
        hub.changed_unasked(&[AccountId(3)]);
        hub.unwatch();
        assert_eq!(changes.next(), Some(AccountId(2)));
        assert_eq!(changes.next(), Some(AccountId(1)));
        assert_eq!(changes.next(), None);
    }

    #[test]
    fn stopping_is_told_for_good() {
        let (connections, signal) = (Connections::default(), Arc::new(Signal::default()));
        connections.add(1, &signal);
        connections.stop();
        assert!(signal.take().stopping && signal.take().stopping);
    }
}
