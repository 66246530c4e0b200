//! What happens between a transaction's reads and its commit: a plan that is dropped under its
//! writer, a seal that falls on what a notice gives back.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use tern_base::{SeededEntropy, Timestamp};
use tern_delivery::{Delivery, Incoming};
use tern_mailbox::{Cover, MailboxError, Origins, Outside, Seal, SealTag};
use tern_queue::{LeaseId, Outcome, Reply};
use tern_store::{Range, Read, StoreError};

/// More long destinations than one batch of a plan takes.
const MANY: usize = 800;

/// A message whose plan takes several batches to write.
fn to_many(house: &mut House) -> Incoming {
    let to: Vec<String> = (0..MANY).map(|n| format!("o{n}@far.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut incoming = house.incoming("alice@tern.test", &to, Some("alice"));
    for recipient in &mut incoming.recipients {
        recipient.orcpt = Some(format!("rfc822;{}", "o".repeat(1_000)));
    }
    incoming.content = b"Subject: all\r\n\r\nHello\r\n".to_vec();
    incoming
}

fn resume(delivery: &Delivery, now: Timestamp) {
    let mut entropy = SeededEntropy::new(3);
    let resumed = delivery.resume(now, &mut entropy).unwrap();
    assert_eq!(resumed.failed, []);
}

fn plan_rows(house: &House) -> usize {
    let plans = Range::prefix(vec![0x62]);
    house.engine.scan(&plans, 10_000).unwrap().rows.len()
}

#[test]
fn a_plan_that_is_dropped_under_its_writer_is_not_accepted() {
    for at in 0..4 {
        let mut house = House::new();
        let incoming = to_many(&mut house);
        let other = House::over(house.engine.clone(), house.now);
        let later = house.now.plus_millis(2 * 3_600_000);
        let act = move || resume(&other.delivery, later);
        house.engine.before_commit(at, act);
        let slow = house.delivery_over(Arc::new(house.engine.clone()));
        let mut entropy = SeededEntropy::new(4);
        let done = slow.accept(incoming.clone(), house.now, &mut entropy);
        assert!(!house.engine.is_awaited());
        match at {
            // Before anything was written, or once it is accepted, there is nothing to drop.
            0 | 3 => assert!(done.is_ok(), "{at}: {done:?}"),
            _ => {
                assert_eq!(done, Err(StoreError::Busy.into()), "{at}");
                assert_eq!(plan_rows(&house), 0, "{at}");
                house.check();
                assert_eq!(house.accept(incoming).unwrap().outside, MANY);
            }
        }
        assert_eq!(plan_rows(&house), 0, "{at}");
        house.check();
    }
}

#[test]
fn a_plan_that_is_written_anew_is_not_dropped() {
    let mut house = House::new();
    let incoming = to_many(&mut house);
    // The first attempt ends after one batch of rows.
    let mut commits = 0;
    house.engine.set_fault_hook(Some(Box::new(move |_| {
        commits += 1;
        (commits > 1).then_some(tern_store::mem::Injected::Full)
    })));
    assert!(house.accept(incoming.clone()).is_err());
    house.engine.set_fault_hook(None);
    assert!(plan_rows(&house) > 0);
    // Whoever drops its rows has looked at them, and then the sender tries again.
    let other = House::over(house.engine.clone(), house.now);
    let (again, now) = (incoming, house.now);
    house.engine.before_commit(0, move || {
        let mut entropy = SeededEntropy::new(4);
        let done = other.delivery.accept(again, now, &mut entropy).unwrap();
        assert_eq!(done.outside, MANY);
    });
    let dropper = house.delivery_over(Arc::new(house.engine.clone()));
    resume(&dropper, house.now.plus_millis(2 * 3_600_000));
    assert!(!house.engine.is_awaited());
    assert_eq!(plan_rows(&house), 0);
    house.check();
}

const BODY: &str = "what nobody shall read";

/// A message to the outside under lease, and what seals it.
fn in_flight(house: &mut House) -> (tern_queue::QueueId, impl Fn(&House, bool) + Send + use<>) {
    let mut incoming = house.incoming("alice@tern.test", &["x@far.example"], Some("alice"));
    incoming.content = format!("Subject: one\r\n\r\n{BODY}\r\n").into_bytes();
    let origin = incoming.origin;
    house.accept(incoming).unwrap();
    let item = house.delivery.due(house.now, 1).unwrap().pop().unwrap();
    let taken = house
        .delivery
        .take(&[item.id], LeaseId(1), house.now, 60_000);
    assert!(taken.unwrap().is_some());
    let sent = tern_recall::submission::submission(&house.engine, origin).unwrap();
    let digest = sent.unwrap().digest;
    let seal = move |house: &House, active: bool| {
        let seal = Seal {
            tag: SealTag([9; 16]),
            cover: Cover::Except(Default::default()),
            outside: Outside::All,
            origins: Origins::all(),
            attached: true,
            part: None,
            active,
            until: Timestamp(u64::MAX),
        };
        let done = house
            .sealing
            .seal(digest, seal, |_| Ok::<_, MailboxError>(()));
        done.unwrap();
    };
    (item.id, seal)
}

fn refused() -> Outcome {
    Outcome::Permanent(Reply {
        code: 550,
        enhanced: Some((5, 1, 1)),
        text: "no such user".to_owned(),
        host: Some("mx.far.example".to_owned()),
    })
}

/// The one notice that the sender got.
fn notice(house: &House) -> String {
    let told = house.inbox(house.account("alice"));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("Subject: one\r\n"), "the header is there");
    told[0].clone()
}

#[test]
fn a_notice_gives_back_what_is_not_sealed_whole_and_what_is_as_its_header() {
    for sealed in [false, true] {
        let mut house = House::new();
        let (item, seal) = in_flight(&mut house);
        if sealed {
            // Settled, so that after a restart nothing in memory knows of it.
            seal(&house, false);
        }
        let mut house = House::over(house.engine.fork(), house.now);
        let (lease, now) = (LeaseId(1), house.now);
        let entropy = &mut house.entropy;
        let done = house
            .delivery
            .conclude(&[(item, refused())], lease, false, now, entropy);
        done.unwrap();
        assert_eq!(notice(&house).contains(BODY), !sealed);
        house.check();
    }
}

#[test]
fn a_seal_that_falls_while_a_notice_is_placed_is_obeyed() {
    let mut house = House::new();
    let (item, seal) = in_flight(&mut house);
    let other = House::over(house.engine.clone(), house.now);
    house.engine.before_commit(0, move || seal(&other, true));
    let slow = house.delivery_over(Arc::new(house.engine.clone()));
    let (lease, now) = (LeaseId(1), house.now);
    let entropy = &mut house.entropy;
    slow.conclude(&[(item, refused())], lease, false, now, entropy)
        .unwrap();
    assert!(!house.engine.is_awaited());
    assert!(!notice(&house).contains(BODY));
    house.check();
}
