//! JMAP's part of the threads for blocking work, over all accounts.
//!
//! The threads serve every protocol: whatever JMAP's clients ask for at once, the rest is left to mail that
//! comes and to those who read it otherwise.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::https::limits::POOL_WAIT;

/// The part.
pub(super) struct Pool(Arc<Semaphore>);

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
    /// Half of so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Self(Arc::new(Semaphore::new((threads / 2).max(1))))
    }

    /// Does what a client waits for, unless it would wait too long.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let turn = timeout(POOL_WAIT, self.turn()).await;
        on_thread(turn.map_err(|_| Undone::Busy)??, work).await
    }

    /// Does what there is no other time for, however long that waits.
    pub(super) async fn run_late<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        on_thread(self.turn().await?, work).await
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Undone> {
        let turn = Arc::clone(&self.0).acquire_owned().await;
        turn.map_err(|_| Undone::Broken)
    }
}

async fn on_thread<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
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

    #[tokio::test(start_paused = true)]
    async fn half_of_the_threads_work_and_who_waits_too_long_is_told() {
        let pool = Pool::new(4);
        let one = pool.turn().await.expect("a turn");
        assert_eq!(pool.run(|| 1).await, Ok(1));
        let two = pool.turn().await.expect("a turn");
        assert_eq!(pool.run(|| 2).await, Err(Undone::Busy));
        drop(one);
        assert_eq!(pool.run(|| 3).await, Ok(3));
        assert_eq!(pool.run_late(|| 4).await, Ok(4));
        drop(two);
        assert_eq!(pool.0.available_permits(), 2, "all are given back");
    }
}
