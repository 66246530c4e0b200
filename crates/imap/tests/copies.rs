//! COPY and MOVE of more than one transaction takes, where a later one fails: RFC 9051 6.4.7 and RFC 6851 3.3.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{Client, House};
use tern_session::Protocol as _;
use tern_store::mem::Injected;

const MESSAGES: usize = 400;

/// So many messages in the inbox, each with as many keywords as it may have, and a session that has it
/// selected: a transaction takes about half of them.
fn house() -> (House, Client) {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    let keywords: Vec<String> = (0..60).map(|n| format!("{n:0>32}")).collect();
    let keywords = keywords.join(" ");
    for number in 0..MESSAGES {
        let content = format!("Subject: {number}\r\n\r\n");
        client.append(&mut house, "INBOX", &keywords, content.as_bytes());
    }
    client.ask(&mut house, "s SELECT INBOX");
    client.output.clear();
    (house, client)
}

/// Of the next commits the first so many go through, then one fails, then all go through.
fn fail_after(house: &House, commits: usize) {
    let mut before = commits;
    let hook = Box::new(move |_: &_| match before.checked_sub(1) {
        Some(left) => {
            before = left;
            None
        }
        None => {
            before = usize::MAX;
            Some(Injected::Full)
        }
    });
    house.engine.set_fault_hook(Some(hook));
}

fn count(house: &mut House, client: &mut Client, mailbox: &str) -> usize {
    let told = client.ask(house, &format!("n STATUS {mailbox} (MESSAGES)"));
    let (_, rest) = told.split_once("(MESSAGES ").unwrap();
    rest.split_once(')').unwrap().0.parse().unwrap()
}

#[test]
fn a_copy_that_fails_in_its_second_transaction_leaves_nothing() {
    let (mut house, mut client) = house();
    fail_after(&house, 1);
    let told = client.ask(&mut house, &format!("c COPY 1:{MESSAGES} Drafts"));
    assert_eq!(
        told,
        "c NO [UNAVAILABLE] Can't be done just now, try again later\r\n"
    );
    assert_eq!(count(&mut house, &mut client, "Drafts"), 0);
    // It did begin.
    let told = client.ask(&mut house, "n STATUS Drafts (UIDNEXT)");
    assert!(!told.contains("(UIDNEXT 1)"), "{told}");
    house.check();
}

#[test]
fn a_move_that_fails_in_its_second_transaction_tells_what_it_moved() {
    let (mut house, mut client) = house();
    fail_after(&house, 1);
    let told = client.ask(&mut house, &format!("c MOVE 1:{MESSAGES} Drafts"));
    let moved = count(&mut house, &mut client, "Drafts");
    assert!(moved > 0 && moved < MESSAGES, "{moved}");
    let code = format!("* OK [COPYUID 1795298761 1:{moved} 1:{moved}] Moved\r\n");
    assert!(told.starts_with(&code), "{}", &told[..100]);
    assert_eq!(told.matches(" EXPUNGE\r\n").count(), moved);
    assert!(
        told.ends_with("c NO [UNAVAILABLE] Can't be done just now, try again later\r\n"),
        "{told}"
    );
    house.check();
}

#[test]
fn what_was_copied_is_taken_back_in_pieces() {
    const MANY: usize = 2_000;
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    for number in 0..MANY {
        let content = format!("Subject: {number}\r\n\r\n");
        client.append(&mut house, "INBOX", "", content.as_bytes());
    }
    client.ask(&mut house, "s SELECT INBOX");
    let mut other = Client::login(&mut house);
    other.ask(&mut house, "s SELECT INBOX");
    other.ask(
        &mut house,
        &format!("d STORE {MANY} +FLAGS.SILENT (\\Deleted)"),
    );
    other.ask(&mut house, "x EXPUNGE");
    (client.steps, client.output) = (0, Vec::new());
    client
        .session
        .receive(format!("c COPY 1:{MANY} Drafts\r\n").as_bytes(), house.now);
    client.drive(&mut house);
    let told = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    assert!(
        told.ends_with("c NO [EXPUNGEISSUED] Some messages are gone\r\n"),
        "{told}"
    );
    // Each way is four commits, a step each, and one more for the answer.
    assert!(client.steps >= 8, "{}", client.steps);
    assert_eq!(count(&mut house, &mut client, "Drafts"), 0);
    house.check();
}
