//! What is said to one host: from its greeting to its answers to messages, and QUIT behind those.
//!
//! Invariant: the session outlives every wait, so whatever cuts the dialogue off (its deadline, the
//! attempt's, a stop, a lost connection), the session is asked what became of the message: what may
//! have been taken is never said to be unsent. Reads while it writes, so a refusal half-way through
//! the content is heard.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tern_session::TlsFacts;
use tern_smtp::client::{self, Client, ClientStep, End, TlsPolicy};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::client::TlsStream;

use super::Shared;
use super::connect::Way;
use super::patience::{Over, Patience};
use super::traffic::{Closed, Session};
use crate::clock;
use crate::config::HostPort;

/// Longest that a server may take nothing of what is sent (RFC 5321 4.5.3.2.5).
const WRITE_STALL: Duration = Duration::from_secs(180);
/// How long is read on once nothing can be written any more: what was said before may be there.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long the answer to QUIT is waited for.
const QUIT: Duration = Duration::from_secs(5);

/// How long a host may take to be ready for a message where no further attempt may begin meanwhile, and how
/// long it goes on from there until that is asked again.
const HURRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(5));

/// Why a message was not even begun.
pub(super) enum Unsent {
    Io(io::Error),
    Ended(End),
    /// The host is where nothing may lead.
    Inside,
    /// The DNS has no address of the host.
    NoAddress,
    /// There was no more time for it.
    Over(Over),
    /// None of its addresses is to be connected to now.
    Waits(Vec<SocketAddr>, Closed),
}

impl From<io::Error> for Unsent {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Over> for Unsent {
    fn from(over: Over) -> Self {
        Self::Over(over)
    }
}

/// A session with one host, which was asked for nothing that it has not answered.
pub(super) struct Dialogue {
    client: Client,
    line: Line,
}

impl Dialogue {
    /// Connects, and comes to where a message may be sent.
    pub(super) async fn begin(
        shared: &Shared,
        route: &HostPort,
        way: Way,
        policy: TlsPolicy,
        patience: &mut Patience,
    ) -> Result<Self, Unsent> {
        let connect = shared.connector.connect(route, way, &shared.traffic);
        let (stream, session) = patience.wait(connect).await??;
        let mut line = Line::over(Wire::Plain(stream), Some(session));
        // All that comes before a message, and not each reply by itself.
        let time = Duration::from_secs(shared.client.reply_timeout_secs);
        line.set_up = Some(SetUp::of(time));
        let mut client = Client::new(Arc::clone(&shared.client), policy, None, clock::now());
        loop {
            match client.step(clock::now()) {
                ClientStep::Continue => {}
                ClientStep::Input => line.exchange(&mut client, patience).await?,
                ClientStep::StartTls => {
                    let secure = line.secure(shared, route, &mut client);
                    line = patience.wait(secure).await??;
                }
                ClientStep::Idle => {
                    line.set_up = None;
                    return Ok(Self { client, line });
                }
                // Nothing was sent that could be told of.
                ClientStep::Sent(_) => return Err(Unsent::Ended(End::Protocol)),
                ClientStep::Close(end) => return Err(Unsent::Ended(end)),
            }
        }
    }

    /// Asks the host to take a message. What became of each recipient, in turn.
    pub(super) async fn send(
        &mut self,
        message: client::Outgoing,
        patience: &mut Patience,
    ) -> Result<Vec<client::Outcome>, Unsent> {
        let (client, line) = (&mut self.client, &mut self.line);
        patience.is_answered();
        if client.send(message, clock::now()).is_err() {
            return Err(Unsent::Ended(match client.step(clock::now()) {
                ClientStep::Close(end) => end,
                _ => End::Protocol,
            }));
        }
        loop {
            match client.step(clock::now()) {
                ClientStep::Continue => {}
                ClientStep::Input => line.exchange(client, patience).await?,
                ClientStep::Sent(outcomes) => return Ok(outcomes),
                ClientStep::Close(end) => return Err(Unsent::Ended(end)),
                ClientStep::Idle | ClientStep::StartTls => {
                    return Err(Unsent::Ended(End::Protocol));
                }
            }
        }
    }

    /// Whether the host takes another message in this session. What it has said unasked by now, such
    /// as that it closes the session, is heard.
    pub(super) async fn takes_more(&mut self) -> bool {
        if self.client.takes_more() {
            self.line.listen(&mut self.client).await;
        }
        self.client.takes_more()
    }

    /// Whether the host takes over the DSN parameters.
    pub(super) fn takes_dsn(&self) -> bool {
        self.client.extensions().dsn
    }

    /// Says QUIT (RFC 5321 4.1.1.10), and waits a little for the answer. In the midst of a message nothing
    /// more is said or heard: what becomes of its recipients is settled by now.
    pub(super) async fn end(mut self, mut patience: Patience) {
        // Whoever waits for a session may have one.
        self.line.session = None;
        patience.only(QUIT);
        self.client.quit(clock::now());
        loop {
            match self.client.step(clock::now()) {
                ClientStep::Continue => {}
                ClientStep::Input => {
                    let said = self.line.exchange(&mut self.client, &mut patience).await;
                    if said.is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }
}

/// The connection of a client session.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Wire {
    fn duplex(&mut self) -> &mut dyn Duplex {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream,
        }
    }
}

/// Until when a host is to be ready for a message.
#[derive(Clone, Copy)]
struct SetUp {
    until: Instant,
    /// When it is left, if others wait for its place.
    hurry: Instant,
}

impl SetUp {
    fn of(time: Duration) -> Self {
        let now = Instant::now();
        Self {
            until: now + time,
            hurry: now + HURRY.0,
        }
    }
}

/// A connection, and what is on its way out.
struct Line {
    wire: Wire,
    /// It counts, until its messages are done with.
    session: Option<Session>,
    output: Vec<u8>,
    /// How much of `output` is out.
    written: usize,
    is_flushed: bool,
    /// When the server last took something.
    taken: Instant,
    set_up: Option<SetUp>,
    /// Nothing can be written any more; until when is read on.
    broken: Option<Instant>,
    buffer: Vec<u8>,
}

/// What a wait ended with.
enum Event {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    /// The server fell silent.
    TimedOut,
    /// It is slow, and others may wait for its place.
    Slow,
    /// The time of the attempt is over.
    Over,
    Stop,
}

impl Line {
    fn over(wire: Wire, session: Option<Session>) -> Self {
        Self {
            wire,
            session,
            output: Vec::new(),
            written: 0,
            is_flushed: true,
            taken: Instant::now(),
            set_up: None,
            broken: None,
            buffer: vec![0; 4_096],
        }
    }

    /// Writes some and reads some, and tells the session what came of it.
    async fn exchange(&mut self, client: &mut Client, patience: &mut Patience) -> Result<(), Over> {
        self.fill(client);
        match self.event(client, patience).await {
            Event::Read(Ok(0) | Err(_)) => client.connection_lost(),
            Event::Read(Ok(n)) => {
                client.receive(self.buffer.get(..n).unwrap_or_default());
            }
            Event::Written(Ok(n)) => {
                self.is_flushed = self.is_out();
                self.written += n;
                self.taken = Instant::now();
                if self.is_out() && self.is_flushed {
                    let answer = client.written(clock::now());
                    let answer = answer.map(clock::until);
                    answer.into_iter().for_each(|it| patience.await_answer(it));
                }
            }
            Event::Written(Err(_)) => {
                self.broken = Some(Instant::now() + LAST_WORDS);
            }
            Event::TimedOut | Event::Over if self.broken.is_some() => client.connection_lost(),
            // Whether it would have answered is not known.
            Event::Over => client.timed_out(),
            Event::Slow if !self.is_crowded() => {
                if let Some(set_up) = &mut self.set_up {
                    set_up.hurry = Instant::now() + HURRY.1;
                }
            }
            Event::TimedOut | Event::Slow => {
                // It did not answer in time.
                if let Some(session) = &self.session {
                    session.note_away();
                }
                client.timed_out();
            }
            Event::Stop => {
                patience.note_stop();
                if !client.content_begun() {
                    return Err(Over::Stopped);
                }
            }
        }
        Ok(())
    }

    /// Reads what is there, and waits for nothing.
    async fn listen(&mut self, client: &mut Client) {
        let wire = self.wire.duplex();
        let read = tokio::select! {
            biased;
            read = wire.read(&mut self.buffer) => read,
            () = std::future::ready(()) => return,
        };
        match read {
            Ok(0) | Err(_) => client.connection_lost(),
            Ok(n) => client.receive(self.buffer.get(..n).unwrap_or_default()),
        }
    }

    /// Whether others may wait for the place of this session.
    fn is_crowded(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_crowded)
    }

    fn is_out(&self) -> bool {
        self.written >= self.output.len()
    }

    /// Takes the next piece of output, where the last is out.
    fn fill(&mut self, client: &mut Client) {
        if self.is_out() && self.is_flushed && client.has_output() {
            self.taken = Instant::now();
            (self.output, self.written) = (client.take_output(), 0);
            self.is_flushed = self.output.is_empty();
        }
    }

    async fn event(&mut self, client: &Client, patience: &mut Patience) -> Event {
        let writes = self.broken.is_none() && !(self.is_out() && self.is_flushed);
        let deadline = Instant::now() + clock::until(client.deadline());
        let stall = writes.then(|| self.taken + WRITE_STALL);
        let set_up = self.set_up;
        let ready = set_up.map(|set_up| set_up.until);
        let until = [stall, self.broken, ready].into_iter().flatten();
        let silent = until.fold(deadline, Instant::min);
        let slow = set_up.map_or(silent, |set_up| set_up.hurry);
        let over = patience.until();
        let rest = self.output.get(self.written..).unwrap_or_default();
        let (mut reader, mut writer) = split(self.wire.duplex());
        tokio::select! {
            // What the server has said is heard, and nothing more is said once the time is over.
            biased;
            read = reader.read(&mut self.buffer) => Event::Read(read),
            () = patience.stop() => Event::Stop,
            () = sleep_until(over) => Event::Over,
            () = sleep_until(silent) => Event::TimedOut,
            () = sleep_until(slow), if set_up.is_some() => Event::Slow,
            written = push(&mut writer, rest), if writes => Event::Written(written),
        }
    }

    /// The same connection under TLS.
    async fn secure(
        self,
        shared: &Shared,
        route: &HostPort,
        client: &mut Client,
    ) -> Result<Self, Unsent> {
        let Wire::Plain(stream) = self.wire else {
            return Err(Unsent::Ended(End::Protocol));
        };
        match shared.connector.secure(stream, &route.host).await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                let version = session.protocol_version().and_then(|v| v.as_str());
                let suite = session.negotiated_cipher_suite();
                let cipher = suite.and_then(|suite| suite.suite().as_str());
                let facts = TlsFacts {
                    version: version.unwrap_or("TLS").to_owned(),
                    cipher: cipher.unwrap_or("unknown").to_owned(),
                    sni: Some(route.host.clone()),
                };
                client.tls_started(facts, clock::now());
                let wire = Wire::Tls(Box::new(stream));
                Ok(Self {
                    set_up: self.set_up,
                    ..Self::over(wire, self.session)
                })
            }
            Err(error) => {
                tracing::debug!(host = %route.host, %error, "outgoing TLS handshake failed");
                Err(Unsent::Ended(End::TlsFailed))
            }
        }
    }
}

/// Writes some of it; all of it written, sees that it leaves. Nothing is lost where this is dropped.
async fn push(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write(bytes).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        n => Ok(n),
    }
}

#[cfg(test)]
mod tests {
    use tern_smtp::client::ClientSettings;

    use super::super::route::Destination;
    use super::super::traffic::{Bound, Load, Party, Traffic};
    use super::*;

    /// After how long a host is left that accepts and says nothing, where so many attempts may be under
    /// way and one is; and whether it is left alone then.
    async fn left_after(attempts: usize) -> (Duration, bool) {
        let host = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let host = host.expect("a port");
        let address = host.local_addr().expect("an address");
        let traffic = Arc::new(Traffic::new(attempts, 1, 0));
        let load = Load {
            id: tern_queue::QueueId([1; 16]),
            party: Party::Nobody,
            octets: 0,
        };
        let to = Destination {
            name: "slow.test".to_owned(),
            is_of_all: false,
        };
        let _pass = traffic.admit(&load, &to, false).expect("admitted");
        let chosen = traffic.choose(&[address], Bound::Address, 1);
        let session = chosen.expect("open").remove(0);
        let stream = TcpStream::connect(address).await.expect("connected");
        let mut line = Line::over(Wire::Plain(stream), Some(session));
        line.set_up = Some(SetUp::of(Duration::from_secs(200)));
        let settings = Arc::new(ClientSettings::default());
        let mut client = Client::new(settings, TlsPolicy::Never, None, clock::now());
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let mut patience = Patience::new(Duration::from_secs(1_800), stopped);
        let since = Instant::now();
        while client.step(clock::now()) != ClientStep::Close(End::TimedOut) {
            let exchanged = line.exchange(&mut client, &mut patience).await;
            assert!(exchanged.is_ok(), "nothing else ends it");
        }
        drop(line);
        (
            since.elapsed(),
            traffic.choose(&[address], Bound::Address, 1).is_err(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_slow_to_be_ready_is_left_and_sooner_where_others_wait() {
        let (alone, is_away) = left_after(2).await;
        assert_eq!((alone.as_secs(), is_away), (200, true));
        let (crowded, is_away) = left_after(1).await;
        assert_eq!((crowded.as_secs(), is_away), (60, true));
    }
}
