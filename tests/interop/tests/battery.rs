//! Everyday mail by everyday clients: imapclient, Python's imaplib, Perl's
//! Mail::IMAPClient, mbsync, NeoMutt, curl.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test panics and reads clocks"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tern_interop::house::{address, letter, password};
use tern_interop::mbsync::Mirror;
use tern_interop::process::{program_of, run};
use tern_interop::{DEADLINE, House, Screen, client_script, corpus, until};

#[test]
fn folders_with_names_in_any_script() {
    let house = House::new();
    let mut bob = house.imap("bob");
    let names = [
        "Entwürfe",
        "受信箱",
        "Проекты/Осень",
        "a & b",
        "with \"quotes\"",
        "~peter/mail",
    ];
    for name in names {
        bob.call("create_folder", json!([name]));
    }
    let listed = bob.call("list_folders", json!([]));
    let listed: BTreeSet<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row[2].as_str())
        .collect();
    for name in names {
        assert!(listed.contains(name), "{name} is not in {listed:?}");
        bob.call(
            "append",
            json!([name, letter("bob", "bob", "folders"), [], null]),
        );
        assert_eq!(bob.uids(name), [1], "{name}");
    }
    bob.call("rename_folder", json!(["受信箱", "Архив/受信箱"]));
    assert_eq!(bob.uids("Архив/受信箱"), [1]);
    assert!(bob.attempt("select_folder", json!(["受信箱"])).is_err());
    bob.call("delete_folder", json!(["Entwürfe"]));
    assert_eq!(bob.call("folder_exists", json!(["Entwürfe"])), json!(false));
    assert!(
        bob.attempt("delete_folder", json!(["INBOX"])).is_err(),
        "the inbox stays"
    );
    let mirror = Mirror::new(&house, "bob", "names");
    let mut special = house.imap("carol");
    special.call("create_folder", json!(["Söder & Co"]));
    special.call(
        "append",
        json!(["Söder & Co", letter("carol", "bob", "names"), [], null]),
    );
    drop(mirror);
    let mirror = Mirror::new(&house, "carol", "carols");
    mirror.sync().ok();
    let mirrored: usize = std::fs::read_dir(mirror.path())
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains("der "))
        .count();
    assert_eq!(mirrored, 1);
    house.close();
}

#[test]
fn flags_search_and_quota_by_imapclient() {
    let house = House::new();
    let mut bob = house.imap("bob");
    for number in 0..30 {
        let flags: &[&str] = if number % 3 == 0 {
            &["\\Seen", "\\Flagged"]
        } else {
            &[]
        };
        let date = format!("2026-10-{:02}T12:00:00+02:00", number % 28 + 1);
        let content = letter("alice", "bob", &format!("word{number}"));
        bob.call("append", json!(["INBOX", content, flags, date]));
    }
    bob.call("select_folder", json!(["INBOX"]));
    let mut count = |criteria: Value| {
        bob.call("search", json!([criteria]))
            .as_array()
            .map_or(0, Vec::len)
    };
    let cases = [
        (json!(["ALL"]), 30),
        (json!(["SEEN"]), 10),
        (json!(["UNSEEN", "NOT", "FLAGGED"]), 20),
        (json!(["SUBJECT", "about WORD2"]), 11),
        (json!(["TEXT", "the word is word29"]), 1),
        (json!(["BODY", "alice@example.org"]), 0),
        (json!(["SINCE", "28-Oct-2026"]), 1),
        (json!(["BEFORE", "03-Oct-2026"]), 4),
        (json!(["SENTON", "20-Nov-2026"]), 30),
        (json!(["LARGER", 100_000]), 0),
        (json!(["OR", "SUBJECT", "word7", "SUBJECT", "word8"]), 2),
        (json!(["HEADER", "Message-ID", "<word3@example.org>"]), 1),
    ];
    for (criteria, expected) in cases {
        assert_eq!(count(criteria.clone()), expected, "{criteria}");
    }
    bob.call("add_flags", json!([[1, 2, 3], ["\\Answered", "$Work"]]));
    bob.call("remove_flags", json!([[1], ["\\Seen"]]));
    bob.call("set_flags", json!([[2], ["\\Draft"]]));
    let flags = bob.call("get_flags", json!([[1, 2, 3]]));
    let of = |uid: &str| -> BTreeSet<String> {
        let flags = flags[uid].as_array().cloned().unwrap_or_default();
        flags
            .iter()
            .filter_map(|flag| flag.as_str().map(str::to_owned))
            .collect()
    };
    assert!(
        of("1").contains("$Work") && !of("1").contains("\\Seen"),
        "{flags}"
    );
    assert!(
        of("2").contains("\\Draft") && !of("2").contains("\\Answered"),
        "{flags}"
    );
    assert!(of("3").contains("\\Answered"), "{flags}");
    bob.call("delete_messages", json!([[4, 5]]));
    bob.call("expunge", json!([]));
    assert_eq!(bob.uids("INBOX").len(), 28);
    let quota = bob.call("get_quota_root", json!(["INBOX"]));
    assert!(
        quota.to_string().contains("STORAGE") || quota[1] == json!([]),
        "{quota}"
    );
    let status = bob.call(
        "folder_status",
        json!(["INBOX", ["MESSAGES", "UNSEEN", "UIDNEXT"]]),
    );
    assert_eq!(
        (&status["MESSAGES"], &status["UIDNEXT"]),
        (&json!(28), &json!(31)),
        "{status}"
    );
    house.close();
}

#[test]
fn python_imaplib() {
    let house = House::new();
    let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
    command
        .arg(client_script("imaplib_battery.py"))
        .arg(house.tern.port("imaps").to_string());
    command
        .arg(house.tern.certificate())
        .args([address("bob"), password("bob")]);
    let said = run(&mut command, b"", DEADLINE).ok();
    assert_eq!(said.trim(), "done");
    house.close();
}

/// Mail::IMAPClient, as one of the house.
fn perl(house: &House, who: &str, further: &[&str]) {
    let mut command = Command::new("perl");
    command
        .arg(client_script("perl_battery.pl"))
        .arg(house.tern.port("imaps").to_string())
        .arg(house.tern.certificate())
        .args([address(who), password(who)])
        .args(further);
    let said = run(&mut command, b"", DEADLINE).ok();
    assert_eq!(said.trim(), "done");
}

#[test]
fn perl_sorts_and_threads() {
    let house = House::new();
    perl(&house, "bob", &[]);
    house.close();
}

#[test]
fn perl_does_the_same_compressed() {
    let house = House::new();
    perl(&house, "bob", &["compressed"]);
    house.close();
}

#[test]
fn curl_lists_and_fetches() {
    let house = House::new();
    house
        .submit_tls(
            "alice",
            &["bob@example.org"],
            &letter("alice", "bob", "curled"),
        )
        .ok();
    let curl = |path: &str| {
        let url = format!("imaps://localhost:{}/{path}", house.tern.port("imaps"));
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]);
        command.arg(house.tern.certificate()).arg("--user");
        command
            .arg(format!("{}:{}", address("bob"), password("bob")))
            .arg(url);
        run(&mut command, b"", DEADLINE).ok()
    };
    assert!(curl("").contains("INBOX"));
    assert!(curl("INBOX;MAILINDEX=1").contains("The word is curled."));
    assert!(curl("INBOX?SUBJECT%20curled").contains("* SEARCH 1"));
    house.close();
}

#[test]
fn mbsync_both_ways_with_two_hundred_messages() {
    let house = House::new();
    let mut bob = house.imap("bob");
    for number in 0..200 {
        let content = letter("alice", "bob", &format!("bulk{number}"));
        bob.call("append", json!(["INBOX", content, [], null]));
    }
    let mirror = Mirror::new(&house, "bob", "bulk");
    mirror.sync().ok();
    assert_eq!(mirror.files("INBOX").len(), 200);
    // Here: ten are removed and ten flagged there, ten removed here, five written here.
    bob.call("select_folder", json!(["INBOX"]));
    bob.call("delete_messages", json!([(1..=10).collect::<Vec<u32>>()]));
    bob.call("expunge", json!([]));
    bob.call(
        "add_flags",
        json!([(11..=20).collect::<Vec<u32>>(), ["\\Flagged"]]),
    );
    for number in 100..110 {
        let files = mirror.holding("INBOX", &format!("The word is bulk{number}."));
        std::fs::remove_file(&files[0]).unwrap();
    }
    for number in 0..5 {
        let content = letter("bob", "bob", &format!("offline{number}"));
        mirror.put(
            "INBOX",
            &format!("17000000{number:02}.new.offline"),
            &content,
        );
    }
    mirror.sync().ok();
    mirror.sync().ok();
    assert_eq!(mirror.files("INBOX").len(), 185);
    assert_eq!(bob.uids("INBOX").len(), 185);
    let flagged = mirror
        .files("INBOX")
        .iter()
        .filter(|file| {
            file.to_string_lossy()
                .rsplit_once(":2,")
                .is_some_and(|(_, f)| f.contains('F'))
        })
        .count();
    assert_eq!(flagged, 10);
    for number in 0..5 {
        assert!(bob.holds("INBOX", &format!("The word is offline{number}.")));
    }
    assert!(!bob.holds("INBOX", "The word is bulk105."));
    house.close();
}

/// What the reception port must refuse of the corpus: nothing else may be lost.
fn refused_by_rule(path: &PathBuf) -> bool {
    std::fs::read(path).unwrap().contains(&0)
}

#[test]
fn the_corpus_comes_back_byte_for_byte() {
    let house = House::new();
    let files = corpus();
    let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
    command
        .arg(client_script("corpus_send.py"))
        .arg(house.tern.port("smtp").to_string());
    command
        .args(["someone@elsewhere.test", "bob@example.org"])
        .args(&files);
    let said = run(&mut command, b"", DEADLINE).ok();
    let mut delivered = Vec::new();
    for (line, file) in said.lines().zip(&files) {
        let told: Value = serde_json::from_str(line).unwrap();
        let refused = told["code"] != 250;
        assert_eq!(refused, refused_by_rule(file), "{told}");
        if !refused {
            delivered.push(file.clone());
        }
    }
    assert!(
        delivered.len() >= 100,
        "{} of {} delivered",
        delivered.len(),
        files.len()
    );
    let mut command = Command::new(program_of("TERN_TEST_PYTHON"));
    command
        .arg(client_script("corpus_fetch.py"))
        .arg(house.tern.port("imaps").to_string());
    command
        .arg(house.tern.certificate())
        .args([address("bob"), password("bob")])
        .args(&delivered);
    let said = run(&mut command, b"", DEADLINE).ok();
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        told,
        json!({"messages": delivered.len(), "wrong": []}),
        "{told:#}"
    );
    open_all_by_neomutt(&house, delivered.len());
    house.close();
}

/// Opens every message of bob's inbox in turn; none may trouble the client or the server.
fn open_all_by_neomutt(house: &House, count: usize) {
    let screen = Screen::neomutt(house, "bob", "INBOX");
    screen.wait_for(&format!("Msgs:{count}"));
    screen.keys(&["=", "Enter"]);
    for number in 1..=count {
        screen.wait_for(&format!("{number}/{count}:"));
        let shown = screen.shown();
        for trouble in ["Could not", "Fatal error", "Connection to", "closed"] {
            assert!(
                !shown.lines().last().unwrap_or_default().contains(trouble),
                "{shown}"
            );
        }
        if number < count {
            screen.text("J");
        }
    }
    screen.keys(&["q"]);
    screen.text("q");
    until("NeoMutt ends", DEADLINE, || {
        (!screen.is_open()).then_some(())
    });
}
