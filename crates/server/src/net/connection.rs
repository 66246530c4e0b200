//! The task of one connection: drives a sans-I/O session of any protocol.
//!
//! Invariants: a session's steps run on the blocking pool, one batch at a time, in the turns of its account or,
//! before it has authenticated, of its network ([`super::turns`]); output is written
//! before more input is read, and of a long answer at most one batch is made while the one before it
//! is written, so a slow client makes nothing grow but its own wait; every wait has a deadline.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tern_base::{Entropy, Timestamp};
use tern_directory::Scope;
use tern_session::{Credentials, Ending, Protocol, Step, Verified};
use tokio::pin;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::holder::Holder;
use super::stream::Stream;
use super::turns::{Place, Turn, Turns};
use crate::clock::{self, OsEntropy};
use crate::hub::{Hub, Registration, Signal};
use crate::login::Logins;

/// What the shell adds to the sessions of one protocol: the verbs behind them, and the log.
pub(crate) trait Service: Send + 'static {
    type Session: Protocol + Send + 'static;
    /// What a credential must be good for.
    const SCOPE: Scope;
    /// Whether its sessions tell what changes in mailboxes.
    const WATCHES: bool;

    fn step(
        &mut self,
        session: &mut Self::Session,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step;

    /// Turns the session's events into log lines.
    fn log(&mut self, session: &mut Self::Session);
}

/// A session with what is behind it.
pub(crate) struct Served<S: Service> {
    pub(crate) session: S::Session,
    pub(crate) service: S,
}

impl<S: Service> Served<S> {
    fn log(&mut self) {
        self.service.log(&mut self.session);
    }
}

/// What every connection of a listener shares.
pub(crate) struct Shared {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) handshake_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// Turns of mail sessions, and of the pages, at the threads for the blocking work of every protocol.
    pub(crate) turns: Arc<Turns>,
    /// The same of sessions that tell their clients of a change nobody asked about, so that an account's
    /// commands don't wait behind its pushes, which wait for [`Shared::pushes`].
    pub(crate) push_turns: Arc<Turns>,
    /// Of all such sessions, those that do it at once: when thousands are woken, as by a recall, commands of
    /// others do not wait behind all of them.
    pub(crate) pushes: Arc<Semaphore>,
}

/// Output from which a batch of steps ends, so that it is written before more is made.
const OUTPUT_BATCH: usize = 64 * 1024;
/// Steps after which a batch ends, so that other sessions get their turn: it ends before where one did as much
/// as a step may.
const STEP_BATCH: usize = 64;

/// Why a connection ended; nothing of it is an error of this server.
enum Ended {
    Closed,
    Lost,
    /// The client does not take what it asked for.
    Slow,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

/// What a batch of steps came to.
struct Batch<S: Service> {
    served: Box<Served<S>>,
    output: Vec<u8>,
    step: Step,
}

struct Connection<S: Service> {
    stream: Option<Stream>,
    served: Option<Box<Served<S>>>,
    peer: IpAddr,
    /// Where it takes its turns.
    place: Place,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    registration: Option<Registration>,
    /// The account of somebody else that the session watches.
    other: Option<Registration>,
    /// What there is to do is only to tell of a change.
    pushes: bool,
}

/// Serves one connection to its end.
pub(crate) async fn serve<S: Service>(
    stream: Stream,
    served: Box<Served<S>>,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
) {
    let peer = served.session.peer().ip;
    let mut connection = Connection {
        stream: Some(stream),
        served: Some(served),
        peer,
        place: shared.turns.place(Holder::stranger(peer)),
        shared,
        signal,
        registration: None,
        other: None,
        pushes: false,
    };
    let ended = loop {
        if let Err(ended) = connection.round().await {
            break ended;
        }
    };
    if matches!(ended, Ended::Slow) {
        tracing::warn!(%peer, "cut off: the client does not take its output");
    }
    if let Some(served) = &mut connection.served {
        served.log();
    }
}

impl<S: Service> Connection<S> {
    /// The session and its stream: both are only away while a step or a handshake has them.
    fn parts(&mut self) -> Result<(&mut Stream, &mut S::Session), Ended> {
        match (&mut self.stream, &mut self.served) {
            (Some(stream), Some(served)) => Ok((stream, &mut served.session)),
            _ => Err(Ended::Lost),
        }
    }

    /// Works, writes, and waits once.
    async fn round(&mut self) -> Result<(), Ended> {
        if self.signal.is_revoked() {
            // In the middle of a long answer, too.
            self.parts()?.1.end(Ending::Revoked);
        }
        let (mut output, mut step) = self.work().await?;
        self.watch()?;
        while matches!(step, Step::Continue) && output.len() >= OUTPUT_BATCH {
            // A long answer: its next batch is made while this one is written, where it has a turn.
            let turn = self.place()?.try_take();
            let next = turn.map(|turn| self.begin(turn)).transpose()?;
            let written = self.write(output).await;
            (output, step) = match next {
                Some(next) => {
                    let made = self.finish(next).await?;
                    written?;
                    made
                }
                None => {
                    written?;
                    self.work().await?
                }
            };
            self.watch()?;
            if self.signal.is_revoked() {
                return Err(Ended::Lost);
            }
        }
        if !output.is_empty() {
            self.write(output).await?;
        }
        match step {
            Step::Continue => Ok(()),
            Step::StartTls => Box::pin(self.start_tls()).await,
            Step::Verify(credentials) => Box::pin(self.verify(credentials)).await,
            Step::Close => {
                let (stream, _) = self.parts()?;
                let _ = timeout(Duration::from_secs(1), stream.close()).await;
                Err(Ended::Closed)
            }
            Step::Input => self.wait().await,
        }
    }

    /// Runs a batch of steps on the blocking pool, if there is work.
    async fn work(&mut self) -> Result<(Vec<u8>, Step), Ended> {
        let (_, session) = self.parts()?;
        if !session.wants_work() {
            return Ok((session.take_output(), Step::Input));
        }
        let place = self.place()?;
        let turn = match std::mem::take(&mut self.pushes) {
            true => {
                let pushing = self.shared.push_turns.place(place.holder());
                pushing.take(&[&self.shared.pushes]).await
            }
            false => place.take(&[]).await,
        };
        if self.signal.is_revoked() {
            // While it waited.
            self.parts()?.1.end(Ending::Revoked);
        }
        let batch = self.begin(turn.ok_or(Ended::Lost)?)?;
        self.finish(batch).await
    }

    /// Where the session takes its turns: with its account from when it has one.
    fn place(&mut self) -> Result<Place, Ended> {
        let account = self.parts()?.1.authenticated().map(|who| who.account);
        let holder = account.map_or_else(|| Holder::stranger(self.peer), Holder::Account);
        if self.place.holder() != holder {
            self.place = self.shared.turns.place(holder);
        }
        Ok(self.place.clone())
    }

    /// Begins a batch of steps on the blocking pool, which has the session until it is finished.
    fn begin(&mut self, turn: Turn) -> Result<JoinHandle<Batch<S>>, Ended> {
        let mut served = self.served.take().ok_or(Ended::Lost)?;
        Ok(tokio::task::spawn_blocking(move || {
            // The thread keeps the turn, also where nobody waits for it any more.
            let _turn = turn;
            let (output, step) = steps(&mut served);
            served.log();
            Batch {
                served,
                output,
                step,
            }
        }))
    }

    /// Waits for a batch.
    async fn finish(&mut self, batch: JoinHandle<Batch<S>>) -> Result<(Vec<u8>, Step), Ended> {
        // A step that panicked takes its own connection with it, and no other.
        let batch = batch.await.map_err(|_| Ended::Lost)?;
        self.served = Some(batch.served);
        Ok((batch.output, batch.step))
    }

    /// Sees to it that changes of the account wake the session that it looks at now.
    fn watch(&mut self) -> Result<(), Ended> {
        let watched = self.parts()?.1.also_watches();
        if watched == self.other.as_ref().map(|other| other.account) {
            return Ok(());
        }
        self.other = watched.map(|account| self.shared.hub.watch_other(account, &self.signal));
        // What changed since it looked and before it was registered.
        self.parts()?.1.notify();
        Ok(())
    }

    async fn write(&mut self, output: Vec<u8>) -> Result<(), Ended> {
        let limit = self.shared.write_timeout;
        let signal = Arc::clone(&self.signal);
        let stream = self.stream.as_mut().ok_or(Ended::Lost)?;
        // Each piece gets the whole time: what counts is that the client goes on taking.
        for piece in output.chunks(OUTPUT_BATCH) {
            let write = timeout(limit, stream.write(piece));
            pin!(write);
            loop {
                tokio::select! {
                    biased;
                    written = &mut write => {
                        written.map_err(|_| Ended::Slow)??;
                        break;
                    }
                    // What else was told is looked at afterwards.
                    () = signal.wait() => if signal.is_revoked() {
                        return Err(Ended::Lost);
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for input, a change, the deadline or the end of the server.
    async fn wait(&mut self) -> Result<(), Ended> {
        let signal = Arc::clone(&self.signal);
        let (stream, session) = self.parts()?;
        if session.wants_work() || session.has_output() {
            return Ok(());
        }
        let deadline = Instant::now() + clock::until(session.deadline());
        tokio::select! {
            biased;
            () = signal.told() => {
                let told = signal.take();
                if told.revoked {
                    session.end(Ending::Revoked);
                } else if told.stopping {
                    session.end(Ending::Stopping);
                } else if told.changed {
                    session.notify();
                    self.pushes = true;
                }
            }
            read = stream.read(|bytes| session.receive(bytes, clock::now())) => {
                self.pushes = false;
                if read? == 0 {
                    return Err(Ended::Lost);
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                if session.deadline() <= clock::now() {
                    session.end(Ending::TimedOut);
                }
            }
        }
        Ok(())
    }

    async fn start_tls(&mut self) -> Result<(), Ended> {
        let stream = self.stream.take().ok_or(Ended::Lost)?;
        let handshake = stream.start_tls(Arc::clone(&self.shared.tls));
        let done = timeout(self.shared.handshake_timeout, handshake).await;
        let (stream, facts) = done.map_err(|_| Ended::Lost)??;
        self.stream = Some(stream);
        let (_, session) = self.parts()?;
        session.tls_started(facts);
        Ok(())
    }

    async fn verify(&mut self, credentials: Credentials) -> Result<(), Ended> {
        let shared = Arc::clone(&self.shared);
        let since = shared.hub.moment();
        let outcome = shared.logins.verify(self.peer, S::SCOPE, credentials).await;
        if let (Verified::Accepted(who), Some(credential)) = (&outcome.verified, outcome.credential)
        {
            let signal = &self.signal;
            let registration =
                shared
                    .hub
                    .register(who.account, credential, S::WATCHES, since, signal);
            self.registration = Some(registration);
        }
        let (_, session) = self.parts()?;
        session.verified(outcome.verified, clock::now());
        Ok(())
    }
}

/// Steps until the session waits for something, or has made enough output.
fn steps<S: Service>(served: &mut Served<S>) -> (Vec<u8>, Step) {
    let Served { session, service } = served;
    let mut output = session.take_output();
    for _ in 0..STEP_BATCH {
        let step = service.step(session, clock::now(), &mut OsEntropy);
        let made = session.take_output();
        if output.is_empty() {
            output = made;
        } else {
            output.extend_from_slice(&made);
        }
        match step {
            Step::Continue if !session.wants_work() => return (output, Step::Input),
            Step::Continue if output.len() < OUTPUT_BATCH && !session.is_busy() => {}
            step => return (output, step),
        }
    }
    (output, Step::Continue)
}

#[cfg(test)]
mod tests {
    use tern_session::{Authenticated, Peer, TlsFacts};

    use super::*;

    /// A session with many steps to do, of which each takes all that one may, or hardly anything.
    struct Many {
        busy: bool,
        steps: usize,
    }

    impl Protocol for Many {
        fn receive(&mut self, _bytes: &[u8], _now: Timestamp) {}
        fn notify(&mut self) {}
        fn wants_work(&self) -> bool {
            true
        }
        fn is_busy(&self) -> bool {
            self.busy
        }
        fn wants_input(&self) -> bool {
            false
        }
        fn has_output(&self) -> bool {
            false
        }
        fn take_output(&mut self) -> Vec<u8> {
            Vec::new()
        }
        fn verified(&mut self, _outcome: Verified, _now: Timestamp) {}
        fn tls_started(&mut self, _facts: TlsFacts) {}
        fn deadline(&self) -> Timestamp {
            Timestamp(u64::MAX)
        }
        fn end(&mut self, _why: Ending) {}
        fn peer(&self) -> &Peer {
            unreachable!("nobody asks")
        }
        fn authenticated(&self) -> Option<&Authenticated> {
            None
        }
    }

    struct Stepping;

    impl Service for Stepping {
        type Session = Many;
        const SCOPE: Scope = Scope::Imap;
        const WATCHES: bool = false;

        fn step(&mut self, session: &mut Many, _now: Timestamp, _: &mut dyn Entropy) -> Step {
            session.steps += 1;
            Step::Continue
        }

        fn log(&mut self, _session: &mut Many) {}
    }

    #[test]
    fn a_batch_ends_with_a_step_that_did_as_much_as_one_may() {
        for (busy, expected) in [(true, 1), (false, STEP_BATCH)] {
            let mut served = Served {
                session: Many { busy, steps: 0 },
                service: Stepping,
            };
            let (_, step) = steps(&mut served);
            assert!(matches!(step, Step::Continue));
            assert_eq!(served.session.steps, expected);
        }
    }
}
