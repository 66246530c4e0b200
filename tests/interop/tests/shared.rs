//! Somebody reads a colleague's folder by imapclient, which an owner shares by imapclient: what a sender
//! takes back they lose, too, and the report says that they read it.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use serde_json::json;
use tern_interop::house::letter;
use tern_interop::{DEADLINE, House};

const INBOX: &str = "Other Users/bob@example.org/INBOX";

/// What only the message of this word says: a notice of its recall has its subject.
fn text(word: &str) -> String {
    format!("The word is {word}.")
}

#[test]
fn a_colleague_reads_a_shared_folder_and_loses_what_is_recalled() {
    let house = House::new();
    let (word, other) = ("zweigsharedquartz", "zweigsharedstays");
    for word in [word, other] {
        let content = letter("alice", "bob@example.org", word);
        house
            .submit_tls("alice", &["bob@example.org"], &content)
            .ok();
    }
    let (mut bob, mut carol) = (house.imap("bob"), house.imap("carol"));
    assert!(carol.attempt("select_folder", json!([INBOX])).is_err());
    bob.call("setacl", json!(["INBOX", "carol@example.org", "lrs"]));
    let list = bob.call("getacl", json!(["INBOX"]));
    assert_eq!(list[1], json!(["carol@example.org", "lrs"]), "{list}");

    let namespace = carol.call("namespace", json!([]));
    assert_eq!(namespace[1], json!([["Other Users/", "/"]]), "{namespace}");
    let folders = carol.call("list_folders", json!(["", "Other Users/*"]));
    let has_it = |folder: &serde_json::Value| folder[2] == INBOX;
    assert!(folders.as_array().unwrap().iter().any(has_it), "{folders}");
    assert!(carol.holds(INBOX, &text(word)));
    assert!(carol.attempt("delete_messages", json!([[1]])).is_err());
    assert!(
        carol
            .attempt("setacl", json!([INBOX, "carol@example.org", "lrswipkxtea"]))
            .is_err()
    );

    carol.call("select_folder", json!([INBOX]));
    carol.call("idle", json!([]));
    let id = format!("{word}@example.org");
    let run = ["recall", "run", &id, "--by", "alice@example.org"];
    let done = house.tern.tern(&run, "").ok();
    let (seen, _) = carol.idle_until("EXPUNGE", DEADLINE);
    assert!(!seen.is_empty(), "{done}");
    carol.call("idle_done", json!([]));
    assert!(!carol.holds(INBOX, &text(word)));
    assert!(carol.holds(INBOX, &text(other)));
    let recall = house.tern.recalls().remove(0);
    let status = house.tern.recall_status(recall["id"].as_str().unwrap());
    let copies = status["copies"].as_array().unwrap();
    let servings = &copies[0]["seen"]["servings"];
    assert_eq!(servings[0]["reader"], "carol@example.org", "{status:#}");

    // Taken away while she has it open.
    bob.call("raw", json!(["DELETEACL", "INBOX", "carol@example.org"]));
    assert!(carol.attempt("noop", json!([])).is_err());
    drop((bob, carol));
    house.close();
}
