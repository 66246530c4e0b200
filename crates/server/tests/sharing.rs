//! Mailboxes of others on a server at work: shared from the command line, read by IMAP, pushed, lost by a
//! recall and taken away; and the log of it.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::{House, is_closed};

const INBOX: &str = "\"Other Users/bob@example.org/INBOX\"";

#[test]
fn a_mailbox_is_shared_read_pushed_and_taken_away() {
    let house = House::started("");
    house.send("first");
    let mut carol = house.imap("carol");
    let refused = carol
        .command(&format!("SELECT {INBOX}"))
        .expect("an answer");
    assert!(refused.done.contains("NONEXISTENT"), "{refused:?}");
    let inbox = ["bob@example.org", "INBOX"];
    let share = |with: &str, rights: &str| {
        let words = [
            &["mailbox", "share"],
            &inbox[..],
            &["--with", with, "--rights", rights],
        ];
        house.done(&words.concat())
    };
    let told = share("carol@example.org", "lr");
    assert!(told.contains("carol@example.org has lr in INBOX"), "{told}");
    let shown = house.done(&["mailbox", "rights", "bob@example.org"]);
    assert_eq!(shown, "INBOX  carol@example.org  lr\n");
    let words = ["mailbox", "share", "bob@example.org", "INBOX", "--with"];
    for wrong in [
        &["nobody@example.org"][..],
        &["carol@example.org", "--rights", "lq"],
    ] {
        assert!(!house.tern(&[&words[..], wrong].concat()).status.success());
    }

    let opened = carol
        .command(&format!("SELECT {INBOX}"))
        .expect("an answer");
    assert!(opened.done.contains("READ-ONLY"), "{opened:?}");
    let body = carol.command("FETCH 1 BODY.PEEK[]").expect("an answer");
    let text = String::from_utf8_lossy(&body.literals[0]).into_owned();
    assert!(text.contains("Text of first."), "{text}");
    // A message that arrives, and one that its sender takes back, are told at once.
    let tag = carol.idle().expect("idle");
    house.send("second");
    carol.wait_for("2 EXISTS").expect("told");
    let recalled = house.done(&[
        "recall",
        "run",
        "first@example.org",
        "--by",
        "alice@example.org",
    ]);
    assert!(recalled.contains("withdrawn-exposed"), "{recalled}");
    carol.wait_for("1 EXPUNGE").expect("told");
    carol.done(&tag).expect("an answer");
    let list = house.done(&["--json", "recall", "list"]);
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let id = list[0]["id"].as_str().expect("an id");
    let status = house.done(&["recall", "status", id]);
    assert!(status.contains("of carol@example.org"), "{status}");
    let devices = house.done(&["account", "devices", "bob@example.org"]);
    assert!(
        devices.contains("of carol@example.org, by rights given"),
        "{devices}"
    );

    carol.idle().expect("idle");
    let told = house.done(
        &[
            &["mailbox", "unshare"],
            &inbox[..],
            &["--with", "carol@example.org"],
        ]
        .concat(),
    );
    assert!(told.contains("no rights"), "{told}");
    carol.wait_for("read no more").expect("told");
    assert!(is_closed(carol.command("NOOP")));
    assert_eq!(house.done(&["mailbox", "rights", "bob@example.org"]), "");
    let log = house.done(&["audit", "list", "--action", "mailbox"]);
    for action in ["mailbox.share", "mailbox.unshare"] {
        assert!(log.contains(action), "{log}");
    }
}

#[test]
fn rights_of_a_group_go_with_it_and_owners_share_by_imap() {
    let house = House::started("");
    house.done(&["group", "add", "team@example.org"]);
    house.done(&[
        "group",
        "add-member",
        "team@example.org",
        "carol@example.org",
    ]);
    let mut bob = house.imap("bob");
    let shared = bob
        .command("SETACL INBOX team@example.org lr")
        .expect("an answer");
    assert!(shared.is_ok(), "{shared:?}");
    let mut carol = house.imap("carol");
    let mut is_there = || {
        let opened = carol.command(&format!("STATUS {INBOX} (MESSAGES)"));
        opened.expect("an answer").is_ok()
    };
    assert!(is_there());
    let mut waiting = house.imap("carol");
    let opened = waiting.command(&format!("SELECT {INBOX}"));
    assert!(opened.expect("an answer").is_ok());
    waiting.idle().expect("idle");
    house.done(&[
        "group",
        "remove-member",
        "team@example.org",
        "carol@example.org",
    ]);
    waiting.wait_for("read no more").expect("told");
    assert!(!is_there());
    house.done(&[
        "group",
        "add-member",
        "team@example.org",
        "carol@example.org",
    ]);
    assert!(is_there());
    house.done(&["group", "remove", "team@example.org"]);
    assert!(!is_there());
    assert_eq!(
        house.done(&["mailbox", "rights", "bob@example.org", "INBOX"]),
        ""
    );
    let log = house.done(&["--json", "audit", "list", "--action", "mailbox.share"]);
    assert!(
        log.contains("team@example.org") && log.contains("imap"),
        "{log}"
    );
    assert_eq!(house.done(&["check"]), "everything holds\n");
}
