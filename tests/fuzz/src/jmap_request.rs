//! Any octets as JMAP requests, over mailboxes that hold something.
//!
//! 0xff, which no JSON may hold, ends one request and begins the next; a request that begins with `[`
//! is the method calls of one that uses every capability. Promises: what is read at all is JSON; each
//! call is answered in its turn, by its own name or an error that a specification names; what changed
//! from the state before the input to the one after it leads from what there was to what there is;
//! another account is as it was, and the store is consistent.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tern_base::{AccountId, SeededEntropy, Timestamp};
use tern_delivery::{Delivery, Outbox, Settings};
use tern_directory::{CodeRefused, CredentialId, Identities, Principals, Subscriptions, Visible};
use tern_jmap::{AnyUploads, Caller, Capability, NoPush, RecallDesk, Request, Verbs};
use tern_mailbox::Mailboxes;
use tern_recall::{RecallId, Recalls};
use tern_session::sharing::Sharing;
use tern_session::{Mechanism, ids};

use crate::fixture::{self, ALICE, BOB, NOW};

/// The types whose changes are followed.
const TYPES: [&str; 3] = ["Email", "Mailbox", "Thread"];

/// The method-level errors of RFC 8620 3.6.2 and 5, RFC 8621 and RFC 9404.
const ERRORS: [&str; 22] = [
    "accountNotFound",
    "accountNotSupportedByMethod",
    "accountReadOnly",
    "anchorNotFound",
    "cannotCalculateChanges",
    "cannotUnsend",
    "forbidden",
    "fromAccountNotFound",
    "fromAccountNotSupportedByMethod",
    "invalidArguments",
    "invalidResultReference",
    "requestTooLarge",
    "serverFail",
    "serverPartialFail",
    "serverUnavailable",
    "stateMismatch",
    "tooManyChanges",
    "unknownDataType",
    "unknownMethod",
    "unsupportedFilter",
    "unsupportedSort",
    "stateTooOld",
];

pub(crate) fn run(data: &[u8]) {
    let engine = fixture::engine();
    let opened = fixture::open(&engine).unwrap();
    let mailboxes = &opened.mailboxes;
    let recalls = Recalls::open(
        Arc::new(engine.clone()),
        &opened,
        tern_policy::unattended(),
        tern_recall::Settings::default(),
    );
    let settings = Settings {
        hostname: "mx.example.org".to_owned(),
        schedule: tern_queue::Schedule::default(),
        label_header: String::new(),
    };
    let store = Arc::new(engine.clone());
    let delivery = Delivery::new(store, Arc::clone(mailboxes), settings, [9; 32]);
    let mut house = House {
        mailboxes,
        recalls: &recalls,
        identities: Identities::new(Arc::new(engine.clone())),
        principals: Principals::new(Arc::new(engine.clone()), Visible::default()),
        sharing: Sharing::new(Arc::new(engine.clone()), Visible::default()),
        subscriptions: Subscriptions::new(Arc::new(engine.clone())),
        outbox: Outbox::new(Arc::new(delivery), |_| {}),
        entropy: SeededEntropy::new(1),
    };
    let before = TYPES.map(|name| house.all(ALICE, name));
    let others = TYPES.map(|name| house.all(BOB, name));
    for piece in data.split(|octet| *octet == 0xff) {
        house.request(piece);
    }
    for (name, (ids, state)) in TYPES.into_iter().zip(before) {
        house.leads(name, ids, &state);
    }
    assert_eq!(TYPES.map(|name| house.all(BOB, name)), others);
    opened.upkeep.finish_deletions(NOW).unwrap();
    fixture::assert_clean(&opened.upkeep);
}

/// A shell that leaves everything to later, and knows no factor.
struct Closed;

impl RecallDesk for Closed {
    fn carry_out(&self, _id: RecallId, _now: Timestamp) {}

    fn show_code(
        &self,
        _caller: &Caller,
        _code: &str,
        _id: RecallId,
        _now: Timestamp,
    ) -> Option<Result<&'static str, CodeRefused>> {
        None
    }
}

struct House<'a> {
    mailboxes: &'a Mailboxes,
    recalls: &'a Recalls,
    identities: Identities,
    principals: Principals,
    sharing: Sharing,
    subscriptions: Subscriptions,
    outbox: Outbox,
    entropy: SeededEntropy,
}

impl House<'_> {
    fn request(&mut self, body: &[u8]) {
        let all = Capability::ALL.map(Capability::uri);
        let whole = match body.first() {
            Some(b'[') => {
                let using = json!(all).to_string();
                let head = format!("{{\"using\":{using},\"createdIds\":{{}},\"methodCalls\":");
                [head.as_bytes(), body, b"}"].concat()
            }
            _ => body.to_vec(),
        };
        let parsed = serde_json::from_slice::<Value>(&whole);
        match Request::parse(&whole) {
            Err(problem) => {
                let told = problem.to_json();
                assert_eq!(told["status"], problem.status(), "{told}");
                let kind = told["type"].as_str().unwrap_or_default();
                assert!(kind.starts_with("urn:ietf:params:jmap:error:"), "{told}");
            }
            Ok(request) => {
                let asked = parsed.expect("JSON");
                let response = self.execute(ALICE, request);
                answered(&asked["methodCalls"], &response);
            }
        }
    }

    fn execute(&mut self, account: AccountId, request: Request) -> Value {
        let verbs = Verbs {
            mailboxes: self.mailboxes,
            identities: &self.identities,
            principals: &self.principals,
            sharing: &self.sharing,
            recalls: self.recalls,
            desk: &Closed,
            subscriptions: &self.subscriptions,
            push: &NoPush,
            uploads: &AnyUploads,
            outbox: &self.outbox,
        };
        let caller = Caller {
            account,
            login: "alice@example.org".to_owned(),
            mechanism: Mechanism::Basic,
            credential: CredentialId::PASSWORD,
            token: None,
            user_agent: "Fuzz/1.0".to_owned(),
            address: "192.0.2.1".to_owned(),
        };
        tern_jmap::execute(
            request,
            &verbs,
            &tern_session::Unlimited,
            &caller,
            NOW,
            &mut self.entropy,
        )
        .into_json()
    }

    fn call(&mut self, account: AccountId, name: &str, mut args: Value) -> Value {
        args["accountId"] = ids::account_id(account).into();
        let using = Capability::ALL.map(Capability::uri);
        let request = json!({"using": using, "methodCalls": [[name, args, "c"]]});
        let request = Request::of(request).unwrap();
        let mut response = self.execute(account, request);
        let answer = response["methodResponses"][0].take();
        assert_eq!(answer[0], name, "{answer}");
        answer[1].clone()
    }

    /// The ids of a type, and its state.
    fn all(&mut self, account: AccountId, name: &str) -> (BTreeSet<String>, String) {
        if name == "Thread" {
            let args = json!({"ids": null, "properties": ["threadId"]});
            let emails = self.call(account, "Email/get", args);
            let list = emails["list"].as_array().unwrap().iter();
            let threads = list.map(|it| it["threadId"].as_str().unwrap().to_owned());
            let threads = threads.collect();
            let state = self.call(account, "Thread/get", json!({"ids": []}));
            return (threads, text(&state["state"]));
        }
        let args = json!({"ids": null, "properties": ["id"]});
        let got = self.call(account, &format!("{name}/get"), args);
        let list = got["list"].as_array().unwrap().iter();
        (
            list.map(|it| text(&it["id"])).collect(),
            text(&got["state"]),
        )
    }

    /// From what there was by what changed to what there is.
    fn leads(&mut self, name: &str, mut ids: BTreeSet<String>, since: &str) {
        let method = format!("{name}/changes");
        let told = self.call(ALICE, &method, json!({"sinceState": since}));
        let (now, state) = self.all(ALICE, name);
        assert_eq!(told["hasMoreChanges"], false, "{told}");
        assert_eq!(told["newState"], state, "{told}");
        for id in strings(&told["created"]) {
            assert!(ids.insert(id), "{name} was there: {told}");
        }
        for id in strings(&told["updated"]) {
            assert!(ids.contains(&id), "{name} was not there: {told}");
        }
        for id in strings(&told["destroyed"]) {
            assert!(ids.remove(&id), "{name} was not there: {told}");
        }
        assert_eq!(ids, now, "{name}: {told}");
    }
}

/// Each call has its answer, in order (RFC 8620 3.4); what a call implies follows its own answer under
/// its id.
fn answered(calls: &Value, response: &Value) {
    let mut answers = response["methodResponses"]
        .as_array()
        .unwrap()
        .iter()
        .peekable();
    for call in calls.as_array().unwrap() {
        let answer = answers.next().expect("an answer to each call");
        assert_eq!(answer[2], call[2], "{answer}");
        assert!(answer[1].is_object(), "{answer}");
        if answer[0] == "error" {
            let kind = text(&answer[1]["type"]);
            assert!(ERRORS.contains(&kind.as_str()), "{answer}");
        } else {
            assert_eq!(answer[0], call[0], "{answer}");
        }
        // What it implies is a call of another name.
        while answers
            .next_if(|next| next[2] == call[2] && next[0] == "Email/set" && call[0] != "Email/set")
            .is_some()
        {}
    }
    assert_eq!(answers.next(), None, "an answer to nothing");
    assert!(response["sessionState"].is_string());
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
