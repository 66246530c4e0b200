//! How long an attempt may take: until its time is over, or the server stops.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long whoever has begun to send content may go on once the server stops: less than the stop
/// waits for its tasks, because the outcome has to be recorded after it.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// Why something was not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The time of the attempt is over.
    TimedOut,
    /// The server stops.
    Stopped,
}

/// The time that an attempt has.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    until: Instant,
    stopped: watch::Receiver<bool>,
    is_stopping: bool,
}

impl Patience {
    pub(super) fn new(time: Duration, stopped: watch::Receiver<bool>) -> Self {
        Self {
            until: Instant::now() + time,
            stopped,
            is_stopping: false,
        }
    }

    /// When it is over.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_stopping || Instant::now() >= self.until
    }

    /// From now on at most so long.
    pub(super) fn at_most(&mut self, time: Duration) {
        self.until = self.until.min(Instant::now() + time);
    }

    /// Returns once the server stops; after [`Patience::note_stop`] never again.
    pub(super) async fn stop(&mut self) {
        match self.is_stopping {
            true => std::future::pending().await,
            // Whoever would tell is gone: so is the server.
            false => drop(self.stopped.wait_for(|stopped| *stopped).await),
        }
    }

    /// The server stops: what is under way has little time left.
    pub(super) fn note_stop(&mut self) {
        self.is_stopping = true;
        self.at_most(STOP_GRACE);
    }

    /// Waits for something that may as well be dropped.
    pub(super) async fn wait<T>(&mut self, done: impl Future<Output = T>) -> Result<T, Over> {
        let until = self.until;
        tokio::select! {
            done = done => Ok(done),
            () = sleep_until(until) => Err(Over::TimedOut),
            () = self.stop() => Err(Over::Stopped),
        }
    }
}
