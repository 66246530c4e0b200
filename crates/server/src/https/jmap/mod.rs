//! JMAP over HTTP (RFC 8620 1.8, 2, 3.1, 6, 7.3) and WebSockets (RFC 8887): where its resources are, who may use them, and how many at
//! once.
//!
//! Invariants:
//! - Nobody is told anything before they have authenticated; what a web page of another site asks for
//!   is answered only with a login that this page shows by itself (there are no cookies).
//! - Of one account no more requests run at once than the session says, and no more come within a time
//!   than the configuration says.
//! - Of one account no more connections listen than [`limits::MAX_LISTENERS`].
//! - Of all accounts together no more work than half of the threads do. What waits for a client is within
//!   the memory for content.

mod api;
mod attempt;
mod base;
mod body;
mod download;
mod events;
mod held;
mod login;
mod others;
mod pool;
mod postman;
mod push;
mod recall;
mod slots;
mod upload;
mod websocket;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tern_delivery::Outbox;
use tern_directory::{Identities, Principals, Subscriptions};
use tern_jmap::Problem;
use tern_jmap::session;
use tern_mailbox::Mailboxes;
use tern_recall::Recalls;
use tern_session::sharing::Sharing;

use super::answer::{Answer, Body, whole};
use super::limits;
use super::turn::Turn;
use crate::factors::Factors;
use crate::memory::Memory;
use crate::net::Shared;
use crate::outbox::{Departures, Recipients};
use crate::parts::Parts;
use crate::rate::Rate;
use crate::web_push::WebPush;
use login::{LoggedIn, NoLogin};
use pool::Pool;
pub(crate) use postman::Postman;
use slots::Slots;

const MINUTE: Duration = Duration::from_secs(60);

/// What the resources of JMAP are made with.
pub(super) struct Jmap {
    mailboxes: Arc<Mailboxes>,
    identities: Identities,
    principals: Principals,
    sharing: Arc<Sharing>,
    recalls: Arc<Recalls>,
    factors: Arc<Factors>,
    outbox: Outbox,
    subscriptions: Subscriptions,
    web_push: WebPush,
    shared: Arc<Shared>,
    memory: Arc<Memory>,
    logins: login::Remembered,
    requests: Slots,
    uploads: Slots,
    listeners: Slots,
    request_rate: Rate,
    upload_rate: Rate,
    pool: Pool,
    base: base::Base,
}

/// What lies at a path.
enum Resource<'a> {
    Session,
    Api,
    Events,
    WebSocket,
    Download(&'a str),
    Upload(&'a str),
    Nothing,
}

impl<'a> Resource<'a> {
    fn of(path: &'a str) -> Self {
        match path {
            "/.well-known/jmap" | "/jmap/session" | "/jmap/session/" => Self::Session,
            "/jmap/api/" | "/jmap/api" => Self::Api,
            "/jmap/ws/" | "/jmap/ws" => Self::WebSocket,
            "/jmap/eventsource/" | "/jmap/eventsource" => Self::Events,
            _ => {
                let download = path.strip_prefix("/jmap/download/").map(Self::Download);
                let upload = || path.strip_prefix("/jmap/upload/").map(Self::Upload);
                download.or_else(upload).unwrap_or(Self::Nothing)
            }
        }
    }

    const fn methods(&self) -> &'static str {
        match self {
            Self::Session | Self::Download(_) | Self::Events => "GET, HEAD, OPTIONS",
            Self::WebSocket => "GET, OPTIONS",
            Self::Api | Self::Upload(_) => "POST, OPTIONS",
            Self::Nothing => "OPTIONS",
        }
    }
}

/// Whether a path is one of JMAP's.
pub(super) fn is_path(path: &str) -> bool {
    path == "/.well-known/jmap" || path.starts_with("/jmap/")
}

impl Jmap {
    pub(super) fn new(
        parts: &Parts,
        shared: Arc<Shared>,
        memory: Arc<Memory>,
        departures: Departures,
        recipients: Recipients,
        web_push: WebPush,
    ) -> Self {
        Self {
            mailboxes: Arc::clone(&parts.mailboxes),
            identities: Identities::new(Arc::clone(&parts.engine)),
            principals: Principals::new(Arc::clone(&parts.engine), parts.visible),
            sharing: Arc::clone(&parts.sharing),
            recalls: Arc::clone(&parts.recalls),
            factors: Arc::clone(&parts.factors),
            outbox: Outbox::new(Arc::clone(&parts.delivery), move |accepted| {
                departures.report(accepted);
            })
            .allowing(recipients.most(), move |account, many| {
                recipients.allow(account, many)
            }),
            subscriptions: Subscriptions::new(Arc::clone(&parts.engine)),
            web_push,
            pool: Pool::new(shared.turns.threads()),
            shared,
            memory,
            logins: login::Remembered::new(),
            requests: Slots::new(tern_jmap::limits::MAX_CONCURRENT_REQUESTS),
            uploads: Slots::new(tern_jmap::limits::MAX_CONCURRENT_UPLOAD),
            listeners: Slots::new(limits::MAX_LISTENERS),
            request_rate: Rate::new(parts.jmap.requests_per_minute, MINUTE),
            upload_rate: Rate::new(parts.jmap.uploads_per_hour, 60 * MINUTE),
            base: base::Base::new(parts),
        }
    }

    /// Answers a request.
    pub(super) async fn answer(
        self: Arc<Self>,
        peer: IpAddr,
        request: Request<Incoming>,
        turn: &Turn,
    ) -> Answer {
        let mut answer = self.route(peer, request, turn).await;
        let headers = answer.headers_mut();
        for (name, value) in HEADERS {
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
        answer
    }

    async fn route(
        self: Arc<Self>,
        peer: IpAddr,
        request: Request<Incoming>,
        turn: &Turn,
    ) -> Answer {
        let path = request.uri().path().to_owned();
        let resource = Resource::of(&path);
        if *request.method() == Method::OPTIONS {
            return preflight(&resource);
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let fits = match resource {
            Resource::Nothing => return problem(StatusCode::NOT_FOUND, "There is nothing here."),
            Resource::Api | Resource::Upload(_) => *request.method() == Method::POST,
            Resource::WebSocket => *request.method() == Method::GET,
            Resource::Session | Resource::Download(_) | Resource::Events => is_read,
        };
        if !fits {
            let mut refused = problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "Another method is needed here.",
            );
            let allow = HeaderValue::from_static(resource.methods());
            refused.headers_mut().insert(header::ALLOW, allow);
            return refused;
        }
        let login = match self.logged_in(peer, request.headers()).await {
            Ok(login) => login,
            Err(why) => return unauthenticated(why),
        };
        turn.logged_in();
        match resource {
            Resource::Session => self.session(&login, request.headers()).await,
            Resource::Api => self.api(peer, &login, request).await,
            Resource::WebSocket => self.websocket(peer, &login, request, turn),
            Resource::Events => {
                let query = request.uri().query().unwrap_or_default();
                let last = request.headers().get("last-event-id");
                self.events(&login, query, last).await
            }
            Resource::Upload(rest) => self.upload(&login, rest, request).await,
            Resource::Download(rest) => {
                let query = request.uri().query();
                match *request.method() {
                    // Nothing is served, and nothing is on record.
                    Method::HEAD => self.download_head(peer, &login, rest, query).await,
                    _ => self.download(peer, &login, rest, query).await,
                }
            }
            Resource::Nothing => problem(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }

    /// The session resource (RFC 8620 2).
    async fn session(self: &Arc<Self>, login: &LoggedIn, headers: &hyper::HeaderMap) -> Answer {
        let (jmap, caller) = (Arc::clone(self), login.caller.clone());
        let endpoints = self.base.endpoints(headers);
        let read = move || {
            let key = jmap.web_push.application_server_key();
            session::resource(&jmap.verbs(), &caller, &endpoints, key)
        };
        let Ok(Ok(resource)) = self.pool.run(login.caller.account, read).await else {
            return problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "The session can't be read now.",
            );
        };
        let tag = format!("\"{}\"", resource["state"].as_str().unwrap_or_default());
        let known = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok());
        let mut answer = match known.is_some_and(|known| is_known(known, &tag)) {
            true => {
                let mut answer = Response::new(whole(""));
                *answer.status_mut() = StatusCode::NOT_MODIFIED;
                answer
            }
            false => json(StatusCode::OK, &resource),
        };
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
        answer
    }
}

/// Whether a client has what a tag stands for (RFC 9110 13.1.2: compared weakly; `*` is anything).
fn is_known(known: &str, tag: &str) -> bool {
    let mut all = known.split(',').map(str::trim);
    all.any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag)
}

const HEADERS: [(HeaderName, &str); 6] = [
    // RFC 8620 2: what is cached must be asked for again.
    (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox; frame-ancestors 'none'",
    ),
    // No cookie proves anything here, so a page of any site may ask with a login of its own.
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "ETag, Retry-After, WWW-Authenticate",
    ),
];

/// What a browser asks before a page of another site may (Fetch standard, CORS).
fn preflight(resource: &Resource<'_>) -> Answer {
    let mut answer = Response::new(whole(""));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    let mut insert = |name, value| headers.insert(name, HeaderValue::from_static(value));
    insert(header::ACCESS_CONTROL_ALLOW_METHODS, resource.methods());
    insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, If-None-Match, Last-Event-ID",
    );
    insert(header::ACCESS_CONTROL_MAX_AGE, "86400");
    insert(header::ALLOW, resource.methods());
    answer
}

fn json(status: StatusCode, value: &Value) -> Answer {
    typed(status, JSON, whole(value.to_string()))
}

/// A request that was not looked at.
fn problem_json(why: &Problem) -> Answer {
    let status = StatusCode::from_u16(why.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = typed(status, PROBLEM, whole(why.to_json().to_string()));
    if let Some(seconds) = why.retry_after_secs() {
        // RFC 6585 4
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

const JSON: &str = "application/json";

/// The media type of problem details.
const PROBLEM: &str = "application/problem+json";

/// An error of HTTP as problem details (RFC 7807).
fn problem(status: StatusCode, detail: &str) -> Answer {
    let value = serde_json::json!({
        "type": "about:blank", "status": status.as_u16(),
        "title": status.canonical_reason(), "detail": detail,
    });
    typed(status, PROBLEM, whole(value.to_string()))
}

fn typed(status: StatusCode, kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// That an account listens enough already.
fn too_many_listen() -> Answer {
    let why = "The account listens by as many connections as it may.";
    let mut answer = problem(StatusCode::TOO_MANY_REQUESTS, why);
    let later = HeaderValue::from_static("60");
    answer.headers_mut().insert(header::RETRY_AFTER, later);
    answer
}

fn unauthenticated(why: NoLogin) -> Answer {
    let (status, detail) = match why {
        NoLogin::Refused => (
            StatusCode::UNAUTHORIZED,
            "A login is needed, and this is none.",
        ),
        NoLogin::Throttled => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many logins failed of late.",
        ),
        NoLogin::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Logins can't be verified now.",
        ),
    };
    let mut answer = problem(status, detail);
    if why == NoLogin::Refused {
        let challenge = HeaderValue::from_static("Basic realm=\"Tern\", charset=\"UTF-8\"");
        answer
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        let challenge = HeaderValue::from_static("Bearer realm=\"Tern\"");
        answer
            .headers_mut()
            .append(header::WWW_AUTHENTICATE, challenge);
    } else {
        answer
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    }
    answer
}
