//! Recalls that are planned for later: how many one account may have, and how they begin.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, House};
use tern_base::Timestamp;
use tern_mailbox::{ExposureLevel, INBOX};
use tern_queue::{LeaseId, Outcome as RelayOutcome, Reply};
use tern_recall::{
    Awaited, Outcome, Reason, RecallId, Refusal, Requested, Selector, State, Submission, limits,
};

/// Alice sends letter `n`, which expires at a time.
fn plan(house: &mut House, n: usize, at: Timestamp) -> Requested {
    let sent = house.submit(ALICE, &[BOB], &[], n);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.id = RecallId::of_expiry(ALICE, sent.id);
    request.requester.account = Some(ALICE);
    request.requester.name = "alice@example.org".into();
    request.requester.authentication.protocol = "smtp".into();
    request.expires = Some(at);
    house.recalls.request(&request, house.now).unwrap()
}

fn in_state(house: &House, ids: &[RecallId], state: State) -> usize {
    let of = |id: &&RecallId| house.recalls.recall(**id).unwrap().state == state;
    ids.iter().filter(of).count()
}

#[test]
fn an_account_plans_so_many_and_they_begin_in_parts() {
    let mut house = House::by_default();
    let at = house.now.plus_millis(60 * 60 * 1000);
    let mut ids = Vec::new();
    for n in 0..limits::MAX_PLANNED {
        let planned = plan(&mut house, n, at);
        assert!(matches!(planned, Requested::Waiting(..)), "{n} {planned:?}");
        ids.push(planned.id());
    }
    let beyond = plan(&mut house, limits::MAX_PLANNED, at);
    let Requested::Refused(id, Refusal::TooManyPlanned) = beyond else {
        panic!("{beyond:?}")
    };
    house.recalls.run(id, house.now).unwrap();
    let report = house.report(ALICE);
    assert!(report.contains("does not expire"), "{report}");
    // It is no haste, and freezes nobody.
    assert_eq!(house.recalls.frozen(ALICE), Ok(None));
    assert_eq!(house.uids(BOB, INBOX).len(), limits::MAX_PLANNED + 1);

    house.now = at;
    let (mut begun, parts) = (0, limits::MAX_PLANNED / limits::DUE_AT_ONCE);
    for part in 1..=parts {
        let due = house.recalls.begin_due(house.now).unwrap();
        assert_eq!(due.begun, limits::DUE_AT_ONCE);
        assert_eq!(due.more, part < parts, "{part}");
        assert!(due.failure.is_none());
        begun += due.begun;
        let left = in_state(&house, &ids, State::Planned);
        assert_eq!(left, limits::MAX_PLANNED - begun);
    }
    let due = house.recalls.begin_due(house.now).unwrap();
    assert_eq!((due.begun, due.more), (0, false));
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(in_state(&house, &ids, State::Done), limits::MAX_PLANNED);
    assert_eq!(house.uids(BOB, INBOX).len(), 1, "the one beyond stays");
    // There is room again.
    let next = plan(&mut house, limits::MAX_PLANNED + 1, at.plus_millis(1));
    assert!(matches!(next, Requested::Waiting(..)), "{next:?}");
}

/// However much is planned, and for however soon, what somebody has to do something about is on the list, before it.
#[test]
fn what_is_planned_hides_nothing_that_waits_for_somebody() {
    let mut house = House::by_default();
    let soon = house.now.plus_millis(60_000);
    let crowd = house.crowd(26);
    for n in 0..=limits::MAX_PLANNED_SHOWN {
        let planned = plan(&mut house, n, soon);
        assert!(matches!(planned, Requested::Waiting(..)), "{n} {planned:?}");
    }
    let wide = house.submit(ALICE, &crowd, &[], limits::MAX_PLANNED_SHOWN + 1);
    let waits = house.recall(ALICE, &wide);
    assert!(
        matches!(waits, Requested::Waiting(_, Awaited::Approval { .. })),
        "{waits:?}"
    );
    let listed = house.recalls.all_waiting(house.now).unwrap();
    let states: Vec<State> = listed.iter().map(|one| one.recall.state).collect();
    let (first, rest) = states.split_first().unwrap();
    assert_eq!(*first, State::AwaitingApproval);
    assert_eq!(rest.len(), limits::MAX_PLANNED_SHOWN);
    assert!(rest.iter().all(|state| *state == State::Planned));
    house.check();
}

/// What a message says of itself when it is sent is no haste. A time that somebody thinks of later is:
/// it is judged, and counted, as if it were now.
#[test]
fn a_time_that_is_set_later_is_judged_as_what_is_asked_for_at_once() {
    let mut house = House::by_default();
    let at = house.now.plus_millis(1_000);
    let ask = |house: &mut House, sent: &Submission| {
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.requester.name = "alice@example.org".into();
        request.requester.authentication.protocol = "jmap".into();
        request.expires = Some(at);
        house.recalls.request(&request, house.now).unwrap()
    };
    let opened = house.submit(ALICE, &[BOB], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    let answer = ask(&mut house, &opened);
    assert!(
        matches!(answer, Requested::Waiting(_, Awaited::StepUp { .. })),
        "{answer:?}"
    );
    let crowd = house.crowd(26);
    let wide = house.submit(ALICE, &crowd, &[], 2);
    let answer = ask(&mut house, &wide);
    assert!(
        matches!(answer, Requested::Waiting(_, Awaited::Approval { .. })),
        "{answer:?}"
    );
    for n in 3..14 {
        let sent = house.submit(ALICE, &[BOB], &[], n);
        let answer = ask(&mut house, &sent);
        match n {
            ..=10 => assert!(
                matches!(answer, Requested::Waiting(_, Awaited::Time { .. })),
                "{n} {answer:?}"
            ),
            _ => assert!(
                matches!(answer, Requested::Refused(_, Refusal::RateLimited)),
                "{n} {answer:?}"
            ),
        }
    }
    house.now = at;
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(house.uids(BOB, INBOX).len(), 4, "one, and three refused");
    house.check();
}

/// An attempt that is under way when the time comes is followed from then on: it was set long before.
#[test]
fn what_is_being_handed_over_when_the_time_comes_is_followed_from_then_on() {
    let mut house = House::by_default();
    let at = house.now.plus_millis(2 * 24 * 60 * 60 * 1000);
    let sent = house.submit(ALICE, &[], &["a@x.test"], 1);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.expires = Some(at);
    let planned = house.recalls.request(&request, house.now).unwrap();
    assert!(matches!(planned, Requested::Waiting(..)), "{planned:?}");
    house.now = at;
    let (item, lease) = (house.items(&sent)[0], LeaseId(1));
    tern_queue::lease(&house.engine, item, lease, house.now, 600_000).unwrap();
    let pending = ("a@x.test", Outcome::Pending, Reason::InFlight);
    for _ in 0..2 {
        house.recalls.run_open(house.now).unwrap();
        assert_eq!(house.outcomes(request.id), [pending]);
        house.now = house.now.plus_millis(60_000);
    }
    let later = Reply {
        code: 451,
        enhanced: None,
        text: "later".into(),
        host: None,
    };
    house.relay_leased(item, lease, RelayOutcome::Temporary(later));
    house.recalls.run_open(house.now).unwrap();
    let stopped = ("a@x.test", Outcome::Prevented, Reason::Queued);
    assert_eq!(house.outcomes(request.id), [stopped]);
    house.check();
}

/// What a client had made of it before goes, too, and what is put back after it stays away.
#[test]
fn what_is_taken_back_at_a_time_is_gone_in_every_copy_and_does_not_come_back() {
    let mut house = House::new();
    let at = house.now.plus_millis(60 * 60 * 1000);
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.expires = Some(at);
    let id = house.recalls.request(&request, house.now).unwrap().id();
    house.now = house.now.plus_millis(1_000);
    house.append(BOB, INBOX, &house.letter(1));
    assert_eq!(house.uids(BOB, INBOX).len(), 2);
    house.now = at;
    house.recalls.run_open(house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    let withdrawn = house.outcomes(id).into_iter();
    let withdrawn = withdrawn.filter(|(_, outcome, _)| *outcome != Outcome::KeptByPolicy);
    assert_eq!(withdrawn.count(), 2);
    house.append(BOB, INBOX, &house.letter(1));
    assert!(house.uids(BOB, INBOX).is_empty());
    house.recalls.run_open(house.now).unwrap();
    house.check();
}

/// What a header says of its own message holds for no other sending of the letter.
#[test]
fn what_was_sent_again_without_a_time_stays() {
    let mut house = House::by_default();
    let at = house.now.plus_millis(60 * 60 * 1000);
    plan(&mut house, 1, at);
    house.submit(ALICE, &[CAROL], &[], 1);
    house.now = at;
    house.recalls.run_open(house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    assert_eq!(house.uids(CAROL, INBOX).len(), 1);
    house.check();
}

/// What a header takes back of its own sending is not all that somebody may ask for.
#[test]
fn what_a_time_of_its_own_left_can_be_asked_for() {
    let mut house = House::by_default();
    let at = house.now.plus_millis(60 * 60 * 1000);
    let planned = plan(&mut house, 1, at);
    let again = house.submit(ALICE, &[CAROL], &[], 1);
    house.now = at;
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(house.uids(CAROL, INBOX).len(), 1);
    let request = house.request(ALICE, Selector::Letter(ALICE, again.digest, None));
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id), "not {planned:?}");
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(CAROL, INBOX).is_empty());
    house.check();
}

/// One that waits for a later time, or for the time that a message says of itself, is not what is asked for.
#[test]
fn a_request_for_an_earlier_time_waits_for_itself() {
    let mut house = House::new();
    let hours = |n: u64| house.now.plus_millis(n * 60 * 60 * 1000);
    let (early, late, latest) = (hours(1), hours(2), hours(3));
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let mut ask = |expires| {
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.expires = Some(expires);
        (
            request.id,
            house.recalls.request(&request, house.now).unwrap(),
        )
    };
    let (first, waits) = ask(late);
    assert_eq!(waits, Requested::Waiting(first, Awaited::Time { at: late }));
    let (second, waits) = ask(early);
    assert_eq!(
        waits,
        Requested::Waiting(second, Awaited::Time { at: early })
    );
    let (_, waits) = ask(latest);
    assert!([first, second].contains(&waits.id()), "{waits:?}");
    house.check();
}
