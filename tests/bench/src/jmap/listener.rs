//! One that listens for changes: over the event source (RFC 8620 7.3) or a WebSocket (RFC 8887).
//!
//! Invariant: it counts as listening when a change made from then on would be told to it.

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::upgrade::Upgraded;
use hyper::{Method, StatusCode, header};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::http::{Http, HttpTarget, failed, success};
use super::session::Session;
use crate::error::{Error, Result};

/// How changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Server-sent events.
    EventSource,
    /// Messages of a WebSocket.
    WebSocket,
}

impl Kind {
    /// Its name in the report.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::EventSource => "EventSource",
            Self::WebSocket => "WebSocket",
        }
    }
}

/// A connection on which changes are told.
pub(super) enum Listener {
    /// Server-sent events, and the part of one that has come.
    EventSource {
        body: Incoming,
        come: Vec<u8>,
        /// The connection lasts as long as this.
        _http: Http,
    },
    /// Messages of a WebSocket.
    WebSocket(Box<WebSocketStream<TokioIo<Upgraded>>>),
}

/// Octets that are read of a WebSocket at once: thousands hold a buffer each.
const BUFFER: usize = 4 * 1024;
/// The key of every handshake: it proves nothing (RFC 6455 1.3).
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// A request whose answer shows that what was sent before it has been dealt with.
const ECHO: &str = r#"{"@type":"Request","id":"ready","using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",{},"0"]]}"#;
const ENABLE: &str = r#"{"@type":"WebSocketPushEnable","dataTypes":null}"#;

impl Listener {
    /// Connects, and waits until it is listened to.
    pub(super) async fn open(
        kind: Kind,
        target: &HttpTarget,
        account: usize,
        session: &Session,
    ) -> Result<Self> {
        let http = Http::open_listener(target, account).await?;
        match kind {
            Kind::EventSource => events(http, &session.events()).await,
            Kind::WebSocket => {
                let path = session.socket.as_deref();
                let path = path.ok_or_else(|| Error::Usage("there is no WebSocket".into()))?;
                socket(http, path).await
            }
        }
    }

    /// Waits until a change has been told.
    pub(super) async fn told(&mut self) -> Result<()> {
        match self {
            Self::EventSource { body, come, .. } => loop {
                // Line ends of events are LF, CR or CRLF; both servers use LF.
                while let Some(end) = memmem::find(come, b"\n\n") {
                    let is_state = memmem::find(&come[..end], b"event: state").is_some();
                    come.drain(..end + 2);
                    if is_state {
                        return Ok(());
                    }
                }
                let frame = body.frame().await.ok_or(Error::Closed("a push"))?;
                let frame = frame.map_err(|error| failed("push", error))?;
                come.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            },
            Self::WebSocket(socket) => text_with(socket, "\"StateChange\"").await,
        }
    }
}

async fn events(mut http: Http, path: &str) -> Result<Listener> {
    let accept = [(header::ACCEPT, "text/event-stream")];
    let answer = http
        .begin("EventSource", Method::GET, path, &accept, Bytes::new())
        .await?;
    Ok(Listener::EventSource {
        body: success("EventSource", answer).await?.into_body(),
        come: Vec::new(),
        _http: http,
    })
}

async fn socket(mut http: Http, path: &str) -> Result<Listener> {
    let headers = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, KEY),
        (header::SEC_WEBSOCKET_PROTOCOL, "jmap"),
    ];
    let answer = http
        .begin("WebSocket", Method::GET, path, &headers, Bytes::new())
        .await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let reply = answer.status().to_string();
        return Err(Error::Refused {
            step: "WebSocket",
            reply,
        });
    }
    let upgraded = hyper::upgrade::on(answer).await;
    let upgraded = upgraded.map_err(|error| failed("WebSocket", error))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(0);
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await;
    for text in [ENABLE, ECHO] {
        socket.send(Message::text(text)).await.map_err(lost)?;
    }
    text_with(&mut socket, "\"ready\"").await?;
    Ok(Listener::WebSocket(Box::new(socket)))
}

/// Waits for a text that holds a word.
async fn text_with(
    socket: &mut WebSocketStream<TokioIo<Upgraded>>,
    wanted: &'static str,
) -> Result<()> {
    loop {
        let next = socket.next().await.ok_or(Error::Closed("a push"))?;
        match next.map_err(lost)? {
            Message::Text(text) if text.contains(wanted) => return Ok(()),
            Message::Close(_) => return Err(Error::Closed("a push")),
            _ => {}
        }
    }
}

fn lost(error: tokio_tungstenite::tungstenite::Error) -> Error {
    Error::Usage(format!("a WebSocket failed: {error}"))
}
