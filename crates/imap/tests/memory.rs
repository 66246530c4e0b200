//! Literals and the memory that all sessions share.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{Client, House};
use tern_session::{Budget, Ending, Protocol as _};

const LARGE: usize = 40_000;

fn house(octets: u64) -> (House, Client) {
    let mut house = House::new();
    house.memory = Budget::new(octets);
    let client = Client::login(&mut house);
    (house, client)
}

fn message(octets: usize) -> String {
    let header = "Subject: large\r\n\r\n";
    let mut text = header.to_owned();
    text.extend(std::iter::repeat_n('x', octets - header.len()));
    text
}

#[test]
fn a_literal_holds_memory_until_its_command_is_done() {
    let (mut house, mut client) = house(LARGE as u64);
    let asked = client.ask(&mut house, &format!("a APPEND INBOX {{{LARGE}}}"));
    assert_eq!(asked, "+ OK\r\n");
    assert_eq!(house.memory.reserved(), LARGE as u64);
    let text = message(LARGE);
    client.send(&mut house, &text.as_bytes()[..LARGE / 2], 1_000);
    assert_eq!(house.memory.reserved(), LARGE as u64);
    let answer = client.ask(&mut house, &text[LARGE / 2..]);
    assert!(answer.starts_with("a OK [APPENDUID "), "{answer}");
    assert_eq!(house.memory.reserved(), 0);
    house.check();
}

#[test]
fn a_literal_without_memory_is_refused_whether_it_waits_or_not() {
    let (mut house, mut client) = house(LARGE as u64 - 1);
    let refused = "NO [UNAVAILABLE] Not enough memory for the literal now, try again later\r\n";
    let answer = client.ask(&mut house, &format!("a APPEND INBOX {{{LARGE}}}"));
    assert_eq!(answer, format!("a {refused}"));
    for chunk in [usize::MAX, 999] {
        // RFC 7888: the octets are on their way, and are thrown away.
        let line = format!("b APPEND INBOX {{{LARGE}+}}\r\n{}\r\n", message(LARGE));
        client.send(&mut house, line.as_bytes(), chunk);
        let answer = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
        assert_eq!(answer, format!("b {refused}"));
        assert_eq!(house.memory.reserved(), 0);
    }
    assert_eq!(
        client.ask(&mut house, "c NOOP"),
        "c OK Noop completed\r\n",
        "the session goes on"
    );
}

#[test]
fn literals_of_one_command_add_up() {
    let (mut house, mut client) = house(60_000);
    let (one, two) = (message(35_000), message(30_000));
    let line = format!("a APPEND INBOX {{35000+}}\r\n{one} {{30000+}}\r\n{two}\r\n");
    client.send(&mut house, line.as_bytes(), usize::MAX);
    let answer = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    assert!(answer.starts_with("a NO [UNAVAILABLE]"), "{answer}");
    assert_eq!(house.memory.reserved(), 0);
    house.memory = Budget::new(65_000);
    client.send(&mut house, line.as_bytes(), 777);
    let answer = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    assert!(answer.starts_with("a OK [APPENDUID "), "{answer}");
    assert_eq!(house.memory.reserved(), 0);
}

#[test]
fn what_everybody_may_hold_needs_no_memory() {
    let (mut house, mut client) = house(0);
    client.append(&mut house, "INBOX", "", message(16_000).as_bytes());
    let answer = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    assert!(answer.starts_with("p OK [APPENDUID "), "{answer}");
}

#[test]
fn a_trickled_literal_has_a_time_and_gives_its_memory_back() {
    let (mut house, mut client) = house(u64::MAX);
    let start = house.now;
    client.ask(&mut house, &format!("a APPEND INBOX {{{LARGE}}}"));
    for seconds in [600, 1_200, 1_700] {
        house.now = start.plus_millis(seconds * 1_000);
        client.send(&mut house, b"x", 1);
        assert_eq!(client.session.deadline().millis_since(start), 1_800_000);
    }
    client.session.end(Ending::TimedOut);
    client.drive(&mut house);
    assert!(client.closed);
    assert_eq!(client.output, b"* BYE [UNAVAILABLE] Timeout\r\n");
    assert_eq!(house.memory.reserved(), 0);
}

#[test]
fn a_lost_connection_gives_its_memory_back() {
    let (mut house, mut client) = house(u64::MAX);
    client.ask(&mut house, &format!("a APPEND INBOX {{{LARGE}}}"));
    assert!(house.memory.reserved() > 0);
    drop(client);
    assert_eq!(house.memory.reserved(), 0);
}

#[test]
fn revoked_access_is_said_once() {
    let (mut house, mut client) = house(0);
    client.ask(&mut house, "a SELECT INBOX");
    client.ask(&mut house, "b IDLE");
    client.session.end(Ending::Revoked);
    client.session.end(Ending::Revoked);
    client.drive(&mut house);
    assert!(client.closed);
    assert_eq!(client.output, b"* BYE Access has been revoked\r\n");
}

/// Comparing takes names times patterns: a few commands could keep the server busy for hours.
#[test]
fn patterns_for_many_mailboxes_are_bounded() {
    let (mut house, mut client) = house(0);
    let most = tern_imap::limits::MAX_LIST_COMPARISONS;
    let (mut names, mut n) = ("INBOXSentTrash".len(), 0);
    while names < most / 60_000 {
        let name = format!("{}{n}", "a".repeat(240));
        let path = format!("{name}/{name}/{name}");
        client.command(&mut house, &format!("a CREATE {path}"));
        // It, and the one above the one above it.
        names += 2 * path.len();
        n += 1;
    }
    for returns in ["", "(SUBSCRIBED RECURSIVEMATCH) "] {
        let many = format!("b LIST {returns}\"\" ({})", vec!["*a*b"; 1_000].join(" "));
        let answer = client.ask(&mut house, &many);
        assert!(answer.ends_with("b OK List completed\r\n"), "{answer}");
        let long = vec!["*a*b".repeat(15).as_str(); 1_000].join(" ");
        let answer = client.ask(&mut house, &format!("c LIST {returns}\"\" ({long})"));
        assert_eq!(
            answer,
            "c NO [LIMIT] Too many patterns for so many mailboxes\r\n"
        );
    }
}

#[test]
fn what_is_decoded_for_a_client_holds_memory_until_it_has_it() {
    let part = "QUJD".repeat(200_000);
    let header = "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let content = format!("{header}{part}");
    let (mut house, mut client) = house(content.len() as u64);
    client.append(&mut house, "INBOX", "", content.as_bytes());
    client.output.clear();
    client.ask(&mut house, "s SELECT INBOX");
    let fetch = b"a FETCH 1 BINARY.PEEK[1]\r\n";
    client.session.receive(fetch, house.now);
    assert!(client.step(&mut house));
    assert_eq!(house.memory.reserved(), part.len() as u64);
    client.drive(&mut house);
    assert_eq!(house.memory.reserved(), 0);
    let told = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    let expected = format!(
        "{{600000}}\r\n{})\r\na OK Fetch completed\r\n",
        "ABC".repeat(200_000)
    );
    assert!(told.ends_with(&expected));

    house.memory = Budget::new(part.len() as u64 - 1);
    let told = client.ask(&mut house, "b FETCH 1 (UID BINARY.PEEK[1])");
    let refused =
        "* 1 FETCH (UID 1)\r\nb NO [UNAVAILABLE] Can't be done just now, try again later\r\n";
    assert_eq!(told, refused);
    // A piece of it takes no more than what it is.
    let told = client.ask(&mut house, "d FETCH 1 BINARY.PEEK[1]<599997.9>");
    let expected = "* 1 FETCH (BINARY[1]<599997> {3}\r\nABC)\r\nd OK Fetch completed\r\n";
    assert_eq!(told, expected);
    let told = client.ask(&mut house, "c FETCH 1 BINARY.SIZE[1]");
    assert_eq!(
        told,
        "* 1 FETCH (BINARY.SIZE[1] 600000)\r\nc OK Fetch completed\r\n"
    );
}

#[test]
fn a_guest_holds_what_is_decoded_of_the_owners_mail() {
    let part = "QUJD".repeat(200_000);
    let header = "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let content = format!("{header}{part}");
    let (mut house, mut bob) = house(u64::MAX);
    bob.append(&mut house, "INBOX", "", content.as_bytes());
    house.share("bob", "INBOX", "alice@example.org", "lr");
    let mut alice = Client::login_as(&mut house, "alice");
    alice.ask(
        &mut house,
        "s EXAMINE \"Other Users/bob@example.org/INBOX\"",
    );
    let fetch = b"a FETCH 1 BINARY.PEEK[1]\r\n";
    alice.session.receive(fetch, house.now);
    assert!(alice.step(&mut house));
    let (owner, reader) = (house.account("bob"), house.account("alice"));
    assert_eq!(house.memory.reserved_by(reader), part.len() as u64);
    assert_eq!(house.memory.reserved_by(owner), 0);
    alice.drive(&mut house);
    assert_eq!(house.memory.reserved(), 0);
}

#[test]
fn what_is_put_in_order_holds_memory_until_it_is_told() {
    const MESSAGES: usize = 12_000;
    let (mut house, mut client) = house(u64::MAX);
    for number in 0..MESSAGES {
        let content = format!("Subject: {number:0>120}\r\n\r\n");
        client.append(&mut house, "INBOX", "", content.as_bytes());
    }
    client.output.clear();
    client.ask(&mut house, "s SELECT INBOX");
    for command in [
        "SORT (SUBJECT) UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "THREAD ORDEREDSUBJECT UTF-8 ALL",
    ] {
        let line = format!("a {command}\r\n");
        house.memory = Budget::new(u64::MAX);
        client.session.receive(line.as_bytes(), house.now);
        let mut most = 0;
        while client.step(&mut house) {
            most = most.max(house.memory.reserved());
        }
        // Some two hundred octets each, of which a megabyte is free.
        assert!((1 << 20..8 << 20).contains(&most), "{command}: {most}");
        assert_eq!(house.memory.reserved(), 0, "{command}");
        assert!(client.output.ends_with(b" completed\r\n"));
        client.output.clear();
        house.memory = Budget::new(1 << 19);
        let answer = client.ask(&mut house, &format!("b {command}"));
        let refused = "b NO [UNAVAILABLE] Not enough memory to put so many messages in order now, try again later\r\n";
        assert_eq!(answer, refused);
    }
}

#[test]
fn a_look_into_a_long_text_is_within_the_memory_that_all_sessions_share() {
    let (mut house, mut client) = house(u64::MAX);
    let long = format!(
        "Subject: long\r\n\r\n{}the end\r\n",
        "some words ".repeat(100_000)
    );
    client.append(&mut house, "INBOX", "", long.as_bytes());
    let attached = "Subject: attached\r\nContent-Type: application/zip\r\n\r\nsome words ";
    client.append(&mut house, "INBOX", "", attached.repeat(20_000).as_bytes());
    client.output.clear();
    client.ask(&mut house, "s SELECT INBOX");
    for key in ["BODY", "TEXT"] {
        // What is attached is no text, so that it takes nothing to see that it is none.
        house.memory = Budget::new(16 << 20);
        let found = client.ask(&mut house, &format!("a SEARCH {key} \"words the end\""));
        assert!(found.starts_with("* SEARCH 1\r\n"), "{key}: {found}");
        assert_eq!(house.memory.reserved(), 0);
        house.memory = Budget::new(1 << 20);
        let refused = client.ask(&mut house, &format!("b SEARCH {key} \"words the end\""));
        assert!(
            refused.starts_with("b NO [UNAVAILABLE] "),
            "{key}: {refused}"
        );
        assert_eq!(house.memory.reserved(), 0);
    }
    house.check();
}
