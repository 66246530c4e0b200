//! Recalls that wait, on a server that runs: those who may approve are written to, and answer by
//! the command line.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a real server takes real time, and a test may panic"
)]

mod house;

use std::fs;
use std::path::Path;

use house::House;

const FOUR_EYES: &str = "@id(\"house.four-eyes\")\n@approval(\"1h\")\n@approvers(\"1\")\n\
    forbid (principal, action == Tern::Action::\"recall.own\", resource)\n\
    unless { context.approvals >= 1 };\n";

/// A server where somebody else has to approve every recall: Bob may.
fn four_eyes(rules: &Path) -> House {
    fs::write(rules.join("rules.cedar"), FOUR_EYES).expect("written");
    let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies/roles");
    let options = format!("[policy]\ndirectories = [{roles:?}, {rules:?}]\n");
    let mut house = House::new(&options);
    house.start();
    let over = ["role", "grant", "manager", "bob@example.org"];
    house.done(&[&over[..], &["--over", "everyone"]].concat());
    house
}

/// Alice asks by mail for what she has sent to Bob.
fn ask(house: &mut House, subject: &str) -> String {
    house.send(subject);
    let mail = format!(
        "From: alice@example.org\r\nTo: recall@example.org\r\nSubject: <{subject}@example.org>\r\n\
         Message-ID: <ask-{subject}@example.org>\r\n\r\n\r\n"
    );
    let sent = house.submission("alice").send(
        "alice@example.org",
        &["recall@example.org"],
        mail.as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
    house.wait_log("recall waits");
    let listed = house.done(&["--json", "recall", "list", "--waiting"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed[0]["subject"], *subject);
    assert_eq!(listed[0]["state"], "awaiting-approval");
    listed[0]["id"].as_str().expect("an id").to_owned()
}

fn failed(house: &House, args: &[&str]) -> String {
    let output = house.tern(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8_lossy(&output.stderr).replace("\n  │ ", " ")
}

#[test]
fn a_recall_is_approved_declined_and_cancelled_from_the_command_line() {
    let rules = tempfile::tempdir().expect("a directory");
    let mut house = four_eyes(rules.path());
    let id = ask(&mut house, "first");
    let own = failed(
        &house,
        &["recall", "approve", &id, "--as", "alice@example.org"],
    );
    assert!(own.contains("nobody approves what is their own"), "{own}");
    let mut bob = house.imap("bob");
    let inbox = bob.command("SELECT INBOX").expect("an answer");
    assert_eq!(
        inbox.number("EXISTS"),
        Some(2),
        "the letter, and who may approve it"
    );
    let mail = bob.command("FETCH 2 BODY.PEEK[]").expect("an answer");
    let mail = String::from_utf8_lossy(&mail.literals[0]).into_owned();
    let how = format!("tern recall approve {id} --as bob@example.org");
    assert!(mail.contains(&how), "{mail}");
    let approve = ["recall", "approve", &id, "--reason", "wrong file"];
    let approved = house.done(&[&approve[..], &["--as", "bob@example.org"]].concat());
    assert!(approved.contains(": done, all withdrawn"), "{approved}");
    assert!(
        approved.contains("Approved by bob@example.org on "),
        "{approved}"
    );
    assert!(bob.command("NOOP").expect("an answer").says("1 EXPUNGE"));

    let id = ask(&mut house, "second");
    let declined = house.done(&["recall", "decline", &id, "--reason", "no"]);
    assert!(
        declined.contains(": refused (approval-required)"),
        "{declined}"
    );
    let again = failed(&house, &["recall", "approve", &id]);
    assert!(again.contains("refused (approval-required)"), "{again}");

    let id = ask(&mut house, "third");
    let others = failed(
        &house,
        &["recall", "cancel", &id, "--as", "bob@example.org"],
    );
    assert!(others.contains("no such recall"), "{others}");
    let cancelled = house.done(&["recall", "cancel", &id, "--as", "alice@example.org"]);
    assert!(cancelled.contains(": cancelled"), "{cancelled}");
    assert_eq!(house.done(&["recall", "list", "--waiting"]), "");
    assert_eq!(house.done(&["recall", "frozen"]), "");
    let unfrozen = failed(&house, &["recall", "unfreeze", "alice@example.org"]);
    assert!(unfrozen.contains("is not frozen"), "{unfrozen}");
    let log = house.done(&["audit", "export"]);
    let spoken = log.lines().find(|line| line.contains("\"recall.approve\""));
    let spoken = spoken.expect("on record");
    assert!(
        spoken.contains("bob@example.org") && spoken.contains("\"operator "),
        "{spoken}"
    );
    assert!(house.stop().0);
}
