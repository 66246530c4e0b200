//! What a sender is told of mail that another server refused: it arrives, whatever the message was, and
//! tells nothing that is not the sender's to know.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{House, address};
use tern_delivery::{BodyType, Concluded, Outgoing};
use tern_directory::set_alias;
use tern_directory::target::Target;
use tern_queue::{DsnReturn, LeaseId, Notify, Outcome, Reply};

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

#[test]
fn a_stranger_is_given_back_no_more_than_who_did_not_ask() {
    let content = format!("Subject: long\r\n\r\n{}", "0123456789\r\n".repeat(10_000));
    for (from, submitter, is_whole) in [
        ("alice@tern.test", Some("alice"), true),
        ("victim@far.example", None, false),
    ] {
        let mut house = House::new();
        let mut incoming = house.incoming(from, &["away@tern.test"], submitter);
        incoming.ret = Some(DsnReturn::Full);
        incoming.content = content.clone().into_bytes();
        house.accept(incoming).unwrap();
        let out = taken(&house);
        refused(&mut house, &out);
        let notice = match submitter {
            Some(who) => house.inbox(house.account(who)).remove(0),
            None => text(&taken(&house).content),
        };
        assert!(notice.contains("Subject: long\r\n"), "{from}");
        assert_eq!(notice.len() > content.len(), is_whole, "{from}");
        house.check();
    }
}

/// Sends to aliases `a1`, `a2`, … of one address, with what is asked for each, and to Carol.
fn by_aliases(house: &mut House, to: &str, asked: &[Option<Notify>]) {
    let names: Vec<String> = (1..=asked.len())
        .map(|n| format!("a{n}@tern.test"))
        .collect();
    for name in &names {
        let to = [Target::Address(address(to))];
        set_alias(&house.engine, &address(name), &to).unwrap();
    }
    let mut named: Vec<&str> = names.iter().map(|name| &**name).collect();
    named.push("carol@tern.test");
    let mut incoming = house.incoming("alice@tern.test", &named, Some("alice"));
    for (recipient, notify) in incoming.recipients.iter_mut().zip(asked) {
        recipient.notify = *notify;
        recipient.orcpt = Some(format!("rfc822;original-{}", recipient.address));
    }
    incoming.content = b"Subject: x\r\n\r\nx\r\n".to_vec();
    house.accept(incoming).unwrap();
}

fn on(success: bool, failure: bool) -> Option<Notify> {
    Some(Notify {
        success,
        failure,
        delay: false,
    })
}

#[test]
fn each_recipient_that_leads_to_a_mailbox_is_told_of_as_was_asked_for_it() {
    let asked = [Some(Notify::NEVER), on(true, true), on(false, true), None];
    let finals = |house: &House| -> Vec<String> {
        let inbox = house.inbox(house.account("alice"));
        let lines = inbox.iter().flat_map(|mail| mail.lines());
        let lines = lines.filter_map(|line| line.strip_prefix("Final-Recipient: rfc822; "));
        lines.map(str::to_owned).collect()
    };
    let mut house = House::new();
    by_aliases(&mut house, "bob@tern.test", &asked);
    assert_eq!(finals(&house), ["a2@tern.test"], "it was delivered");
    house.check();
    let mut house = House::new();
    house.mailboxes.set_quota(house.account("bob"), 10).unwrap();
    by_aliases(&mut house, "bob@tern.test", &asked);
    let all = ["a2@tern.test", "a3@tern.test", "a4@tern.test"];
    assert_eq!(finals(&house), all, "it was not");
    house.check();
}

#[test]
fn one_item_leaves_for_all_that_lead_there_and_asks_for_what_any_of_them_asks_for() {
    let cases = [
        (
            vec![Some(Notify::NEVER), on(false, true)],
            on(false, true),
            "a2",
        ),
        (vec![on(false, true), on(true, false)], on(true, true), "a2"),
        (
            vec![on(false, true), on(false, true)],
            on(false, true),
            "a1",
        ),
        (vec![None, None], None, "a1"),
        (
            vec![None, Some(Notify::NEVER)],
            Some(Notify::default()),
            "a1",
        ),
    ];
    for (asked, notify, named) in cases {
        let mut house = House::new();
        by_aliases(&mut house, "ed@far.example", &asked);
        let item = taken(&house).items.remove(0);
        let named = format!("{named}@tern.test");
        assert_eq!(item.dsn.notify, notify, "{asked:?}");
        assert_eq!(item.dsn.orcpt, Some(format!("rfc822;original-{named}")));
        assert_eq!(item.named, Some(address(&named)), "{asked:?}");
        house.check();
    }
}
