//! SEARCH after a restart: words that were kept say the same as content, and put the same on record.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{BOB, Client, House};
use tern_store::{Batch, Engine as _};

/// As many as complete the last block of ids.
const MESSAGES: usize = 447;

fn letter(n: usize) -> Vec<u8> {
    format!(
        "From: {} <p{}@example.org>\r\nSubject: Topic {}\r\nX-Cake: {}\r\nMessage-ID: <{n}@example.org>\r\n\
         \r\nNumber {n} of many {}\r\n",
        ["Zoe", "Adam", "Fishmonger"][n % 3],
        n % 50,
        n % 7,
        ["fish", "none"][n % 2],
        ["fish", "CAKE", "fish and cake", "Ärger", "5 \u{212a}elvin"][n % 5],
    )
    .into_bytes()
}

fn restart(house: &mut House) {
    house.reopen();
}

/// A house with mail, as it is after a restart: with the words of a search before it, or without.
fn after_restart(with_words: bool) -> (House, Client) {
    let mut house = House::new();
    for n in 0..MESSAGES {
        house.deliver(letter(n), false);
    }
    if with_words {
        let mut client = Client::login(&mut house);
        client.ask(&mut house, "s SELECT INBOX");
        // Looks into every body, and finds nothing.
        let found = client.ask(&mut house, "a SEARCH BODY nowhere");
        assert_eq!(found, "* SEARCH\r\na OK Search completed\r\n");
        assert!(house.upkeep.make_words(100).unwrap());
    }
    restart(&mut house);
    let mut client = Client::login(&mut house);
    client.ask(&mut house, "s SELECT INBOX");
    (house, client)
}

/// Takes all content away, so that whoever reads it fails.
fn lose_content(house: &House) {
    let mut batch = Batch::new();
    for (_, row) in rows(house) {
        batch.delete_blob(row.blob, 1);
    }
    house.engine.commit(batch).unwrap();
}

fn rows(house: &House) -> Vec<(tern_base::MessageId, tern_mailbox::MessageRow)> {
    let view = house.mailboxes.account_view(BOB).unwrap();
    let row = |id| (id, house.mailboxes.message(BOB, id).unwrap());
    view.iter().map(|held| row(held.message)).collect()
}

/// What is on record as served by now, of each message.
fn ledgers(house: &House) -> Vec<String> {
    let ledger = |id| format!("{:?}", house.sealing.ledger(BOB, id).unwrap());
    rows(house).iter().map(|(id, _)| ledger(*id)).collect()
}

#[test]
fn kept_words_find_what_content_says_and_put_the_same_on_record() {
    for keys in [
        "BODY fish",
        "BODY isH",
        "BODY \"of many\"",
        "BODY \"many of\"",
        "BODY \" fish\"",
        "BODY nowhere",
        "BODY kelvin",
        "CHARSET UTF-8 BODY \"ÄRGER\"",
        "TEXT fish",
        "TEXT cake",
        "TEXT nowhere",
        "NOT BODY fish",
        "NOT TEXT fish",
        "SUBJECT \"topic 3\" BODY cake",
        "OR SUBJECT \"topic 3\" BODY cake",
        "BODY cake BODY fish",
        "BODY fish BODY nowhere",
        "BODY nowhere BODY fish",
        "OR BODY fish BODY cake NOT BODY and",
        "BODY \"fish and\" BODY nowhere",
        "NOT (FROM adam BODY fish)",
        "1:20 BODY fish",
    ] {
        let command = format!("a SEARCH {keys}");
        let (mut with_words, mut client) = after_restart(true);
        let found = client.ask(&mut with_words, &command);
        assert!(found.ends_with("a OK Search completed\r\n"), "{found}");
        let (mut without, mut other) = after_restart(false);
        assert_eq!(found, other.ask(&mut without, &command), "{keys}");
        assert!(ledgers(&with_words) == ledgers(&without), "{keys}");
        assert_eq!(found, client.ask(&mut with_words, &command), "{keys}");
    }
}

#[test]
fn the_first_search_after_a_restart_reads_nothing_that_was_read_before() {
    let (house, _) = after_restart(false);
    lose_content(&house);
    let fails = |(mut house, _): (House, Client), command: &str| {
        restart(&mut house);
        let mut client = Client::login(&mut house);
        client.ask(&mut house, "s SELECT INBOX");
        let answer = client.ask(&mut house, command);
        !answer.ends_with("a OK Search completed\r\n")
    };
    let (house, client) = after_restart(false);
    lose_content(&house);
    assert!(fails((house, client), "a SEARCH BODY fish"));
    for keys in [
        "BODY fish",
        "NOT BODY fish",
        "BODY nowhere",
        "OR BODY fish BODY cake",
    ] {
        let (house, client) = after_restart(true);
        lose_content(&house);
        assert!(
            !fails((house, client), &format!("a SEARCH {keys}")),
            "{keys}"
        );
    }
}

#[test]
fn what_is_sealed_is_not_found_by_kept_words() {
    for keys in ["BODY kelvin", "NOT BODY fish", "OR BODY kelvin BODY fish"] {
        let (mut house, mut client) = after_restart(true);
        let command = format!("a SEARCH {keys}");
        let all = client.ask(&mut house, &command);
        house.seal(&letter(4));
        let left = client.ask(&mut house, &command);
        assert_eq!(left, all.replacen(" 5 ", " ", 1), "{keys}");
    }
}
