//! The evidence of a recall from the command line: it verifies without the server, and says so when
//! anything of it was changed.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use house::{House, message};
use serde_json::{Value, json};

/// A recall of a message that Bob has read, asked for at the command line.
fn recalled(house: &House) -> String {
    house.send("wrong figures");
    let mut bob = house.imap("bob");
    bob.command("SELECT INBOX").expect("an answer");
    bob.command("FETCH 1 BODY[]").expect("an answer");
    let by = [
        "recall",
        "run",
        "--from",
        "alice@example.org",
        "--reason",
        "wrong file",
    ];
    house.done(&by);
    let list: Value =
        serde_json::from_str(&house.done(&["--json", "recall", "list"])).expect("JSON");
    list[0]["id"].as_str().expect("an id").to_owned()
}

/// What verifying a text comes to, and whether it holds.
fn verified(house: &House, text: &str, more: &[&str]) -> (bool, String) {
    let file = house.path("given.json");
    fs::write(&file, text).expect("written");
    let file = file.to_str().expect("UTF-8");
    // No configuration is needed, and none is there.
    let args = [&["recall", "verify-evidence", file], more].concat();
    let output = house.tern_by("nowhere.toml", &args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => (true, said),
        Some(3) => (false, said),
        _ => panic!("{output:?}"),
    }
}

#[test]
fn the_evidence_proves_itself_without_the_server() {
    let house = House::started("");
    let id = recalled(&house);
    let key = house.done(&["audit", "key"]);
    let key = key.trim();
    let out = house.path("out");
    let out_text = out.to_str().expect("UTF-8");
    house.done(&["recall", "evidence", &id, "--out", out_text]);
    let written = out.join(format!("evidence-{id}.json"));
    // Who read what, and the message itself: for whoever asked for it alone, and never in another's place.
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&out), mode(&written)), (0o700, 0o600));
    let again = house.tern(&["recall", "evidence", &id, "--out", out_text]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let text = fs::read_to_string(written).expect("there");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let evidence = &file["evidence"];
    // Who had it, what they were served and when, when it was taken back, by whose authority.
    let copy = &evidence["recall"]["copies"][0];
    assert_eq!(copy["recipient"], "bob@example.org");
    assert_eq!(copy["outcome"], "withdrawn-exposed");
    assert_eq!(copy["exposure"]["level"], "downloaded");
    assert!(copy["exposure"]["at"].is_string() && copy["at"].is_string());
    assert_eq!(evidence["recall"]["reason"], "wrong file");
    assert_eq!(evidence["decision"]["verdict"], "allow");
    assert_eq!(
        evidence["decision"]["policies"],
        json!(["operator.at-the-machine"])
    );
    assert_eq!(evidence["message"]["sender"], "alice@example.org");
    assert_eq!(evidence["content"], Value::Null);
    let actions: Vec<&str> = evidence["log"]["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["entry"]["action"].as_str())
        .collect();
    for action in [
        "recall.request",
        "recall.outcome",
        "recall.done",
        "recall.evidence",
    ] {
        assert!(actions.contains(&action), "{action} is not in {actions:?}");
    }
    let (holds, said) = verified(&house, &text, &["--key", key]);
    assert!(
        holds && said.contains(&id) && !said.contains("own word"),
        "{said}"
    );
    let (holds, said) = verified(&house, &text, &[]);
    assert!(holds && said.contains("own word"), "{said}");
    let page = fs::read_to_string(out.join(format!("evidence-{id}.html"))).expect("there");
    for part in [
        "wrong figures",
        "withdrawn-exposed",
        "level downloaded",
        key,
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    // A key made later leads back to the one that somebody kept.
    house.done(&["audit", "key", "--rotate"]);
    let later = house.done(&["recall", "evidence", &id]);
    assert!(verified(&house, &later, &["--key", key]).0);
    assert!(
        house
            .done(&["audit", "verify"])
            .starts_with("the log holds")
    );
}

#[test]
fn whatever_is_changed_in_it_is_told() {
    let house = House::started("");
    let id = recalled(&house);
    let key = house.done(&["audit", "key"]);
    let text = house.done(&["recall", "evidence", &id]);
    let file: Value = serde_json::from_str(&text).expect("JSON");
    let part = |at: &str| file.pointer(at).expect(at).clone();
    let (checkpoint, signature) = (part("/evidence/log/checkpoint"), part("/signature"));
    let changes = [
        (
            "/evidence/recall/copies/0/outcome",
            json!("withdrawn-unexposed"),
            "changed after",
        ),
        (
            "/evidence/recall/copies/0/exposure",
            Value::Null,
            "changed after",
        ),
        (
            "/evidence/log/entries/0/entry/time",
            json!("2001-01-01"),
            "changed after",
        ),
        ("/evidence/log/checkpoint", signature, "changed after"),
        ("/evidence/schema", json!("tern-evidence/0"), "format"),
        ("/evidence/log/keys", json!([]), "none of its log's"),
        ("/signature", checkpoint, "changed after"),
        ("/signature", json!("x"), "not signed"),
    ];
    for (at, value, why) in changes {
        let mut changed = file.clone();
        let place = changed.pointer_mut(at).expect(at);
        assert_ne!(*place, value, "{at}");
        *place = value;
        let (holds, said) = verified(&house, &changed.to_string(), &["--key", key.trim()]);
        assert!(!holds && said.contains(why), "{at}: {said}");
    }
    // Another server signs the same.
    let other = House::started("");
    let theirs = other.done(&["audit", "key"]);
    let (holds, said) = verified(&house, &text, &["--key", theirs.trim()]);
    assert!(!holds && said.contains("none of its log's"), "{said}");
}

#[test]
fn it_is_for_whom_policy_lets_and_the_content_for_fewer() {
    let house = House::started("");
    let id = recalled(&house);
    let carol = "carol@example.org";
    let evidence = |more: &[&str]| house.tern(&[&["recall", "evidence", &id], more].concat());
    let refused = |more: &[&str], permission: &str| {
        let output = evidence(more);
        let error = String::from_utf8_lossy(&output.stderr).replace("\n  │ ", " ");
        assert!(
            !output.status.success() && error.contains(permission),
            "{error}"
        );
    };
    refused(&["--as", carol], "report.exposure");
    house.done(&["role", "grant", "auditor", carol, "--over", "everyone"]);
    let file: Value = serde_json::from_slice(&evidence(&["--as", carol]).stdout).expect("JSON");
    assert_eq!(file["evidence"]["writtenFor"], carol);
    refused(&["--as", carol, "--with-content"], "vault.read");
    house.done(&[
        "role",
        "grant",
        "compliance-officer",
        carol,
        "--over",
        "example.org",
    ]);
    let output = evidence(&["--as", carol, "--with-content"]);
    let file: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let content = &file["evidence"]["content"];
    assert_eq!(content["copyOf"], "bob@example.org");
    let decoded = BASE64.decode(content["base64"].as_str().expect("a text"));
    let decoded = String::from_utf8(decoded.expect("base64")).expect("a text");
    let sent = message("wrong figures");
    let (_, body) = sent.split_once("\r\n\r\n").expect("a body");
    assert!(decoded.ends_with(body), "{decoded}");
    let log = house.done(&["audit", "search", "--target", &format!("recall {id}")]);
    for part in [
        "permission.refused",
        "vault.read",
        "recall.evidence",
        &format!("on-behalf-of={carol}"),
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn what_a_program_calls_itself_adds_no_line_to_a_report() {
    let house = House::started("");
    house.send("wrong figures");
    let mut bob = house.imap("bob");
    let name = "x\r\ncarol@example.org: withdrawn-unexposed";
    let said = bob.command(&format!("ID (\"name\" {{{}+}}\r\n{name})", name.len()));
    assert!(said.expect("an answer").is_ok());
    bob.command("SELECT INBOX").expect("an answer");
    bob.command("FETCH 1 BODY[]").expect("an answer");
    house.done(&["recall", "run", "--from", "alice@example.org"]);
    let list: Value =
        serde_json::from_str(&house.done(&["--json", "recall", "list"])).expect("JSON");
    let id = list[0]["id"].as_str().expect("an id");
    let status = house.done(&["recall", "status", id]);
    assert!(
        status.contains("x  carol@example.org"),
        "it is told: {status}"
    );
    let forged = |line: &str| line.trim_start().starts_with("carol@");
    assert!(!status.lines().any(forged), "{status}");
    let devices = house.done(&["account", "devices", "bob@example.org"]);
    assert!(!devices.lines().any(forged), "{devices}");
}
