//! The task of one connection: drives a sans-I/O session of any protocol.
//!
//! Invariants: a session's steps run on the blocking pool, one batch at a time; output is written
//! before more input is read, so a slow client makes nothing grow but its own wait; every wait has
//! a deadline.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tern_base::{AccountId, Entropy, Timestamp};
use tokio::time::{Instant, timeout};

use super::stream::{Stream, TlsFacts};
use crate::clock::{self, OsEntropy};
use crate::hub::{Hub, Registration, Signal};
use crate::login::{Attempt, Logins, Verified};

/// What a session wants next.
pub(crate) enum Step {
    Continue,
    Input,
    StartTls,
    Verify(Attempt),
    Close,
}

/// A session of some protocol, with the verbs it needs.
pub(crate) trait Protocol: Send + 'static {
    fn receive(&mut self, bytes: &[u8], now: Timestamp);
    fn notify(&mut self);
    fn step(&mut self, now: Timestamp, entropy: &mut dyn Entropy) -> Step;
    fn wants_work(&self) -> bool;
    fn has_output(&self) -> bool;
    fn take_output(&mut self) -> Vec<u8>;
    fn verified(&mut self, verified: Verified, now: Timestamp);
    fn tls_started(&mut self, facts: TlsFacts);
    fn deadline(&self) -> Timestamp;
    fn timed_out(&mut self);
    fn shutdown(&mut self);
    /// The account whose changes the session waits for.
    fn watches(&self) -> Option<AccountId>;
    /// Turns the session's events into log lines.
    fn log(&mut self);
}

/// What every connection of a listener shares.
pub(crate) struct Shared {
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) logins: Logins,
    pub(crate) handshake_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

/// Output from which a batch of steps ends, so that it is written before more is made.
const OUTPUT_BATCH: usize = 64 * 1024;
/// Steps after which a batch ends, so that other sessions get their turn.
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

struct Connection<P> {
    stream: Option<Stream>,
    session: Option<Box<P>>,
    peer: IpAddr,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
    registration: Option<Registration>,
}

/// Serves one connection to its end.
pub(crate) async fn serve<P: Protocol>(
    stream: Stream,
    session: Box<P>,
    peer: IpAddr,
    shared: Arc<Shared>,
    signal: Arc<Signal>,
) {
    let mut connection = Connection {
        stream: Some(stream),
        session: Some(session),
        peer,
        shared,
        signal,
        registration: None,
    };
    let ended = loop {
        if let Err(ended) = connection.round().await {
            break ended;
        }
    };
    if matches!(ended, Ended::Slow) {
        tracing::warn!(%peer, "cut off: the client does not take its output");
    }
    if let Some(session) = &mut connection.session {
        session.log();
    }
}

impl<P: Protocol> Connection<P> {
    /// The session and its stream: both are only away while a step or a handshake has them.
    fn parts(&mut self) -> Result<(&mut Stream, &mut P), Ended> {
        match (&mut self.stream, &mut self.session) {
            (Some(stream), Some(session)) => Ok((stream, session)),
            _ => Err(Ended::Lost),
        }
    }

    /// Works, writes, and waits once.
    async fn round(&mut self) -> Result<(), Ended> {
        let (output, step) = self.work().await?;
        self.watch();
        if !output.is_empty() {
            self.write(output).await?;
        }
        match step {
            Step::Continue => Ok(()),
            Step::StartTls => Box::pin(self.start_tls()).await,
            Step::Verify(attempt) => Box::pin(self.verify(attempt)).await,
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
        let mut session = self.session.take().ok_or(Ended::Lost)?;
        let batch = move || {
            let (output, step) = steps(&mut *session);
            session.log();
            (session, output, step)
        };
        // A step that panicked takes its own connection with it, and no other.
        let done = tokio::task::spawn_blocking(batch).await;
        let (session, output, step) = done.map_err(|_| Ended::Lost)?;
        self.session = Some(session);
        Ok((output, step))
    }

    /// Registers for the changes of the account that the session waits for.
    fn watch(&mut self) {
        let watched = self.session.as_ref().and_then(|session| session.watches());
        if watched != self.registration.as_ref().map(Registration::account) {
            let hub = &self.shared.hub;
            self.registration = watched.map(|account| hub.register(account, &self.signal));
            if let Some(session) = &mut self.session
                && watched.is_some()
            {
                // What was committed just before the registration.
                session.notify();
            }
        }
    }

    async fn write(&mut self, output: Vec<u8>) -> Result<(), Ended> {
        let limit = self.shared.write_timeout;
        let (stream, _) = self.parts()?;
        // Each piece gets the whole time: what counts is that the client goes on taking.
        for piece in output.chunks(OUTPUT_BATCH) {
            timeout(limit, stream.write(piece))
                .await
                .map_err(|_| Ended::Slow)??;
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
            () = signal.wait() => {
                let told = signal.take();
                if told.stopping {
                    session.shutdown();
                } else if told.changed {
                    session.notify();
                }
            }
            read = stream.read(|bytes| session.receive(bytes, clock::now())) => {
                if read? == 0 {
                    return Err(Ended::Lost);
                }
            }
            () = tokio::time::sleep_until(deadline) => {
                if session.deadline() <= clock::now() {
                    session.timed_out();
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

    async fn verify(&mut self, attempt: Attempt) -> Result<(), Ended> {
        let verified = self.shared.logins.verify(self.peer, attempt).await;
        let (_, session) = self.parts()?;
        session.verified(verified, clock::now());
        Ok(())
    }
}

/// Steps until the session waits for something, or has made enough output.
fn steps<P: Protocol>(session: &mut P) -> (Vec<u8>, Step) {
    let mut output = session.take_output();
    for _ in 0..STEP_BATCH {
        let step = session.step(clock::now(), &mut OsEntropy);
        let made = session.take_output();
        if output.is_empty() {
            output = made;
        } else {
            output.extend_from_slice(&made);
        }
        match step {
            Step::Continue if !session.wants_work() => return (output, Step::Input),
            Step::Continue if output.len() < OUTPUT_BATCH => {}
            step => return (output, step),
        }
    }
    (output, Step::Continue)
}
