//! The audit log from the command line: signed, kept elsewhere, verified; searched by those who may.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use house::{House, TIME_LIMIT};
use serde_json::Value;
use tern_server::control::audit::AuditRequest;
use tern_server::control::request::Request;

fn json(house: &House, args: &[&str]) -> Value {
    let said = house.done(&[&["--json"], args].concat());
    serde_json::from_str(&said).expect("JSON")
}

/// What a run that found something wrong printed.
fn found_wrong(house: &House, args: &[&str]) -> String {
    let output = house.tern(args);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_store_put_back_from_an_old_backup_is_found_by_a_checkpoint_kept_elsewhere() {
    let house = House::new("");
    let backup = house.path("old");
    house.done(&["backup", backup.to_str().expect("UTF-8")]);
    house.done(&["account", "quota", "bob@example.org", "12345"]);
    let note = house.done(&["audit", "checkpoint"]);
    let file = house.path("checkpoint");
    fs::write(&file, &note).expect("written");
    let file = file.to_str().expect("UTF-8");
    assert!(note.starts_with("mx.example.org/tern-audit\n"), "{note}");
    let holds = house.done(&["audit", "verify", "--checkpoint", file]);
    assert!(holds.contains("it continues the 1 checkpoint"), "{holds}");
    // Every checkpoint there is, in one file.
    house.done(&["account", "quota", "bob@example.org", "1"]);
    house.done(&["audit", "checkpoint"]);
    let all = house.done(&["audit", "checkpoint", "--all"]);
    assert!(all.starts_with(&note), "{all}");
    let every = house.path("all");
    fs::write(&every, &all).expect("written");
    let every = every.to_str().expect("UTF-8");
    let holds = house.done(&["audit", "verify", "--checkpoint", every]);
    assert!(holds.contains("it continues the 2 checkpoints"), "{holds}");

    fs::remove_dir_all(house.path("data/store")).expect("removed");
    fs::rename(&backup, house.path("data/store")).expect("put back");
    house.done(&["audit", "verify"]);
    let found = found_wrong(&house, &["audit", "verify", "--checkpoint", file]);
    assert!(found.contains("rolled back"), "{found}");
    // It grows past that again.
    for _ in 0..4 {
        house.done(&["account", "quota", "bob@example.org", "2"]);
    }
    let found = found_wrong(&house, &["audit", "verify", "--checkpoint", file]);
    assert!(found.contains("are not the"), "{found}");
}

#[test]
fn a_new_key_is_in_the_log_and_the_old_one_still_leads_to_it() {
    let house = House::new("");
    let first = house.done(&["audit", "key"]);
    let first = first.trim();
    // Of a log that it has signed nothing of, a key proves nothing.
    let found = found_wrong(&house, &["audit", "verify", "--key", first]);
    assert!(found.contains("nothing is signed by it"), "{found}");
    house.done(&["audit", "checkpoint"]);
    house.done(&["audit", "verify", "--key", first]);
    let keys = house.done(&["audit", "key", "--rotate"]);
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!((keys.len(), keys[0]), (2, first));
    house.done(&["audit", "verify", "--key", first]);
    let later = house.done(&["audit", "verify", "--key", keys[1]]);
    assert!(
        later.contains("are older than the key that was given"),
        "{later}"
    );
    let log = house.done(&["audit", "search", "--action", "audit.key"]);
    assert!(log.lines().next().is_some_and(|line| {
        line.contains("number=2") && line.contains("signed-by=") && line.contains("  operator ")
    }));
    let other = House::new("");
    let foreign = other.done(&["audit", "key"]);
    let found = found_wrong(&house, &["audit", "verify", "--key", foreign.trim()]);
    assert!(found.contains("none of the log's keys"), "{found}");
    assert_eq!(house.done(&["check"]), "everything holds\n");
}

#[test]
fn the_log_is_read_by_whom_policy_lets_and_every_attempt_is_on_record() {
    let house = House::new("");
    let (bob, carol) = ("bob@example.org", "carol@example.org");
    house.done(&["role", "grant", "auditor", carol, "--over", "everyone"]);
    for command in [
        &["audit", "search", "--as"][..],
        &["audit", "export", "--as"],
    ] {
        let refused = house.tern(&[command, &[bob]].concat());
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && error.contains("refused"),
            "{error}"
        );
        house.done(&[command, &[carol]].concat());
    }
    let log = house.done(&["audit", "search", "--action", "permission.refused"]);
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(log.contains("permission=audit.read") && log.contains("permission=audit.export"));
    assert!(log.contains(&format!("on-behalf-of={bob}")));
    for action in ["audit.read", "audit.export"] {
        let log = house.done(&["audit", "search", "--action", action]);
        assert!(log.contains(&format!("on-behalf-of={carol}")), "{log}");
    }
}

#[test]
fn a_search_goes_on_where_it_ended() {
    let house = House::new("");
    for n in 0..5 {
        house.done(&["account", "quota", "bob@example.org", &n.to_string()]);
    }
    let search = |by: &[&str], from: Option<u64>| {
        let from = from.map(|from| from.to_string());
        let more = from.iter().flat_map(|from| ["--from", from]);
        let args = ["audit", "search", "--limit", "2"].into_iter();
        let args = args.chain(by.iter().copied()).chain(more);
        json(&house, &args.collect::<Vec<_>>())
    };
    let found = |by: &[&str]| {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = search(by, from);
            let entries = page["entries"].as_array().expect("a list");
            assert!(entries.len() <= 2);
            let entries = entries.iter().map(|one| one["entry"].clone());
            found.extend(entries.filter(|one| one["action"] == "account.quota"));
            from = page["next"].as_u64();
            if from.is_none() {
                let quota = |one: &serde_json::Value| one["details"]["quota_bytes"].clone();
                return found.iter().map(quota).collect::<Vec<_>>();
            }
        }
    };
    assert_eq!(found(&["--action", "account.quota"]), [4, 3, 2, 1, 0]);
    let ever = ["--since", "2026-01-01", "--until", "9999-01-01"];
    assert_eq!(found(&ever), [4, 3, 2, 1, 0]);
    let long_ago = ["--since", "2001-01-01", "--until", "2002-01-01"];
    assert_eq!(search(&long_ago, None)["next"], serde_json::Value::Null);
    assert_eq!(found(&long_ago), [] as [u64; 0]);
}

#[test]
fn a_server_signs_its_log_by_itself() {
    let mut house = House::new("[audit]\ncheckpoint_minutes = 0\n");
    assert_eq!(json(&house, &["audit", "verify"])["signed"], 0);
    house.start();
    let since = Instant::now();
    loop {
        let said = json(&house, &["audit", "verify"]);
        if said["signed"].as_u64() >= Some(5) {
            break assert_eq!(said["checkpoints"], 1);
        }
        assert!(since.elapsed() < TIME_LIMIT, "{said}");
    }
}

/// Whoever begins late has read no less: by the server's own socket, as a program of the operator's
/// would.
#[test]
fn an_export_that_begins_late_is_on_record_too() {
    let mut house = House::new("");
    house.start();
    for (from, lines) in [(1, 1), (2, 2), (5, 3)] {
        let socket = UnixStream::connect(house.path("data/control.sock"));
        let mut socket = socket.expect("connected");
        let export = AuditRequest::Export { from, by: None };
        let request = serde_json::to_string(&Request::Audit(export)).expect("JSON");
        writeln!(socket, "{request}").expect("sent");
        let mut answer = String::new();
        BufReader::new(socket)
            .read_line(&mut answer)
            .expect("an answer");
        let log = house.done(&["audit", "search", "--action", "audit.export"]);
        assert_eq!(log.lines().count(), lines, "{log}");
        let line = log.lines().next().expect("the newest");
        assert_eq!(line.contains(&format!("from={from}")), from > 1, "{line}");
    }
    assert!(house.stop().0);
}

#[test]
fn checkpoints_of_years_are_verified_on_a_server_that_runs() {
    let house = House::started("");
    let note = house.done(&["audit", "checkpoint"]);
    // As many as some years bring, which no request has room for.
    let years = house.path("years");
    let many = vec![note.trim_end(); 6_000].join("\n\n");
    assert!(many.len() > 1 << 20);
    fs::write(&years, many).expect("written");
    let holds = house.done(&[
        "audit",
        "verify",
        "--checkpoint",
        years.to_str().expect("UTF-8"),
    ]);
    assert!(
        holds.contains("it continues the 6000 checkpoints"),
        "{holds}"
    );
    // A request that is too long is said so, and what comes behind it is no request.
    let mut socket = UnixStream::connect(house.path("data/control.sock")).expect("connected");
    let mut long = vec![b' '; 1 << 20];
    long.extend(b"\"ping\"\n");
    // The server need not take all of it.
    let _ = socket.write_all(&long);
    let mut said = String::new();
    let _ = socket.read_to_string(&mut said);
    assert!(
        said.contains("at most") && said.lines().count() == 1,
        "{said}"
    );
}
