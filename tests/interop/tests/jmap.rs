//! JMAP by foreign clients: each logs in, lists, reads, writes and deletes what IMAP then sees, and is
//! told of a recall.
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
fn jmapc_reads_writes_and_is_told_of_a_recall() {
    lives(JmapClient::Jmapc);
}

#[test]
fn jmaplib_reads_writes_and_is_told_of_a_recall() {
    lives(JmapClient::Jmaplib);
}

#[test]
fn jmap_jam_reads_writes_and_is_told_of_a_recall() {
    lives(JmapClient::JmapJam);
}

#[test]
fn jmap_client_ts_reads_writes_and_is_told_of_a_recall() {
    lives(JmapClient::JmapClientTs);
}

#[test]
fn jmap_client_reads_writes_and_is_told_of_a_recall() {
    lives(JmapClient::JmapClient);
}

/// By jmap-jam, which makes a reference of one call's result in the next.
#[test]
fn jmap_jam_asks_for_news_by_result_reference() {
    let house = House::new();
    let mut bob = house.jmap(JmapClient::JmapJam, "bob");
    let since = bob.call("state", json!([]));
    send(&house, "fresh");
    let news = bob.call("news", json!([since]));
    assert_eq!(news, json!(["About fresh"]));
    house.close();
}

/// A wrong password is refused to every client, and another's token says nothing of this account.
#[test]
fn jmapc_is_refused_with_a_wrong_password() {
    let house = House::new();
    house
        .tern
        .add_account("zoe@example.org", "some other password");
    let mut zoe = house.jmap(JmapClient::Jmapc, "zoe");
    let refused = zoe.attempt("session", json!([]));
    assert!(
        refused.clone().is_err_and(|why| why.contains("401")),
        "{refused:?}"
    );
    house.close();
}

fn lives(client: JmapClient) {
    let house = House::new();
    send(&house, "taken");
    send(&house, "stays");
    let mut bob = house.jmap(client, "bob");
    let session = bob.call("session", json!([]));
    assert_eq!(session["username"], address("bob"));

    let (inbox, drafts) = (mailbox(&mut bob, "inbox"), mailbox(&mut bob, "drafts"));
    assert_eq!(inbox["total"], 2);
    let (inbox, drafts) = (inbox["id"].clone(), drafts["id"].clone());

    let taken = email(&mut bob, "About taken");
    assert_eq!(taken["from"], json!([address("alice")]));
    assert_eq!(taken["mailboxIds"], json!([inbox]));
    assert_eq!(taken["keywords"], json!([]));
    // swaks ends what it sends with an empty line.
    assert_eq!(taken["text"], "The word is taken.\nKind regards\n\n");

    let mut imap = house.imap("bob");
    writes(&mut bob, &mut imap, &inbox, &drafts);
    if client.has_blobs() {
        blobs(&mut bob, &mut imap, &inbox, &taken);
    }
    is_told(&house, &mut bob, &taken, client);
    house.close();
}

/// What a client flags, composes and destroys is so for IMAP.
fn writes(bob: &mut Agent, imap: &mut Agent, inbox: &Value, drafts: &Value) {
    let stays = email(bob, "About stays");
    bob.call("keyword", json!([stays["id"], "$flagged", true]));
    imap.call("select_folder", json!(["INBOX"]));
    let flagged = imap.call("search", json!([["FLAGGED", "SUBJECT", "stays"]]));
    assert_eq!(flagged.as_array().unwrap().len(), 1);
    bob.call("keyword", json!([stays["id"], "$flagged", false]));
    assert_eq!(email(bob, "About stays")["keywords"], json!([]));

    let since = bob.call("state", json!([]));
    let id = bob.call(
        "create",
        json!([
            drafts,
            address("bob"),
            address("alice"),
            "A draft",
            "Dear all,\nhm.\n"
        ]),
    );
    assert!(imap.holds("Drafts", "Dear all,"));
    let told = bob.call("changes", json!([since]));
    assert_eq!(told["created"], json!([id]));
    let draft = email(bob, "A draft");
    assert_eq!(draft["text"], "Dear all,\nhm.\n");
    assert_eq!(draft["keywords"], json!(["$draft"]));
    assert_ne!(draft["mailboxIds"], json!([inbox]));
    bob.call("destroy", json!([id]));
    assert!(!imap.holds("Drafts", "Dear all,"));
    let gone = bob.call("emails", json!([[id]]));
    assert_eq!(gone, json!([]));
}

/// What a client uploads and imports is a message, and what it downloads is the message as it came.
fn blobs(bob: &mut Agent, imap: &mut Agent, inbox: &Value, taken: &Value) {
    let content = letter("carol", &address("bob"), "imported");
    let id = bob.call("add", json!([inbox, content]));
    assert!(imap.holds("INBOX", "The word is imported."));
    let imported = email(bob, "About imported");
    assert_eq!(imported["id"], id);
    let blob = bob.call("download", json!([imported["blobId"]]));
    assert_eq!(
        blob.as_str().unwrap().replace("\r\n", "\n"),
        content.replace("\r\n", "\n")
    );
    let blob = bob.call("download", json!([taken["blobId"]]));
    assert!(blob.as_str().unwrap().contains("The word is taken."));
}

/// What alice takes back is destroyed for the client, and its content is nowhere.
fn is_told(house: &House, bob: &mut Agent, taken: &Value, client: JmapClient) {
    let since = bob.call("state", json!([]));
    house
        .tern
        .tern(&["recall", "run", "taken@example.org"], "")
        .ok();
    let (told, _) = until("the client is told", DEADLINE, || {
        let told = bob.call("changes", json!([since]));
        let is_whole = told["destroyed"] != json!([]) && told["created"] != json!([]);
        is_whole.then_some(told)
    });
    assert_eq!(told["destroyed"], json!([taken["id"]]));
    // Bob had opened it: a notice says that it was taken back.
    let notices = bob.call("emails", json!([told["created"]]));
    assert_eq!(notices.as_array().unwrap().len(), 1);
    assert_eq!(notices[0]["subject"], "Taken back: About taken");
    assert_eq!(bob.call("emails", json!([[taken["id"]]])), json!([]));
    if client.has_blobs() {
        let blob = bob.attempt("download", json!([taken["blobId"]]));
        assert!(blob.is_err(), "{blob:?}");
    }
    assert_eq!(email(bob, "About stays")["subject"], "About stays");
}

/// Alice sends bob a letter.
fn send(house: &House, word: &str) {
    let content = letter("alice", &address("bob"), word);
    house.submit_tls("alice", &[&address("bob")], &content).ok();
    let mut bob = house.imap("bob");
    until("bob has it", DEADLINE, || {
        bob.holds("INBOX", &format!("The word is {word}."))
            .then_some(())
    });
}

/// The message of a subject, as the client shows it.
fn email(bob: &mut Agent, subject: &str) -> Value {
    let all = bob.call("emails", Value::from(vec![Value::Null]));
    let found = all
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["subject"] == subject);
    found
        .unwrap_or_else(|| panic!("no {subject:?}: {all}"))
        .clone()
}
