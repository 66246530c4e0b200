//! How much a FETCH has on record as served before its first octet leaves.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{Client, House};
use tern_imap::limits::OCTETS_PER_FETCH;
use tern_session::Protocol as _;

/// More than a half of what is recorded together.
const LARGE: usize = OCTETS_PER_FETCH as usize / 2 + 1;

fn message(n: usize) -> Vec<u8> {
    let mut text = format!("Subject: large {n}\r\n\r\n").into_bytes();
    text.resize(LARGE, b'x');
    text
}

/// Three large messages, of which a client begins to fetch something.
fn begun(what: &str) -> (House, Client) {
    let mut house = House::new();
    for n in 0..3 {
        house.deliver(message(n), false);
    }
    let mut client = Client::login(&mut house);
    client.command(&mut house, "s EXAMINE INBOX");
    let fetch = format!("f FETCH 1:* {what}\r\n");
    client.session.receive(fetch.as_bytes(), house.now);
    while client.output.is_empty() {
        assert!(client.step(&mut house), "something is answered");
    }
    (house, client)
}

/// How many of the messages are on record.
fn on_record(house: &House) -> usize {
    let exposures = |n| house.sealing.exposures(house.digest(&message(n))).unwrap();
    (0..3).map(|n| exposures(n).len()).sum()
}

#[test]
fn bodies_are_put_on_record_a_part_at_a_time() {
    let (mut house, mut client) = begun("BODY.PEEK[]");
    assert_eq!(on_record(&house), 2, "the third is not served yet");
    client.drive(&mut house);
    assert_eq!(on_record(&house), 3);
    assert!(client.output.len() > 3 * LARGE);
}

#[test]
fn header_fields_of_large_messages_are_put_on_record_together() {
    let (house, _) = begun("ENVELOPE");
    assert_eq!(on_record(&house), 3);
}
