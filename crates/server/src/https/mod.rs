//! HTTP/1.1 under TLS: JMAP ([`jmap`]), and the pages of the server, plain HTML that needs no script and
//! no cookie.
//!
//! Invariants:
//! - A connection holds no more than [`limits`] say; every wait for its client has an end; what touches
//!   the store runs on the blocking pool.
//! - Every page carries the headers of [`answer`], whatever it is.
//! - A GET changes nothing: whoever looks at links before people do (mail scanners, previews) uses
//!   nothing up.
//!
//! Refuses HTTP in the clear, and to tell a link that was never made from one that is over.

mod answer;
mod approval_page;
mod approve;
mod confirm;
mod enrol;
mod failed;
mod form;
mod jmap;
mod limits;
mod origin;
mod pages;
mod patience;
mod route;
mod turn;

use std::convert::Infallible;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tern_directory as directory;
use tern_recall::Recalls;
use tern_store::Engine;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::pin;
use tokio::time::sleep;

use crate::factors::Factors;
use crate::hub::Signal;
use crate::memory::Memory;
use crate::net::{Holder, Shared, Stream};
use crate::outbox::{Departures, Recipients};
use crate::parts::Parts;
use crate::tls::{self, Certificates, TlsError};
use crate::web_push::WebPush;
use answer::Answer;
use jmap::Jmap;
pub(crate) use jmap::Postman;
use patience::Patient;
pub(crate) use route::ENROL_PATH;
use turn::Turn;

/// Serves the connections of the HTTPS listeners.
pub(crate) struct HttpsDoor {
    tls: Arc<ServerConfig>,
    site: Arc<Site>,
    jmap: Arc<Jmap>,
}

/// What is behind the pages.
pub(crate) struct Site {
    engine: Arc<dyn Engine>,
    recalls: Arc<Recalls>,
    factors: Arc<Factors>,
    shared: Arc<Shared>,
}

impl HttpsDoor {
    pub(crate) fn new(
        parts: &Parts,
        certificates: Arc<Certificates>,
        shared: Arc<Shared>,
        memory: Arc<Memory>,
        departures: Departures,
        recipients: Recipients,
        web_push: WebPush,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            jmap: Arc::new(Jmap::new(
                parts,
                Arc::clone(&shared),
                memory,
                departures,
                recipients,
                web_push,
            )),
            // By name, so that a browser that was led here from a mail protocol is turned away, and
            // the other way round.
            tls: tls::server_config(certificates, &[b"http/1.1"])?,
            site: Arc::new(Site {
                engine: Arc::clone(&parts.engine),
                recalls: Arc::clone(&parts.recalls),
                factors: Arc::clone(&parts.factors),
                shared,
            }),
        })
    }

    pub(crate) const fn tls(&self) -> &Arc<ServerConfig> {
        &self.tls
    }

    /// Who tells push subscriptions what changed.
    pub(crate) fn postman(&self) -> Postman {
        Postman::new(Arc::clone(&self.jmap))
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(&self, stream: Stream, peer: IpAddr, signal: &Signal) {
        let Some(stream) = stream.into_tls() else {
            return;
        };
        let turn = Arc::new(Turn::default());
        let service = service_fn(|request: Request<Incoming>| {
            let (site, jmap) = (Arc::clone(&self.site), Arc::clone(&self.jmap));
            let turn = Arc::clone(&turn);
            async move {
                Ok::<_, Infallible>(match jmap::is_path(request.uri().path()) {
                    true => jmap.answer(peer, request, &turn).await,
                    false => route::answer(site, peer, request).await,
                })
            }
        });
        let stream = Patient::new(stream, self.site.shared.write_timeout);
        let ended = converse(stream, service, &turn, signal).await;
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "https connection ended");
        }
        if let Some(next) = turn.take() {
            next.await;
        }
    }
}

/// Answers what comes by a connection, until it ends: also when the server stops, and where nobody has shown a
/// login in time.
async fn converse<S, H>(stream: S, service: H, turn: &Turn, signal: &Signal) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Service<Request<Incoming>, Response = Answer, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIMEOUT)
        .max_buf_size(limits::MAX_HEAD)
        .max_headers(limits::MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = stopping(signal) => {}
        () = lasting(turn, limits::STRANGER_TIMEOUT) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Waits until a connection has lasted so long without a login.
async fn lasting(turn: &Turn, time: Duration) {
    sleep(time).await;
    if turn.has_login() {
        pending().await
    }
}

impl Site {
    /// The address of an account.
    fn address(&self, account: tern_base::AccountId) -> Result<String, tern_store::StoreError> {
        let account = directory::account(&*self.engine, account)?;
        Ok(account.map_or_else(String::new, |account| account.address.to_string()))
    }
}

/// Makes a page on the blocking pool.
async fn blocking(
    shared: &Shared,
    peer: IpAddr,
    make: impl FnOnce() -> Answer + Send + 'static,
) -> Answer {
    let made = on_thread(shared, peer, make).await;
    made.unwrap_or_else(|| pages::problem(StatusCode::INTERNAL_SERVER_ERROR))
}

/// Works for a page on the blocking pool, when it is the turn of its network. `None`: it failed.
async fn on_thread<T: Send + 'static>(
    shared: &Shared,
    peer: IpAddr,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let turn = shared.turns.place(Holder::stranger(peer)).take(&[]).await?;
    let work = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.ok()
}

/// Waits until the server stops.
async fn stopping(signal: &Signal) {
    while !signal.take().stopping {
        signal.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    /// Asks for a page every few seconds, for as long as there is somebody; how long that was.
    async fn ask(mut client: DuplexStream, turn: Arc<Turn>, login_at: Option<u32>) -> Duration {
        let begun = Instant::now();
        for n in 0..100 {
            if login_at == Some(n) {
                turn.logged_in();
            }
            let request = b"GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n";
            let mut answer = [0; 4096];
            if client.write_all(request).await.is_err()
                || !matches!(client.read(&mut answer).await, Ok(1..))
            {
                break;
            }
            tokio::time::advance(Duration::from_secs(25)).await;
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_login_lasts_so_long_and_one_with_a_login_as_long_as_it_asks() {
        for (login_at, lasts) in [(None, false), (Some(3), true)] {
            let (client, server) = duplex(64 * 1024);
            let (turn, signal) = (Arc::new(Turn::default()), Signal::default());
            let service =
                service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(answer::style()) });
            let asking = tokio::spawn(ask(client, Arc::clone(&turn), login_at));
            let ended = converse(server, service, &turn, &signal).await;
            assert!(ended.is_ok(), "{ended:?}");
            let took = asking.await.expect("ran");
            assert_eq!(took > Duration::from_secs(2_000), lasts, "{took:?}");
            assert!(lasts || took <= limits::STRANGER_TIMEOUT + limits::HEAD_TIMEOUT);
        }
    }
}
