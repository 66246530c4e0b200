//! Turns at the threads for blocking work: how many of them one account, or one network that has not
//! authenticated, has at once.
//!
//! Invariants:
//! - Work of clients has no more threads than the configuration says; beside them are [`SPARE_THREADS`], so that
//!   the control socket, the relay and the chores go on whatever clients do.
//! - Of one holder no more work is under way, or stands in the line of all, than is its part: who comes behind
//!   it waits for one part of each holder, however much one of them has to do.
//! - Accounts leave a part to whoever has not authenticated (mail that comes, logins), and the other way round.
//! - Turns are taken in one order (the holder's, what the caller adds, the part, the whole), so that nobody waits
//!   in a circle, and whoever has to wait for their own holds nothing of others meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::holder::Holder;

/// Threads beside those for clients.
pub(crate) const SPARE_THREADS: usize = 8;

/// Most turns of one account.
const OF_ACCOUNT: usize = 8;
/// Most turns of one wide network that has not authenticated.
const OF_NETWORK: usize = 16;

/// The threads for the work of clients.
#[derive(Debug)]
pub(crate) struct Threads {
    count: usize,
    all: Arc<Semaphore>,
    accounts: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Threads {
    /// So many, of which accounts together have three quarters at most, and so have all others.
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let count = count.max(MIN_THREADS);
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits));
        Arc::new(Self {
            count,
            all: semaphore(count),
            accounts: semaphore(part(count)),
            strangers: semaphore(part(count)),
        })
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }
}

/// Fewest threads that there are.
pub(crate) const MIN_THREADS: usize = 4;

const fn part(count: usize) -> usize {
    count - count / 4
}

/// Who works, or is about to.
#[derive(Debug)]
pub(crate) struct Turns {
    threads: Arc<Threads>,
    /// Those of whom a connection or a turn is there.
    places: Mutex<HashMap<Holder, Weak<Own>>>,
}

/// What all turns of one holder share.
#[derive(Debug)]
struct Own {
    turns: Arc<Turns>,
    holder: Holder,
    permits: Arc<Semaphore>,
}

impl Turns {
    pub(crate) fn new(threads: Arc<Threads>) -> Arc<Self> {
        Arc::new(Self {
            threads,
            places: Mutex::default(),
        })
    }

    pub(crate) const fn threads(&self) -> &Arc<Threads> {
        &self.threads
    }

    /// Where a holder takes turns.
    pub(crate) fn place(self: &Arc<Self>, holder: Holder) -> Place {
        let mut places = self.lock();
        if let Some(own) = places.get(&holder).and_then(Weak::upgrade) {
            return Place(own);
        }
        let own = Arc::new(Own {
            turns: Arc::clone(self),
            holder,
            permits: Arc::new(Semaphore::new(self.most(holder))),
        });
        places.insert(holder, Arc::downgrade(&own));
        Place(own)
    }

    /// Half of a part at most, so that no holder has all of it where there are few threads.
    fn most(&self, holder: Holder) -> usize {
        let half = (part(self.threads.count) / 2).max(1);
        match holder {
            Holder::Account(_) => half.min(OF_ACCOUNT),
            Holder::Network(_) => half.min(OF_NETWORK),
            Holder::Loopback => half,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, Weak<Own>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut places = self.turns.lock();
        // One that came meanwhile has a place of its own by now.
        let is_gone = |own: &Weak<Self>| own.strong_count() == 0;
        if places.get(&self.holder).is_some_and(is_gone) {
            places.remove(&self.holder);
        }
    }
}

/// A holder's place.
#[derive(Clone, Debug)]
pub(crate) struct Place(Arc<Own>);

/// A turn, until it is dropped: by the thread that worked.
#[derive(Debug)]
pub(crate) struct Turn {
    _permits: [OwnedSemaphorePermit; 3],
    _among: Vec<OwnedSemaphorePermit>,
    /// Keeps the place as it is while somebody works whose connection is gone.
    _place: Place,
}

impl Place {
    pub(crate) fn holder(&self) -> Holder {
        self.0.holder
    }

    /// A turn, where one is free and nobody waits.
    pub(crate) fn try_take(&self) -> Option<Turn> {
        let (part, all) = self.threads();
        let own = Arc::clone(&self.0.permits).try_acquire_owned().ok()?;
        let part = Arc::clone(part).try_acquire_owned().ok()?;
        let all = Arc::clone(all).try_acquire_owned().ok()?;
        Some(Turn {
            _permits: [own, part, all],
            _among: Vec::new(),
            _place: self.clone(),
        })
    }

    /// Waits for a turn, which is one of each of `among`, too.
    pub(crate) async fn take(&self, among: &[&Arc<Semaphore>]) -> Option<Turn> {
        let (part, all) = self.threads();
        let own = acquire(&self.0.permits).await?;
        let mut held = Vec::new();
        for one in among {
            held.push(acquire(one).await?);
        }
        let part = acquire(part).await?;
        let all = acquire(all).await?;
        Some(Turn {
            _permits: [own, part, all],
            _among: held,
            _place: self.clone(),
        })
    }

    fn threads(&self) -> (&Arc<Semaphore>, &Arc<Semaphore>) {
        let threads = &self.0.turns.threads;
        let part = match self.0.holder.is_stranger() {
            true => &threads.strangers,
            false => &threads.accounts,
        };
        (part, &threads.all)
    }
}

/// `None` is for a semaphore that was closed, which none here is.
async fn acquire(semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use tern_base::AccountId;

    use super::*;

    const ALICE: Holder = Holder::Account(AccountId(1));
    const BOB: Holder = Holder::Account(AccountId(2));

    type Waiting<'a> = Pin<Box<dyn Future<Output = Option<Turn>> + 'a>>;

    /// One that waits; it has asked.
    fn wait<'a>(place: &'a Place, among: &'a [&'a Arc<Semaphore>]) -> Waiting<'a> {
        let mut waiting: Waiting<'a> = Box::pin(place.take(among));
        assert!(poll(&mut waiting).is_none(), "it waits");
        waiting
    }

    fn poll(waiting: &mut Waiting<'_>) -> Option<Turn> {
        let mut context = Context::from_waker(Waker::noop());
        match waiting.as_mut().poll(&mut context) {
            Poll::Ready(turn) => Some(turn.expect("open")),
            Poll::Pending => None,
        }
    }

    fn all_of(place: &Place) -> Vec<Turn> {
        std::iter::from_fn(|| place.try_take()).collect()
    }

    #[test]
    fn one_account_has_its_part_and_leaves_the_rest_to_others() {
        let turns = Turns::new(Threads::new(64));
        let (alice, again) = (turns.place(ALICE), turns.place(ALICE));
        let held = all_of(&alice);
        assert_eq!(held.len(), OF_ACCOUNT);
        assert!(again.try_take().is_none(), "by another connection, too");
        assert!(turns.place(BOB).try_take().is_some());
        drop(held);
        assert!(again.try_take().is_some());
    }

    #[test]
    fn whoever_comes_behind_one_that_asks_for_much_waits_for_its_part_alone() {
        let turns = Turns::new(Threads::new(4));
        let (alice, bob) = (turns.place(ALICE), turns.place(BOB));
        let others = [3, 4].map(|n| turns.place(Holder::Account(AccountId(n))));
        let mut busy: Vec<Turn> = others.iter().filter_map(Place::try_take).collect();
        busy.extend(alice.try_take());
        assert_eq!(busy.len(), 3, "what accounts may have of four threads");
        let mut many: Vec<Waiting<'_>> = (0..100).map(|_| wait(&alice, &[])).collect();
        let mut bobs = wait(&bob, &[]);
        drop(busy.remove(0));
        assert!(many.iter_mut().all(|one| poll(one).is_none()));
        assert!(poll(&mut bobs).is_some(), "all of Alice's wait for her one");
    }

    #[test]
    fn accounts_leave_threads_to_mail_that_comes_and_strangers_to_accounts() {
        let peer = |n: u8| Holder::stranger([192, 0, n, 1].into());
        let account = |n: u8| Holder::Account(AccountId(n.into()));
        let holders: [&dyn Fn(u8) -> Holder; 2] = [&peer, &account];
        for (first, second) in [(holders[0], holders[1]), (holders[1], holders[0])] {
            let turns = Turns::new(Threads::new(16));
            let places: Vec<Place> = (0..20).map(|n| turns.place(first(n))).collect();
            let held: Vec<Turn> = places.iter().flat_map(all_of).collect();
            assert_eq!(held.len(), 12);
            assert_eq!(all_of(&turns.place(second(1))).len(), 4);
        }
    }

    #[test]
    fn whoever_waits_for_their_own_holds_nothing_that_others_take_turns_at() {
        let turns = Turns::new(Threads::new(64));
        let pushes = Arc::new(Semaphore::new(1));
        let (alice, bob) = (turns.place(ALICE), turns.place(BOB));
        let _busy = all_of(&alice);
        let among = [&pushes];
        let _many: Vec<Waiting<'_>> = (0..10).map(|_| wait(&alice, &among)).collect();
        let mut bobs: Waiting<'_> = Box::pin(bob.take(&among));
        assert!(poll(&mut bobs).is_some());
    }

    #[test]
    fn what_waits_to_tell_of_a_change_leaves_its_account_the_turns_of_commands() {
        let threads = Threads::new(64);
        let (turns, push_turns) = (Turns::new(Arc::clone(&threads)), Turns::new(threads));
        let pushes = Arc::new(Semaphore::new(0));
        let (pushing, among) = (push_turns.place(ALICE), [&pushes]);
        let _many: Vec<Waiting<'_>> = (0..20).map(|_| wait(&pushing, &among)).collect();
        assert_eq!(all_of(&turns.place(ALICE)).len(), OF_ACCOUNT);
    }

    #[test]
    fn work_counts_though_its_connection_is_gone_and_is_forgotten_behind_it() {
        let turns = Turns::new(Threads::new(64));
        let place = turns.place(ALICE);
        let held = all_of(&place);
        drop(place);
        assert!(turns.place(ALICE).try_take().is_none());
        drop(held);
        assert!(turns.lock().is_empty());
    }
}
