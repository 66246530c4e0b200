//! What whoever sets a server up may get wrong on the first day, and what they are told then.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::fs;
use std::process::Output;

use house::House;
use serde_json::Value;

/// What a run that must not succeed came to: its exit code, and what it said, on one line.
fn failed(house: &House, args: &[&str]) -> (Option<i32>, String) {
    said(&house.tern(args))
}

fn said(output: &Output) -> (Option<i32>, String) {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).replace("\n  │ ", " ");
    (output.status.code(), said)
}

#[test]
fn an_alias_that_is_there_is_not_replaced_unasked_and_nothing_leads_to_itself() {
    let house = House::new("");
    let info = "info@example.org";
    house.done(&["alias", "add", info, "alice@example.org"]);
    let (code, text) = failed(&house, &["alias", "add", info, "bob@example.org"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("leads to alice@example.org already"),
        "{text}"
    );
    assert!(house.done(&["alias", "list"]).contains("alice@example.org"));
    house.done(&["alias", "add", info, "bob@example.org", "--replace"]);
    assert!(house.done(&["alias", "list"]).contains("bob@example.org"));
    let (code, text) = failed(&house, &["alias", "add", "x@example.org", "x@example.org"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("can't lead to itself"), "{text}");
    let added = house.done(&["alias", "add", "y@example.org", "ghost@example.org"]);
    assert!(
        added.contains("nobody has the address ghost@example.org yet"),
        "{added}"
    );
}

#[test]
fn a_group_is_added_with_its_members() {
    let house = House::new("");
    let team = "team@example.org";
    let added = house.done(&["group", "add", team, "alice@example.org", "bob@example.org"]);
    assert_eq!(added, "group team@example.org has 2 members\n");
    let (code, text) = failed(&house, &["group", "add-member", team, team]);
    assert_eq!(code, Some(1));
    assert!(text.contains("can't lead to itself"), "{text}");
    let nobody = house.done(&["group", "remove-member", team, "carol@example.org"]);
    assert!(nobody.contains("nobody of these was in it"), "{nobody}");
    let wrong = failed(&house, &["group", "add", "b@example.org", "no address"]);
    assert_eq!(wrong.0, Some(1));
    let list = house.done(&["group", "list"]);
    assert!(!list.contains("b@example.org"), "{list}");
}

#[test]
fn a_search_that_finds_more_than_was_meant_takes_back_nothing() {
    let house = House::started("");
    house.send("one letter");
    house.send("another letter");
    let (code, text) = failed(&house, &["recall", "run", "--subject", "e"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("3 letters at least"), "{text}");
    let run = ["recall", "run", "--subject", "letter"];
    let (code, text) = failed(&house, &run);
    assert_eq!(code, Some(1));
    assert!(text.contains("2 messages fit, not 1"), "{text}");
    assert!(
        text.contains("\"another letter\"") && text.contains("--expect 2"),
        "{text}"
    );
    assert_eq!(
        failed(&house, &[&run[..], &["--expect", "3"]].concat()).0,
        Some(1)
    );
    assert_eq!(house.done(&["recall", "list"]), "");
    let done = house.done(&[&run[..], &["--expect", "2"]].concat());
    let batch = done.lines().find_map(|line| line.strip_prefix("batch "));
    let batch = batch
        .and_then(|line| line.split(':').next())
        .expect("a batch");

    // As one it is looked at, and undone.
    let (code, text) = failed(&house, &["recall", "restore", batch]);
    assert_eq!(code, Some(1));
    assert!(text.contains("is a batch of 2 recalls"), "{text}");
    let list = house.done(&["--json", "recall", "list", "--batch", batch]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(2));
    assert_eq!(list[0]["batch"], batch);
    let undone = house.done(&["recall", "restore", "--batch", batch]);
    assert!(undone.ends_with(": 2 undone, 0 not\n"), "{undone}");
    let (_, text) = failed(&house, &run);
    assert_eq!(
        text.matches("put back before: recall ").count(),
        2,
        "{text}"
    );
}

#[test]
fn what_is_asked_for_again_or_in_vain_is_said_so() {
    let house = House::started("");
    house.send("figures");
    let run = ["recall", "run", "figures@example.org"];
    let to = |address| [&run[..], &["--to", address]].concat();
    let (code, text) = failed(&house, &to("typo@example.org"));
    assert_eq!(code, Some(1));
    assert!(
        text.contains("nobody was written to as `typo@example.org`"),
        "{text}"
    );
    assert_eq!(house.done(&["recall", "list"]), "");
    house.done(&run);
    let again = house.done(&[&run[..], &["--reason", "once more"]].concat());
    assert!(
        again.starts_with("is taken back already, as asked at "),
        "{again}"
    );
    assert!(
        again.contains("reason that was given now is not kept"),
        "{again}"
    );
    let list = house.done(&["--json", "recall", "list"]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let id = list[0]["id"].as_str().expect("an id");
    let by_jmap = house.done(&["recall", "status", &format!("R{id}")]);
    assert!(
        by_jmap.starts_with(&format!("recall {id}: done")),
        "{by_jmap}"
    );
    for verb in ["cancel", "approve", "decline"] {
        let (code, text) = failed(&house, &["recall", verb, id]);
        assert_eq!(code, Some(1));
        assert!(text.contains("the recall is done"), "{verb}: {text}");
    }
    house.done(&["recall", "restore", id]);
    let again = house.done(&["recall", "restore", id]);
    assert!(again.starts_with("was put back before, at "), "{again}");
    let (code, text) = failed(&house, &["recall", "plan", "--from", "ceo@example.org"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("no message that you may take back fits this"),
        "{text}"
    );
}

#[test]
fn a_configuration_that_would_not_be_served_is_not_called_right() {
    let house = House::new("");
    let base = fs::read_to_string(house.path("tern.toml")).expect("read");
    let check = |options: &str| {
        fs::write(house.path("other.toml"), format!("{base}{options}")).expect("written");
        said(&house.tern_by("other.toml", &["config", "check"]))
    };
    let empty = house.path("empty");
    fs::create_dir(&empty).expect("made");
    let file = house.path("some.pem");
    fs::write(&file, "nothing").expect("written");
    let cases = [
        (format!("[tls]\ncertificate = {file:?}"), "go together"),
        (
            format!("[tls]\ncertificate = {file:?}\nprivate_key = \"/nowhere/key\""),
            "some.pem",
        ),
        (
            "[policy]\ndirectories = [\"/nowhere\"]".to_owned(),
            "/nowhere",
        ),
        (
            format!("[policy]\ndirectories = [{empty:?}]"),
            "no *.cedar file",
        ),
        (
            "[policy]\ncountry_database = \"/nowhere/db\"".to_owned(),
            "/nowhere/db",
        ),
        (
            "[syslog]\naddress = \"127.0.0.1:6514\"\ntrusted_certificates = \"/nowhere/ca\""
                .to_owned(),
            "/nowhere/ca",
        ),
        (
            "[limits]\nmax_connections = 0".to_owned(),
            "max_connections",
        ),
        ("[recall]\nvault_days = 0".to_owned(), "vault_days"),
    ];
    for (options, expected) in cases {
        let (code, text) = check(&options);
        assert_eq!(code, Some(1), "{options}: {text}");
        assert!(text.contains(expected), "{options}: {text}");
    }
    let named = "[recall]\nvault_days_of = { \"example.org\" = 5, \"nodomain.test\" = 5, \"nogroup@example.org\" = 5 }";
    let (code, text) = check(named);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        text.matches("there is no domain or group").count(),
        2,
        "{text}"
    );
    assert!(text.contains("is right"), "{text}");
}

#[test]
fn a_wrong_file_is_no_alarm_about_the_log() {
    let house = House::new("");
    let file = house.path("tern.toml");
    let file = file.to_str().expect("UTF-8");
    let (code, text) = failed(&house, &["audit", "verify", "--checkpoint", file]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is not a checkpoint"), "{text}");
}

#[test]
fn an_import_passes_over_empty_lines_and_says_what_came_before_a_wrong_one() {
    let house = House::new("");
    let line =
        |name: &str| format!("{{\"address\":\"{name}@example.org\",\"password\":\"long enough\"}}");
    let import = |text: String| {
        let file = house.path("people.jsonl");
        fs::write(&file, text).expect("written");
        failed(
            &house,
            &["account", "import", file.to_str().expect("UTF-8")],
        )
    };
    let (code, text) = import(format!("{}\n\n{}\n\n", line("dora"), line("emil")));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("2 added, 0 there already"), "{text}");
    for wrong in ["{\"address\":\"x@example.org\"}", "nonsense"] {
        let (code, text) = import(format!("{}\n\n{wrong}\n", line("dora")));
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("0 added, 1 there already") && text.contains("line 3: "),
            "{text}"
        );
    }
    let (code, text) = failed(&house, &["account", "import", "/nowhere/people"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("/nowhere/people"), "{text}");
}

#[test]
fn init_is_run_again_and_says_what_it_does_not_use() {
    let house = House::new("");
    let again = house.done(&[
        "init",
        "--hostname",
        "other.example",
        "--domain",
        "example.org",
    ]);
    assert!(
        again.contains("`--hostname other.example` is not used"),
        "{again}"
    );
    assert!(
        again.contains("domain example.org is there already"),
        "{again}"
    );
}

#[test]
fn an_account_that_was_disabled_is_enabled_by_that_word() {
    let house = House::new("");
    let bob = "bob@example.org";
    house.done(&["account", "disable", bob]);
    house.done(&["account", "enable", bob]);
    house.done(&["account", "quota", bob, "5GB"]);
    let list = house.done(&["account", "list"]);
    assert!(list.contains("bob@example.org  active"), "{list}");
    assert!(list.contains("quota 5000000000"), "{list}");
}

#[test]
fn a_store_that_can_not_be_read_is_not_served() {
    use tern_store::{Read as _, Verdict, transact};
    let house = House::new("");
    {
        let store = house.path("data/store");
        let settings = tern_store_rocksdb::Settings::default();
        let engine = tern_store_rocksdb::RocksEngine::open(&store, &settings).expect("open");
        // Every row of the directory's accounts as another build might have written it.
        let range = tern_store::Range::prefix(vec![ACCOUNT]);
        let page = engine.scan(&range, 100).expect("a page");
        assert_eq!(page.rows.len(), 3);
        transact(&engine, |txn| {
            for (key, row) in &page.rows {
                let mut row = row.clone();
                row[0] = 0xee;
                txn.put(key.clone(), row);
            }
            Ok::<_, tern_store::StoreError>(Verdict::Commit(()))
        })
        .expect("written");
    }
    let (code, text) = failed(&house, &["serve"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("the store's accounts can't be read"),
        "{text}"
    );
}

/// The table of accounts.
const ACCOUNT: u8 = 0x22;
