//! The command line, with and without a server: the same answers by the same verbs.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use house::{House, message};

#[test]
fn commands_do_the_same_with_and_without_a_server() {
    let mut house = House::new("");
    let without = session(&house, "one.example");
    house.start();
    let with = session(&house, "two.example");
    assert_eq!(without.replace("one.example", "two.example"), with);
    assert!(house.stop().0);
    assert_eq!(house.done(&["check"]), "everything holds\n");
    assert!(
        house
            .done(&["audit", "verify"])
            .starts_with("the log holds: ")
    );
}

/// A run through the directory, and what was printed.
fn session(house: &House, domain: &str) -> String {
    let at = |local: &str| format!("{local}@{domain}");
    let (ann, ben, all, info) = (at("ann"), at("ben"), at("all"), at("info"));
    let commands: &[&[&str]] = &[
        &["domain", "add", domain],
        &[
            "account",
            "add",
            &ann,
            "--name",
            "Ann",
            "--password",
            "long enough",
        ],
        &[
            "account",
            "add",
            &ben,
            "--quota",
            "1000",
            "--password",
            "long enough",
        ],
        &["alias", "add", &info, &ann, "far@elsewhere.test"],
        &["group", "add", &all, "--name", "Everybody"],
        &["group", "add-member", &all, &ann, &ben, &info],
        &["group", "list", &all],
        &["group", "list"],
        &["alias", "list"],
        &["group", "remove-member", &all, &ben],
        &["account", "quota", &ben, "0"],
        &["account", "disable", &ben],
        &["account", "disable", &ben, "--undo"],
        &["account", "remove", &ben],
        &["group", "remove", &all],
        &["alias", "remove", &info],
        &["account", "remove", &ann],
        &["domain", "remove", domain],
    ];
    commands.iter().map(|command| house.done(command)).collect()
}

#[test]
fn what_can_not_be_done_says_why() {
    let house = House::new("");
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["domain", "add", "example.org"],
            1,
            "domain example.org is there already",
        ),
        (&["domain", "add", "a b"], 1, "`a b` is not a domain"),
        (
            &["domain", "remove", "example.org"],
            1,
            "the domain still has addresses",
        ),
        (
            &["account", "add", "x@example.org", "--password", "short"],
            1,
            "8 to 1024 bytes",
        ),
        (
            &[
                "account",
                "add",
                "x@no.example",
                "--password",
                "long enough",
            ],
            1,
            "not one of this server",
        ),
        (
            &[
                "account",
                "add",
                "bob@example.org",
                "--password",
                "long enough",
            ],
            1,
            "the address is taken",
        ),
        (
            &["account", "remove", "x@example.org"],
            1,
            "there is no account `x@example.org`",
        ),
        (
            &["group", "list", "x@example.org"],
            1,
            "there is no group `x@example.org`",
        ),
        (&["queue", "cancel", "zz"], 1, "`zz` is not a queue id"),
        (
            &["queue", "hold", "00000000000000000000000000000000"],
            1,
            "there is no queue item",
        ),
        (
            &["recall", "status", "00000000000000000000000000000000"],
            1,
            "no such recall",
        ),
        (
            &["recall", "run", "--by", "bob@example.org", "x@y"],
            1,
            "refused (not-found)",
        ),
        (&["account", "fly"], 2, "unrecognized subcommand"),
    ];
    for (command, code, text) in cases {
        let output = house.tern(command);
        let error = String::from_utf8_lossy(&output.stderr).replace("\n  │ ", " ");
        assert_eq!(output.status.code(), Some(*code), "{command:?}: {error}");
        assert!(error.contains(text), "{command:?}: {error}");
    }
}

#[test]
fn a_message_for_outside_waits_and_can_be_handled() {
    let house = House::started("");
    let mut alice = house.submission("alice");
    let content = message("outside");
    let sent = alice.send(
        "alice@example.org",
        &["far@elsewhere.test"],
        content.as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
    let list = || -> serde_json::Value {
        serde_json::from_str(&house.done(&["--json", "queue", "list"])).expect("JSON")
    };
    let field = |list: &serde_json::Value, key: &str| list[0][key].as_str().map(str::to_owned);
    let items = list();
    assert_eq!(
        field(&items, "recipient").as_deref(),
        Some("far@elsewhere.test")
    );
    let id = field(&items, "id").expect("an id");
    // While the first attempt is under way a hold waits for its end.
    let since = std::time::Instant::now();
    while list()[0]["state"] != "ready" && since.elapsed() < house::TIME_LIMIT {}
    assert_eq!(
        house.done(&["queue", "hold", &id, "--reason", "look"]),
        "held\n"
    );
    assert_eq!(field(&list(), "reason").as_deref(), Some("look"));
    assert_eq!(house.done(&["queue", "flush"]), "0 items are due now\n");
    assert_eq!(house.done(&["queue", "cancel", &id]), "cancelled\n");
    assert_eq!(house.done(&["queue", "list"]), "the queue is empty\n");
}

#[test]
fn recalls_from_the_command_line() {
    let house = House::started("");
    house.send("oops");
    let by: &[&str] = &["--by", "alice@example.org", "<oops@example.org>"];
    let plan = house.done(&[&["recall", "plan"], by].concat());
    assert!(plan.contains("withdrawn-unexposed  1 copy"), "{plan}");
    let mut bob = house.imap("bob");
    assert_eq!(
        bob.command("SELECT INBOX")
            .expect("an answer")
            .number("EXISTS"),
        Some(1)
    );
    let run = house.done(&[&["recall", "run", "--reason", "wrong file"], by].concat());
    assert!(
        run.contains("bob@example.org: withdrawn-unexposed"),
        "{run}"
    );
    assert!(bob.command("NOOP").expect("an answer").says("1 EXPUNGE"));
    let list: serde_json::Value =
        serde_json::from_str(&house.done(&["--json", "recall", "list"])).expect("JSON");
    let id = list[0]["id"].as_str().expect("an id");
    assert!(house.done(&["recall", "restore", id]).contains("restored"));
    assert!(bob.command("NOOP").expect("an answer").says("1 EXISTS"));
    let log = house.done(&["audit", "list", "--action", "recall"]);
    assert!(log.contains("recall.restore"), "{log}");
}

#[test]
fn a_backup_is_a_store_and_the_log_exports() {
    let house = House::started("");
    house.send("kept");
    let backup = house.path("backup");
    let target = backup.join("store");
    std::fs::create_dir(&backup).expect("made");
    house.done(&["backup", target.to_str().expect("UTF-8")]);
    let text = format!("[server]\ndata_dir = {backup:?}\n");
    std::fs::write(house.path("backup.toml"), text).expect("written");
    let list = house.done_by("backup.toml", &["account", "list"]);
    assert!(list.contains("bob@example.org  active"), "{list}");
    assert_eq!(
        house.done_by("backup.toml", &["check"]),
        "everything holds\n"
    );
    let export = house.done(&["audit", "export"]);
    let actions: Vec<String> = export
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|row| {
            row["entry"]["action"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    assert_eq!(actions[..2], ["domain.add", "account.add"]);
    assert!(actions.contains(&"store.backup".to_owned()));
}
