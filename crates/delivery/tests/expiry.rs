//! A message that says when it expires is taken back at that time, if an account sent it and the policy
//! lets it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::House;
use tern_base::{OriginId, Timestamp};
use tern_mailbox::{ExposureLevel, INBOX, Served, Share, Viewer};
use tern_policy::{Authentication, PolicySet, SHIPPED_DEFAULT};
use tern_recall::{Awaited, Extent, RecallError, Recalls, Refusal, Requested, Requester, State};

const HOUR_MS: u64 = 60 * 60 * 1000;

/// The engine's clock starts on Friday, 15 January 2027, 08:00.
const IN_AN_HOUR: &str = "Fri, 15 Jan 2027 09:00:00 +0000";

fn letter(field: &str) -> Vec<u8> {
    format!(
        "From: alice@tern.test\r\nTo: bob@tern.test\r\nSubject: one\r\n\
         Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nMessage-ID: <one@tern.test>\r\n{field}\r\ntext\r\n"
    )
    .into_bytes()
}

fn send(house: &mut House, who: Option<&str>, field: &str) {
    let mut incoming = house.incoming("alice@tern.test", &["bob@tern.test"], who);
    incoming.origin = OriginId::new(house.now, &mut house.entropy);
    incoming.content = letter(field);
    house.accept(incoming).unwrap();
}

fn recalls(house: &House) -> Recalls {
    house.recalls_under(Arc::new(PolicySet::load(SHIPPED_DEFAULT).unwrap()))
}

fn later(house: &House, ms: u64) -> Timestamp {
    house.now.plus_millis(ms)
}

fn bobs(house: &House) -> usize {
    house.inbox(house.account("bob")).len()
}

/// Bob reads it.
fn read(house: &House) {
    let bob = house.account("bob");
    let view = house.mailboxes.view(bob, INBOX).unwrap();
    let message = view.iter().next().unwrap().message;
    let row = house.mailboxes.message(bob, message).unwrap();
    let served = Served {
        account: bob,
        message,
        digest: row.digest,
        origin: row.origin,
        level: ExposureLevel::Body,
        share: Share::NONE,
        carries: !row.carried.is_empty(),
    };
    house
        .mailboxes
        .record_served(&[served], &Viewer::default(), house.now)
        .unwrap();
}

#[test]
fn what_expires_is_taken_back_at_its_time_whoever_has_read_it() {
    for field in ["Expires", "Expiry-Date"] {
        let mut house = House::new();
        send(
            &mut house,
            Some("alice"),
            &format!("{field}: {IN_AN_HOUR}\r\n"),
        );
        let recalls = recalls(&house);
        let alice = house.account("alice");
        let answers = recalls.triggers(alice, house.now).unwrap();
        let at = later(&house, HOUR_MS);
        let [Requested::Waiting(id, Awaited::Time { at: planned })] = answers[..] else {
            panic!("{answers:?}");
        };
        assert_eq!(
            (planned, recalls.next_due_after(house.now).unwrap()),
            (at, Some(at))
        );
        recalls.run(id, house.now).unwrap();
        assert_eq!(recalls.recall(id).unwrap().state, State::Planned);
        assert_eq!(recalls.triggers(alice, house.now).unwrap(), []);
        read(&house);
        recalls.run_open(later(&house, HOUR_MS - 1)).unwrap();
        assert_eq!(bobs(&house), 1);
        assert_eq!(recalls.check().unwrap(), []);
        // Another process, after the time has passed.
        let recalls = self::recalls(&house);
        recalls.run_open(later(&house, HOUR_MS + 500)).unwrap();
        assert_eq!(bobs(&house), 0);
        let status = recalls.status(id, 10).unwrap();
        assert_eq!(status.recall.state, State::Done);
        assert_eq!(Extent::of(&status.tally), Extent::All);
        assert_eq!(recalls.next_due_after(house.now).unwrap(), None);
        assert_eq!(recalls.check().unwrap(), []);
        house.check();
    }
}

#[test]
fn what_is_past_or_too_far_off_or_no_date_expires_never() {
    let fields = [
        "Expires: Fri, 15 Jan 2027 07:59:59 +0000\r\n",
        "Expires: Fri, 15 Jan 2077 09:00:00 +0000\r\n",
        "Expires: tomorrow\r\n",
        "",
    ];
    for field in fields {
        let mut house = House::new();
        send(&mut house, Some("alice"), field);
        let recalls = recalls(&house);
        assert_eq!(
            recalls.triggers(house.account("alice"), house.now).unwrap(),
            []
        );
        recalls
            .run_open(later(&house, 60 * 366 * 24 * HOUR_MS))
            .unwrap();
        assert_eq!(bobs(&house), 1, "{field}");
    }
}

#[test]
fn what_came_in_from_outside_does_not_expire_by_its_header() {
    let mut house = House::new();
    send(&mut house, None, &format!("Expires: {IN_AN_HOUR}\r\n"));
    let recalls = recalls(&house);
    for who in ["alice", "bob"] {
        assert_eq!(recalls.triggers(house.account(who), house.now).unwrap(), []);
    }
    recalls.run_open(later(&house, 2 * HOUR_MS)).unwrap();
    assert_eq!(bobs(&house), 1);
    house.check();
}

#[test]
fn a_planned_recall_is_cancelled_by_its_sender_and_leaves_one_that_is_asked_for_now_alone() {
    let mut house = House::new();
    let field = format!("Expires: {IN_AN_HOUR}\r\n");
    send(&mut house, Some("alice"), &field);
    let recalls = recalls(&house);
    let alice = house.account("alice");
    let by = |account| Requester {
        account: Some(account),
        name: "x".into(),
        authentication: Authentication::default(),
    };
    let id = recalls.triggers(alice, house.now).unwrap()[0].id();
    let other = recalls.cancel(id, &by(house.account("bob")), house.now);
    assert!(matches!(other, Err(RecallError::NoRecall)), "{other:?}");
    recalls.cancel(id, &by(alice), house.now).unwrap();
    recalls.run_open(later(&house, 2 * HOUR_MS)).unwrap();
    assert_eq!(bobs(&house), 1);
    assert_eq!(recalls.recall(id).unwrap().state, State::Cancelled);
    // Asked for before its time, it is taken back at once, and nothing is left for later.
    let mut house = House::new();
    send(&mut house, Some("alice"), &field);
    let recalls = self::recalls(&house);
    let planned = recalls.triggers(alice, house.now).unwrap()[0].id();
    let mut ask = house.incoming("alice@tern.test", &["recall@tern.test"], Some("alice"));
    ask.content = b"Subject: x\r\n\r\none@tern.test\r\n".to_vec();
    house.accept(ask).unwrap();
    let answers = recalls.triggers(alice, house.now).unwrap();
    assert!(matches!(answers[..], [Requested::Sealed(_)]), "{answers:?}");
    recalls.run(answers[0].id(), house.now).unwrap();
    assert_eq!(bobs(&house), 0);
    recalls.run_open(later(&house, 2 * HOUR_MS)).unwrap();
    assert!(matches!(
        recalls.recall(planned).unwrap().state,
        State::Refused(_)
    ));
    assert_eq!(recalls.check().unwrap(), []);
    house.check();
}

/// To send an old letter again, with a time of expiry or without, makes the first no younger.
#[test]
fn what_was_sent_before_is_not_taken_with_what_expires_and_is_judged_by_its_age() {
    let mut house = House::new();
    send(&mut house, Some("alice"), "");
    read(&house);
    house.now = later(&house, 48 * HOUR_MS);
    let soon = "Expires: Sun, 17 Jan 2027 08:00:02 +0000\r\n";
    send(&mut house, Some("alice"), soon);
    let recalls = recalls(&house);
    let alice = house.account("alice");
    assert_eq!(recalls.triggers(alice, house.now).unwrap().len(), 1);
    recalls.run_open(later(&house, 3_000)).unwrap();
    assert_eq!(bobs(&house), 1, "the second, and not the first");
    send(&mut house, Some("alice"), "");
    let mut ask = house.incoming("alice@tern.test", &["recall@tern.test"], Some("alice"));
    ask.content = b"Subject: x\r\n\r\none@tern.test\r\n".to_vec();
    house.accept(ask).unwrap();
    let answers = recalls.triggers(alice, house.now).unwrap();
    assert!(
        matches!(answers[..], [Requested::Refused(_, Refusal::TooOld)]),
        "{answers:?}"
    );
    assert_eq!(bobs(&house), 2);
    house.check();
}
