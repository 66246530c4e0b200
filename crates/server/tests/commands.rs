//! The command line, with and without a server: the same answers by the same verbs.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

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
        &[
            "account",
            "redirect",
            &ben,
            &ann,
            "x@elsewhere.test",
            "--keep",
        ],
        &["account", "redirect", &ben, &ann],
        &["account", "list"],
        &["account", "redirect", &ben, "--off"],
        &["account", "disable", &ben],
        &["account", "disable", &ben, "--undo"],
        &["account", "app-password", "list", &ben],
        &["account", "remove", &ben],
        &["group", "remove", &all],
        &["alias", "remove", &info],
        &["account", "remove", &ann],
        &["domain", "remove", domain],
    ];
    commands.iter().map(|command| house.done(command)).collect()
}

#[test]
fn an_account_sends_its_mail_on_and_a_recall_takes_it_back_from_where_it_went() {
    let house = House::started("");
    let said = house.done(&[
        "account",
        "redirect",
        "bob@example.org",
        "carol@example.org",
    ]);
    assert_eq!(
        said,
        "mail of bob@example.org is sent on to carol@example.org\n"
    );
    let list = house.done(&["account", "list"]);
    assert!(list.contains(", sent on to carol@example.org"), "{list}");
    house.send("onward");
    let count = |name: &str| {
        let mut client = house.imap(name);
        let reply = client
            .command("STATUS INBOX (MESSAGES)")
            .expect("an answer");
        reply.untagged.join(" ")
    };
    assert!(count("carol").contains("MESSAGES 1"), "{}", count("carol"));
    assert!(count("bob").contains("MESSAGES 0"), "{}", count("bob"));
    let id = "onward@example.org";
    let report = house.done(&["recall", "run", "--by", "alice@example.org", id]);
    assert!(report.contains("bob@example.org (redirect)"), "{report}");
    assert!(count("carol").contains("MESSAGES 0"), "{}", count("carol"));
    let log = house.done(&["audit", "list", "--action", "account.redirect"]);
    assert!(log.contains("carol@example.org"), "{log}");
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
            &["account", "redirect", "bob@example.org", "bob@example.org"],
            1,
            "not sent on to itself",
        ),
        (
            &[
                "account",
                "redirect",
                "bob@example.org",
                "nobody@example.org",
            ],
            1,
            "no such address",
        ),
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
        (
            &["account", "app-password", "remove", "bob@example.org", "7"],
            1,
            "there is no app password `7`",
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
    let tried = || {
        let item = &list()[0];
        item["attempts"] != 0 && item["state"] == "ready"
    };
    while !tried() && since.elapsed() < house::TIME_LIMIT {}
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
    assert!(
        plan.contains("     1  taken back without having been opened (withdrawn-unexposed)"),
        "{plan}"
    );
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
    let restored_by = |who: &str| house.tern(&["recall", "restore", id, "--as", who]);
    assert!(!restored_by("bob@example.org").status.success());
    assert!(restored_by("alice@example.org").status.success());
    assert!(bob.command("NOOP").expect("an answer").says("1 EXISTS"));
    let log = house.done(&["audit", "list", "--action", "recall"]);
    assert!(log.contains("recall.restore-refused"), "{log}");
    assert!(log.contains("recall.restored"), "{log}");
}

#[test]
fn retracts_from_the_command_line() {
    let house = House::started("");
    house.send("one");
    house.send("two");
    let from: &[&str] = &["--from", "alice@example.org", "--since", "2020-01-01"];
    let plan = house.done(&[&["recall", "plan"], from].concat());
    assert!(plan.ends_with("2 messages\n"), "{plan}");
    let nobody = [&["recall", "plan", "--until", "2020-01-01"], &from[..2]].concat();
    assert!(!house.tern(&nobody).status.success());
    assert!(
        !house
            .tern(&["recall", "run", "--since", "2020-01-01"])
            .status
            .success()
    );
    // Bob has read one of them.
    let mut bob = house.imap("bob");
    bob.command("SELECT INBOX").expect("an answer");
    bob.command("FETCH 1 BODY[]").expect("an answer");
    let only = ["--only", "unexposed", "--to", "bob@example.org"];
    let run = house.done(&[&["recall", "run", "--expect", "2"], from, &only].concat());
    assert!(
        run.contains("     1  kept, by a rule or by choice (kept-by-policy)"),
        "{run}"
    );
    assert!(
        run.contains("     1  taken back without having been opened (withdrawn-unexposed)"),
        "{run}"
    );
    assert!(run.contains("batch "), "{run}");
    assert!(bob.command("NOOP").expect("an answer").says("2 EXPUNGE"));
}

#[test]
fn a_conversation_from_the_command_line() {
    let house = House::started("");
    house.send("offer");
    let reply = "From: bob@example.org\r\nTo: alice@example.org\r\nSubject: Re: offer\r\n\
                 Message-ID: <reply@example.org>\r\nIn-Reply-To: <offer@example.org>\r\n\r\n\
                 > Text of offer.\r\nNo.\r\n";
    let mut bob = house.submission("bob");
    let sent = bob.send("bob@example.org", &["alice@example.org"], reply.as_bytes());
    let (_, (code, text)) = sent.expect("an answer");
    assert_eq!(code, 250, "{text}");
    let plan = ["recall", "plan", "offer@example.org"];
    let shown = house.done(&plan);
    assert!(
        shown.contains("answered by 1 message that may quote it"),
        "{shown}"
    );
    assert!(
        shown.contains("1  bob@example.org, \"Re: offer\", sent "),
        "{shown}"
    );
    let data = house.done(&[&plan[..], &["--json"]].concat());
    let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    let quoted = &data["messages"][0]["quoted"][0];
    assert_eq!(quoted["messageId"], "reply@example.org", "{data}");
    assert_eq!(quoted["sender"], "bob@example.org", "{data}");
    let mut alice = house.imap("alice");
    assert!(
        alice
            .command("SELECT INBOX")
            .expect("an answer")
            .says("1 EXISTS")
    );
    let run = [
        "recall",
        "run",
        "offer@example.org",
        "--reach",
        "conversation",
        "--yes",
    ];
    let run = house.done(&run);
    assert!(
        run.contains("batch ") && run.ends_with("2 messages\n"),
        "{run}"
    );
    assert!(alice.command("NOOP").expect("an answer").says("1 EXPUNGE"));
    let too_deep = house.tern(&[&plan[..], &["--depth", "6"]].concat());
    assert!(!too_deep.status.success());
}

#[test]
fn holds_from_the_command_line() {
    let house = House::started("");
    let bob = ["--account", "bob@example.org", "--why", "case 12"];
    let carol = ["--as", "carol@example.org"];
    let add = [&["hold", "add"], &bob[..]].concat();
    let refused = house.tern(&[&add[..], &carol].concat());
    assert!(!refused.status.success(), "{refused:?}");
    let officer = [
        "compliance-officer",
        "carol@example.org",
        "--over",
        "example.org",
    ];
    house.done(&[&["role", "grant"], &officer[..]].concat());
    let added = house.done(&[&add[..], &carol].concat());
    assert!(added.contains("account bob@example.org"), "{added}");
    let id = added.split(' ').next().expect("an id").to_owned();
    house.send("kept");
    let mut client = house.imap("bob");
    client.command("SELECT INBOX").expect("an answer");
    client
        .command("STORE 1 +FLAGS (\\Deleted)")
        .expect("an answer");
    client.command("EXPUNGE").expect("an answer");
    let shown = house.done(&["hold", "show", &id]);
    assert!(shown.contains("all holds together keep 1 copy"), "{shown}");
    let export = house.path("export");
    let to = export.to_str().expect("UTF-8");
    let read_out = [&["hold", "export", &id, to], &carol[..]].concat();
    let written = house.done(&read_out);
    assert!(written.starts_with("1 copy written"), "{written}");
    let manifest = std::fs::read_to_string(export.join("manifest.jsonl")).expect("a manifest");
    let line: serde_json::Value = serde_json::from_str(&manifest).expect("one line");
    assert_eq!(line["about"]["account"], "bob@example.org");
    let file = line["file"].as_str().expect("a name");
    let message = std::fs::read_to_string(export.join(file)).expect("a message");
    assert!(message.contains("Subject: kept"), "{message}");
    assert!(!house.tern(&read_out).status.success(), "it is there");
    house.done(&[&["hold", "release", &id], &carol[..]].concat());
    assert_eq!(house.done(&["hold", "list"]), "");
    let log = house.done(&["audit", "list", "--action", "hold"]);
    for action in [
        "hold.add-refused",
        "hold.add",
        "hold.export",
        "hold.release",
    ] {
        assert!(log.contains(action), "{log}");
    }
    assert!(log.contains("carol@example.org"), "{log}");
}

#[test]
fn a_backup_is_a_store_and_the_log_exports() {
    let house = House::started("");
    house.send("kept");
    let backup = house.path("backup");
    let target = backup.join("store");
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&backup)
        .expect("made");
    house.done(&["backup", target.to_str().expect("UTF-8")]);
    let text = format!("[server]\ndata_dir = {backup:?}\n");
    std::fs::write(house.path("backup.toml"), text).expect("written");
    let list = house.done_by("backup.toml", &["account", "list"]);
    assert!(list.contains("bob@example.org  active"), "{list}");
    assert_eq!(
        house.done_by("backup.toml", &["check"]),
        "everything holds\n"
    );
    let opened = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(&backup, opened).expect("set");
    let refused = house.tern_by("backup.toml", &["account", "list"]);
    let error = String::from_utf8_lossy(&refused.stderr).replace("\n  │ ", " ");
    assert!(!refused.status.success());
    assert!(
        error.contains("(mode 0750)") && error.contains("chmod 700"),
        "{error}"
    );
    assert!(house.done(&["compact"]).starts_with("store compacted"));
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
    assert_eq!(actions[..3], ["audit.key", "domain.add", "account.add"]);
    assert!(actions.contains(&"store.backup".to_owned()));
}

#[test]
fn an_empty_data_directory_is_closed() {
    let house = House::new("");
    let fresh = house.path("fresh");
    std::fs::create_dir(&fresh).expect("made");
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).expect("set");
    let text = format!("[server]\ndata_dir = {fresh:?}\n");
    std::fs::write(house.path("fresh.toml"), text).expect("written");
    house.done_by("fresh.toml", &["init", "--hostname", "unused.example"]);
    let mode = std::fs::metadata(&fresh)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn the_control_socket_is_its_owners_alone() {
    let house = House::started("");
    let socket = std::fs::metadata(house.path("data/control.sock")).expect("there");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    assert!(!house.path("data/control.new").exists());
}

#[test]
fn the_audit_log_is_listed_in_full_and_by_choice() {
    let house = House::new("");
    house.done(&["account", "quota", "bob@example.org", "12345"]);
    house.done(&["account", "disable", "bob@example.org"]);
    let list = |options: &[&str]| house.done(&[&["audit", "list"], options].concat());
    let quota = list(&["--action", "account.quota"]);
    assert_eq!(quota.lines().count(), 1, "{quota}");
    for part in [
        "account.quota  bob@example.org",
        "protocol=cli",
        "quota_bytes=12345",
    ] {
        assert!(quota.contains(part), "no {part}: {quota}");
    }
    let bob = list(&["--target", "bob@example.org"]);
    let actions: Vec<&str> = bob
        .lines()
        .filter_map(|line| line.split("  ").nth(3))
        .collect();
    assert_eq!(actions, ["account.disable", "account.quota", "account.add"]);
    assert_eq!(list(&["--since", "2999-01-01"]), "");
    assert_eq!(list(&["--before", "2000-01-01"]), "");
    assert_eq!(list(&["--actor", "nobody at all"]), "");
    let own = quota.split("  ").nth(2).expect("an actor");
    let name = own.strip_prefix("operator ").expect("an operator");
    assert!(list(&["--actor", name]).contains("account.disable"));
    // As JSON it is what the export has.
    let json = house.done(&["--json", "audit", "list", "--action", "account.quota"]);
    let listed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let export = house.done(&["audit", "export"]);
    let exported = export
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .find(|row| row["entry"]["action"] == "account.quota");
    assert_eq!(listed["entries"][0], exported.expect("the entry"));
    let reads = list(&["--action", "audit.read"]);
    assert!(reads.contains("filter=\"actor=nobody at all\""), "{reads}");
}

#[test]
fn what_is_refused_is_not_on_record() {
    let house = House::new("");
    let count = || house.done(&["audit", "export"]).lines().count();
    let before = count();
    let refused: &[&[&str]] = &[
        &["domain", "add", "example.org"],
        &["domain", "remove", "example.org"],
        &["alias", "remove", "none@example.org"],
        &["group", "add", "bob@example.org"],
        &[
            "account",
            "password",
            "bob@example.org",
            "--password",
            "short",
        ],
        &["queue", "hold", "00000000000000000000000000000000"],
    ];
    for command in refused {
        assert!(!house.tern(command).status.success(), "{command:?}");
    }
    // The first count put itself on record.
    assert_eq!(count(), before + 1);
}

#[test]
fn what_somebody_has_written_does_not_command_the_terminal() {
    let house = House::started("");
    house.send("=?utf-8?Q?quarter=1B]0;mine=07=0Arecall_forged:_done?=");
    let reason = "wrong \u{1b}[2J file";
    let by = [
        "recall",
        "run",
        "--from",
        "alice@example.org",
        "--reason",
        reason,
    ];
    let told = house.done(&by) + &house.done(&["recall", "list"]);
    assert!(
        !told.contains('\u{1b}') && !told.contains('\u{7}'),
        "{told:?}"
    );
    assert!(told.contains("\nReason: wrong  [2J file\n"), "{told:?}");
    assert!(!told.contains("\nrecall forged"), "{told:?}");
    assert_eq!(
        told.matches("quarter ]0;mine  recall forged: done").count(),
        2,
        "{told:?}"
    );
}

#[test]
fn every_member_of_a_group_is_in_the_log() {
    let house = House::new("");
    let all = "all@example.org";
    house.done(&["group", "add", all]);
    let members: Vec<String> = (0..250)
        .map(|n| format!("a-rather-long-name-of-number-{n}@elsewhere.example"))
        .collect();
    let names = members.iter().map(String::as_str);
    let add: Vec<&str> = ["group", "add-member", all]
        .into_iter()
        .chain(names)
        .collect();
    house.done(&add);
    let log = house.done(&["audit", "search", "--action", "group.add-member"]);
    for member in &members {
        assert!(log.contains(member), "{member} is not in {log}");
    }
    assert!(!log.contains('…'), "{log}");
    assert_eq!(log.lines().count(), 3, "{log}");
}

#[test]
fn an_import_gives_nobody_the_servers_own_address_and_makes_a_page_whole_or_not_at_all() {
    let house = House::new("");
    let file = house.path("accounts");
    let import = |lines: &str| {
        std::fs::write(&file, lines).expect("written");
        let output = house.tern(&["account", "import", file.to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).replace("\n  │ ", " ")
    };
    let line =
        |address: &str| format!("{{\"address\": \"{address}\", \"password\": \"long enough\"}}\n");
    let before = house.done(&["account", "list"]);
    let first = line("first@example.org");
    for (second, why) in [
        ("recall@example.org", "is kept"),
        ("recall+any@example.org", "is kept"),
        ("first@example.org", "is on a line before, too"),
        ("second@elsewhere.example", "line 2: "),
    ] {
        let said = import(&format!("{first}{}", line(second)));
        assert!(
            said.contains("line 2: ") && said.contains(why),
            "{second}: {said}"
        );
        assert_eq!(house.done(&["account", "list"]), before, "{second}");
    }
}
