//! Retracts: whatever a search finds is taken back, from whom and in which state was asked.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{AccountId, ContentDigest, Timestamp, Uid};
use tern_mailbox::{Access, ExposureLevel, FlagChange, FlagRequest, Flags, INBOX, SystemFlag};
use tern_policy::{Authentication, Selection};
use tern_recall::{
    BatchId, Outcome, Reason, RecallError, Refusal, Requested, Requester, Retract, Retracted,
    Search, Submission, limits,
};

fn operator() -> Requester {
    Requester {
        account: None,
        name: "root".into(),
        authentication: Authentication::default(),
    }
}

fn retract(search: Search) -> Retract {
    Retract {
        batch: BatchId([5; 16]),
        search,
        requester: operator(),
        chosen: Vec::new(),
        selection: Selection::Any,
        attachment: None,
        reach: tern_recall::Reach::default(),
        depth: 0,
        // What is left in an inbox is counted.
        notices: tern_recall::Notices {
            whom: Some(tern_policy::Notice::None),
            text: None,
        },
        reason: None,
    }
}

fn run(house: &House, retract: &Retract) -> Vec<Retracted> {
    let answers = house.recalls.retract(retract, house.now).unwrap();
    for one in &answers {
        house.recalls.run(one.answer.id(), house.now).unwrap();
    }
    answers
}

fn subject(text: &str) -> Search {
    Search {
        subject: Some(text.into()),
        ..Search::default()
    }
}

/// Three letters, a minute after one another: alice's 1 and 2, bob's 3.
fn letters() -> (House, [Submission; 3]) {
    let mut house = House::new();
    let sent = |house: &mut House, from, n| {
        house.now = house.now.plus_millis(60_000);
        house.submit(from, &[CAROL, DAVE], &[], n)
    };
    let one = sent(&mut house, ALICE, 1);
    let two = sent(&mut house, ALICE, 2);
    let three = sent(&mut house, BOB, 3);
    (house, [one, two, three])
}

#[test]
fn a_search_finds_what_fits_all_that_it_says() {
    let (house, sent) = letters();
    let at = |n: usize| Some(sent[n].submitted);
    let by = |account: AccountId| Search {
        account: Some(account),
        ..Search::default()
    };
    let digest = |digest| Search {
        digest: Some(digest),
        ..Search::default()
    };
    let id = |id: &str| Search {
        message_id: Some(id.into()),
        ..Search::default()
    };
    let nobody_sent = ContentDigest([9; 16]);
    #[rustfmt::skip]
    let cases: [(&str, Search, &[usize]); 12] = [
        ("a Message-ID, whoever sent it", id("3@example.org"), &[2]),
        ("a Message-ID that nobody used", id("9@example.org"), &[]),
        ("a sender", by(ALICE), &[0, 1]),
        ("a sender, from a time on", Search { since: at(1), ..by(ALICE) }, &[1]),
        ("a sender, before a time", Search { until: at(1), ..by(ALICE) }, &[0]),
        ("a sender, in no time", Search { since: at(1), until: at(1), ..by(ALICE) }, &[]),
        ("a subject, whatever the case", subject("lETTER"), &[0, 1, 2]),
        ("a subject and a sender", Search { account: Some(BOB), ..subject("letter") }, &[2]),
        ("a subject that nobody used", subject("invoice"), &[]),
        ("a digest", digest(sent[1].digest), &[1]),
        ("a digest and another sender", Search { account: Some(BOB), ..digest(sent[1].digest) }, &[]),
        ("a digest that nobody sent", digest(nobody_sent), &[]),
    ];
    for (what, search, expected) in cases {
        let planned = house.recalls.plan_retract(&retract(search), house.now);
        let found: Vec<_> = planned.unwrap().iter().map(|f| f.submission.id).collect();
        let expected: Vec<_> = expected.iter().map(|n| sent[*n].id).collect();
        assert_eq!(found, expected, "{what}");
    }
    // A plan touches nothing, and is nothing.
    assert_eq!(house.uids(CAROL, INBOX).len(), 3);
    assert!(house.recalls.list(None, 10).unwrap().is_empty());
    house.check();
}

#[test]
fn a_batch_joins_a_recall_for_each_letter_and_is_asked_once() {
    let (house, sent) = letters();
    let ask = retract(Search {
        account: Some(ALICE),
        ..Search::default()
    });
    let first = run(&house, &ask);
    assert_eq!(first.len(), 2);
    for (one, sent) in first.iter().zip(&sent) {
        assert_eq!(one.submission, Some(sent.id));
        assert!(matches!(one.answer, Requested::Sealed(_)), "{one:?}");
        let recall = house.recalls.recall(one.answer.id()).unwrap();
        assert_eq!(recall.batch, Some(ask.batch));
    }
    // What nobody asked for stays.
    assert_eq!(house.uids(CAROL, INBOX), [3]);
    let again = run(&house, &ask);
    for (one, before) in again.iter().zip(&first) {
        assert_eq!(one.answer, Requested::Joined(before.answer.id()));
    }
    assert_eq!(house.recalls.list(None, 10).unwrap().len(), 2);
    house.check();
}

#[test]
fn whoever_may_not_finds_nothing_and_is_on_record() {
    let (house, _) = letters();
    let ask = Retract {
        requester: Requester {
            account: Some(CAROL),
            name: "carol@example.org".into(),
            authentication: Authentication::default(),
        },
        ..retract(subject("letter"))
    };
    assert!(
        house
            .recalls
            .plan_retract(&ask, house.now)
            .unwrap()
            .is_empty()
    );
    let answers = run(&house, &ask);
    let refused: Vec<_> = answers
        .iter()
        .map(|one| (one.submission, one.answer))
        .collect();
    let id = answers[0].answer.id();
    assert_eq!(refused, [(None, Requested::Refused(id, Refusal::NotFound))]);
    assert_eq!(house.recalls.recall(id).unwrap().batch, Some(ask.batch));
    assert_eq!(house.uids(CAROL, INBOX).len(), 3);
    house.check();
}

#[test]
fn a_search_by_time_alone_or_with_too_many_results_touches_nothing() {
    let (mut house, _) = letters();
    let time_alone = retract(Search {
        since: Some(Timestamp(0)),
        ..Search::default()
    });
    assert_eq!(
        house.recalls.retract(&time_alone, house.now),
        Err(RecallError::TooMany)
    );
    for n in 0..limits::MAX_RETRACTED {
        house.submit(BOB, &[ALICE], &[], 100 + n);
    }
    let too_many = retract(subject("letter"));
    assert_eq!(
        house.recalls.retract(&too_many, house.now),
        Err(RecallError::TooMany)
    );
    assert!(house.recalls.list(None, 10).unwrap().is_empty());
}

/// What has been done with a copy before.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    Headers,
    Body,
    Marked,
}

#[test]
fn only_copies_in_the_state_that_was_asked_for_are_taken() {
    use Before::{Body, Headers, Marked, Nothing};
    use Selection::{Any, OnlyUnexposed, OnlyUnread};
    let never = (Outcome::WithdrawnUnexposed, Reason::NeverServed);
    let headers = (Outcome::WithdrawnUnexposed, Reason::HeadersServed);
    let body = (Outcome::WithdrawnExposed, Reason::BodyServed);
    let spared = (Outcome::KeptByPolicy, Reason::Spared);
    let not_chosen = (Outcome::KeptByPolicy, Reason::NotChosen);
    #[rustfmt::skip]
    let cases = [
        (Any, true, Nothing, never), (OnlyUnexposed, true, Nothing, never), (OnlyUnread, true, Nothing, never),
        (Any, true, Headers, headers), (OnlyUnexposed, true, Headers, headers), (OnlyUnread, true, Headers, headers),
        (Any, true, Body, body), (OnlyUnexposed, true, Body, spared), (OnlyUnread, true, Body, body),
        (Any, true, Marked, never), (OnlyUnexposed, true, Marked, never), (OnlyUnread, true, Marked, spared),
        (Any, false, Nothing, not_chosen), (OnlyUnexposed, false, Body, not_chosen), (OnlyUnread, false, Marked, not_chosen),
    ];
    for (n, (selection, chosen, before, expected)) in cases.into_iter().enumerate() {
        let mut house = House::new();
        house.submit(ALICE, &[BOB, CAROL], &[], 1);
        match before {
            Nothing => {}
            Headers => house.serve(BOB, 1, ExposureLevel::Headers),
            Body => house.serve(BOB, 1, ExposureLevel::Body),
            Marked => {
                let flag = FlagRequest {
                    access: Access::owner(BOB, INBOX),
                    uids: &[Uid(1)],
                    change: &FlagChange::Set(Flags::of(&[SystemFlag::Seen])),
                    unchanged_since: None,
                    by: None,
                };
                house.mailboxes.change_flags(&flag).unwrap();
            }
        }
        let carol = format!("account{CAROL}@example.org");
        let names = match chosen {
            true => vec!["bob@example.org".to_owned(), carol.clone()],
            false => vec![carol.clone()],
        };
        // By name and for all alike: both kinds of cover leave out who is spared.
        let everybody = if chosen {
            vec![Vec::new(), names]
        } else {
            vec![names]
        };
        for (m, names) in everybody.into_iter().enumerate() {
            let ask = Retract {
                batch: BatchId([m as u8; 16]),
                chosen: names,
                selection,
                reach: tern_recall::Reach::default(),
                notices: retract(Search::default()).notices,
                ..retract(subject("letter"))
            };
            let plan = house.recalls.plan_retract(&ask, house.now).unwrap();
            let (_, plan) = plan[0].plan.as_ref().unwrap();
            let planned = plan.copies.iter().find(|copy| copy.account == BOB).unwrap();
            let said = (planned.outcome.outcome, planned.outcome.reason);
            assert_eq!(said, expected, "planned, case {n}");
            let id = run(&house, &ask)[0].answer.id();
            let all = house.outcomes(id);
            let bob: Vec<_> = all
                .iter()
                .filter(|(to, ..)| *to == "bob@example.org")
                .collect();
            assert_eq!(
                bob,
                [&("bob@example.org", expected.0, expected.1)],
                "case {n}"
            );
            let left = usize::from(expected.0 == Outcome::KeptByPolicy);
            assert_eq!(house.uids(BOB, INBOX).len(), left, "case {n}");
            assert_eq!(house.uids(CAROL, INBOX).len(), 0, "case {n}");
            house.recalls.restore(id, &operator(), house.now).unwrap();
            house.recalls.run(id, house.now).unwrap();
            house.check();
        }
    }
}
