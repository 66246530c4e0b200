//! JMAP by foreign clients: each searches, sends, calls off what waits for its time, and hears by push that
//! a message was taken back.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

use serde_json::{Value, json};
use tern_interop::house::{address, letter};
use tern_interop::jmap::{JmapClient, mailbox};
use tern_interop::{Agent, DEADLINE, House, until};

#[test]
fn jmapc_searches_sends_and_calls_off() {
    works(JmapClient::Jmapc);
}

#[test]
fn jmaplib_searches_sends_and_calls_off() {
    works(JmapClient::Jmaplib);
}

#[test]
fn jmap_jam_searches_sends_and_calls_off() {
    works(JmapClient::JmapJam);
}

#[test]
fn jmap_client_ts_searches_sends_and_calls_off() {
    works(JmapClient::JmapClientTs);
}

#[test]
fn jmap_client_searches_sends_and_calls_off() {
    works(JmapClient::JmapClient);
}

#[test]
fn jmapc_hears_of_a_recall_by_event_source() {
    hears(JmapClient::Jmapc, "");
}

#[test]
fn jmaplib_hears_of_a_recall_by_event_source() {
    hears(JmapClient::Jmaplib, "");
}

#[test]
fn jmap_jam_hears_of_a_recall_by_event_source() {
    hears(JmapClient::JmapJam, "");
}

#[test]
fn jmap_client_hears_of_a_recall_by_event_source() {
    hears(JmapClient::JmapClient, "");
}

#[test]
fn jmap_client_hears_of_a_recall_by_websocket() {
    hears(JmapClient::JmapClient, " by WebSocket");
}

fn works(client: JmapClient) {
    let house = House::new();
    let mut alice = house.jmap(client, "alice");
    let mut imap = house.imap("alice");
    let sent = sends(&house, &mut alice, &mut imap);
    searches(&house, client);
    calls_off(&house, &mut alice, &mut imap, &sent);
    house.close();
}

/// Where alice keeps what, and as whom she sends.
fn places(alice: &mut Agent) -> (Value, Value, Value) {
    let (drafts, sent) = (mailbox(alice, "drafts"), mailbox(alice, "sent"));
    let identities = alice.call("identities", json!([]));
    (
        drafts["id"].clone(),
        sent["id"].clone(),
        identities[address("alice")].clone(),
    )
}

/// Alice composes and sends; her draft is then among what she has sent. The id of the submission.
fn sends(house: &House, alice: &mut Agent, imap: &mut Agent) -> Value {
    let (drafts, sent, identity) = places(alice);
    let (from, to) = (address("alice"), address("bob"));
    let text = "Dear Bob,\nthe zeppelin lands at noon.\n";
    let email = alice.call("create", json!([drafts, from, to, "Landing", text]));
    let submitted = json!([identity, email, from, to, null, drafts, sent]);
    let id = alice.call("submit", submitted);
    let mut bob = house.imap("bob");
    let (received, _) = until("bob has it", DEADLINE, || {
        let all = bob.messages("INBOX");
        all.into_iter()
            .map(|(_, text)| text)
            .find(|text| text.contains("zeppelin"))
    });
    for field in ["From: ", "To: ", "Date: ", "Message-ID: ", "Recall-Token: "] {
        assert!(received.contains(field), "{field}: {received}");
    }
    assert!(imap.holds("Sent", "zeppelin") && !imap.holds("Drafts", "zeppelin"));
    imap.call("select_folder", json!(["Sent"]));
    let drafts = imap.call("search", json!(["DRAFT"]));
    assert_eq!(drafts, json!([]), "what was sent is no draft");
    let stands = alice.call("submission", json!([id]));
    let delivered = json!({to: "yes"});
    assert_eq!(
        stands,
        json!({"undoStatus": "final", "delivered": delivered})
    );
    id
}

/// Bob finds what alice has sent, and nothing else.
fn searches(house: &House, client: JmapClient) {
    let content = letter("carol", &address("bob"), "zeppelin");
    house.submit_tls("carol", &[&address("bob")], &content).ok();
    let content = letter("alice", &address("bob"), "balloon");
    house.submit_tls("alice", &[&address("bob")], &content).ok();
    let mut bob = house.jmap(client, "bob");
    let all = bob.call("emails", Value::from(vec![Value::Null]));
    let id = |subject: &str| {
        let mut all = all.as_array().unwrap().iter();
        let found = all.find(|it| it["subject"] == subject);
        found.unwrap_or_else(|| panic!("{subject}: {all:?}"))["id"].clone()
    };
    let (landing, carols) = (id("Landing"), id("About zeppelin"));
    let found = bob.call("search", json!(["zeppelin"]));
    let mut found = found.as_array().unwrap().clone();
    let mut both = [landing.clone(), carols];
    found.sort_unstable_by_key(Value::to_string);
    both.sort_unstable_by_key(Value::to_string);
    assert_eq!(found, both);
    let inbox = mailbox(&mut bob, "inbox")["id"].clone();
    let mut find =
        |from: &str, text: &str| bob.call("find", json!([inbox, address(from), text, "$flagged"]));
    let one = json!({"ids": [landing], "total": 1});
    assert_eq!(find("alice", "the zeppelin lands"), one);
    let newest_first = json!({"ids": [id("About balloon"), landing], "total": 2});
    assert_eq!(find("alice", "the "), newest_first);
    assert_eq!(find("carol", "balloon"), json!({"ids": [], "total": 0}));
    bob.call("keyword", json!([landing, "$flagged", true]));
    let all = json!([inbox, address("alice"), "zeppelin", "$flagged"]);
    assert_eq!(bob.call("find", all), json!({"ids": [], "total": 0}));
}

/// What waits for its time is called off, serves nobody and is a draft again; what has left is not.
fn calls_off(house: &House, alice: &mut Agent, imap: &mut Agent, left: &Value) {
    let (drafts, sent, identity) = places(alice);
    let (from, to) = (address("alice"), address("bob"));
    let email = alice.call(
        "create",
        json!([drafts, from, to, "Hasty", "a hasty word\n"]),
    );
    let submitted = json!([identity, email, from, to, 3600, drafts, sent]);
    let id = alice.call("submit", submitted);
    let waits = alice.call("submission", json!([id]));
    assert_eq!(waits["undoStatus"], "pending");
    assert!(imap.holds("Sent", "a hasty word"));
    alice.call("undo", json!([id, drafts, sent]));
    let over = alice.call("submission", json!([id]));
    assert_eq!(over["undoStatus"], "canceled");
    assert!(imap.holds("Drafts", "a hasty word") && !imap.holds("Sent", "a hasty word"));
    assert!(!house.imap("bob").holds("INBOX", "a hasty word"));
    let late = alice.attempt("undo", json!([left, drafts, sent]));
    let said = late.unwrap_err().to_lowercase();
    assert!(said.contains("cannotunsend"), "{said}");
    assert!(
        imap.holds("Sent", "zeppelin"),
        "nothing follows from what is refused"
    );
}

/// Bob's client listens; what alice takes back it hears of by itself, and then asks what has changed.
fn hears(client: JmapClient, how: &str) {
    let house = House::new();
    let content = letter("alice", &address("bob"), "taken");
    house.submit_tls("alice", &[&address("bob")], &content).ok();
    let mut bob = house.jmap(client, "bob");
    let all = bob.call("emails", Value::from(vec![Value::Null]));
    let since = bob.call("state", json!([]));
    bob.call(&format!("listen{how}"), json!([]));
    house
        .tern
        .tern(&["recall", "run", "taken@example.org"], "")
        .ok();
    // The copy goes, and a notice comes, since bob had opened it: each is pushed.
    let told = loop {
        let state = bob.call(&format!("heard{how}"), json!([]));
        let told = bob.call("changes", json!([since]));
        assert_eq!(told["destroyed"], json!([all[0]["id"]]));
        if told["newState"] == state {
            break told;
        }
    };
    assert_eq!(told["created"].as_array().unwrap().len(), 1);
    assert_eq!(bob.call("emails", json!([[all[0]["id"]]])), json!([]));
    house.close();
}
