//! Mail to another server: handed over with TLS, bounced where it is refused, kept where the other
//! server is away.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::time::Instant;

use house::{House, PASSWORD, TIME_LIMIT, address, message};
use serde_json::Value;
use tern_server::demo::client::ImapClient;

/// A server of other.test, and one of example.org with a route to it.
fn two() -> (House, House) {
    let mut there = House::new("");
    there.done(&["domain", "add", "other.test"]);
    there.done(&["account", "add", "dora@other.test", "--password", PASSWORD]);
    there.start();
    let route = format!(
        "[relay.routes]\n\"other.test\" = \"127.0.0.1:{}\"\n",
        there.ports.smtp
    );
    (House::started(&route), there)
}

fn send(house: &House, to: &str, subject: &str) {
    let mut alice = house.submission("alice");
    let sent = alice.send(&address("alice"), &[to], message(subject).as_bytes());
    assert_eq!(sent.expect("an answer").1.0, 250);
}

/// Waits for the first message of an inbox.
fn first(house: &House, login: &str) -> String {
    let wire = house.secure_wire(house.ports.imaps);
    let mut client = ImapClient::new(wire).expect("a greeting");
    assert!(client.login(login, PASSWORD).expect("an answer").is_ok());
    let selected = client.command("SELECT INBOX").expect("an answer");
    if selected.number("EXISTS") == Some(0) {
        client.idle().expect("idling");
        client.wait_for("1 EXISTS").expect("mail");
        client.wire().send(b"DONE\r\n").expect("sent");
        client.wait_for("completed").expect("an answer");
    }
    let fetched = client.command("FETCH 1 BODY.PEEK[]").expect("an answer");
    String::from_utf8_lossy(&fetched.literals[0]).into_owned()
}

fn queue(house: &House) -> Value {
    serde_json::from_str(&house.done(&["--json", "queue", "list"])).expect("JSON")
}

fn until_queue(house: &House, wanted: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let found = queue(house);
        if wanted(&found) {
            return found;
        }
        assert!(since.elapsed() < TIME_LIMIT, "{found:#}");
    }
}

#[test]
fn mail_is_handed_over_with_tls() {
    let (here, there) = two();
    send(&here, "dora@other.test", "hello");
    let got = first(&there, "dora@other.test");
    assert!(got.contains("with ESMTPS"), "{got}");
    assert!(got.ends_with("Text of hello.\r\n.dot\r\n"), "{got}");
    until_queue(&here, |queue| queue.as_array().is_some_and(Vec::is_empty));
}

#[test]
fn what_is_refused_comes_back_to_the_sender() {
    let (here, _there) = two();
    send(&here, "nobody@other.test", "lost");
    let bounce = first(&here, &address("alice"));
    for part in [
        "multipart/report",
        "nobody@other.test",
        "Action: failed",
        "Status: 5.1.1",
    ] {
        assert!(bounce.contains(part), "no {part}: {bounce}");
    }
    until_queue(&here, |queue| queue.as_array().is_some_and(Vec::is_empty));
}

#[test]
fn what_finds_the_other_server_away_waits_and_is_sent_when_it_is_back() {
    let (here, mut there) = two();
    there.kill();
    send(&here, "dora@other.test", "patient");
    let tried = |queue: &Value| queue[0]["state"] == "ready" && queue[0]["attempts"] == 1;
    let waiting = until_queue(&here, tried);
    let reply = waiting[0]["lastReply"].as_str().unwrap_or_default();
    assert!(reply.contains("refused"), "{reply}");
    // The same port again, so that the route still leads there.
    let listeners = format!("smtp = [\"127.0.0.1:{}\"]", there.ports.smtp);
    let config = std::fs::read_to_string(there.path("tern.toml")).expect("read");
    let config = config.replacen("smtp = [\"127.0.0.1:0\"]", &listeners, 1);
    std::fs::write(there.path("tern.toml"), config).expect("written");
    there.start();
    assert_eq!(here.done(&["queue", "flush"]), "1 item is due now\n");
    assert!(first(&there, "dora@other.test").contains("Text of patient."));
}
