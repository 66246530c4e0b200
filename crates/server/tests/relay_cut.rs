//! Attempts that are cut off: by a server that does not answer, by a refusal half-way, by a stop, by
//! a crash. What may have been taken is on record as that, and nothing else is.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::time::{Duration, Instant};

use house::remote::Remote;
use house::{House, TIME_LIMIT, address, message};
use serde_json::Value;

/// A server that knows where `other.test` is; `relay` goes into that section.
fn with(remote: &Remote, relay: &str) -> House {
    let mut house = House::new(&format!("[relay.routes]\n{}", remote.route("other.test")));
    let config = std::fs::read_to_string(house.path("tern.toml")).expect("read");
    let config = config.replacen("[relay]\n", &format!("[relay]\n{relay}\n"), 1);
    std::fs::write(house.path("tern.toml"), config).expect("written");
    house.start();
    house
}

fn send(house: &House, text: &str) {
    let mut alice = house.submission("alice");
    let sent = alice.send(&address("alice"), &["dora@other.test"], text.as_bytes());
    assert_eq!(sent.expect("an answer").1.0, 250);
}

fn until_queue(house: &House, wanted: impl Fn(&Value) -> bool) -> Value {
    let since = Instant::now();
    loop {
        let found = house.done(&["--json", "queue", "list"]);
        let found = serde_json::from_str(&found).expect("JSON");
        if wanted(&found) {
            return found;
        }
        assert!(since.elapsed() < TIME_LIMIT, "{found:#}");
    }
}

fn is_empty(queue: &Value) -> bool {
    queue.as_array().is_some_and(Vec::is_empty)
}

/// What the server says to a cancel of the one item.
fn cancel(house: &House) -> String {
    let queue = until_queue(house, |queue| !is_empty(queue));
    let id = queue[0]["id"].as_str().expect("an id").to_owned();
    house.done(&["queue", "cancel", &id])
}

/// The first message in Alice's inbox.
fn notice(house: &House) -> String {
    let mut alice = house.imap("alice");
    let selected = alice.command("SELECT INBOX").expect("an answer");
    if selected.number("EXISTS") == Some(0) {
        alice.idle().expect("idling");
        alice.wait_for("1 EXISTS").expect("mail");
        alice.wire().send(b"DONE\r\n").expect("sent");
        alice.wait_for("completed").expect("an answer");
    }
    let fetched = alice.command("FETCH 1 BODY.PEEK[]").expect("an answer");
    String::from_utf8_lossy(&fetched.literals[0]).into_owned()
}

#[test]
fn what_was_taken_is_on_record_before_quit_is_answered() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &message("quick"));
    let mut call = remote.call();
    assert!(call.take().contains("Text of quick."));
    until_queue(&house, is_empty);
    assert_eq!(call.hear(), "QUIT");
}

#[test]
fn what_was_sent_whole_and_not_answered_for_may_have_left() {
    let remote = Remote::new();
    let house = with(&remote, "end_of_data_timeout_secs = 2");
    send(&house, &message("silence"));
    let mut call = remote.call();
    call.until_data();
    call.content();
    let waits = until_queue(&house, |queue| queue[0]["state"] == "ready");
    assert_eq!(waits[0]["lostAttempts"], 1, "{waits:#}");
    assert!(cancel(&house).contains("may have delivered it"));
}

#[test]
fn what_was_not_begun_when_the_time_was_over_has_not_left() {
    let remote = Remote::new();
    let house = with(&remote, "attempt_timeout_secs = 1");
    send(&house, &message("deaf"));
    let _call = remote.call();
    let waits = until_queue(&house, |queue| queue[0]["state"] == "ready");
    assert_eq!(waits[0]["lostAttempts"], 0, "{waits:#}");
    assert_eq!(cancel(&house), "cancelled\n");
    // That the attempt ran out of time says nothing of the host: another message has its attempt.
    send(&house, &message("next"));
    assert!(remote.call().take().contains("Text of next."));
    until_queue(&house, is_empty);
}

#[test]
fn what_is_out_whole_is_waited_for_beyond_the_attempt() {
    let remote = Remote::new();
    let house = with(&remote, "attempt_timeout_secs = 1");
    send(&house, &message("slow"));
    let mut call = remote.call();
    call.until_data();
    call.content();
    let out = Instant::now();
    until_queue(&house, |queue| {
        assert_eq!(queue[0]["state"], "in flight", "{queue:#}");
        out.elapsed() > Duration::from_secs(2)
    });
    call.say("250 taken");
    until_queue(&house, is_empty);
    assert_eq!(call.hear(), "QUIT");
    assert!(remote.is_quiet());
}

#[test]
fn what_is_for_a_host_that_fell_silent_waits_and_is_not_tried() {
    let remote = Remote::new();
    let house = with(&remote, "reply_timeout_secs = 1");
    send(&house, &message("first"));
    let _silent = remote.call();
    let first = until_queue(&house, |queue| queue[0]["state"] == "ready");
    assert_eq!(first[0]["attempts"], 1, "{first:#}");
    send(&house, &message("second"));
    let waits = until_queue(&house, |queue| {
        let waits = |item: &Value| item["lastReply"].to_string().contains("a moment ago");
        queue.as_array().is_some_and(|all| all.iter().any(waits))
    });
    let items = waits.as_array().expect("items");
    let second = items.iter().find(|item| item["id"] != first[0]["id"]);
    let second = second.expect("it is there");
    assert_eq!(
        (&second["attempts"], &second["state"]),
        (&0.into(), &"ready".into())
    );
    assert!(remote.is_quiet(), "nobody has called");
}

#[test]
fn a_refusal_half_way_through_the_content_is_heard() {
    let remote = Remote::new();
    let house = with(&remote, "");
    let line = format!("{}\r\n", "x".repeat(70));
    send(&house, &(message("large") + &line.repeat(8 << 20 >> 6)));
    let mut call = remote.call();
    call.until_data();
    call.some(1_000);
    call.say("552 5.3.4 too much");
    call.hang_up();
    let notice = notice(&house);
    for part in ["552 5.3.4 too much", "Action: failed", "Status: 5.3.4"] {
        assert!(notice.contains(part), "no {part}: {notice}");
    }
    until_queue(&house, is_empty);
}

#[test]
fn a_greeting_that_refuses_is_an_answer() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &message("nobody"));
    remote.call().say("554 no mail here");
    let notice = notice(&house);
    assert!(notice.contains("554 no mail here"), "{notice}");
}

#[test]
fn a_stop_gives_back_what_was_not_begun() {
    let remote = Remote::new();
    let mut house = with(&remote, "");
    send(&house, &message("early"));
    let _silent = remote.call();
    assert!(house.stop().0);
    house.start();
    let mut call = remote.call();
    let again = until_queue(&house, |queue| queue[0]["state"] == "in flight");
    assert_eq!(again[0]["attempts"], 1, "{again:#}");
    assert_eq!(again[0]["lostAttempts"], 0, "{again:#}");
    assert!(call.take().contains("Text of early."));
    until_queue(&house, is_empty);
}

#[test]
fn a_stop_in_the_envelope_says_no_more_of_the_message() {
    let remote = Remote::new();
    let mut house = with(&remote, "");
    send(&house, &message("greeting"));
    let mut silent = remote.call();
    send(&house, &message("envelope"));
    let mut call = remote.call();
    call.greet("250 DSN");
    assert!(call.hear().starts_with("MAIL"));
    call.say("250 ok");
    assert!(call.hear().starts_with("RCPT"));
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| house.stop().0);
        // Whoever waited for a greeting has heard of the stop.
        assert_eq!(silent.hear(), "");
        call.say("250 ok");
        assert_eq!(call.hear(), "", "neither DATA nor content");
        assert!(stop.join().expect("stopped"));
    });
    house.start();
    for _ in 0..2 {
        remote.call().take();
    }
    until_queue(&house, is_empty);
    assert!(remote.is_quiet(), "each was sent once");
}

#[test]
fn a_stop_behind_the_content_says_that_it_may_have_left() {
    let remote = Remote::new();
    let mut house = with(&remote, "");
    send(&house, &message("late"));
    let mut call = remote.call();
    call.until_data();
    call.content();
    assert!(house.stop().0);
    house.start();
    let waits = until_queue(&house, |queue| queue[0]["state"] == "ready");
    assert_eq!(waits[0]["lostAttempts"], 1, "{waits:#}");
}

#[test]
fn what_a_crash_cut_off_is_tried_again_at_the_start() {
    let remote = Remote::new();
    let mut house = with(&remote, "");
    send(&house, &message("crash"));
    let _silent = remote.call();
    house.kill();
    house.start();
    let mut call = remote.call();
    let again = until_queue(&house, |queue| queue[0]["state"] == "in flight");
    assert_eq!(again[0]["lostAttempts"], 1, "{again:#}");
    call.take();
    until_queue(&house, is_empty);
}
