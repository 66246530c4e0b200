//! JMAP's part of the threads for blocking work: over all accounts, and of each.
//!
//! The threads serve every protocol: whatever JMAP's clients ask for at once, the rest is left to mail that
//! comes and to those who read it otherwise. What listeners look at takes turns of its own in front of that, so
//! that a change which wakes a thousand of them does not stand before what somebody asked for.

use std::sync::Arc;

use tern_base::AccountId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::https::limits::POOL_WAIT;
use crate::net::{Holder, Threads, Turn, Turns};

/// The part.
pub(super) struct Pool {
    turns: Arc<Turns>,
    /// The same of its listeners, so that what it asks for does not wait behind what they look at.
    look_turns: Arc<Turns>,
    /// Of all threads, those that JMAP may have.
    half: Arc<Semaphore>,
    /// Of these, those that looks of listeners may have.
    looks: Arc<Semaphore>,
}

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undone {
    /// No thread became free in time.
    #[error("no thread became free in time")]
    Busy,
    /// It failed, or there is no pool any more.
    #[error("the work was broken off")]
    Broken,
}

impl Pool {
    /// Half of the threads, and of that a quarter for looks.
    pub(super) fn new(threads: &Arc<Threads>) -> Self {
        let half = threads.count() / 2;
        Self {
            // An account's turns here are beside those of its mail sessions.
            turns: Turns::new(Arc::clone(threads)),
            look_turns: Turns::new(Arc::clone(threads)),
            half: Arc::new(Semaphore::new(half.max(1))),
            looks: Arc::new(Semaphore::new((half / 4).max(1))),
        }
    }

    /// Does what a client waits for, unless it would wait too long.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        account: AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let turn = timeout(POOL_WAIT, turn(&self.turns, account, &[&self.half])).await;
        on_thread(turn.map_err(|_| Undone::Busy)??, work).await
    }

    /// Does what there is no other time for, however long that waits.
    pub(super) async fn run_late<T: Send + 'static>(
        &self,
        account: AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        on_thread(turn(&self.turns, account, &[&self.half]).await?, work).await
    }

    /// Does what a change woke a listener for, when it is its turn among all of them.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        account: AccountId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        on_thread(
            turn(&self.look_turns, account, &[&self.looks, &self.half]).await?,
            work,
        )
        .await
    }
}

async fn turn(
    turns: &Arc<Turns>,
    account: AccountId,
    among: &[&Arc<Semaphore>],
) -> Result<Turn, Undone> {
    let place = turns.place(Holder::Account(account));
    place.take(among).await.ok_or(Undone::Broken)
}

async fn on_thread<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Undone> {
    // The thread keeps the turn, also where nobody waits for it any more.
    let work = move || {
        let _turn = turn;
        work()
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Undone::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: AccountId = AccountId(1);
    const TWO: AccountId = AccountId(2);

    #[tokio::test(start_paused = true)]
    async fn half_of_the_threads_work_and_who_waits_too_long_is_told() {
        let pool = Pool::new(&Threads::new(4));
        let turn = async |account| turn(&pool.turns, account, &[&pool.half]).await;
        let one = turn(ONE).await.expect("a turn");
        assert_eq!(pool.run(ONE, || 1).await, Err(Undone::Busy), "its own part");
        assert_eq!(pool.run(TWO, || 1).await, Ok(1));
        let two = turn(TWO).await.expect("a turn");
        assert_eq!(pool.run(AccountId(3), || 2).await, Err(Undone::Busy));
        drop(one);
        assert_eq!(pool.run(AccountId(3), || 3).await, Ok(3));
        assert_eq!(pool.run_late(ONE, || 4).await, Ok(4));
        drop(two);
        assert_eq!(pool.half.available_permits(), 2, "all are given back");
    }

    #[tokio::test(start_paused = true)]
    async fn looks_wait_for_each_other_and_leave_threads_to_what_somebody_asks_for() {
        let pool = Pool::new(&Threads::new(64));
        let mut looking = Vec::new();
        for n in 0..8 {
            let account = AccountId(100 + n);
            looking.push(turn(&pool.look_turns, account, &[&pool.looks, &pool.half]).await);
        }
        let late = timeout(POOL_WAIT, pool.look(ONE, || 1)).await;
        assert!(late.is_err(), "all turns of looks are taken");
        assert_eq!(pool.run(ONE, || 2).await, Ok(2));
        looking.clear();
        assert_eq!(pool.look(ONE, || 3).await, Ok(3));
    }
}
