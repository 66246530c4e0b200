//! Mail to many: a destination that is slow keeps nobody else's mail.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::time::Instant;

use house::remote::Remote;
use house::{House, TIME_LIMIT, address, message};
use serde_json::{Value, json};

#[test]
fn a_slow_domain_leaves_room_for_others() {
    let (slow, other) = (Remote::new(), Remote::new());
    let routes = [slow.route("slow.test"), other.route("other.test")].concat();
    let mut house = House::new(&format!("[relay.routes]\n{routes}"));
    let config = std::fs::read_to_string(house.path("tern.toml")).expect("read");
    let bounds = "[relay]\nconcurrency = 3\nconcurrency_per_destination = 2\nrecipients_per_transaction = 1\n";
    let config = config.replacen("[relay]\n", bounds, 1);
    std::fs::write(house.path("tern.toml"), config).expect("written");
    house.start();
    let to: Vec<String> = (0..8).map(|n| format!("r{n}@slow.test")).collect();
    let mut to: Vec<&str> = to.iter().map(String::as_str).collect();
    to.push("dora@other.test");
    let mut alice = house.submission("alice");
    let sent = alice.send(&address("alice"), &to, message("all").as_bytes());
    assert_eq!(sent.expect("an answer").1.0, 250);
    // Nobody is greeted at the one, and the other is called all the same.
    let (mut first, _second) = (slow.call(), slow.call());
    other.call().take();
    assert!(slow.is_quiet(), "no third at once");
    // Whoever is done makes room for the next.
    first.take();
    slow.call();
}

/// Domains whose mail goes to one address share its sessions, and who waits for one is not tried.
#[test]
fn one_host_of_many_domains_leaves_room_for_others() {
    let (slow, other) = (Remote::new(), Remote::new());
    // The same address by three names.
    let names = ["127.0.0.1", "127.1", "127.0.1"].into_iter().enumerate();
    let mut routes: String = names
        .map(|(n, name)| format!("\"d{n}.test\" = \"{name}:{}\"\n", slow.port))
        .collect();
    routes.push_str(&other.route("other.test"));
    let mut house = House::new(&format!("[relay.routes]\n{routes}"));
    let config = std::fs::read_to_string(house.path("tern.toml")).expect("read");
    let bounds = "[relay]\nconcurrency = 3\nconcurrency_per_destination = 1\n";
    let config = config.replacen("[relay]\n", bounds, 1);
    std::fs::write(house.path("tern.toml"), config).expect("written");
    house.start();
    let to = ["a@d0.test", "b@d1.test", "c@d2.test", "d@other.test"];
    let mut alice = house.submission("alice");
    let sent = alice.send(&address("alice"), &to, message("all").as_bytes());
    assert_eq!(sent.expect("an answer").1.0, 250);
    let mut first = slow.call();
    other.call().take();
    let since = Instant::now();
    let waits = |item: &Value| item["lastReply"].to_string().contains("as many sessions");
    loop {
        let found = house.done(&["--json", "queue", "list"]);
        let found: Vec<Value> = serde_json::from_str(&found).expect("JSON");
        let waiting: Vec<&Value> = found.iter().filter(|item| waits(item)).collect();
        if waiting.len() == 2 && found.len() == 3 {
            let counts = waiting.iter().map(|item| &item["attempts"]);
            assert_eq!(counts.collect::<Vec<_>>(), [0, 0], "{found:#?}");
            break;
        }
        assert!(since.elapsed() < TIME_LIMIT, "{found:#?}");
    }
    assert!(slow.is_quiet(), "no second at once");
    first.take();
    for _ in 0..2 {
        slow.call().take();
    }
}

#[test]
fn an_account_writes_to_only_so_many_in_an_hour() {
    let house = House::started("[limits]\nrecipients_per_hour = 3\n");
    let mut alice = house.submission("alice");
    let mut say = |line: &str| alice.command(line).expect("an answer").0;
    assert_eq!(say("MAIL FROM:<alice@example.org>"), 250);
    let rcpt = |to: &str| format!("RCPT TO:<{to}@example.org>");
    assert_eq!(say(&rcpt("nobody")), 550, "and does not count");
    for to in ["bob", "carol", "bob", "alice"] {
        assert_eq!(say(&rcpt(to)), 250, "{to}");
    }
    assert_eq!(say("RSET"), 250);
    assert_eq!(say("MAIL FROM:<alice@example.org>"), 250);
    assert_eq!(say(&rcpt("bob")), 450);
    // Others are not concerned.
    let mut bob = house.submission("bob");
    let sent = bob.send(
        &address("bob"),
        &[&address("alice")],
        message("x").replace("alice@", "bob@").as_bytes(),
    );
    assert_eq!(sent.expect("an answer").1.0, 250);
}

#[test]
fn an_account_submits_in_no_other_name_unless_that_is_allowed() {
    let forged = message("x").replace("From: alice@", "From: ceo@");
    let elsewhere = message("x").replace("From: alice@example.org", "From: alice@far.example");
    let twice = message("y").replacen("To:", "From: ceo@example.org\r\nTo:", 1);
    for (setting, codes) in [
        ("", [550, 550, 250]),
        ("[smtp]\nforeign_from = \"refuse\"\n", [550; 3]),
        ("[smtp]\nforeign_from = \"allow\"\n", [250; 3]),
    ] {
        let house = House::started(setting);
        let mut alice = house.submission("alice");
        for (letter, code) in [&forged, &twice, &elsewhere].into_iter().zip(codes) {
            let sent = alice.send(&address("alice"), &[&address("bob")], letter.as_bytes());
            let (_, (said, text)) = sent.expect("an answer");
            assert_eq!(said, code, "{text}");
        }
        // Without a name it is nobody else's.
        let nameless = message("n").replacen("From:", "X-From:", 1);
        for letter in [message("z"), nameless] {
            let own = alice.send(&address("alice"), &[&address("bob")], letter.as_bytes());
            assert_eq!(own.expect("an answer").1.0, 250);
        }
    }
}

#[test]
fn an_account_writes_to_only_so_many_in_an_hour_by_either_protocol() {
    let house = House::started("[limits]\nrecipients_per_hour = 3\n");
    let jmap = house.jmap("alice");
    let letter = "From: alice@example.org\r\nSubject: x\r\n\r\nHello\r\n";
    let drafts = jmap.call("Mailbox/query", json!({"filter": {"role": "drafts"}}));
    let path = format!("/jmap/upload/{}/", jmap.account);
    let uploaded = jmap.http("POST", &path, letter);
    let uploaded: Value = serde_json::from_str(&uploaded.body).expect("JSON");
    let drafts = drafts["ids"][0].as_str().expect("an id");
    let email = json!({"blobId": uploaded["blobId"], "mailboxIds": {drafts: true}});
    let kept = jmap.call("Email/import", json!({"emails": {"e": email}}));
    let identity = jmap.call("Identity/get", json!({}));
    let submit = |to: &[&str]| {
        let to: Vec<Value> = to.iter().map(|to| json!({"email": address(to)})).collect();
        let submission = json!({
            "identityId": identity["list"][0]["id"],
            "emailId": kept["created"]["e"]["id"],
            "envelope": {"mailFrom": {"email": address("alice")}, "rcptTo": to},
        });
        jmap.call("EmailSubmission/set", json!({"create": {"s": submission}}))
    };
    let sent = submit(&["bob", "carol"]);
    assert!(sent["created"]["s"]["id"].is_string(), "{sent}");
    let refused = submit(&["bob", "carol"]);
    assert_eq!(refused["notCreated"]["s"]["type"], "rateLimit", "{refused}");
    let mut alice = house.submission("alice");
    let mut say = |line: &str| alice.command(line).expect("an answer").0;
    assert_eq!(say("MAIL FROM:<alice@example.org>"), 250);
    assert_eq!(say("RCPT TO:<bob@example.org>"), 250, "the third");
    assert_eq!(say("RCPT TO:<carol@example.org>"), 450);
    let refused = submit(&["bob"]);
    assert_eq!(refused["notCreated"]["s"]["type"], "rateLimit", "{refused}");
}
