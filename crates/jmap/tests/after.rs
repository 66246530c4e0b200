//! What a set tells where something else happens while it is under way: what was done is told as done, and
//! `newState` covers nothing that the client was not told.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::faulty::FaultyEngine;
use house::{BOB, House};
use serde_json::{Value, json};
use tern_base::OriginId;
use tern_delivery::{Accepted, Outbox};
use tern_mailbox::Role;
use tern_session::ids;

const LETTER: &str = "From: bob@example.org\r\nTo: carol@example.org\r\n\
                      Subject: Hello\r\n\r\nHow are you?\r\n";

/// A draft of Bob's and his identity: their ids.
fn draft(house: &mut House) -> (String, Value) {
    let blob = house.upload("message/rfc822", LETTER.as_bytes());
    let drafts = house.mailbox(Role::Drafts);
    let email = json!({"blobId": blob, "mailboxIds": {drafts: true}});
    let made = house.call("Email/import", json!({"emails": {"e": email}}));
    let id = made["created"]["e"]["id"].as_str().unwrap().to_owned();
    let identities = house.call("Identity/get", json!({"ids": null}));
    (id, identities["list"][0]["id"].clone())
}

/// Sends a draft: what is told.
fn submit(house: &mut House, (email, identity): &(String, Value)) -> Value {
    let new = json!({"identityId": identity, "emailId": email});
    house.call("EmailSubmission/set", json!({"create": {"s": new}}))
}

fn origin(created: &Value) -> OriginId {
    let (_, hex) = created["id"].as_str().unwrap().split_once('-').unwrap();
    OriginId::from_hex(hex).unwrap()
}

#[test]
fn what_has_left_is_told_though_nothing_more_can_be_read_and_its_draft_follows() {
    let engine = Arc::new(FaultyEngine::default());
    let store = Arc::<FaultyEngine>::clone(&engine);
    let mut house = House::over(store, tern_policy::unattended());
    let (email, identity) = draft(&mut house);
    // From the moment at which it leaves, nothing is written any more.
    let full = Arc::clone(&engine);
    let departure = move |_: &Accepted| full.fail_commits(true);
    house.outbox = Outbox::new(Arc::clone(&house.delivery), departure);
    let args = json!({
        "accountId": ids::account_id(BOB),
        "create": {"s": {"identityId": identity, "emailId": email}},
        "onSuccessUpdateEmail": {"#s": {"keywords/$seen": true}},
    });
    let responses = house.calls(&json!([["EmailSubmission/set", args, "c"]]));
    let set = &responses[0][1];
    assert!(set["created"]["s"]["id"].is_string(), "{responses:?}");
    assert_eq!(set["newState"], set["oldState"], "the client asks for more");
    assert_eq!(responses.len(), 2, "{responses:?}");
    assert_eq!(responses[1][0], "Email/set");
    engine.fail_commits(false);
    let since = json!({"sinceState": set["newState"]});
    let changes = house.call("EmailSubmission/changes", since);
    assert_eq!(changes["created"], json!([set["created"]["s"]["id"]]));
}

#[test]
fn the_state_after_a_set_does_not_cover_what_somebody_else_did_meanwhile() {
    let mut house = House::new();
    let draft = draft(&mut house);
    let first = submit(&mut house, &draft)["created"]["s"].clone();
    let second = submit(&mut house, &draft);
    let changes = |house: &mut House, set: &Value| {
        let since = json!({"sinceState": set["newState"]});
        house.call("EmailSubmission/changes", since)
    };
    let nothing = changes(&mut house, &second);
    assert_eq!(nothing["updated"], json!([]), "its own is covered");
    assert_eq!(nothing["created"], json!([]));
    // Another client destroys the first while a third one leaves.
    let other = Outbox::new(Arc::clone(&house.delivery), |_| {});
    let gone = origin(&first);
    let departure = move |_: &Accepted| {
        other.forget(BOB, gone).unwrap();
    };
    house.outbox = Outbox::new(Arc::clone(&house.delivery), departure);
    let third = submit(&mut house, &draft);
    assert!(third["created"]["s"]["id"].is_string(), "{third}");
    let told = changes(&mut house, &third);
    assert_eq!(told["destroyed"], json!([first["id"]]), "{third} {told}");
}

#[test]
fn the_state_after_a_set_is_that_of_its_own_changes_for_every_type() {
    let mut house = House::new();
    for (kind, args) in [
        (
            "Identity",
            json!({"create": {"k": {"name": "B.", "email": "bob@example.org"}}}),
        ),
        (
            "VacationResponse",
            json!({"update": {"singleton": {"isEnabled": true}}}),
        ),
        (
            "Mailbox",
            json!({"create": {"a": {"name": "A"}, "b": {"name": "B", "parentId": "#a"}}}),
        ),
    ] {
        let set = house.call(&format!("{kind}/set"), args);
        assert_ne!(set["newState"], set["oldState"], "{set}");
        let got = house.call(&format!("{kind}/get"), json!({"ids": null}));
        assert_eq!(set["newState"], got["state"], "{kind}");
    }
}

#[test]
fn what_follows_a_submission_is_found_by_its_creation_id_in_a_later_call() {
    let mut house = House::new();
    let (email, identity) = draft(&mut house);
    let account = ids::account_id(BOB);
    let envelope = json!({
        "mailFrom": {"email": "bob@example.org", "parameters": {"HOLDFOR": "60"}},
        "rcptTo": [{"email": "carol@example.org"}],
    });
    let new = json!({"identityId": identity, "emailId": email, "envelope": envelope});
    let responses = house.calls(&json!([
        ["EmailSubmission/set", {"accountId": account, "create": {"k": new}}, "0"],
        ["EmailSubmission/set", {
            "accountId": account, "update": {"#k": {"undoStatus": "canceled"}},
            "onSuccessUpdateEmail": {"#k": {"keywords/$draft": true}},
        }, "1"],
    ]));
    assert_eq!(responses.len(), 3, "{responses:?}");
    assert_eq!(responses[2][1]["updated"], json!({email: null}));
    house.check();
}
