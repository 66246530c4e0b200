//! Sharing over JMAP by foreign clients: jmap-jam shares a mailbox, jmap-jam and jmap-client read it, file
//! in it and lose what is recalled, and the report says who read it.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use serde_json::{Value, json};
use tern_interop::house::{address, letter};
use tern_interop::jmap::{JmapClient, mailbox};
use tern_interop::{Agent, DEADLINE, House, until};

#[test]
fn jmap_jam_reads_what_jmap_jam_shares() {
    shares_with(JmapClient::JmapJam);
}

#[test]
fn jmap_client_reads_what_jmap_jam_shares() {
    shares_with(JmapClient::JmapClient);
}

fn shares_with(client: JmapClient) {
    let house = House::new();
    for word in ["taken", "stays"] {
        let content = letter("alice", &address("bob"), word);
        house.submit_tls("alice", &[&address("bob")], &content).ok();
    }
    let mut bob = house.jmap(JmapClient::JmapJam, "bob");
    let inbox = mailbox(&mut bob, "inbox");
    let mine = house.jmap(client, "carol").call("session", json!([]));
    assert_eq!(mine["accounts"], json!([address("carol")]));

    let found = bob.call("principals", json!(["carol"]));
    assert_eq!(found[0]["email"], address("carol"), "{found}");
    let rights = json!({"mayReadItems": true, "maySetSeen": true});
    bob.call("share", json!([inbox["id"], found[0]["id"], rights]));
    let told = house
        .jmap(JmapClient::JmapJam, "carol")
        .call("notices", json!([]));
    assert_eq!(told[0]["by"], address("bob"), "{told}");
    assert_eq!(told[0]["newRights"]["mayReadItems"], true, "{told}");

    let mut carol = house.jmap_in(client, "carol", "bob");
    let all = carol.call("mailboxes", json!([]));
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    let taken = email(&mut carol, "About taken");
    assert!(
        taken["text"]
            .as_str()
            .unwrap()
            .contains("The word is taken.")
    );
    let blob = carol.call("download", json!([taken["blobId"]]));
    assert!(blob.as_str().unwrap().contains("The word is taken."));
    // What she was given, and nothing more.
    carol.call("keyword", json!([taken["id"], "$seen", true]));
    assert_eq!(email(&mut bob, "About taken")["keywords"], json!(["$seen"]));
    for refused in [
        carol.attempt("keyword", json!([taken["id"], "$flagged", true])),
        carol.attempt("destroy", json!([taken["id"]])),
    ] {
        assert!(refused.is_err(), "{refused:?}");
    }
    loses(&house, &mut carol, &taken);
    house.close();
}

/// What alice takes back is gone for whoever reads it in bob's mailbox, and they are named to her.
fn loses(house: &House, carol: &mut Agent, taken: &Value) {
    let since = carol.call("state", json!([]));
    carol.call("listen", json!([]));
    let run = ["recall", "run", "taken@example.org"];
    house.tern.tern(&run, "").ok();
    carol.call("heard", json!([]));
    until("the reader is told", DEADLINE, || {
        let told = carol.call("changes", json!([since]));
        (told["destroyed"] == json!([taken["id"]])).then_some(())
    });
    assert_eq!(carol.call("emails", json!([[taken["id"]]])), json!([]));
    assert!(carol.attempt("download", json!([taken["blobId"]])).is_err());
    assert_eq!(email(carol, "About stays")["subject"], "About stays");
    let recall = house.tern.recalls().remove(0);
    let status = house.tern.recall_status(recall["id"].as_str().unwrap());
    let servings = &status["copies"][0]["seen"]["servings"];
    assert_eq!(servings[0]["reader"], address("carol"), "{status:#}");
}

/// The email of a subject, as the client shows it.
#[track_caller]
fn email(agent: &mut Agent, subject: &str) -> Value {
    let all = agent.call("emails", Value::from(vec![Value::Null]));
    let mut found = all.as_array().into_iter().flatten();
    let found = found.find(|it| it["subject"] == subject);
    found
        .unwrap_or_else(|| panic!("no {subject:?}: {all}"))
        .clone()
}
