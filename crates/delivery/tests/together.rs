//! Items that travel together: taken and concluded in one transaction, each with an outcome of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use house::{House, address};
use tern_base::{OriginId, Timestamp};
use tern_delivery::{Concluded, Outgoing};
use tern_mailbox::{Cover, MailboxError, Origins, Outside, Seal, SealTag};
use tern_queue::{Ending, LeaseId, Outcome, QueueId, Reply, State, Status};
use tern_recall::{Outcome as Recalled, RecallId, Request, Requester, Selector};
use tern_store::mem::{FaultHook, Injected};
use tern_store::{Range, Read as _};

const TO: [&str; 4] = [
    "a@far.example",
    "b@far.example",
    "c@far.example",
    "d@far.example",
];
const LEASE: LeaseId = LeaseId(1);
const LEASE_MS: u64 = 60_000;

/// Alice's letter to four outside; the items in their order.
fn sent(house: &mut House) -> (OriginId, Vec<QueueId>) {
    let mut incoming = house.incoming("alice@tern.test", &TO, Some("alice"));
    incoming.content = b"Subject: all\r\n\r\nHello\r\n".to_vec();
    let origin = incoming.origin;
    house.accept(incoming).unwrap();
    let of = |n| QueueId::of_recipient(origin, n);
    (origin, (0..4).map(of).collect())
}

fn take(house: &House, ids: &[QueueId]) -> Option<Outgoing> {
    house
        .delivery
        .take(ids, LEASE, house.now, LEASE_MS)
        .unwrap()
}

fn taken(house: &House, ids: &[QueueId]) -> Vec<QueueId> {
    let items = take(house, ids).map(|taken| taken.items);
    items.into_iter().flatten().map(|item| item.id).collect()
}

fn reply(code: u16) -> Reply {
    Reply {
        code,
        enhanced: None,
        text: "so".to_owned(),
        host: Some("mx.far.example".to_owned()),
    }
}

fn conclude(house: &mut House, ended: &[(QueueId, Outcome)]) -> Vec<Concluded> {
    let (now, entropy) = (house.now, &mut house.entropy);
    let delivery = Arc::clone(&house.delivery);
    delivery
        .conclude(ended, LEASE, false, now, entropy)
        .unwrap()
}

/// One of each: taken, refused, too many for the transaction, and without an answer.
fn each(ids: &[QueueId]) -> Vec<(QueueId, Outcome)> {
    let outcomes = [
        Outcome::Delivered(reply(250)),
        Outcome::Permanent(reply(550)),
        Outcome::GivenBack,
        Outcome::Unanswered {
            reply: reply(0),
            together: 4,
        },
    ];
    ids.iter().copied().zip(outcomes).collect()
}

fn recall_of(origin: OriginId) -> Request {
    Request {
        id: RecallId([9; 16]),
        selector: Selector::Submission(origin),
        requester: Requester {
            account: None,
            name: "root".into(),
            authentication: tern_policy::Authentication::default(),
        },
        chosen: Vec::new(),
        selection: tern_policy::Selection::Any,
        attachment: None,
        reach: tern_recall::Reach::default(),
        notices: tern_recall::Notices::default(),
        batch: None,
        as_answer: false,
        reason: None,
        replacement: None,
        expires: None,
    }
}

fn rows(house: &House) -> Vec<(Vec<u8>, Vec<u8>)> {
    // Due, item and history rows: nothing that a notice touches.
    let mut queue = Range::prefix(vec![0x30]);
    queue.end = vec![0x40];
    house.engine.scan(&queue, 1_000).unwrap().rows
}

#[test]
fn each_has_its_own_outcome_and_one_notice_tells_of_all_that_failed() {
    let mut house = House::new();
    let (_, ids) = sent(&mut house);
    let outgoing = take(&house, &ids).unwrap();
    assert_eq!(outgoing.items.len(), 4);
    let now = house.now;
    let mut ended = each(&ids);
    ended[0].1 = Outcome::Permanent(reply(554));
    let done = conclude(&mut house, &ended);
    assert!(
        matches!(
            done[..],
            [
                Concluded::Finished(Ending::Refused),
                Concluded::Finished(Ending::Refused),
                Concluded::Retry(at),
                Concluded::Retry(_)
            ] if at == now
        ),
        "{done:?}"
    );
    let told = house.inbox(house.account("alice"));
    assert_eq!(told.len(), 1, "one notice");
    for (n, to) in (0..).zip(TO) {
        let is_told = told[0].contains(&format!("Final-Recipient: rfc822; {to}"));
        assert_eq!(is_told, n < 2, "{to}");
    }
    // Who was too many was not tried, and is due; who has no answer waits.
    let attempts = |id| match tern_queue::status(&house.engine, id).unwrap() {
        Some(Status::Live(item)) => (item.attempts, item.lost_attempts),
        other => panic!("{other:?}"),
    };
    assert_eq!([attempts(ids[2]), attempts(ids[3])], [(0, 0), (1, 1)]);
    let due = house.delivery.due(house.now, 9).unwrap();
    assert_eq!(due.iter().map(|item| item.id).collect::<Vec<_>>(), [ids[2]]);
    house.check();
}

#[test]
fn a_recall_prevents_what_no_other_server_may_have_taken_and_nothing_else() {
    // The seal falls before the attempt is concluded, or after.
    for is_before in [true, false] {
        let mut house = House::new();
        let (origin, ids) = sent(&mut house);
        let recalls = house.recalls();
        let request = recall_of(origin);
        assert_eq!(taken(&house, &ids), ids);
        let ended = each(&ids);
        if is_before {
            recalls.request(&request, house.now).unwrap();
            recalls.run(request.id, house.now).unwrap();
        }
        conclude(&mut house, &ended);
        if !is_before {
            recalls.request(&request, house.now).unwrap();
        }
        house.now = house.now.plus_millis(2 * LEASE_MS);
        recalls.run(request.id, house.now).unwrap();
        recalls.run_open(house.now).unwrap();
        let tally = recalls.tally(request.id).unwrap();
        let of = |outcome| tally.of(outcome);
        let relayed = of(Recalled::Relayed);
        let prevented = of(Recalled::Prevented);
        // Taken, and perhaps taken; too many for the transaction, and refused.
        assert_eq!((relayed, of(Recalled::Pending)), (2, 0), "{is_before}");
        assert_eq!(prevented + of(Recalled::AlreadyGone), 2, "{is_before}");
        assert!(prevented >= 1, "{is_before}");
        assert_eq!(taken(&house, &ids), [], "{is_before}");
        house.check();
    }
}

/// Between two transactions of one attempt: whoever was not named yet is not named any more, and
/// nothing left for them.
#[test]
fn a_recall_during_an_attempt_stops_those_who_were_not_named_yet() {
    let mut house = House::new();
    let (origin, ids) = sent(&mut house);
    let recalls = house.recalls();
    let outgoing = take(&house, &ids).unwrap();
    let still = |house: &House, ids: &[QueueId]| {
        let still = house.delivery.still(&outgoing, ids, LEASE, house.now);
        still.unwrap()
    };
    assert_eq!(still(&house, &ids), ids);
    conclude(&mut house, &[(ids[0], Outcome::Delivered(reply(250)))]);
    // Somebody holds one, and cancels another.
    tern_queue::hold(&house.engine, ids[1], "by hand", house.now).unwrap();
    assert_eq!(still(&house, &ids[1..]), ids[2..]);
    let request = recall_of(origin);
    recalls.request(&request, house.now).unwrap();
    assert_eq!(still(&house, &ids[1..]), []);
    let back: Vec<_> = ids[1..]
        .iter()
        .map(|id| (*id, Outcome::GivenBack))
        .collect();
    let done = conclude(&mut house, &back);
    let cancelled = Concluded::Finished(Ending::Cancelled);
    assert_eq!(done[1..], [cancelled, cancelled]);
    recalls.run(request.id, house.now).unwrap();
    let tally = recalls.tally(request.id).unwrap();
    let of = |outcome| tally.of(outcome);
    assert_eq!((of(Recalled::Relayed), of(Recalled::Prevented)), (1, 3));
    house.check();
}

#[test]
fn what_is_sealed_held_or_of_another_is_left_out() {
    let mut house = House::new();
    let (origin, mut ids) = sent(&mut house);
    let mut incoming = house.incoming("alice@tern.test", &TO[..1], Some("alice"));
    incoming.content = b"Subject: other\r\n\r\nHello\r\n".to_vec();
    let other = QueueId::of_recipient(incoming.origin, 0);
    house.accept(incoming).unwrap();
    tern_queue::hold(&house.engine, ids[3], "by a rule", house.now).unwrap();
    let digest = tern_recall::submission::submission(&house.engine, origin);
    let seal = Seal {
        tag: SealTag([9; 16]),
        cover: Cover::Except(Default::default()),
        outside: Outside::Only([(origin, [1].into_iter().collect())].into()),
        origins: Origins::all(),
        attached: true,
        part: None,
        active: false,
        until: Timestamp(u64::MAX),
    };
    let digest = digest.unwrap().unwrap().digest;
    let sealed = house
        .sealing
        .seal(digest, seal, |_| Ok::<_, MailboxError>(()));
    sealed.unwrap();
    ids.insert(1, other);
    assert_eq!(taken(&house, &ids), [ids[0], ids[3]]);
    let ended = tern_queue::status(&house.engine, ids[2]).unwrap().unwrap();
    assert!(matches!(ended, Status::Finished(row) if row.ending == Ending::Cancelled));
    assert_eq!(taken(&house, &[other]), [other], "it goes by itself");
    house.check();
}

#[test]
fn whose_time_is_over_is_told_apart_from_who_is_to_be_sent() {
    let mut house = House::new();
    let (_, ids) = sent(&mut house);
    house.now = house.now.plus_millis(6 * 24 * 3_600_000);
    assert_eq!(taken(&house, &ids[..1]), ids[..1]);
    // That attempt is lost; the others have theirs yet.
    house.now = house.now.plus_millis(2 * LEASE_MS);
    let (delivery, lease, now) = (&house.delivery, LeaseId(2), house.now);
    let take = || delivery.take(&ids, lease, now, LEASE_MS).unwrap().unwrap();
    let outgoing = take();
    let of = |items: &[tern_queue::Item]| items.iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(of(&outgoing.overdue), ids[..1]);
    assert_eq!(of(&outgoing.items), ids[1..]);
    // Whoever has not heard it asks again, and hears the same.
    let again = take();
    assert_eq!(of(&again.overdue), ids[..1]);
    assert_eq!(of(&again.items), ids[1..]);
}

/// The first commit from now on fares so.
fn once(fate: Injected) -> FaultHook {
    let commits = AtomicU64::new(0);
    Box::new(move |_| (commits.fetch_add(1, Ordering::Relaxed) == 0).then_some(fate))
}

/// An answer of the store that is lost, whether the commit was applied or not, and a conflict: what is
/// done again leaves what was done once.
#[test]
fn what_is_taken_and_concluded_again_is_taken_and_concluded_once() {
    let calm = {
        let mut house = House::new();
        let (_, ids) = sent(&mut house);
        assert_eq!(taken(&house, &ids), ids);
        let in_flight = rows(&house);
        let ended = each(&ids);
        conclude(&mut house, &ended);
        (in_flight, rows(&house))
    };
    for fate in [
        Injected::Conflict,
        Injected::UnknownApplied,
        Injected::UnknownDropped,
    ] {
        let mut house = House::new();
        let (_, ids) = sent(&mut house);
        let is_lost = fate != Injected::Conflict;
        house.engine.set_fault_hook(Some(once(fate)));
        let first = house.delivery.take(&ids, LEASE, house.now, LEASE_MS);
        assert_eq!(first.is_err(), is_lost, "{fate:?}");
        assert_eq!(taken(&house, &ids), ids, "{fate:?}");
        assert_eq!(rows(&house), calm.0, "{fate:?}");
        let ended = each(&ids);
        house.engine.set_fault_hook(Some(once(fate)));
        let (now, delivery) = (house.now, Arc::clone(&house.delivery));
        let first = delivery.conclude(&ended, LEASE, false, now, &mut house.entropy);
        assert_eq!(first.is_err(), is_lost, "{fate:?}");
        conclude(&mut house, &ended);
        assert_eq!(rows(&house), calm.1, "{fate:?}");
        let told = house.inbox(house.account("alice"));
        assert_eq!(told.len(), 1, "{fate:?}: one notice");
        house.check();
    }
}

#[test]
fn the_recipients_of_one_message_are_tried_again_together() {
    let mut house = House::new();
    let (_, ids) = sent(&mut house);
    assert_eq!(taken(&house, &ids), ids);
    let later = |id: &QueueId| (*id, Outcome::Temporary(reply(451)));
    let ended: Vec<_> = ids.iter().map(later).collect();
    let done = conclude(&mut house, &ended);
    let first = done[0];
    assert!(matches!(first, Concluded::Retry(_)));
    assert!(done.iter().all(|one| *one == first), "{done:?}");
    let Concluded::Retry(at) = first else {
        panic!("{first:?}")
    };
    house.now = at;
    assert_eq!(taken(&house, &ids), ids);
    let item = &take(&house, &ids).unwrap().items[0];
    assert!(matches!(item.state, State::InFlight { .. }));
    assert_eq!(item.recipient, address(TO[0]));
}
