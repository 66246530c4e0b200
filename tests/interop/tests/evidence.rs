//! The evidence of a recall by a program that is not this project's: the text in docs/evidence.md, run
//! by Python.
#![allow(clippy::unwrap_used, reason = "a test panics")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tern_interop::house::{address, letter};
use tern_interop::process::{program_of, run};
use tern_interop::{DEADLINE, House};

/// The program of the documentation, word for word.
fn program() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evidence.md");
    let text = fs::read_to_string(docs).unwrap();
    let (_, program) = text.split_once("```python\n").unwrap();
    program.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_evidence_verifies_by_the_program_of_its_documentation() {
    let house = House::new();
    let content = letter("alice", "bob", "figures");
    let (alice, to) = (address("alice"), [address("bob"), address("carol")]);
    house
        .submit_tls("alice", &to.each_ref().map(String::as_str), &content)
        .ok();
    let mut bob = house.imap("bob");
    assert_eq!(bob.uids("INBOX"), [1]);
    bob.call("fetch", json!([[1], ["BODY[]"]]));
    let tern = &house.tern;
    let reason = "an „old“ list\u{1}\u{7f}\u{2028}";
    let run_it = ["recall", "run", "--from", &alice, "--reason", reason];
    tern.tern(&run_it, "").ok();
    let id = tern.recalls()[0]["id"].as_str().unwrap().to_owned();
    let first = tern.tern(&["audit", "key"], "").ok();
    let first = first.trim();
    // The log grows, and its key is replaced, before anybody asks for the evidence.
    for bytes in 1..40 {
        let bytes = bytes.to_string();
        tern.tern(&["account", "quota", &address("bob"), &bytes], "")
            .ok();
    }
    tern.tern(&["audit", "key", "--rotate"], "").ok();
    let text = tern.tern(&["recall", "evidence", &id], "").ok();

    let (script, file) = (
        tern.dir().join("verify.py"),
        tern.dir().join("evidence.json"),
    );
    fs::write(&script, program()).unwrap();
    let verify = |text: &str, key: &str| {
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
        command.arg(&script).arg(&file).arg(key);
        run(&mut command, b"", DEADLINE)
    };
    let said = verify(&text, first).ok();
    assert!(said.starts_with(&format!("recall {id}: ")), "{said}");
    let evidence: Value = serde_json::from_str(&text).unwrap();
    let change = |change: fn(&mut Value)| {
        let mut changed = evidence.clone();
        change(&mut changed);
        changed.to_string()
    };
    verify(
        &change(|file| file["evidence"]["recall"]["reason"] = json!("none")),
        first,
    )
    .failed();
    let entry = |file: &mut Value| file["evidence"]["log"]["entries"][0]["proof"][0] = json!("00");
    verify(&change(entry), first).failed();
    let other = House::new();
    let foreign = other.tern.tern(&["audit", "key"], "").ok();
    verify(&text, foreign.trim()).failed();
    other.close();
    house.close();
}
