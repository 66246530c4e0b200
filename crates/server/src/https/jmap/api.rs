//! The API resource (RFC 8620 3.1): a request in, a response out, on the blocking pool.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use tern_base::AccountId;
use tern_jmap::{Caller, Problem, Response, Verbs};
use tern_mailbox::Listener as _;
use tokio::time::Instant;

use super::body::{self, Unread};
use super::login::LoggedIn;
use super::pool::Undone;
use super::slots::Slot;
use super::{JSON, Jmap, held, problem, problem_json, typed};
use crate::clock::{self, OsEntropy};
use crate::https::answer::Answer;
use tern_jmap::limits::MAX_SIZE_REQUEST;

impl Jmap {
    /// Runs a request.
    pub(super) async fn api(
        self: &Arc<Self>,
        peer: IpAddr,
        login: &LoggedIn,
        request: Request<Incoming>,
    ) -> Answer {
        let account = login.caller.account;
        let slot = match self.request_of(account) {
            Ok(slot) => slot,
            Err(why) => return problem_json(&why),
        };
        if !body::is_json(request.headers()) {
            return problem_json(&Problem::NotJson(
                "its type is not application/json".to_owned(),
            ));
        }
        let memory = self.memory.of(peer);
        let octets = match body::read(request, MAX_SIZE_REQUEST, account, &memory).await {
            Ok(octets) => octets,
            Err(Unread::TooLarge) => return problem_json(&Problem::Limit("maxSizeRequest")),
            Err(Unread::NoMemory) => {
                return problem(StatusCode::SERVICE_UNAVAILABLE, "No memory is left for it.");
            }
            Err(Unread::Slow) => {
                return problem(
                    StatusCode::REQUEST_TIMEOUT,
                    "The request took too long to come.",
                );
            }
            Err(Unread::Lost) => {
                return problem(StatusCode::BAD_REQUEST, "The request ends before its end.");
            }
        };
        let (jmap, caller, reading) = (Arc::clone(self), login.caller.clone(), memory.clone());
        let work = move || {
            let _slot = slot;
            let request = tern_jmap::Request::parse_within(&octets.bytes, &reading, account)?;
            let mut response = jmap.execute(request, peer, &caller);
            let held = response.take_held();
            Ok((response.into_json().to_string(), held))
        };
        let (text, held) = match self.pool.run(account, work).await {
            Ok(Ok(told)) => told,
            Ok(Err(why)) => return problem_json(&why),
            Err(Undone::Busy) => {
                return problem(StatusCode::SERVICE_UNAVAILABLE, "The server is busy.");
            }
            Err(Undone::Broken) => {
                return problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "The server failed at it.",
                );
            }
        };
        let standing = login.standing();
        match held::body(text, held, account, &memory, move || standing.may_go_on()) {
            Some(body) => typed(StatusCode::OK, JSON, body),
            None => problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "It is done, and no memory is left for its answer.",
            ),
        }
    }

    /// Counts a request of an account, and takes one of its slots.
    pub(super) fn request_of(&self, account: AccountId) -> Result<Slot, Problem> {
        let rate = self.request_rate.take(account, Instant::now());
        rate.map_err(|wait| Problem::TooOften { wait })?;
        let slot = self.requests.take(account);
        slot.ok_or(Problem::Limit("maxConcurrentRequests"))
    }

    /// Runs a request that was read, and wakes whoever listens for what the change log does not tell.
    pub(super) fn execute(
        &self,
        request: tern_jmap::Request,
        peer: IpAddr,
        caller: &Caller,
    ) -> Response {
        let (verbs, memory) = (self.verbs(), self.memory.of(peer));
        let (now, entropy) = (clock::now(), &mut OsEntropy);
        let response = tern_jmap::execute(request, &verbs, &memory, caller, now, entropy);
        if response.may_have_changed_apart() {
            self.shared.hub.changed_unasked(&[caller.account]);
        }
        if response.may_have_changed_subscriptions() {
            self.shared.hub.bag.subscribe(caller.account);
        }
        response
    }

    /// What a request may reach.
    pub(super) fn verbs(&self) -> Verbs<'_> {
        Verbs {
            mailboxes: &self.mailboxes,
            identities: &self.identities,
            principals: &self.principals,
            sharing: &self.sharing,
            recalls: &self.recalls,
            desk: self,
            subscriptions: &self.subscriptions,
            push: self,
            uploads: self,
            outbox: &self.outbox,
        }
    }
}
