//! How long an attempt may take: until its time is over, or the server stops.
//!
//! Invariant: whoever has sent a message whole is waited for as long as the answer may take, whatever
//! is left of the attempt (RFC 5321 4.5.3.2.6): an answer that is not heard is a message sent twice.

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
    /// Until when the answer to a whole message is waited for.
    answer: Option<Instant>,
    stopped: watch::Receiver<bool>,
    is_stopping: bool,
}

impl Patience {
    pub(super) fn new(time: Duration, stopped: watch::Receiver<bool>) -> Self {
        Self {
            until: Instant::now() + time,
            answer: None,
            stopped,
            is_stopping: false,
        }
    }

    /// When it is over.
    pub(super) fn until(&self) -> Instant {
        self.answer
            .map_or(self.until, |answer| answer.max(self.until))
    }

    /// Whether it is over, and why.
    pub(super) fn over(&self) -> Option<Over> {
        match (self.is_stopping, Instant::now() >= self.until) {
            (true, _) => Some(Over::Stopped),
            (false, true) => Some(Over::TimedOut),
            (false, false) => None,
        }
    }

    /// Whether what takes so long may be begun.
    pub(super) fn has(&self, time: Duration) -> bool {
        self.over().is_none() && self.until.saturating_duration_since(Instant::now()) >= time
    }

    /// From now on so long, whatever was left of it, unless the server stops.
    pub(super) fn only(&mut self, time: Duration) {
        let (left, until) = (self.until(), Instant::now() + time);
        self.answer = None;
        self.until = match self.is_stopping {
            true => left.min(until),
            false => until,
        };
    }

    /// A message is out whole: its answer is waited for so long, unless the server stops.
    pub(super) fn await_answer(&mut self, time: Duration) {
        self.answer = (!self.is_stopping).then(|| Instant::now() + time);
    }

    /// Nothing is awaited any more that was begun.
    pub(super) fn is_answered(&mut self) {
        self.answer = None;
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
        self.only(STOP_GRACE);
    }

    /// Waits for something that may as well be dropped.
    pub(super) async fn wait<T>(&mut self, done: impl Future<Output = T>) -> Result<T, Over> {
        let until = self.until;
        let over = tokio::select! {
            done = done => return Ok(done),
            () = sleep_until(until) => Over::TimedOut,
            () = self.stop() => Over::Stopped,
        };
        if over == Over::Stopped {
            self.note_stop();
        }
        Err(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_waited_for_beyond_the_attempt_and_a_stop_ends_that() {
        let (stop, stopped) = watch::channel(false);
        let mut patience = Patience::new(30 * MINUTE, stopped);
        let begun = Instant::now();
        tokio::time::advance(25 * MINUTE).await;
        assert!(patience.has(5 * MINUTE) && !patience.has(6 * MINUTE));
        patience.await_answer(10 * MINUTE);
        assert_eq!(patience.until(), begun + 35 * MINUTE);
        assert!(!patience.has(6 * MINUTE), "nothing else is begun");
        tokio::time::advance(5 * MINUTE).await;
        assert_eq!(patience.over(), Some(Over::TimedOut));
        patience.is_answered();
        assert_eq!(patience.until(), begun + 30 * MINUTE);
        patience.await_answer(10 * MINUTE);
        stop.send(true).expect("heard");
        patience.stop().await;
        patience.note_stop();
        assert_eq!(patience.over(), Some(Over::Stopped));
        assert!(patience.until() <= Instant::now() + STOP_GRACE);
        patience.await_answer(10 * MINUTE);
        assert!(patience.until() <= Instant::now() + STOP_GRACE);
    }
}
