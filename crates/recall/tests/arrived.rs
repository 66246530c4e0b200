//! What came in from outside is remembered for as long as a hold is about it or somebody asks for it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::counting::Counting;
use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{AccountId, EmailAddress, OriginId, Timestamp};
use tern_mailbox::{Access, INBOX, Landing, Lineage};
use tern_policy::{Authentication, Selection};
use tern_recall::arrival::record_arrival_in;
use tern_recall::{
    Arrival, BatchId, Destination, HoldId, NewHold, Notices, Outcome, Reach, Reason, RecallError,
    Refusal, Request, Requested, Requester, Retract, Scope, Search, Selector, State, Submission,
    Target, limits, submission,
};
use tern_store::Verdict;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const LONG_MS: u64 = 91 * DAY_MS;

fn operator() -> Requester {
    Requester {
        account: None,
        name: "root".into(),
        authentication: Authentication::default(),
    }
}

/// A letter of Alice's by its `From:` comes in for somebody, from the address of a list.
fn arrive(house: &mut House, to: AccountId, n: usize) -> Submission {
    arrive_for(house, (to, "bob@example.org"), n)
}

/// The same, by this address.
fn arrive_for(house: &mut House, (to, address): (AccountId, &str), n: usize) -> Submission {
    let now = house.now;
    let id = OriginId::new(now, &mut house.entropy).foreign();
    let prepared = house.mailboxes.prepare(house.letter(n), now).unwrap();
    let came = Submission {
        id,
        account: Submission::OUTSIDE,
        mail_from: Some(bounces()),
        message_id: prepared.parsed.message_id.clone().unwrap(),
        subject: prepared.parsed.envelope.subject.clone().unwrap(),
        digest: prepared.digest,
        carried: Vec::new(),
        text: None,
        label: None,
        answers: Vec::new(),
        size: prepared.size(),
        submitted: now,
        recipients: 1,
        accounts: 1,
        outside: 0,
    };
    let landing = Landing {
        account: to,
        mailbox: INBOX,
        flags: Default::default(),
        received: now,
        prefix: Vec::new(),
        origin: id,
        lineage: Lineage::Delivered,
        brought_by: None,
    };
    house.mailboxes.land(&prepared, &[landing], now).unwrap();
    let arrival = Arrival {
        submission: came.clone(),
        from: "alice@example.org".into(),
    };
    let target = Target::of(address, &[], Destination::Account(to));
    tern_store::transact(&house.engine, |txn| -> Result<_, tern_store::StoreError> {
        record_arrival_in(txn, &arrival)?;
        submission::record_targets_in(txn, id, 0, std::slice::from_ref(&target));
        Ok(Verdict::Commit(()))
    })
    .unwrap();
    came
}

fn bounces() -> EmailAddress {
    EmailAddress::parse("bounces@list.example").unwrap()
}

fn retract(house: &mut House, came: &Submission) -> Request {
    let request = house.request(BOB, Selector::Submission(came.id));
    Request {
        requester: operator(),
        ..request
    }
}

#[test]
fn a_hold_by_who_sent_it_holds_what_came_in_however_long_ago() {
    let mut house = House::new();
    arrive(&mut house, BOB, 1);
    arrive(&mut house, CAROL, 2);
    let hold = NewHold {
        id: HoldId::new(house.now, &mut house.entropy),
        scope: Scope {
            sender: Some(bounces()),
            account: Some(BOB),
            ..Scope::default()
        },
        why: "case 12".into(),
        ends: None,
        visible: false,
    };
    house
        .recalls
        .place_hold(&hold, &operator(), house.now)
        .unwrap();
    let later = house.now.plus_millis(LONG_MS);
    // To whom it went is no part of what is on record: a hold of one account keeps both.
    assert_eq!(house.recalls.forget_arrivals(later).unwrap(), 0);
    for account in [BOB, CAROL] {
        let all = [tern_base::Uid(1)];
        let gone = house
            .mailboxes
            .expunge(&Access::owner(account, INBOX), &all, false, later);
        assert_eq!(gone.unwrap(), all);
    }
    assert_eq!(house.recalls.kept_copies().unwrap().copies, 1, "bob's");
    house
        .recalls
        .release_hold(hold.id, &operator(), later)
        .unwrap();
    assert_eq!(house.recalls.forget_arrivals(later).unwrap(), 2);
    house.check();
}

/// It is forgotten at the very moment at which somebody asks for it.
#[test]
fn what_is_forgotten_meanwhile_is_not_found_and_nothing_is_hidden() {
    let mut house = House::new();
    let came = arrive(&mut house, BOB, 1);
    let request = retract(&mut house, &came);
    let (other, later) = (house.another(), house.now.plus_millis(LONG_MS));
    house.once_before_next_commit(move || {
        assert_eq!(other.forget_arrivals(later).unwrap(), 1);
    });
    let answer = house.recalls.request(&request, later).unwrap();
    assert_eq!(answer, Requested::Refused(request.id, Refusal::NotFound));
    assert_eq!(house.uids(BOB, INBOX), [1]);
    let message = house.message_at(BOB, 1);
    assert!(house.mailboxes.message(BOB, message).is_ok());
    house.check();
}

/// Whoever forgets has looked before the request, and comes to it afterwards.
#[test]
fn what_is_asked_for_meanwhile_is_not_forgotten() {
    let mut house = House::new();
    let came = arrive(&mut house, BOB, 1);
    let request = retract(&mut house, &came);
    let (other, later) = (house.another(), house.now.plus_millis(LONG_MS));
    let asked = request.clone();
    house.once_before_next_commit(move || {
        other.request(&asked, later).unwrap();
    });
    assert_eq!(house.recalls.forget_arrivals(later).unwrap(), 0);
    house.recalls.run_open(later).unwrap();
    assert_eq!(house.recalls.recall(request.id).unwrap().state, State::Done);
    assert!(house.uids(BOB, INBOX).is_empty());
    assert_eq!(house.recalls.forget_arrivals(later).unwrap(), 0);
    house.check();
}

/// What a hold is about is as good as never forgotten: nothing may be done for each of them every minute.
#[test]
fn what_stays_is_looked_at_once_and_not_again_until_something_has_changed() {
    let mut house = House::new();
    for n in 0..300 {
        arrive(&mut house, BOB, n);
    }
    let hold = |id, ends| NewHold {
        id,
        scope: Scope {
            since: Some(Timestamp(0)),
            ..Scope::default()
        },
        why: "case 12".into(),
        ends,
        visible: false,
    };
    let engine = Arc::new(Counting::new(house.engine.clone()));
    let (recalls, _) = house.recalls_over(Arc::<Counting>::clone(&engine));
    let first = hold(HoldId::new(house.now, &mut house.entropy), None);
    recalls.place_hold(&first, &operator(), house.now).unwrap();
    let later = house.now.plus_millis(LONG_MS);
    let look = |at| {
        engine.forget();
        (
            recalls.forget_arrivals(at).unwrap(),
            engine.asked(),
            engine.begun(),
        )
    };
    // One moment for the holds, and no transaction for what they keep.
    let (forgotten, asked, begun) = look(later);
    assert_eq!((forgotten, begun), (0, 1));
    assert!(asked > 2, "a page after the other");
    let (forgotten, asked, begun) = look(later.plus_millis(60_000));
    assert_eq!((forgotten, begun), (0, 1));
    assert!(
        asked <= 2,
        "{asked} reads of what was looked at a minute before"
    );
    // A day later once more, since nothing else tells what was under way.
    assert!(look(later.plus_millis(DAY_MS)).1 > 2);

    let until = later.plus_millis(2 * DAY_MS);
    let second = hold(HoldId::new(house.now, &mut house.entropy), Some(until));
    recalls.place_hold(&second, &operator(), later).unwrap();
    recalls.release_hold(first.id, &operator(), later).unwrap();
    let before = Timestamp(until.0 - 1);
    assert_eq!(look(before).0, 0);
    // It ends by itself, which changes no row.
    assert_eq!(look(until).0, 300);
}

/// A typing mistake takes nothing, and is told, though what came in is often sent to each by itself.
#[test]
fn an_address_that_leads_to_nobody_here_is_a_mistake_whoever_sent_the_message() {
    let mut house = House::new();
    arrive(&mut house, BOB, 1);
    house.submit(ALICE, &[CAROL], &[], 1);
    let mut retract = Retract {
        batch: BatchId([7; 16]),
        search: Search {
            subject: Some("Letter".into()),
            ..Search::default()
        },
        requester: operator(),
        chosen: vec!["bob@example.org".into(), "dave@example.org".into()],
        selection: Selection::Any,
        reach: Reach::default(),
        attachment: None,
        depth: 0,
        notices: Notices::default(),
        reason: None,
    };
    // Nobody has written to Dave yet, who may be next.
    assert!(house.recalls.plan_retract(&retract, house.now).is_ok());
    retract.chosen.push("carol@exmaple.org".into());
    let wrong = RecallError::Nobody("carol@exmaple.org".into());
    let planned = house.recalls.plan_retract(&retract, house.now);
    assert_eq!(planned.map(drop), Err(wrong.clone()));
    assert_eq!(house.recalls.retract(&retract, house.now), Err(wrong));
    assert_eq!(house.uids(BOB, INBOX), [1]);
}

/// A wave comes in, each recipient a message of their own, and more of it is on its way when somebody is
/// chosen.
#[test]
fn who_is_chosen_is_kept_from_what_comes_in_next() {
    let mut house = House::new();
    let first = arrive(&mut house, BOB, 1);
    let mut request = retract(&mut house, &first);
    request.chosen = vec!["carol@example.org".into()];
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    let carols = (CAROL, "carol@example.org");
    arrive_for(&mut house, carols, 1);
    house.recalls.run(request.id, house.now).unwrap();
    house.now = house.now.plus_millis(1_000);
    arrive_for(&mut house, carols, 1);
    house.recalls.run_open(house.now).unwrap();
    assert!(house.uids(CAROL, INBOX).is_empty());
    assert_eq!(house.uids(BOB, INBOX), [1]);
    let late = (
        "carol@example.org",
        Outcome::BlockedLate,
        Reason::LateDelivery,
    );
    let bobs = ("bob@example.org", Outcome::KeptByPolicy, Reason::NotChosen);
    let mut outcomes = house.outcomes(request.id);
    outcomes.sort_by_key(|line| line.0);
    assert_eq!(outcomes, [bobs, late, late]);
    let mut again = retract(&mut house, &first);
    again.chosen = request.chosen;
    let answer = house.recalls.request(&again, house.now).unwrap();
    assert_eq!(answer, Requested::Joined(request.id));
    house.check();
}

/// What came in once is one recall's, whichever of its messages is named.
#[test]
fn what_came_in_more_than_once_is_recalled_once() {
    let mut house = House::new();
    let first = arrive(&mut house, BOB, 1);
    house.now = house.now.plus_millis(1_000);
    let second = arrive_for(&mut house, (CAROL, "carol@example.org"), 1);
    let request = retract(&mut house, &second);
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    let again = retract(&mut house, &first);
    let answer = house.recalls.request(&again, house.now).unwrap();
    assert_eq!(answer, Requested::Joined(request.id));
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

/// Whoever has one account sends it so often that no seal has room for all: a wave from outside is taken back, and kept
/// out, all the same.
#[test]
fn however_often_accounts_send_it_what_came_in_is_taken_back_and_kept_out() {
    let mut house = House::new();
    let came = arrive(&mut house, BOB, 1);
    house.now = house.now.plus_millis(1_000);
    let wave = arrive(&mut house, CAROL, 1);
    house.now = house.now.plus_millis(1_000);
    let theirs = house.submit(ALICE, &[DAVE], &[], 1);
    let others = |txn: &mut tern_store::Transaction<'_>| -> Result<_, tern_store::StoreError> {
        for n in 0..=limits::MAX_RIVALS as u64 {
            let mut id = theirs.id;
            id.0[8..].copy_from_slice(&n.to_be_bytes());
            submission::record_in(
                txn,
                &Submission {
                    id,
                    ..theirs.clone()
                },
            )?;
        }
        Ok(Verdict::Commit(()))
    };
    tern_store::transact(&house.engine, others).unwrap();
    let request = retract(&mut house, &came);
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    for account in [BOB, CAROL] {
        assert!(house.uids(account, INBOX).is_empty(), "{account}");
    }
    assert_eq!(house.uids(DAVE, INBOX), [1], "what an account sent");
    house.now = house.now.plus_millis(1_000);
    arrive(&mut house, BOB, 1);
    assert!(house.uids(BOB, INBOX).is_empty());
    let again = retract(&mut house, &wave);
    let answer = house.recalls.request(&again, house.now).unwrap();
    assert_eq!(answer, Requested::Joined(request.id));
    house.recalls.run_open(house.now).unwrap();
    house.check();
}

/// It led to so many that forgetting takes several transactions. Whatever cuts them off, nobody finds a part of it.
#[test]
fn what_came_in_is_forgotten_at_once_and_what_is_left_of_it_later() {
    for kill_at in 0.. {
        let mut house = House::new();
        let came = arrive(&mut house, BOB, 1);
        let rows = limits::FORGOTTEN_AT_ONCE as u32 * 2 + 1;
        let target = Target::of("all@example.org", &[], Destination::Account(CAROL));
        tern_store::transact(&house.engine, |txn| -> Result<_, tern_store::StoreError> {
            for n in 1..rows {
                submission::record_targets_in(txn, came.id, n, std::slice::from_ref(&target));
            }
            Ok(Verdict::Commit(()))
        })
        .unwrap();
        let later = house.now.plus_millis(LONG_MS);
        let through = house.killed_at(kill_at, |house| house.recalls.forget_arrivals(later));
        let house = house.restarted();
        let left = submission::targets(&house.engine, came.id).unwrap().len();
        match submission::submission(&house.engine, came.id).unwrap() {
            Some(_) => assert_eq!(left, rows as usize, "{kill_at}"),
            None => assert!(left < rows as usize, "{kill_at}"),
        }
        house.recalls.forget_arrivals(later).unwrap();
        assert!(
            submission::submission(&house.engine, came.id)
                .unwrap()
                .is_none()
        );
        assert!(
            submission::targets(&house.engine, came.id)
                .unwrap()
                .is_empty(),
            "{kill_at}"
        );
        house.check();
        if through {
            assert!(kill_at > 2, "{kill_at}");
            return;
        }
    }
}
