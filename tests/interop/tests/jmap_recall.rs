//! Recall as a type of JMAP, by foreign clients over HTTPS: jmap-jam, whose capabilities can be added to,
//! and jmapc, which has calls of one's own. What comes of it is seen by imapclient.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use serde_json::{Value, json};
use tern_interop::house::{address, letter};
use tern_interop::jmap::{JmapClient, mailbox};
use tern_interop::policy::{by_default_policy, four_eyes};
use tern_interop::{Agent, DEADLINE, House, until};

/// Alice writes to bob by her client; the Email among what she has sent.
fn sends(house: &House, alice: &mut Agent, word: &str) -> Value {
    let (drafts, sent) = (mailbox(alice, "drafts"), mailbox(alice, "sent"));
    let (drafts, sent) = (drafts["id"].clone(), sent["id"].clone());
    let identity = alice.call("identities", json!([]))[address("alice")].clone();
    let (from, to) = (address("alice"), address("bob"));
    let text = format!("The word is {word}.\n");
    let email = alice.call("create", json!([drafts, from, to, word, text]));
    let submitted = json!([identity, email, from, to, null, drafts, sent]);
    alice.call("submit", submitted);
    let mut bob = house.imap("bob");
    until("bob has it", DEADLINE, || {
        bob.holds("INBOX", word).then_some(())
    });
    email
}

/// Bob opens the message with his session, and waits in IDLE.
fn reads_and_idles(house: &House, word: &str) -> Agent {
    let mut bob = house.imap("bob");
    bob.call("select_folder", json!(["INBOX"]));
    let found = bob.call("search", json!([["SUBJECT", word]]));
    bob.call("fetch", json!([found, ["BODY[]"]]));
    bob.call("idle", json!([]));
    bob
}

/// The outcome of one call of `Recall/set` on one recall: what was updated, or the SetError.
fn acts(client: &mut Agent, id: &Value, action: Value) -> Result<Value, Value> {
    let id = id.as_str().unwrap();
    let set = client.call(
        "recall",
        json!(["set", {"update": {id: {"action": action}}}]),
    );
    match &set["notUpdated"][id] {
        Value::Null => Ok(set["updated"][id].clone()),
        error => Err(error.clone()),
    }
}

fn asks(alice: &mut Agent, email: &Value, reason: &str) -> Value {
    let ask = json!({"emailId": email, "requestId": reason, "reason": reason});
    let set = alice.call("recall", json!(["set", {"create": {"r": ask}}]));
    assert_eq!(set["notCreated"], Value::Null, "{set}");
    set["created"]["r"].clone()
}

#[test]
fn jmap_jam_confirms_a_recall_with_a_code_and_imap_loses_it() {
    let house = House::with(&by_default_policy());
    let authenticator = house.enrol("alice");
    let mut alice = house.jmap(JmapClient::JmapJam, "alice");
    let email = sends(&house, &mut alice, "stepped");
    let mut bob = reads_and_idles(&house, "stepped");

    let plan = json!(["plan", {"plan": {"p": {"emailId": email}}}]);
    let planned = alice.call("recall", plan)["planned"]["p"].clone();
    assert_eq!(planned["waitsFor"], "second-factor");
    assert_eq!(planned["outcomes"], json!({"withdrawn-exposed": 1}));

    let asked = asks(&mut alice, &email, "the wrong Bob");
    assert_eq!(asked["state"], "awaiting-step-up");
    assert_eq!(asked["waiting"]["for"], "second-factor");
    assert_eq!(asked["actions"], json!(["confirm", "cancel"]));
    assert!(house.imap("bob").holds("INBOX", "stepped"), "it waits");

    alice.call("listen", json!([]));
    let wrong = json!({"type": "confirm", "code": "12345"});
    let refused = acts(&mut alice, &asked["id"], wrong).unwrap_err();
    assert_eq!(
        (&refused["type"], &refused["triesLeft"]),
        (&json!("codeWrong"), &json!(4))
    );
    assert!(
        house.imap("bob").holds("INBOX", "stepped"),
        "it still waits"
    );
    let right = json!({"type": "confirm", "code": authenticator.fresh()});
    let done = acts(&mut alice, &asked["id"], right).unwrap();
    assert_eq!(
        (&done["state"], &done["withdrawn"], &done["outcomes"]),
        (
            &json!("done"),
            &json!("all"),
            &json!({"withdrawn-exposed": 1})
        )
    );

    let pushed = alice.call("heard", json!(["Recall"]));
    let got = alice.call("recall", json!(["get", {"ids": [asked["id"]]}]));
    assert_eq!(got["list"][0]["state"], "done");
    assert!(pushed.is_string(), "{pushed}");
    bob.idle_until("EXPUNGE", DEADLINE);
    assert!(!house.imap("bob").holds("INBOX", "The word is stepped."));
    let mut imap = house.imap("alice");
    until("her report", DEADLINE, || {
        imap.holds("Recall", "Subject: Taken back: stepped")
            .then_some(())
    });
    house.close();
}

#[test]
fn jmapc_approves_for_somebody_else_and_nobody_for_themselves() {
    let rules = tempfile::tempdir().unwrap();
    let house = House::with(&four_eyes(rules.path(), "1h"));
    let manages = |name: &str| {
        let over = ["role", "grant", "manager", &address(name)];
        let all = [&over[..], &["--over", "everyone"]].concat();
        house.tern.tern(&all, "").ok();
    };
    for name in ["alice", "carol"] {
        manages(name);
    }
    let authenticator = house.enrol("carol");
    let mut alice = house.jmap(JmapClient::JmapJam, "alice");
    let mut carol = house.jmap(JmapClient::Jmapc, "carol");
    let email = sends(&house, &mut alice, "seconded");
    let mut bob = reads_and_idles(&house, "seconded");
    let asked = asks(&mut alice, &email, "not for Bob");
    assert_eq!(asked["state"], "awaiting-approval");
    assert_eq!(
        asked["actions"],
        json!(["cancel"]),
        "alice is a manager, too"
    );
    let approve = |code: &str| json!({"type": "approve", "code": code, "reason": "I have seen it"});
    let own = acts(&mut alice, &asked["id"], approve("123456")).unwrap_err();
    assert_eq!(own["type"], "forbidden", "{own}");
    assert!(house.imap("bob").holds("INBOX", "seconded"), "it waits");
    // Whom it does not concern is told of nothing.
    let mut erin = house.jmap(JmapClient::Jmapc, "erin");
    let others = acts(&mut erin, &asked["id"], approve("123456")).unwrap_err();
    assert_eq!(others["type"], "notFound", "{others}");

    let told = carol.call("recall", json!(["get", {"ids": null}]));
    let waiting = &told["list"][0];
    assert_eq!(waiting["id"], asked["id"], "she was asked");
    assert_eq!(waiting["actions"], json!(["approve", "decline"]));
    assert_eq!(waiting["reason"], "not for Bob");
    assert_eq!(waiting["requestedBy"], address("alice").as_str());
    let wrong = acts(&mut carol, &asked["id"], approve("12345")).unwrap_err();
    assert_eq!(wrong["type"], "codeWrong", "her password is not enough");
    let right = approve(&authenticator.fresh());
    let done = acts(&mut carol, &asked["id"], right).unwrap();
    assert_eq!(done["state"], "done");
    bob.idle_until("EXPUNGE", DEADLINE);
    assert!(!house.imap("bob").holds("INBOX", "The word is seconded."));
    let got = alice.call("recall", json!(["get", {"ids": [asked["id"]]}]));
    let approval = &got["list"][0]["approvals"][0];
    assert_eq!(
        (&approval["by"], &approval["reason"]),
        (&json!(address("carol")), &json!("I have seen it"))
    );

    manages("erin");
    let others_authenticator = house.enrol("erin");
    let email = sends(&house, &mut alice, "kept");
    let asked = asks(&mut alice, &email, "I would rather not");
    let decline = json!({
        "type": "decline", "code": others_authenticator.fresh(), "reason": "Bob needs it",
    });
    acts(&mut erin, &asked["id"], decline).unwrap();
    let got = alice.call("recall", json!(["get", {"ids": [asked["id"]]}]));
    let ended = &got["list"][0];
    assert_eq!(
        (
            &ended["state"],
            &ended["refusal"],
            &ended["ended"]["reason"]
        ),
        (
            &json!("refused"),
            &json!("approval-required"),
            &json!("Bob needs it")
        )
    );
    assert!(house.imap("bob").holds("INBOX", "The word is kept."));
    house.close();
}

#[test]
fn a_letter_of_an_imap_client_is_taken_back_by_jmapc_by_its_message_id() {
    let house = House::new();
    let content = letter("alice", &address("bob"), "older");
    house.submit_tls("alice", &[&address("bob")], &content).ok();
    let mut bob = house.imap("bob");
    let uids = bob.uids("INBOX");
    bob.call("idle", json!([]));
    let mut alice = house.jmap(JmapClient::Jmapc, "alice");
    let create = |id: &str| json!(["set", {"create": {"r": {"messageId": id}}}]);
    let set = alice.call("recall", create("older@example.org"));
    assert_eq!(
        (&set["created"]["r"]["state"], uids.len()),
        (&json!("done"), 1),
        "{set}"
    );
    bob.idle_until("EXPUNGE", DEADLINE);
    let id = set["created"]["r"]["id"].clone();
    let restored = alice.call("recall", json!(["restore", {"ids": [id]}]));
    let id = id.as_str().unwrap();
    assert_eq!(restored["restored"][id]["state"], "restored", "{restored}");
    assert!(house.imap("bob").holds("INBOX", "The word is older."));
    let set = alice.call("recall", create("nothing@example.org"));
    assert_eq!(set["notCreated"]["r"]["type"], "notFound", "{set}");
    house.close();
}
