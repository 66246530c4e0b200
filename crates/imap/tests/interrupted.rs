//! What a client is told where a command can't go on as it began: a store that fails in the middle, another
//! client that removes what is being read.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{Client, House};
use tern_session::Protocol as _;

/// The change log.
const CHANGE: u8 = 0x15;

fn large(subject: &str) -> Vec<u8> {
    let mut content = format!("Subject: {subject}\r\n\r\n").into_bytes();
    content.extend(b"0123456789abcdef".repeat(80_000));
    content
}

fn take(client: &mut Client) -> String {
    String::from_utf8(std::mem::take(&mut client.output)).unwrap()
}

/// A session that is in the middle of a literal, and another one.
fn reading(command: &str, messages: usize) -> (House, Client, Client) {
    let mut house = House::new();
    let mut reader = Client::login(&mut house);
    for number in 0..messages {
        reader.append(&mut house, "INBOX", "", &large(&number.to_string()));
    }
    reader.output.clear();
    reader.ask(&mut house, "s SELECT INBOX");
    let mut other = Client::login(&mut house);
    other.ask(&mut house, "s SELECT INBOX");
    let line = format!("{command}\r\n");
    reader.session.receive(line.as_bytes(), house.now);
    assert!(reader.step(&mut house), "a piece, and more to come");
    (house, reader, other)
}

fn expunge(house: &mut House, client: &mut Client, set: &str) {
    client.ask(house, &format!("d STORE {set} +FLAGS.SILENT (\\Deleted)"));
    client.ask(house, "x EXPUNGE");
}

#[test]
fn a_store_that_fails_within_a_literal_ends_the_connection_without_a_word() {
    let (mut house, mut reader, mut other) = reading("f FETCH 1 BODY.PEEK[]", 1);
    other.append(&mut house, "INBOX", "", b"Subject: y\r\n\r\n");
    let rows = house.damage();
    reader.drive(&mut house);
    let told = take(&mut reader);
    assert!(reader.closed);
    let octets = large("0");
    let (_, sent) = told.split_once("}\r\n").unwrap();
    let announced = std::str::from_utf8(&octets).unwrap();
    assert!(
        announced.starts_with(sent),
        "nothing but octets of the message"
    );
    assert_eq!(reader.failures().len(), 1);
    house.repair(rows);
    house.check();
}

#[test]
fn a_message_that_another_client_expunges_is_read_to_its_end() {
    let (mut house, mut reader, mut other) = reading("f FETCH 1 (BODY.PEEK[] UID)", 2);
    expunge(&mut house, &mut other, "1");
    reader.notify(&mut house);
    reader.drive(&mut house);
    let told = take(&mut reader);
    let content = String::from_utf8(large("0")).unwrap();
    let size = content.len();
    let expected =
        format!("* 1 FETCH (BODY[] {{{size}}}\r\n{content} UID 1)\r\nf OK Fetch completed\r\n");
    assert_eq!(told, expected);
    house.check();
}

#[test]
fn a_seal_that_falls_over_a_message_that_is_gone_ends_its_reading_too() {
    for settled in [false, true] {
        let (mut house, mut reader, mut other) = reading("f FETCH 1 BODY.PEEK[]", 1);
        expunge(&mut house, &mut other, "1");
        assert!(reader.step(&mut house), "it is read on");
        house.seal(&large("0"));
        if settled {
            house.withdraw(&large("0"));
        }
        reader.output.clear();
        reader.drive(&mut house);
        let told = take(&mut reader);
        assert_eq!(
            (told.as_str(), reader.closed),
            ("", true),
            "settled: {settled}"
        );
        house.check();
    }
}

#[test]
fn messages_that_went_before_their_turn_are_passed_over_by_uid() {
    for (command, end) in [
        (
            "f UID FETCH 1:3 (UID BODY.PEEK[])",
            "f OK Fetch completed\r\n",
        ),
        (
            "f FETCH 1:3 (UID BODY.PEEK[])",
            "f NO [EXPUNGEISSUED] Some messages are gone\r\n",
        ),
    ] {
        let (mut house, mut reader, mut other) = reading(command, 3);
        expunge(&mut house, &mut other, "2");
        reader.drive(&mut house);
        let told = take(&mut reader);
        assert!(told.contains("* 1 FETCH (UID 1 ") && told.contains("* 3 FETCH (UID 3 "));
        assert!(!told.contains("* 2 FETCH"));
        assert!(told.contains(end), "{}", &told[told.len() - 100..]);
        house.check();
    }
}

#[test]
fn a_modseq_is_not_told_where_the_changes_up_to_it_were_not() {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    for _ in 0..600 {
        client.append(&mut house, "INBOX", "\\Deleted", b"Subject: x\r\n\r\n");
    }
    client.output.clear();
    client.ask(&mut house, "e ENABLE QRESYNC");
    client.ask(&mut house, "s SELECT INBOX");
    client.session.receive(b"x EXPUNGE\r\n", house.now);
    assert!(client.step(&mut house), "a chunk of the messages");
    let rows = house.damage_table(CHANGE);
    client.drive(&mut house);
    assert_eq!(take(&mut client), "x OK Expunge completed\r\n");
    house.repair(rows);
    let told = client.ask(&mut house, "n NOOP");
    assert!(
        told.starts_with("* VANISHED 1:600\r\nn OK [HIGHESTMODSEQ "),
        "{told}"
    );
    house.check();
}
