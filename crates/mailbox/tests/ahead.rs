//! Contents that are read ahead: the same octets as by themselves, and none of them once sealed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use tern_base::OriginId;
use tern_mailbox::{
    Cover, Flags, INBOX, Landing, Lineage, MailboxError, MessageRow, Placed, limits,
};

use house::*;

/// A message with octets of its recipient before its content.
fn with_prefix(house: &House, prefix: &[u8]) -> Placed {
    let prepared = house.mailboxes.prepare(letter(3), house.now).unwrap();
    let landing = Landing {
        account: ALICE,
        mailbox: INBOX,
        flags: Flags::empty(),
        received: house.now,
        prefix: prefix.to_vec(),
        origin: OriginId([0; 16]),
        lineage: Lineage::Delivered,
        brought_by: None,
    };
    let placed = house.mailboxes.land(&prepared, &[landing], house.now);
    placed.unwrap().pop().unwrap().unwrap()
}

#[test]
fn what_is_read_ahead_is_what_is_read() {
    let mut house = House::new();
    let mut long = letter(2);
    long.resize(limits::MAX_AHEAD as usize + 1, b'x');
    let own = house.append(ALICE, INBOX, &letter(1));
    let delivered = with_prefix(&house, b"Return-Path: <bob@example.org>\r\n");
    let long = house.append(ALICE, INBOX, &long);
    let rows: Vec<MessageRow> = [&own, &delivered, &long]
        .map(|placed| house.mailboxes.message(ALICE, placed.message).unwrap())
        .into();
    let rows: Vec<&MessageRow> = rows.iter().collect();
    let ahead = house.mailboxes.read_ahead(&rows);
    assert!(ahead[2].is_none(), "too long");
    for (row, ahead) in rows.iter().zip(&ahead).take(2) {
        let ahead = ahead.as_ref().unwrap();
        let prefix = row.prefix.len() as u64;
        let size = u64::from(row.size);
        let ranges = [
            0..u64::MAX,
            0..prefix,
            prefix..size,
            prefix.saturating_sub(2)..prefix + 3,
            1..prefix.saturating_sub(1).max(1),
            size..size + 9,
            size + 1..size + 2,
        ];
        for range in ranges {
            let served = house.mailboxes.serve(ALICE, row, ahead, &range).unwrap();
            let read = house.mailboxes.read(ALICE, row, range.clone()).unwrap();
            assert_eq!(*served, *read.0, "{range:?}");
        }
    }
    house.check();
}

#[test]
fn a_seal_that_comes_after_the_reading_withholds_it() {
    let mut house = House::new();
    let placed = house.append(BOB, INBOX, &letter(1));
    let row = house.mailboxes.message(BOB, placed.message).unwrap();
    let ahead = house.mailboxes.read_ahead(&[&row]).pop().flatten().unwrap();
    assert!(house.mailboxes.serve(BOB, &row, &ahead, &(0..9)).is_ok());
    house.seal(&letter(1), Cover::Except([].into()));
    assert_eq!(
        house.mailboxes.serve(BOB, &row, &ahead, &(0..9)),
        Err(MailboxError::Sealed)
    );
    house.check();
}
