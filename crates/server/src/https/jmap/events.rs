//! The event source (RFC 8620 7.3): what changed, told as it changes.
//!
//! Invariants:
//! - A listener is registered with the hub before it looks where it stands: nothing between is missed.
//! - It waits without polling, and holds no memory but its place; the store is looked at when the
//!   account has changed, on the blocking pool.
//! - It ends when its login does, and when the server stops. Which accounts it is woken for, the server says:
//!   of what the client says that it was told nothing is followed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use tern_base::AccountId;
use tern_jmap::push::{Position, Wanted, look};
use tokio::time::{Instant, timeout_at};

use super::login::{LoggedIn, NoLogin, Standing};
use super::others::Others;
use super::slots::Slot;
use super::{Jmap, problem, too_many_listen, unauthenticated};
use crate::https::answer::Answer;
use crate::https::limits::{MAX_PING_SECS, MIN_PING_SECS};
use crate::hub::{Registration, Signal};

/// What the query asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    wanted: Wanted,
    close_after_state: bool,
    /// Seconds; 0 for none.
    ping: u64,
}

impl Asked {
    /// `types=&closeafter=&ping=`; `None` where something of it is none of what it can be. What is left
    /// out is `*`, `no` and `0`.
    fn of(query: &str) -> Option<Self> {
        let mut asked = Self {
            wanted: Wanted::ALL,
            close_after_state: false,
            ping: 0,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "types" => asked.wanted = Wanted::parse(&value)?,
                "closeafter" => {
                    asked.close_after_state = match &*value {
                        "state" => true,
                        "no" => false,
                        _ => return None,
                    };
                }
                "ping" => {
                    asked.ping = match value.parse().ok()? {
                        0 => 0,
                        seconds => u64::clamp(seconds, MIN_PING_SECS, MAX_PING_SECS),
                    };
                }
                _ => {}
            }
        }
        Some(asked)
    }
}

/// One that listens.
struct Listener {
    jmap: Arc<Jmap>,
    account: AccountId,
    signal: Arc<Signal>,
    _registration: Registration,
    _slot: Slot,
    standing: Standing,
    others: Others,
    asked: Asked,
    /// Where it stands; `None` where that is not known.
    at: Option<Position>,
    /// It may have missed something before it came.
    is_new: bool,
    is_over: bool,
    /// When something was last sent.
    sent: Instant,
}

impl Jmap {
    /// Answers with events for as long as the client takes them.
    pub(super) async fn events(
        self: &Arc<Self>,
        login: &LoggedIn,
        query: &str,
        last: Option<&HeaderValue>,
    ) -> Answer {
        let Some(asked) = Asked::of(query) else {
            return problem(
                StatusCode::BAD_REQUEST,
                "types, closeafter (state or no) and ping (seconds) are wanted.",
            );
        };
        let Some(slot) = self.listeners.take(login.caller.account) else {
            return too_many_listen();
        };
        let signal = Arc::new(Signal::default());
        let Some(registration) = login.listen(&self.shared.hub, &signal) else {
            return unauthenticated(NoLogin::Refused);
        };
        let account = login.caller.account;
        // Before the client hears that it is heard: what it does next is a change. One that says
        // nothing of what it was told hears of changes from now on.
        let at = match last {
            Some(last) => last.to_str().ok().and_then(Position::parse),
            None => match self.position(account).await {
                Some(now) => Some(now),
                None => {
                    let why = "The account can't be read now.";
                    return problem(StatusCode::SERVICE_UNAVAILABLE, why);
                }
            },
        };
        let mut others = Others::new(&self.shared.hub, &signal);
        if last.is_none() {
            others.follow(at.as_ref());
        }
        let listener = Listener {
            jmap: Arc::clone(self),
            account,
            signal,
            others,
            _registration: registration,
            _slot: slot,
            standing: login.standing(),
            asked,
            at,
            is_new: last.is_some(),
            is_over: false,
            sent: Instant::now(),
        };
        let stream = futures_util::stream::try_unfold(listener, Listener::next);
        let mut answer = Response::new(StreamBody::new(stream).boxed_unsync());
        answer.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        );
        answer
    }

    /// Where a listener stands that has heard of everything so far.
    pub(super) async fn position(self: &Arc<Self>, account: AccountId) -> Option<Position> {
        let jmap = Arc::clone(self);
        let work = move || Position::now(&jmap.verbs(), account);
        self.pool.run(account, work).await.ok()?.ok()
    }
}

impl Listener {
    /// The next event, when it comes.
    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, Self)>> {
        let quiet = match self.asked.ping {
            0 => MAX_PING_SECS,
            seconds => seconds,
        };
        let text = loop {
            let told = self.signal.take();
            if told.stopping || told.revoked || self.is_over || !self.standing.may_go_on() {
                return Ok(None);
            }
            if told.changed || self.is_new {
                if let Some(text) = self.look().await? {
                    self.is_over = self.asked.close_after_state;
                    break text;
                }
                continue;
            }
            let deadline = self.sent + Duration::from_secs(quiet);
            if timeout_at(deadline, self.signal.wait()).await.is_err() {
                break match self.asked.ping {
                    0 => ":\n\n".to_owned(),
                    // RFC 8620 7.3: with the interval that it really is.
                    ping => format!("event: ping\ndata: {{\"interval\":{ping}}}\n\n"),
                };
            }
        };
        self.sent = Instant::now();
        Ok(Some((Frame::data(Bytes::from(text)), self)))
    }

    /// Looks at the account: the event, if there is something to tell.
    async fn look(&mut self) -> io::Result<Option<String>> {
        let (jmap, account) = (Arc::clone(&self.jmap), self.account);
        let (at, wanted) = (self.at.take(), self.asked.wanted.clone());
        let work = move || look(&jmap.verbs(), account, &wanted, at.as_ref());
        let looked = self.jmap.pool.look(account, work).await;
        // Cut off where that fails, the client comes back with the last id that it was told.
        let looked = looked.map_err(io::Error::other)?;
        let (at, change) = looked.map_err(|error| io::Error::other(error.kind()))?;
        self.is_new = false;
        let text = change.map(|change| format!("event: state\nid: {at}\ndata: {change}\n\n"));
        self.others.follow(Some(&at));
        self.at = Some(at);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_types_an_end_and_pings() {
        let asked = |query: &str| {
            let asked = Asked::of(query)?;
            Some((
                asked.wanted.names().map(|n| n.join("+")),
                asked.close_after_state,
                asked.ping,
            ))
        };
        assert_eq!(asked(""), Some((None, false, 0)));
        assert_eq!(
            asked("types=Email%2CMailbox&closeafter=state&ping=60&other=1"),
            Some((Some("Email+Mailbox".to_owned()), true, 60))
        );
        assert_eq!(
            asked("types=*&closeafter=no&ping=1"),
            Some((None, false, MIN_PING_SECS))
        );
        assert_eq!(asked("ping=86400"), Some((None, false, MAX_PING_SECS)));
        for wrong in ["closeafter=never", "ping=-1", "ping=x", "ping="] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
        // RFC 8620 7.3
        const { assert!(MIN_PING_SECS <= 30 && MAX_PING_SECS >= 300) };
    }
}
