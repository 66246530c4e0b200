//! Who is woken when an account changes, or loses its access: the way from a commit to the sessions
//! that it concerns.
//!
//! Invariants: a change that is committed after a session registered wakes it; many changes before
//! it looks are one wake. Waking costs no system call for sessions that are already awake. A login
//! that was verified by what a revocation took away ends, whichever of the two came first.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tern_base::AccountId;
use tern_directory::CredentialId;
use tern_mailbox::Listener;
use tokio::sync::Notify;

use crate::web_push::Bag;

/// The account changed.
const CHANGED: u8 = 1;
/// The server stops.
const STOPPING: u8 = 2;
/// What the session authenticated with is good no more.
const REVOKED: u8 = 4;

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
    pub(crate) revoked: bool,
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
            revoked: told & REVOKED != 0,
        }
    }

    /// Whether the session must end now, whatever it is doing. Takes nothing.
    pub(crate) fn is_revoked(&self) -> bool {
        self.told.load(Ordering::Acquire) & REVOKED != 0
    }

    /// Waits until there is something to be taken: what was told while something else was waited for,
    /// too.
    pub(crate) async fn told(&self) {
        if self.told.load(Ordering::Acquire) == 0 {
            self.wait().await;
        }
    }

    /// Has whoever waits look at what there is.
    pub(crate) fn look_again(&self) {
        self.tell(CHANGED);
    }

    /// Waits until something is told.
    pub(crate) async fn wait(&self) {
        self.notify.notified().await;
    }
}

/// How many locks the accounts are spread over.
const SHARDS: usize = 64;

/// One session that waits.
struct Waiter {
    /// Whose registration it is.
    number: u64,
    signal: Arc<Signal>,
    /// What it showed, where the account is its own and not one that it only watches.
    credential: Option<CredentialId>,
    /// It is told what changes, too.
    watches: bool,
}

#[derive(Default)]
struct Shard {
    waiters: HashMap<AccountId, Vec<Waiter>>,
    /// When something of an account was last revoked: an operator's act, so these are few.
    revoked: HashMap<AccountId, Moment>,
}

/// A point in the order of revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// The sessions of each account.
pub(crate) struct Hub {
    shards: Vec<Mutex<Shard>>,
    revocations: AtomicU64,
    registrations: AtomicU64,
    stopping: AtomicBool,
    /// Where what owners change is reported, too, once each account until it is taken.
    watcher: Mutex<Option<Watcher>>,
    /// Where what happens to accounts with push subscriptions is put.
    pub(crate) bag: Arc<Bag>,
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
            revocations: AtomicU64::new(0),
            registrations: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            watcher: Mutex::default(),
            bag: Arc::default(),
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

    /// Now: to be asked before a login is verified.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.revocations.load(Ordering::SeqCst))
    }

    /// Ends every session that showed this credential of the account, or any. To be called after
    /// the credential's change is committed.
    pub(crate) fn revoke(&self, account: AccountId, credential: Option<CredentialId>) {
        let moment = Moment(self.revocations.fetch_add(1, Ordering::SeqCst) + 1);
        // Its subscriptions went with it.
        self.bag.tell(&[account]);
        let Some(shard) = self.shard(account) else {
            return;
        };
        let mut shard = lock(shard);
        shard.revoked.insert(account, moment);
        for waiter in shard.waiters.get(&account).into_iter().flatten() {
            let shown = waiter.credential;
            if shown.is_some_and(|shown| credential.is_none_or(|gone| gone == shown)) {
                waiter.signal.tell(REVOKED);
            }
        }
    }

    /// Tells every session, and every one that comes from now on, that the server stops.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            let shard = lock(shard);
            let waiters = shard.waiters.values().flatten();
            waiters.for_each(|waiter| waiter.signal.tell(STOPPING));
        }
    }

    /// Wakes `signal` at every revocation and, where it `watches`, at every change of the account,
    /// until the registration is dropped. Its credential was verified after `since`.
    pub(crate) fn register(
        self: &Arc<Self>,
        account: AccountId,
        credential: CredentialId,
        watches: bool,
        since: Moment,
        signal: &Arc<Signal>,
    ) -> Registration {
        let registration = self.registration(account);
        if let Some(shard) = self.shard(account) {
            let mut shard = lock(shard);
            if shard.revoked.get(&account).is_some_and(|at| *at > since) {
                // What was verified may be what was revoked meanwhile: the client logs in again.
                signal.tell(REVOKED);
            }
            shard.waiters.entry(account).or_default().push(Waiter {
                number: registration.number,
                signal: Arc::clone(signal),
                credential: Some(credential),
                watches,
            });
            // Under the lock: one that `stop` did not find here sees that it began.
            if self.stopping.load(Ordering::SeqCst) {
                signal.tell(STOPPING);
            }
        }
        registration
    }

    /// Wakes `signal` at every change of somebody else's account, until the registration is dropped.
    pub(crate) fn watch_other(
        self: &Arc<Self>,
        account: AccountId,
        signal: &Arc<Signal>,
    ) -> Registration {
        let registration = self.registration(account);
        if let Some(shard) = self.shard(account) {
            lock(shard)
                .waiters
                .entry(account)
                .or_default()
                .push(Waiter {
                    number: registration.number,
                    signal: Arc::clone(signal),
                    credential: None,
                    watches: true,
                });
        }
        registration
    }

    fn registration(self: &Arc<Self>, account: AccountId) -> Registration {
        Registration {
            hub: Arc::clone(self),
            account,
            number: self.registrations.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn shard(&self, account: AccountId) -> Option<&Mutex<Shard>> {
        self.shards.get(account.0 as usize % SHARDS)
    }

    /// Tells the watcher of accounts as if they had changed.
    pub(crate) fn report(&self, accounts: &[AccountId]) {
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
        self.bag.tell(accounts);
        for account in accounts {
            let Some(shard) = self.shard(*account) else {
                continue;
            };
            if let Some(waiters) = lock(shard).waiters.get(account) {
                let watching = waiters.iter().filter(|waiter| waiter.watches);
                watching.for_each(|waiter| waiter.signal.tell(CHANGED));
            }
        }
    }
}

/// A session's place in the hub. It ends alone, whatever else wakes the same signal: what tells of a revocation
/// does not go with what was watched beside it.
pub(crate) struct Registration {
    hub: Arc<Hub>,
    pub(crate) account: AccountId,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(shard) = self.hub.shard(self.account) else {
            return;
        };
        let mut shard = lock(shard);
        if let Some(waiters) = shard.waiters.get_mut(&self.account) {
            waiters.retain(|other| other.number != self.number);
            if waiters.is_empty() {
                shard.waiters.remove(&self.account);
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
        let password = CredentialId::PASSWORD;
        let registration = hub.register(mine, password, true, hub.moment(), &signal);
        hub.changed(&[other]);
        assert_eq!(signal.take(), Told::default());
        hub.changed(&[mine]);
        hub.changed(&[other, mine]);
        assert!(signal.take().changed);
        assert!(!signal.take().changed);
        drop(registration);
        hub.changed(&[mine]);
        assert!(!signal.take().changed);
        let is_empty = |shard: &Mutex<Shard>| lock(shard).waiters.is_empty();
        assert!(hub.shards.iter().all(is_empty));
    }

    #[tokio::test]
    async fn what_is_told_during_another_wait_is_there_to_be_taken() {
        let signal = Signal::default();
        signal.tell(CHANGED);
        signal.wait().await;
        signal.told().await;
        assert!(signal.take().changed);
        signal.tell(CHANGED);
        assert!(signal.take().changed);
    }

    #[test]
    fn an_account_of_somebody_else_is_watched_and_its_revocations_are_not_ours() {
        let hub = Arc::new(Hub::new());
        let signal = Arc::new(Signal::default());
        let (mine, other) = (AccountId(1), AccountId(2));
        let _own = hub.register(mine, CredentialId::PASSWORD, true, hub.moment(), &signal);
        let watched = hub.watch_other(other, &signal);
        hub.changed_unasked(&[other]);
        assert!(signal.take().changed);
        hub.revoke(other, None);
        assert!(!signal.is_revoked());
        drop(watched);
        hub.changed(&[other]);
        assert!(!signal.take().changed);
        hub.changed(&[mine]);
        assert!(signal.take().changed);
        hub.revoke(mine, None);
        assert!(signal.is_revoked());
    }

    #[test]
    fn what_is_watched_beside_ones_own_account_ends_alone() {
        let hub = Arc::new(Hub::new());
        let signal = Arc::new(Signal::default());
        let mine = AccountId(1);
        let _own = hub.register(mine, CredentialId::PASSWORD, true, hub.moment(), &signal);
        drop(hub.watch_other(mine, &signal));
        hub.changed(&[mine]);
        assert!(signal.take().changed);
        hub.revoke(mine, None);
        assert!(signal.is_revoked());
    }

    /// Whether a session with this credential is told of a revocation before or after it came.
    fn is_revoked(shown: CredentialId, revoked: Option<CredentialId>, after: bool) -> bool {
        let hub = Arc::new(Hub::new());
        let signal = Arc::new(Signal::default());
        let since = hub.moment();
        if !after {
            hub.revoke(AccountId(1), revoked);
        }
        let _registration = hub.register(AccountId(1), shown, false, since, &signal);
        if after {
            hub.revoke(AccountId(2), None);
            assert!(!signal.is_revoked(), "another account's");
            hub.revoke(AccountId(1), revoked);
        }
        hub.changed(&[AccountId(1)]);
        assert!(!signal.take().changed, "it does not watch");
        signal.is_revoked() && signal.take().revoked
    }

    #[test]
    fn a_revocation_ends_the_sessions_of_its_credential() {
        let (password, phone) = (CredentialId::PASSWORD, CredentialId(1));
        assert!(is_revoked(password, None, true));
        assert!(is_revoked(phone, None, true));
        assert!(is_revoked(password, Some(password), true));
        assert!(!is_revoked(phone, Some(password), true));
        assert!(is_revoked(phone, Some(phone), true));
        // While the login was verified.
        assert!(is_revoked(password, Some(password), false));
    }

    #[test]
    fn a_login_after_a_revocation_stays() {
        let hub = Arc::new(Hub::new());
        hub.revoke(AccountId(1), None);
        let signal = Arc::new(Signal::default());
        let password = CredentialId::PASSWORD;
        let _registration = hub.register(AccountId(1), password, true, hub.moment(), &signal);
        assert!(!signal.is_revoked());
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
    fn who_listens_hears_of_the_stop_before_or_after_they_came() {
        let hub = Arc::new(Hub::new());
        let signals = [(); 2].map(|()| Arc::new(Signal::default()));
        let register = |signal| {
            let moment = hub.moment();
            hub.register(AccountId(1), CredentialId::PASSWORD, true, moment, signal)
        };
        let _before = register(&signals[0]);
        hub.stop();
        let _after = register(&signals[1]);
        assert!(signals.iter().all(|signal| signal.take().stopping));
    }

    #[test]
    fn stopping_is_told_for_good() {
        let (connections, signal) = (Connections::default(), Arc::new(Signal::default()));
        connections.add(1, &signal);
        connections.stop();
        assert!(signal.take().stopping && signal.take().stopping);
    }
}
