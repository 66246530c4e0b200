//! What a sender is told of mail that another server refused: it arrives, whatever the message was, and
//! tells nothing that is not the sender's to know.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{House, address};
use tern_delivery::{BodyType, Concluded, Outgoing};
use tern_queue::{LeaseId, Outcome, Reply};

const LEASE: LeaseId = LeaseId(1);

/// The one item that waits to leave, as it is handed to the network.
fn taken(house: &House) -> Outgoing {
    let due = house.delivery.due(house.now, 10).unwrap();
    assert_eq!(due.len(), 1);
    let taken = house.delivery.take(&[due[0].id], LEASE, house.now, 60_000);
    taken.unwrap().unwrap()
}

fn refused(house: &mut House, outgoing: &Outgoing) {
    let reply = Reply {
        code: 550,
        enhanced: Some((5, 1, 1)),
        text: "<al@far.example>: no such user".to_owned(),
        host: Some("mx.far.example".to_owned()),
    };
    let (id, outcome) = (outgoing.items[0].id, Outcome::Permanent(reply));
    let entropy = &mut house.entropy;
    let done = house
        .delivery
        .conclude(&[(id, outcome)], LEASE, false, house.now, entropy);
    assert!(matches!(done.unwrap()[..], [Concluded::Finished(_)]));
}

fn sent(house: &mut House, from: &str, to: &str, content: &[u8]) -> Outgoing {
    let mut incoming = house.incoming(from, &[to], None);
    if to.ends_with("far.example") {
        incoming = house.incoming(from, &[to], Some("alice"));
    }
    incoming.content = content.to_vec();
    house.accept(incoming).unwrap();
    taken(house)
}

fn text(content: &[u8]) -> String {
    String::from_utf8_lossy(content).into_owned()
}

#[test]
fn a_long_line_is_no_binary_content_and_its_notice_arrives() {
    let mut house = House::new();
    let references = "<x@far.example>".repeat(200);
    let message = format!(
        "From: ed@far.example\r\nReferences: {references}\r\nSubject: long\r\n\r\nHello\r\n"
    );
    let out = sent(
        &mut house,
        "ed@far.example",
        "away@tern.test",
        message.as_bytes(),
    );
    assert_eq!(out.body, BodyType::SevenBit);
    refused(&mut house, &out);
    let notice = taken(&house);
    assert_eq!(notice.items[0].recipient, address("ed@far.example"));
    assert_eq!(notice.body, BodyType::SevenBit);
    let notice = text(&notice.content);
    assert!(notice.lines().all(|line| line.len() <= 998), "{notice}");
    assert!(notice.contains("Subject: long\r\n"), "{notice}");
    assert!(notice.contains("References: <x@far.example>"), "{notice}");
    house.check();
}

#[test]
fn only_what_no_text_has_is_binary() {
    let mut house = House::new();
    for (body, asks) in [
        (&b"a\nb\r\n"[..], BodyType::SevenBit),
        (b"a\rb\r\n", BodyType::SevenBit),
        ("\u{e9}\n".as_bytes(), BodyType::EightBitMime),
        (b"a\0\r\n", BodyType::BinaryMime),
    ] {
        let message = [b"Subject: x\r\n\r\n", body].concat();
        let out = sent(&mut house, "alice@tern.test", "al@far.example", &message);
        assert_eq!(out.body, asks, "{body:?}");
        refused(&mut house, &out);
    }
    house.check();
}

#[test]
fn a_notice_to_another_server_asks_for_no_8_bits() {
    let mut house = House::new();
    let message = "Subject: gr\u{fc}n\r\n\r\n\u{e9}\r\n";
    let out = sent(
        &mut house,
        "ed@far.example",
        "away@tern.test",
        message.as_bytes(),
    );
    assert_eq!(out.body, BodyType::EightBitMime);
    refused(&mut house, &out);
    let notice = taken(&house);
    assert_eq!(notice.body, BodyType::SevenBit);
    let notice = text(&notice.content);
    for part in ["text/rfc822-headers", "Subject: gr??n\r\n"] {
        assert!(notice.contains(part), "no {part}: {notice}");
    }
    // Here it is given back as it was, and only the part that needs 8 bits says so.
    let out = sent(
        &mut house,
        "alice@tern.test",
        "al@far.example",
        message.as_bytes(),
    );
    // The notice from before is still under its lease.
    refused(&mut house, &out);
    let inbox = house.inbox(house.account("alice"));
    let (head, status) = inbox[0].split_once("message/delivery-status\r\n").unwrap();
    assert!(
        head.contains("Content-Transfer-Encoding: 8bit\r\n"),
        "{head}"
    );
    assert!(
        status.starts_with("Content-Transfer-Encoding: 7bit\r\n"),
        "{status}"
    );
    assert!(status.contains("\u{e9}"), "{status}");
    house.check();
}

#[test]
fn who_is_behind_an_address_is_not_told() {
    let mut house = House::new();
    let message = b"Subject: x\r\n\r\nHello\r\n";
    let out = sent(&mut house, "ed@far.example", "away@tern.test", message);
    assert_eq!(out.items[0].recipient, address("al@far.example"));
    refused(&mut house, &out);
    let notice = text(&taken(&house).content);
    for part in [
        "<away@tern.test>: it was refused.",
        "Final-Recipient: rfc822; away@tern.test\r\n",
        "Status: 5.1.1\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1\r\n",
    ] {
        assert!(notice.contains(part), "no {part}: {notice}");
    }
    for private in ["al@", "no such user", "mx.far"] {
        assert!(!notice.contains(private), "{private}: {notice}");
    }
    house.check();
}

#[test]
fn what_the_sender_named_is_told_with_every_word() {
    let mut house = House::new();
    let message = b"Subject: x\r\n\r\nHello\r\n";
    let out = sent(&mut house, "alice@tern.test", "al@far.example", message);
    refused(&mut house, &out);
    let inbox = house.inbox(house.account("alice"));
    for part in ["Remote-MTA: dns; mx.far.example", "no such user"] {
        assert!(inbox[0].contains(part), "no {part}: {}", inbox[0]);
    }
    house.check();
}
