//! Notices that have to arrive, whatever they are about, and say what class of failure it was.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::{House, address};
use tern_delivery::{Concluded, Incoming};
use tern_directory::{Target, set_alias};
use tern_queue::{Ending, Item, LeaseId, Outcome, Reply};

const LEASE: LeaseId = LeaseId(1);

/// Something that comes in and leaves again; its item.
fn sent_on(house: &mut House, incoming: Incoming) -> Item {
    house.accept(incoming).unwrap();
    house.delivery.due(house.now, 9).unwrap().remove(0)
}

fn conclude(house: &mut House, item: &Item, outcome: Outcome) -> Concluded {
    let (now, delivery) = (house.now, Arc::clone(&house.delivery));
    let taken = delivery.take(&[item.id], LEASE, now, 60_000).unwrap();
    assert_eq!(taken.unwrap().items.len(), 1);
    let ended = [(item.id, outcome)];
    let done = delivery.conclude(&ended, LEASE, false, now, &mut house.entropy);
    done.unwrap()[0]
}

fn reply(code: u16, enhanced: (u8, u16, u16)) -> Reply {
    Reply {
        code,
        enhanced: Some(enhanced),
        text: "so".to_owned(),
        host: None,
    }
}

#[test]
fn a_notice_asks_no_server_for_more_than_its_own_words_need() {
    let mut house = House::new();
    let mut incoming = house.incoming("eve@far.example", &["away@tern.test"], None);
    incoming.content = "Message-ID: <ü@far.example>\r\nSubject: x\r\n\r\nx\r\n".into();
    let item = sent_on(&mut house, incoming);
    let refused = conclude(&mut house, &item, Outcome::Permanent(reply(550, (5, 1, 1))));
    assert_eq!(refused, Concluded::Finished(Ending::Refused));
    let notice = house.delivery.due(house.now, 9).unwrap().remove(0);
    assert_eq!(notice.recipient, address("eve@far.example"));
    assert!(!notice.smtputf8, "any server takes it");
    let taken = house.delivery.take(&[notice.id], LEASE, house.now, 60_000);
    let content = taken.unwrap().unwrap().content;
    assert!(content.is_ascii(), "{}", String::from_utf8_lossy(&content));
    house.check();
}

/// RFC 3464 2.3.4, RFC 3463 2.
#[test]
fn what_is_tried_again_is_told_as_a_temporary_failure_whatever_the_server_called_it() {
    let mut house = House::new();
    let mut incoming = house.incoming("alice@tern.test", &["x@far.example"], Some("alice"));
    incoming.content = b"Subject: x\r\n\r\nx\r\n".to_vec();
    let item = sent_on(&mut house, incoming);
    house.now = house.now.plus_millis(5 * 3_600_000);
    let full = Outcome::Temporary(reply(552, (5, 2, 2)));
    assert!(matches!(
        conclude(&mut house, &item, full),
        Concluded::Retry(_)
    ));
    let told = house.inbox(house.account("alice"));
    assert!(
        told[0].contains("Action: delayed\r\nStatus: 4.2.2\r\n"),
        "{}",
        told[0]
    );
}

/// RFC 6533 3.
#[test]
fn an_original_recipient_in_utf_8_is_called_that() {
    let mut house = House::new();
    for (alias, kind) in [("dörte@tern.test", "utf-8"), ("dora@tern.test", "rfc822")] {
        let target = Target::Address(address("dora@far.example"));
        set_alias(&house.engine, &address(alias), &[target]).unwrap();
        let mut incoming = house.incoming("eve@far.example", &[alias], None);
        incoming.content = format!("Subject: {kind}\r\n\r\nx\r\n").into_bytes();
        let item = sent_on(&mut house, incoming);
        assert_eq!(item.dsn.orcpt, Some(format!("{kind};{alias}")));
        conclude(&mut house, &item, Outcome::Delivered(reply(250, (2, 0, 0))));
    }
}
