//! From a request to its response: each method call in turn.

use serde_json::Value;
use tern_base::{Entropy, Timestamp};
use tern_session::ContentMemory;

use crate::budget::{Answer, Work};
use crate::context::Context;
use crate::error::MethodError;
use crate::request::Invocation;
use crate::{
    Caller, Capability, Request, Response, Verbs, blobs, echo, email, identity, limits, mailbox,
    mdn, principal, quota, recall, reference, session, share_notification, submission,
    subscription, thread, vacation,
};

/// A method.
struct Method {
    name: &'static str,
    /// Without it in `using`, there is no such method (RFC 8620 3.6.2).
    capability: Capability,
    run: fn(&mut Context<'_>, Value) -> Result<Value, MethodError>,
}

const fn method(
    name: &'static str,
    capability: Capability,
    run: fn(&mut Context<'_>, Value) -> Result<Value, MethodError>,
) -> Method {
    Method {
        name,
        capability,
        run,
    }
}

const METHODS: &[Method] = &[
    method("Core/echo", Capability::Core, echo::run),
    method("Mailbox/get", Capability::Mail, mailbox::get::run),
    method("Mailbox/changes", Capability::Mail, mailbox::changes::run),
    method("Mailbox/query", Capability::Mail, mailbox::query::run),
    method(
        "Mailbox/queryChanges",
        Capability::Mail,
        mailbox::query_changes::run,
    ),
    method("Mailbox/set", Capability::Mail, mailbox::set::run),
    method("Thread/get", Capability::Mail, thread::get),
    method("Thread/changes", Capability::Mail, thread::changes),
    method("Email/get", Capability::Mail, email::get::run),
    method("Email/set", Capability::Mail, email::set::run),
    method("Email/import", Capability::Mail, email::import::run),
    method("Email/copy", Capability::Mail, email::copy::run),
    method("Email/parse", Capability::Mail, email::parse::run),
    method("Email/changes", Capability::Mail, email::changes::run),
    method("SearchSnippet/get", Capability::Mail, email::snippet::run),
    method("Email/query", Capability::Mail, email::query::run),
    method(
        "Email/queryChanges",
        Capability::Mail,
        email::query::changes::run,
    ),
    method("Blob/copy", Capability::Core, blobs::copy::run),
    method("Blob/upload", Capability::Blob, blobs::upload::run),
    method("Blob/get", Capability::Blob, blobs::get::run),
    method("Blob/lookup", Capability::Blob, blobs::lookup::run),
    method("Quota/get", Capability::Quota, quota::get),
    method("Quota/changes", Capability::Quota, quota::changes),
    method("Quota/query", Capability::Quota, quota::query),
    method(
        "Quota/queryChanges",
        Capability::Quota,
        quota::query_changes,
    ),
    method("Identity/get", Capability::Submission, identity::get::run),
    method(
        "Identity/changes",
        Capability::Submission,
        identity::changes::run,
    ),
    method("Identity/set", Capability::Submission, identity::set::run),
    method("Recall/get", Capability::Recall, recall::get::run),
    method("Recall/set", Capability::Recall, recall::set::run),
    method("Recall/changes", Capability::Recall, recall::changes::run),
    method("Recall/query", Capability::Recall, recall::query::run),
    method(
        "Recall/queryChanges",
        Capability::Recall,
        recall::query::changes,
    ),
    method("Recall/plan", Capability::Recall, recall::plan::run),
    method("Recall/restore", Capability::Recall, recall::restore::run),
    method(
        "VacationResponse/get",
        Capability::VacationResponse,
        vacation::get,
    ),
    method(
        "VacationResponse/set",
        Capability::VacationResponse,
        vacation::set,
    ),
    method(
        "PushSubscription/get",
        Capability::Core,
        subscription::get::run,
    ),
    method(
        "PushSubscription/set",
        Capability::Core,
        subscription::set::run,
    ),
    method(
        "EmailSubmission/get",
        Capability::Submission,
        submission::get::run,
    ),
    method(
        "EmailSubmission/changes",
        Capability::Submission,
        submission::changes::run,
    ),
    method(
        "EmailSubmission/query",
        Capability::Submission,
        submission::query::run,
    ),
    method(
        "EmailSubmission/queryChanges",
        Capability::Submission,
        submission::query::changes,
    ),
    method(
        "EmailSubmission/set",
        Capability::Submission,
        submission::set::run,
    ),
    method("MDN/send", Capability::Mdn, mdn::send::run),
    method("MDN/parse", Capability::Mdn, mdn::parse::run),
    method("Principal/get", Capability::Principals, principal::get::run),
    method(
        "Principal/changes",
        Capability::Principals,
        principal::changes::run,
    ),
    method("Principal/set", Capability::Principals, principal::set::run),
    method(
        "Principal/query",
        Capability::Principals,
        principal::query::run,
    ),
    method(
        "Principal/queryChanges",
        Capability::Principals,
        principal::query::changes,
    ),
    method(
        "ShareNotification/get",
        Capability::Principals,
        share_notification::get,
    ),
    method(
        "ShareNotification/changes",
        Capability::Principals,
        share_notification::changes,
    ),
    method(
        "ShareNotification/set",
        Capability::Principals,
        share_notification::set,
    ),
    method(
        "ShareNotification/query",
        Capability::Principals,
        share_notification::query,
    ),
    method(
        "ShareNotification/queryChanges",
        Capability::Principals,
        share_notification::query_changes,
    ),
];

/// Runs the method calls of a request in order, within this memory.
pub fn execute(
    request: Request,
    verbs: &Verbs<'_>,
    memory: &dyn ContentMemory,
    caller: &Caller,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Response {
    let tells_created = request.created.is_some();
    let mut cx = Context {
        verbs,
        caller,
        using: &request.using,
        now,
        entropy,
        created: request.created.unwrap_or_default(),
        implied: Vec::new(),
        answer: Answer::new(memory, caller.account),
        work: Work::default(),
    };
    // Its memory is set aside for as long as anything of it is here.
    let _held = request.held;
    let mut responses = Vec::with_capacity(request.calls.len());
    let mut referenced = 0;
    for call in request.calls {
        let args = reference::resolve(call.args, &responses, |octets| {
            referenced += octets;
            if referenced > limits::MAX_REFERENCED {
                return Err(MethodError::REQUEST_TOO_LARGE);
            }
            Ok(cx.answer.hold(octets as u64)?)
        });
        let result = args.and_then(|args| {
            cx.answer.has_room()?;
            run(&mut cx, &request.using, &call.name, args)
        });
        let is_done = result.is_ok();
        responses.push(respond(call.name, result, &call.id));
        let implied = std::mem::take(&mut cx.implied);
        for (name, args) in implied.into_iter().filter(|_| is_done) {
            let result = run(&mut cx, &Capability::ALL, name, args);
            responses.push(respond(name.to_owned(), result, &call.id));
        }
        if responses.len() > 2 * limits::MAX_CALLS_IN_REQUEST {
            break;
        }
    }
    Response {
        responses,
        created: tells_created.then_some(cx.created),
        session_state: session::state(verbs, caller),
        held: cx.answer.into_held(),
    }
}

fn run(
    cx: &mut Context<'_>,
    using: &[Capability],
    name: &str,
    args: Value,
) -> Result<Value, MethodError> {
    let is_it = |method: &&Method| method.name == name && using.contains(&method.capability);
    let method = METHODS
        .iter()
        .find(is_it)
        .ok_or(MethodError::UNKNOWN_METHOD)?;
    let before = cx.answer.octets();
    let result = (method.run)(cx, args);
    cx.answer.settle(before, result.as_ref().ok());
    result
}

fn respond(name: String, result: Result<Value, MethodError>, id: &str) -> Invocation {
    let (name, args) = match result {
        Ok(args) => (name, args),
        Err(error) => ("error".to_owned(), error.to_json()),
    };
    Invocation {
        name,
        args,
        id: id.to_owned(),
    }
}
