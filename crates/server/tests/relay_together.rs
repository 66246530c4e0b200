//! Recipients of one message at one destination: one transaction, and what becomes of each is its own.

#![allow(clippy::disallowed_methods, reason = "a real server takes real time")]

mod house;

use std::time::Instant;

use house::remote::{Call, Remote};
use house::{House, TIME_LIMIT, address, message};
use serde_json::Value;

/// A server that knows where `other.test` and `third.test` are; `relay` goes into that section.
fn with(remote: &Remote, relay: &str) -> House {
    let routes = [remote.route("other.test"), remote.route("third.test")].concat();
    let mut house = House::new(&format!("[relay.routes]\n{routes}"));
    let config = std::fs::read_to_string(house.path("tern.toml")).expect("read");
    let config = config.replacen("[relay]\n", &format!("[relay]\n{relay}\n"), 1);
    std::fs::write(house.path("tern.toml"), config).expect("written");
    house.start();
    house
}

fn send(house: &House, to: &[&str], subject: &str) {
    let mut alice = house.submission("alice");
    let sent = alice.send(&address("alice"), to, message(subject).as_bytes());
    assert_eq!(sent.expect("an answer").1.0, 250);
}

fn until_queue(house: &House, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let since = Instant::now();
    loop {
        let found = house.done(&["--json", "queue", "list"]);
        let found: Vec<Value> = serde_json::from_str(&found).expect("JSON");
        if wanted(&found) {
            return found;
        }
        assert!(since.elapsed() < TIME_LIMIT, "{found:#?}");
    }
}

fn rests(queue: &[Value]) -> bool {
    queue.iter().all(|item| item["state"] == "ready")
}

/// Whom a transaction named.
fn named(heard: &[String]) -> Vec<&str> {
    let of = |line: &'_ String| line.starts_with("RCPT TO:<");
    let lines = heard.iter().filter(|line| of(line));
    let names = lines.filter_map(|line| line.split(['<', '>']).nth(1));
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

const FOUR: [&str; 4] = [
    "a@other.test",
    "b@other.test",
    "c@third.test",
    "d@other.test",
];

#[test]
fn they_are_one_transaction_and_each_has_its_own_answer() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    let mut call = remote.call();
    call.greet("250 DSN");
    let heard = call.envelope(|line| match line {
        line if line.contains("<b@") => "550 5.1.1 nobody of that name",
        line if line.contains("<c@") => "450 4.2.1 come back later",
        _ => "250 ok",
    });
    assert_eq!(named(&heard), FOUR);
    assert!(call.content().contains("Text of all."));
    call.say("250 taken");
    assert_eq!(call.hear(), "QUIT");
    let waits = until_queue(&house, |queue| queue.len() == 1 && rests(queue));
    assert_eq!(waits[0]["recipient"], "c@third.test");
    assert_eq!(
        (&waits[0]["attempts"], &waits[0]["lostAttempts"]),
        (&1.into(), &0.into())
    );
    let reply = waits[0]["lastReply"].to_string();
    assert!(reply.contains("come back later"), "{reply}");
    let mut alice = house.imap("alice");
    let selected = alice.command("SELECT INBOX").expect("an answer");
    assert_eq!(selected.number("EXISTS"), Some(1), "one bounce");
    let bounce = alice.command("FETCH 1 BODY.PEEK[]").expect("an answer");
    let bounce = String::from_utf8_lossy(&bounce.literals[0]).into_owned();
    assert!(
        bounce.contains("Final-Recipient: rfc822; b@other.test"),
        "{bounce}"
    );
    for other in ["a@other", "c@third", "d@other"] {
        assert!(!bounce.contains(&format!("; {other}")), "{other}: {bounce}");
    }
    assert!(remote.is_quiet(), "nobody else called");
}

#[test]
fn those_refused_together_are_told_of_together() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    let mut call = remote.call();
    call.until_data();
    call.content();
    call.say("554 5.7.1 no such thing here");
    until_queue(&house, <[Value]>::is_empty);
    let mut alice = house.imap("alice");
    let selected = alice.command("SELECT INBOX").expect("an answer");
    assert_eq!(selected.number("EXISTS"), Some(1), "one bounce");
    let bounce = alice.command("FETCH 1 BODY.PEEK[]").expect("an answer");
    let bounce = String::from_utf8_lossy(&bounce.literals[0]).into_owned();
    for to in FOUR {
        assert!(
            bounce.contains(&format!("Final-Recipient: rfc822; {to}")),
            "{to}: {bounce}"
        );
    }
}

#[test]
fn as_many_as_the_other_server_says_and_the_others_behind_them() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    let mut call = remote.call();
    call.greet("250 LIMITS RCPTMAX=3 MAILMAX=2");
    let first = call.envelope(|_| "250 ok");
    let (first, mut all) = (
        named(&first).len(),
        named(&first)
            .iter()
            .map(|it| (*it).to_owned())
            .collect::<Vec<_>>(),
    );
    assert_eq!(first, 3);
    call.content();
    call.say("250 taken");
    let second = call.envelope(|_| "250 ok");
    all.extend(named(&second).iter().map(|it| (*it).to_owned()));
    assert!(call.content().contains("Text of all."));
    call.say("250 taken");
    assert_eq!(call.hear(), "QUIT");
    all.sort_unstable();
    assert_eq!(all, FOUR);
    until_queue(&house, <[Value]>::is_empty);
    assert!(remote.is_quiet());
}

#[test]
fn what_one_session_does_not_take_goes_in_the_next_at_once() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut call = remote.call();
        call.greet("250 LIMITS RCPTMAX=1 MAILMAX=1");
        let heard = call.envelope(|_| "250 ok");
        all.extend(named(&heard).iter().map(|it| (*it).to_owned()));
        call.content();
        call.say("250 taken");
        assert_eq!(call.hear(), "QUIT");
        call.say("221 bye");
    }
    all.sort_unstable();
    assert_eq!(all, FOUR);
    until_queue(&house, <[Value]>::is_empty);
}

/// Takes one recipient for each transaction, as it turns out.
fn one_each(call: &mut Call) -> Vec<String> {
    let recipients = std::cell::Cell::new(0);
    let heard = call.envelope(|line| {
        recipients.set(recipients.get() + u8::from(line.starts_with("RCPT")));
        match recipients.get() {
            0 | 1 => "250 ok",
            _ => "452 4.5.3 too many recipients",
        }
    });
    call.content();
    call.say("250 taken");
    heard
}

#[test]
fn who_is_one_too_many_is_named_with_no_more_than_were_taken() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    let mut call = remote.call();
    call.greet("250 DSN");
    assert_eq!(named(&one_each(&mut call)), FOUR);
    for _ in 0..3 {
        assert_eq!(named(&one_each(&mut call)).len(), 1);
    }
    assert_eq!(call.hear(), "QUIT");
    until_queue(&house, <[Value]>::is_empty);
    assert!(remote.is_quiet());
}

/// What a server that takes one message for each session says of it, if anything.
#[test]
fn a_session_that_ends_behind_one_message_refuses_nobody() {
    for said in [
        None,
        Some("421 4.7.0 one message for each connection"),
        Some("503 5.5.1 one message for each session"),
        Some("550 5.7.1 too many messages in this session"),
    ] {
        let remote = Remote::new();
        let house = with(&remote, "");
        send(&house, &FOUR, "all");
        let mut all = Vec::new();
        for n in 1..=4 {
            let mut call = remote.call();
            call.greet("250 DSN");
            let heard = one_each(&mut call);
            // Whoever comes first is taken.
            let first = heard.iter().position(|line| line.starts_with("RCPT"));
            let first = first.expect("a recipient");
            all.push(named(&heard[first..=first])[0].to_owned());
            if n == 4 {
                break;
            }
            let heard = call.hear();
            assert!(heard.starts_with("MAIL FROM"), "{heard:?}");
            if let Some(said) = said {
                call.say(said);
            }
            call.hang_up();
        }
        all.sort_unstable();
        assert_eq!(all, FOUR, "each of them at once: {said:?}");
        until_queue(&house, <[Value]>::is_empty);
        let mut alice = house.imap("alice");
        let selected = alice.command("SELECT INBOX").expect("an answer");
        assert_eq!(selected.number("EXISTS"), Some(0), "no bounce: {said:?}");
    }
}

#[test]
fn no_transaction_begins_that_might_not_be_answered_for_in_time() {
    let remote = Remote::new();
    let house = with(&remote, "attempt_timeout_secs = 10");
    send(&house, &FOUR, "all");
    for _ in 0..4 {
        let mut call = remote.call();
        call.greet("250 LIMITS RCPTMAX=1");
        call.envelope(|_| "250 ok");
        call.content();
        call.say("250 taken");
        assert_eq!(call.hear(), "QUIT");
    }
    until_queue(&house, <[Value]>::is_empty);
}

#[test]
fn a_host_that_answers_twice_is_left_before_its_answers_are_mixed_up() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    for n in 1..=4 {
        let mut call = remote.call();
        call.greet("250 LIMITS RCPTMAX=1");
        let heard = call.envelope(|_| "250 ok");
        assert_eq!(named(&heard).len(), 1, "{n}");
        call.content();
        // As servers do that answer for each recipient.
        call.say("250 taken\r\n250 taken");
    }
    until_queue(&house, <[Value]>::is_empty);
}

/// A host that hangs up at the second recipient; whether there was one.
fn hangs_up_at_the_second(remote: &Remote) -> bool {
    let mut call = remote.call();
    call.greet("250 DSN");
    if call.until_recipient(2).is_some() {
        call.say("421 4.7.0 too many recipients");
        call.hang_up();
        return true;
    }
    call.content();
    call.say("250 taken");
    false
}

#[test]
fn those_that_fail_together_are_tried_by_halves_until_each_goes_alone() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    assert!(hangs_up_at_the_second(&remote), "four");
    let until = |most: u64| {
        let waits = until_queue(&house, |queue| {
            rests(queue) && queue.iter().all(|item| item["mostTogether"] == most)
        });
        for item in waits {
            assert_eq!(item["lostAttempts"], 0, "{item:#}");
        }
        house.done(&["queue", "flush"]);
    };
    until(2);
    for _ in 0..2 {
        assert!(hangs_up_at_the_second(&remote), "two and two");
    }
    until(1);
    for _ in 0..4 {
        assert!(!hangs_up_at_the_second(&remote), "each alone");
    }
    until_queue(&house, <[Value]>::is_empty);
}

/// An answer that comes too late for a whole group is one copy too many for each, and for all of them
/// together not twice.
#[test]
fn those_that_are_not_answered_for_together_are_tried_by_halves() {
    let remote = Remote::new();
    let house = with(&remote, "end_of_data_timeout_secs = 1");
    send(&house, &FOUR, "all");
    let mut call = remote.call();
    assert_eq!(named(&call.until_data()), FOUR);
    call.content();
    let waits = until_queue(&house, rests);
    assert_eq!(waits.len(), 4);
    for item in &waits {
        let counts = ["attempts", "lostAttempts", "mostTogether"].map(|it| &item[it]);
        assert_eq!(counts, [1, 1, 2], "{item:#}");
    }
}

#[test]
fn a_recall_in_the_middle_of_an_attempt_stops_those_who_were_not_named() {
    let remote = Remote::new();
    let house = with(&remote, "");
    send(&house, &FOUR, "all");
    let mut call = remote.call();
    call.greet("250 LIMITS RCPTMAX=1");
    let heard = call.envelope(|_| "250 ok");
    assert_eq!(named(&heard).len(), 1);
    call.content();
    house.done(&["recall", "run", "all@example.org"]);
    call.say("250 taken");
    assert_eq!(call.hear(), "QUIT", "nobody else is named");
    until_queue(&house, <[Value]>::is_empty);
    assert!(remote.is_quiet());
}

#[test]
fn an_answer_that_is_missing_counts_for_whom_was_taken_alone() {
    let remote = Remote::new();
    let house = with(&remote, "end_of_data_timeout_secs = 2");
    send(&house, &FOUR, "silence");
    let mut call = remote.call();
    call.greet("250 DSN");
    call.envelope(|line| match line {
        line if line.contains("<b@") => "451 4.2.1 later",
        line if line.contains("<d@") => "452 4.5.3 too many recipients",
        _ => "250 ok",
    });
    call.content();
    let waits = until_queue(&house, |queue| {
        let lost = queue.iter().filter(|item| item["lostAttempts"] == 1);
        lost.count() == 2
    });
    let answers: Vec<(String, String)> = waits
        .iter()
        .map(|item| {
            let id = item["id"].as_str().expect("an id");
            let to = item["recipient"].as_str().expect("an address").to_owned();
            (to, house.done(&["queue", "cancel", id]))
        })
        .collect();
    for (to, answer) in answers {
        let may_have_left = matches!(&*to, "a@other.test" | "c@third.test");
        assert_eq!(
            answer.contains("may have delivered it"),
            may_have_left,
            "{to}: {answer}"
        );
    }
}

#[test]
fn different_messages_and_more_than_are_configured_go_apart() {
    let remote = Remote::new();
    let house = with(&remote, "recipients_per_transaction = 3");
    send(&house, &FOUR, "all");
    let (mut first, mut second) = (remote.call(), remote.call());
    let counts = [&mut first, &mut second].map(|call| named(&call.until_data()).len());
    assert_eq!(counts.iter().sum::<usize>(), 4, "{counts:?}");
    assert_eq!(counts.iter().max(), Some(&3), "{counts:?}");
    for call in [&mut first, &mut second] {
        call.content();
        call.say("250 taken");
    }
    until_queue(&house, <[Value]>::is_empty);
    let to = ["a@other.test"];
    send(&house, &to, "one");
    send(&house, &to, "two");
    for _ in 0..2 {
        remote.call().take();
    }
    until_queue(&house, <[Value]>::is_empty);
}
