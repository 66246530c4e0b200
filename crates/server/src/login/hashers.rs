//! Threads for slow hashes alone, as many as there are cores. They are few for the memory's sake,
//! too: an allocator keeps what a hash took (19 MiB) for the thread that took it.
//!
//! Invariant: each job is answered or dropped, and then its asker hears of that.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::known::Known;
use super::line::{Guess, Line, Next, Refused};
use crate::clock;
use crate::config::Network;

/// Shortest wait for those whose time has come and whose network is busy.
const LEAST_WAIT: Duration = Duration::from_millis(50);

/// One login on its way: what is done, and who waits for it.
pub(super) struct Job<T> {
    /// Answers the outcome, and whether it is a failure.
    pub(super) work: Box<dyn FnOnce() -> (T, bool) + Send>,
    pub(super) answer: oneshot::Sender<Answer<T>>,
}

/// What came of a job.
pub(super) enum Answer<T> {
    /// The outcome, and how long it is to be kept back.
    Done(T, Duration),
    Throttled,
}

struct Shared<T> {
    line: Mutex<Line<Job<T>>>,
    changed: Condvar,
    ended: std::sync::atomic::AtomicBool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Line<Job<T>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ended(&self) -> bool {
        self.ended.load(std::sync::atomic::Ordering::Acquire)
    }
}

/// The threads and the line before them.
pub(super) struct Hashers<T>(Arc<Shared<T>>);

impl<T: Send + 'static> Hashers<T> {
    /// Starts them, for jobs of which none takes longer than `slowest` on an idle machine.
    pub(super) fn start(
        max_failures: u32,
        uncounted: &[Network],
        slowest: Duration,
        known: Known,
    ) -> io::Result<Self> {
        let line = Line::new(max_failures, uncounted.to_vec(), known);
        let shared = Arc::new(Shared {
            line: Mutex::new(line.slower_than(slowest)),
            changed: Condvar::new(),
            ended: std::sync::atomic::AtomicBool::new(false),
        });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let hashers = Self(Arc::clone(&shared));
        for _ in 0..cores {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name(String::from("passwords"));
            builder.spawn(move || serve(&shared))?;
        }
        Ok(hashers)
    }

    /// Puts a job in line.
    pub(super) fn push(&self, guess: Guess, job: Job<T>) -> Result<(), Refused> {
        self.0.lock().push(guess, job, clock::now())?;
        self.0.changed.notify_one();
        Ok(())
    }

    /// From where accounts have logged in, to be written, where that has changed.
    pub(super) fn take_known(&self) -> Option<String> {
        self.0.lock().take_known(clock::now())
    }

    /// Counts a failure that needed no hash; answers how long to wait before it is told.
    pub(super) fn fail(&self, guess: Guess) -> Duration {
        self.0.lock().fail(guess, clock::now())
    }
}

impl<T> Drop for Hashers<T> {
    fn drop(&mut self) {
        let _line = self.0.lock();
        self.0
            .ended
            .store(true, std::sync::atomic::Ordering::Release);
        self.0.changed.notify_all();
    }
}

fn serve<T>(shared: &Shared<T>) {
    let mut line = shared.lock();
    while !shared.is_ended() {
        match line.next(clock::now()) {
            None => line = wait(shared, line),
            Some(Next::Throttled(job)) => {
                // Whoever waited may be gone, here and below.
                let _ = job.answer.send(Answer::Throttled);
            }
            Some(Next::Run(turn, job)) => {
                drop(line);
                // A job that panicked counts as a failure: its network must not stay occupied.
                let work = std::panic::AssertUnwindSafe(job.work);
                let begun = Instant::now();
                let outcome = std::panic::catch_unwind(work);
                let failed = outcome.as_ref().map_or(true, |(_, failed)| *failed);
                line = shared.lock();
                let delay = line.done(turn, failed, clock::now());
                // Others of this network may have waited for that.
                shared.changed.notify_all();
                if let Ok((outcome, _)) = outcome {
                    // From the beginning on: how long the hash took tells nothing about the account.
                    let left = delay.saturating_sub(begun.elapsed());
                    let _ = job.answer.send(Answer::Done(outcome, left));
                }
            }
        }
    }
}

/// Waits for a change, or for the time of the next that waits for one.
fn wait<'a, T>(
    shared: &'a Shared<T>,
    line: MutexGuard<'a, Line<Job<T>>>,
) -> MutexGuard<'a, Line<Job<T>>> {
    let Some(due) = line.due() else {
        let waited = shared.changed.wait(line);
        return waited.unwrap_or_else(PoisonError::into_inner);
    };
    let time = clock::until(due).max(LEAST_WAIT);
    let waited = shared.changed.wait_timeout(line, time);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
