//! JMAP over a WebSocket (RFC 8887): the handshake, and the life of the connection.
//!
//! Invariants:
//! - Messages are answered one after another, in the order in which they came; what changed is told
//!   between two answers, and only after the client has asked for it.
//! - A message is a text, within the size of a request and the memory for content. What is no request
//!   is answered RequestError; what is no text ends the connection.
//! - The connection ends when its login does, when the server stops, and when its client is gone.

mod metered;

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tern_jmap::limits::MAX_SIZE_REQUEST;
use tern_jmap::push::{Position, Wanted, look};
use tern_jmap::websocket::{Message, id_of, request_error, response, state_change};
use tern_jmap::{Caller, Held, Problem};
use tern_session::Mechanism;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message as Frame, Utf8Bytes};

use super::login::{LoggedIn, NoLogin};
use super::others::Others;
use super::slots::Slot;
use super::{Jmap, Turn, held, problem, too_many_listen, unauthenticated};
use crate::https::answer::{Answer, whole};
use crate::https::limits::{CLOSE_TIMEOUT, FRAME_BUFFER, SOCKET_QUIET};
use crate::https::origin;
use crate::hub::{Registration, Signal};
use metered::Metered;

type Socket = WebSocketStream<Metered<TokioIo<Upgraded>>>;

/// The subprotocol (RFC 8887 4.1).
const SUBPROTOCOL: &str = "jmap";

/// What RFC 6455 4.2.2 adds to a key.
const ACCEPT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A connection that is about to be a WebSocket.
struct Session {
    jmap: Arc<Jmap>,
    peer: IpAddr,
    caller: Caller,
    signal: Arc<Signal>,
    _registration: Registration,
    _slot: Slot,
    /// What is to be told, and where the client stands; nothing until it asks.
    push: Option<(Wanted, Position)>,
    others: Others,
}

/// Why a connection ends.
type End = Option<(CloseCode, &'static str)>;

impl Jmap {
    /// Answers the handshake, and leaves what follows it to whoever has the connection.
    pub(super) fn websocket(
        self: &Arc<Self>,
        peer: IpAddr,
        login: &LoggedIn,
        mut request: Request<Incoming>,
        turn: &Turn,
    ) -> Answer {
        // A browser asks nobody before it opens a WebSocket for a page of another site, and shows the
        // Basic login that it keeps; a token it keeps not (RFC 6455 10.2).
        if login.caller.mechanism != Mechanism::Bearer && origin::is_elsewhere(request.headers()) {
            return problem(
                StatusCode::FORBIDDEN,
                "A page of another site needs a token here.",
            );
        }
        let key = match accept(request.headers()) {
            Ok(key) => key,
            Err(refused) => return *refused,
        };
        let Some(slot) = self.listeners.take(login.caller.account) else {
            return too_many_listen();
        };
        let signal = Arc::new(Signal::default());
        let Some(registration) = login.listen(&self.shared.hub, &signal) else {
            return unauthenticated(NoLogin::Refused);
        };
        let session = Session {
            jmap: Arc::clone(self),
            peer,
            caller: login.caller.clone(),
            others: Others::new(&self.shared.hub, &signal),
            signal,
            _registration: registration,
            _slot: slot,
            push: None,
        };
        let upgrade = hyper::upgrade::on(&mut request);
        turn.to(session.run(upgrade));
        let mut answer = Response::new(whole(""));
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        let fixed = HeaderValue::from_static;
        headers.insert(header::UPGRADE, fixed("websocket"));
        headers.insert(header::CONNECTION, fixed("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, fixed(SUBPROTOCOL));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
        answer
    }
}

/// What a client's handshake is answered with (RFC 6455 4.2).
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Box<Answer>> {
    let has = |name, wanted: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if !has(header::UPGRADE, "websocket")
        || !has(header::CONNECTION, "upgrade")
        || version.is_none_or(|version| version != "13")
    {
        let mut refused = problem(
            StatusCode::UPGRADE_REQUIRED,
            "A WebSocket of version 13 is here.",
        );
        let headers = refused.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        return Err(Box::new(refused));
    }
    let bad = |why| Box::new(problem(StatusCode::BAD_REQUEST, why));
    // RFC 8887 4.1: the client must offer it.
    if !has(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(bad("The subprotocol jmap is not offered."));
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes);
    let is_key = |key: &&[u8]| STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    let key = key
        .filter(is_key)
        .ok_or_else(|| bad("Sec-WebSocket-Key is no key."))?;
    // RFC 6455 4.2.2 has SHA-1 prove that the handshake was understood, nothing more.
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, ACCEPT].concat());
    HeaderValue::from_str(&STANDARD.encode(digest)).map_err(|_| bad("Sec-WebSocket-Key is no key."))
}

impl Session {
    /// Serves the connection to its end.
    async fn run(mut self, upgrade: OnUpgrade) {
        let Ok(upgraded) = upgrade.await else {
            return;
        };
        let account = self.caller.account;
        let stream = Metered::new(
            TokioIo::new(upgraded),
            self.jmap.memory.of(self.peer),
            account,
        );
        let most = usize::try_from(MAX_SIZE_REQUEST).unwrap_or(usize::MAX);
        let config = WebSocketConfig::default()
            .read_buffer_size(FRAME_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let talked = self.talk(&mut socket).await;
        let is_sound = talked.is_ok();
        let end = match talked {
            Ok(end) => end,
            Err(Error::Capacity(_)) => {
                // RFC 8887 4.2.1: a request over the limit is answered; behind its head no frame is known.
                let told = request_error(&Problem::Limit("maxSizeRequest"), None);
                let told = socket.send(Frame::text(told.to_string())).await;
                told.ok()
                    .and(Some((CloseCode::Size, "the message is too long")))
            }
            Err(Error::Utf8(_)) => Some((CloseCode::Invalid, "the text is not UTF-8")),
            Err(Error::Protocol(_)) => Some((CloseCode::Protocol, "")),
            Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::OutOfMemory => {
                Some((CloseCode::Again, "no memory is left for the message"))
            }
            Err(_) => None,
        };
        if let Some((code, reason)) = end {
            let reason = Utf8Bytes::from_static(reason);
            // It ends here, whether the client hears of it or not.
            let _ = timeout(
                CLOSE_TIMEOUT,
                close(socket, CloseFrame { code, reason }, is_sound),
            )
            .await;
        }
    }

    /// Answers and tells until the connection is to end.
    async fn talk(&mut self, socket: &mut Socket) -> Result<End, Error> {
        let mut quiet_since = Instant::now();
        let mut is_asked = false;
        loop {
            let told = self.signal.take();
            if told.revoked {
                return Ok(Some((CloseCode::Policy, "the login is good no more")));
            }
            if told.stopping {
                return Ok(Some((CloseCode::Away, "the server stops")));
            }
            if told.changed
                && let Some(text) = self.look().await
            {
                socket.send(Frame::text(text)).await?;
            }
            tokio::select! {
                frame = socket.next() => {
                    let Some(frame) = frame.transpose()? else {
                        return Ok(None);
                    };
                    (quiet_since, is_asked) = (Instant::now(), false);
                    if let Some(end) = self.frame(socket, frame).await? {
                        return Ok(Some(end));
                    }
                }
                () = self.signal.wait() => {}
                () = sleep_until(quiet_since + SOCKET_QUIET) => {
                    if is_asked {
                        return Ok(Some((CloseCode::Away, "nothing was heard for long")));
                    }
                    socket.send(Frame::Ping(Bytes::new())).await?;
                    (quiet_since, is_asked) = (Instant::now(), true);
                }
            }
        }
    }

    /// Takes a frame; why the connection is to end by it.
    async fn frame(&mut self, socket: &mut Socket, frame: Frame) -> Result<End, Error> {
        match frame {
            Frame::Text(text) => {
                let memory = socket.get_mut().message();
                let answer = self.message(text).await;
                drop(memory);
                match answer {
                    Ok(Some((text, held))) => {
                        let memory = self.jmap.memory.of(self.peer);
                        let account = self.caller.account;
                        let octets = text.len() as u64;
                        let Some(_held) = held::keep(octets, held, account, &memory) else {
                            let why = "no memory is left for the answer";
                            return Ok(Some((CloseCode::Again, why)));
                        };
                        self.send(socket, text).await?;
                    }
                    Ok(None) => {}
                    Err(()) => return Ok(Some((CloseCode::Error, "the server failed at it"))),
                }
            }
            // RFC 8887 4.2.1
            Frame::Binary(_) => {
                return Ok(Some((CloseCode::Unsupported, "messages are texts")));
            }
            Frame::Ping(payload) | Frame::Pong(payload) => socket.get_mut().control(payload.len()),
            // Answered already: the stream ends by itself.
            Frame::Close(_) | Frame::Frame(_) => {}
        }
        Ok(None)
    }

    /// Sends an answer, for as long as the login is good by which it was asked for: what of it has not left
    /// by then goes with the connection.
    async fn send(&self, socket: &mut Socket, text: String) -> Result<(), Error> {
        let mut sent = std::pin::pin!(socket.send(Frame::text(text)));
        loop {
            if self.signal.is_revoked() {
                return Err(Error::ConnectionClosed);
            }
            tokio::select! {
                sent = &mut sent => return sent,
                // What else is told is taken behind it.
                () = self.signal.wait() => {}
            }
        }
    }

    /// Takes a message, on the blocking pool: what is answered.
    async fn message(&mut self, text: Utf8Bytes) -> Result<Option<(String, Held)>, ()> {
        let (jmap, caller, peer) = (Arc::clone(&self.jmap), self.caller.clone(), self.peer);
        let account = caller.account;
        let push = self.push.take();
        let work = move || -> Result<_, ()> {
            let refused = |problem, id| (request_error(&problem, id).to_string(), Held::default());
            let verbs = jmap.verbs();
            // Before it is read, since that is what takes the memory.
            let _slot = match jmap.request_of(caller.account) {
                Ok(slot) => slot,
                Err(why) => return Ok((Some(refused(why, id_of(text.as_bytes()))), push)),
            };
            let memory = jmap.memory.of(peer);
            Ok(match Message::parse(text.as_bytes(), &memory, account) {
                Err((problem, id)) => (Some(refused(problem, id)), push),
                Ok(Message::Request(request, id)) => {
                    let mut answer = jmap.execute(request, peer, &caller);
                    let held = answer.take_held();
                    (Some((response(answer, id).to_string(), held)), push)
                }
                Ok(Message::PushDisable) => (None, None),
                Ok(Message::PushEnable(wanted, state)) => {
                    let (at, change) = match state {
                        // RFC 8887 4.3.5.2: what the client does not know yet is told at once.
                        Some(state) => {
                            look(&verbs, account, &wanted, Position::parse(&state).as_ref())
                        }
                        None => Position::now(&verbs, account).map(|now| (now, None)),
                    }
                    .map_err(drop)?;
                    let change = change.map(|it| {
                        let told = state_change(it, at.to_string()).to_string();
                        (told, Held::default())
                    });
                    (change, Some((wanted, at)))
                }
            })
        };
        let (answer, push) = self.jmap.pool.run(account, work).await.map_err(drop)??;
        self.others.follow(push.as_ref().map(|(_, at)| at));
        self.push = push;
        Ok(answer)
    }

    /// Looks at the account: what is told, where something is to be.
    async fn look(&mut self) -> Option<String> {
        let (wanted, at) = self.push.take()?;
        let (jmap, account) = (Arc::clone(&self.jmap), self.caller.account);
        let work = move || {
            let looked = look(&jmap.verbs(), account, &wanted, Some(&at));
            // What could not be looked at is looked at with the next change.
            let (at, change) = looked.unwrap_or((at, None));
            ((wanted, at), change)
        };
        let (push, change) = self.jmap.pool.look(account, work).await.ok()?;
        let change = change.map(|it| state_change(it, push.1.to_string()).to_string());
        self.others.follow(Some(&push.1));
        self.push = Some(push);
        change
    }
}

/// Says why, and waits until the client has heard it.
async fn close(mut socket: Socket, why: CloseFrame, is_sound: bool) {
    let _ = socket.close(Some(why)).await;
    if is_sound {
        while let Some(Ok(_)) = socket.next().await {}
        return;
    }
    // Where no frame is known any more, what is still on its way would turn the end of the connection
    // into a reset, and the reason would be lost with it.
    let stream = socket.get_mut();
    let mut sink = [0; 4096];
    while let Ok(1..) = stream.read(&mut sink).await {
        stream.message();
    }
}
