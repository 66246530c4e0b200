//! Which recall a request joins, and what becomes of copies that several cover.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::Uid;
use tern_mailbox::{Access, FlagChange, FlagRequest, Flags, INBOX, SystemFlag};
use tern_recall::{
    Outcome, Reason, RecallId, Refusal, Requested, Selector, State, Submission, limits,
};

#[test]
fn recipients_who_were_not_chosen_first_can_be_chosen_later() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL, DAVE], &["out@elsewhere.test"], 1);
    let ask = |house: &mut House, chosen: &[&str]| {
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.chosen = chosen.iter().map(ToString::to_string).collect();
        let answer = house.recalls.request(&request, house.now).unwrap();
        house.recalls.run(answer.id(), house.now).unwrap();
        answer
    };
    let bob = ask(&mut house, &["bob@example.org"]);
    assert!(matches!(bob, Requested::Sealed(_)));
    assert_eq!(house.uids(CAROL, INBOX), [1]);
    assert_eq!(
        ask(&mut house, &["BOB@example.org"]),
        Requested::Joined(bob.id())
    );
    let both = ask(&mut house, &["bob@example.org", "account3@example.org"]);
    assert!(matches!(both, Requested::Sealed(_)), "{both:?}");
    assert!(house.uids(CAROL, INBOX).is_empty());
    let carol = ask(&mut house, &["account3@example.org"]);
    assert_eq!(carol, Requested::Joined(both.id()));
    house.check();
    let all = ask(&mut house, &[]);
    assert!(matches!(all, Requested::Sealed(_)), "{all:?}");
    assert!(house.uids(DAVE, INBOX).is_empty());
    // Each copy is said to have ended as it did, whichever recall took it.
    let outcomes = house.outcomes(all.id());
    let taken = outcomes.iter().filter(|(_, outcome, reason)| {
        (*outcome, *reason) == (Outcome::WithdrawnUnexposed, Reason::NeverServed)
    });
    assert_eq!(taken.count(), 3, "{outcomes:?}");
    let outside = ("out@elsewhere.test", Outcome::Prevented, Reason::Queued);
    assert!(outcomes.contains(&outside), "{outcomes:?}");
    for chosen in [&[][..], &["bob@example.org"], &["out@elsewhere.test"]] {
        assert!(matches!(ask(&mut house, chosen), Requested::Joined(_)));
    }
    house.check();
    // Undone one after the other, everything is back once.
    for id in [all.id(), both.id(), bob.id()] {
        let mut requester = house
            .request(ALICE, Selector::Submission(sent.id))
            .requester;
        requester.account = Some(ALICE);
        house.recalls.restore(id, &requester, house.now).unwrap();
        house.recalls.run(id, house.now).unwrap();
        house.check();
    }
    for account in [BOB, CAROL, DAVE] {
        assert_eq!(house.uids(account, INBOX).len(), 1, "{account}");
    }
}

#[test]
fn a_request_while_another_is_undone_takes_the_message_back() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let first = house.recall(ALICE, &sent).id();
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    house.recalls.restore(first, &requester, house.now).unwrap();
    assert_eq!(house.recalls.recall(first).unwrap().state, State::Restoring);
    let second = house.recall(ALICE, &sent);
    assert!(
        matches!(second, Requested::Sealed(id) if id != first),
        "{second:?}"
    );
    house.recalls.run(first, house.now).unwrap();
    house.recalls.run_open(house.now).unwrap();
    for account in [BOB, CAROL] {
        assert!(house.uids(account, INBOX).is_empty(), "{account}");
    }
    assert_eq!(house.recalls.recall(first).unwrap().state, State::Restored);
    let outcomes = house.outcomes(second.id());
    let taken = |(_, outcome, _): &(_, Outcome, _)| *outcome == Outcome::WithdrawnUnexposed;
    assert!(
        outcomes.len() == 2 && outcomes.iter().all(taken),
        "{outcomes:?}"
    );
    house.check();
}

#[test]
fn a_report_that_has_no_room_leaves_the_one_before() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    let before = house.report(ALICE);
    house.mailboxes.set_quota(ALICE, 1).unwrap();
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.report(ALICE), before);
    house.mailboxes.set_quota(ALICE, 0).unwrap();
    house.check();
}

/// What a plan says is what then happens, also of what another recall holds, or held until it was purged:
/// nobody is said to have deleted it.
#[test]
fn what_another_recall_holds_or_has_purged_is_planned_and_said_to_be_withdrawn() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.serve(BOB, 1, tern_mailbox::ExposureLevel::Body);
    let mut first = house.request(ALICE, Selector::Submission(sent.id));
    first.chosen = vec!["bob@example.org".into()];
    house.recalls.request(&first, house.now).unwrap();
    house.recalls.run(first.id, house.now).unwrap();
    // An operator, who may take back what is that old.
    let ask = |house: &mut House| {
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.requester.account = None;
        request
    };
    let planned = |house: &mut House| {
        let request = ask(house);
        let planned = house.recalls.plan(&request, house.now).unwrap();
        planned.unwrap().1.tally()
    };
    let of = |tally: &tern_recall::Tally| {
        let exposed = tally.of(Outcome::WithdrawnExposed);
        let unexposed = tally.of(Outcome::WithdrawnUnexposed);
        (exposed, unexposed, tally.of(Outcome::AlreadyGone))
    };
    assert_eq!(of(&planned(&mut house)), (1, 1, 0));
    let days = tern_recall::Settings::default().vault_days;
    house.now = house.now.plus_millis((days.get() * 24 + 1) * 3_600_000);
    assert_eq!(house.recalls.purge(house.now).unwrap(), 1);
    assert_eq!(of(&planned(&mut house)), (1, 1, 0));
    let request = ask(&mut house);
    let all = request.id;
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(all, house.now).unwrap();
    assert_eq!(of(&house.recalls.tally(all).unwrap()), (1, 1, 0));
    let had = (
        "bob@example.org",
        Outcome::WithdrawnExposed,
        Reason::BodyServed,
    );
    assert!(house.outcomes(all).contains(&had));
    house.check();
}

/// What stays with another recall is not said to be back.
#[test]
fn what_is_handed_over_when_it_is_undone_is_said_so() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let mut first = house.request(ALICE, Selector::Submission(sent.id));
    first.chosen = vec!["bob@example.org".into()];
    house.recalls.request(&first, house.now).unwrap();
    house.recalls.run(first.id, house.now).unwrap();
    let all = house.recall(ALICE, &sent).id();
    house
        .recalls
        .restore(first.id, &first.requester, house.now)
        .unwrap();
    house.recalls.run(first.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    let of_bob = |id| {
        let mut copies = house.copy_outcomes(id).into_iter();
        copies.find(|copy| copy.0 == BOB).unwrap().2
    };
    let (handed, taken) = (of_bob(first.id), of_bob(all));
    assert_eq!((handed.restored, handed.handed_over), (None, Some(all)));
    assert_eq!((taken.handed_over, taken.outcome), (None, handed.outcome));
    let status = house.recalls.sender_status(first.id, 9).unwrap().json();
    let ends = &status["addressed"][0]["copies"][0];
    assert_eq!(ends["handedOver"], true, "{status}");
    assert_eq!(ends["restored"], false, "{status}");
    house.check();
}

/// It comes once more, and is stopped: that the copy which another recall holds had been opened is said
/// all the same.
#[test]
fn a_late_copy_does_not_hide_that_another_had_been_opened() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.serve(BOB, 1, tern_mailbox::ExposureLevel::Body);
    // The one that is asked first has the line.
    for (id, chosen) in [(2, Some("bob@example.org")), (1, None)] {
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.id = RecallId([id; 16]);
        request.chosen = chosen.map(str::to_owned).into_iter().collect();
        house.recalls.request(&request, house.now).unwrap();
        house.recalls.run(request.id, house.now).unwrap();
    }
    house.land_late(&sent, BOB, 1);
    house.recalls.run_open(house.now).unwrap();
    let outcomes = house.outcomes(RecallId([1; 16]));
    let opened = (
        "bob@example.org",
        Outcome::WithdrawnExposed,
        Reason::BodyServed,
    );
    let late = (
        "bob@example.org",
        Outcome::BlockedLate,
        Reason::LateDelivery,
    );
    assert!(
        outcomes.contains(&opened) && outcomes.contains(&late),
        "{outcomes:?}"
    );
    house.check();
}

/// Whoever received a message can name it. What its sender has taken back from whom is none of theirs.
#[test]
fn who_may_not_plan_a_recall_is_not_told_what_was_taken_back() {
    let mut house = House::by_default();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.chosen = vec!["bob@example.org".into()];
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    house.recalls.run(answer.id(), house.now).unwrap();
    let plan = |house: &mut House, who, chosen: &str| {
        let mut request = house.request(who, Selector::Submission(sent.id));
        request.chosen = vec![chosen.into()];
        house.recalls.plan(&request, house.now).unwrap().err()
    };
    let taken = plan(&mut house, ALICE, "bob@example.org");
    assert_eq!(taken, Some(Refusal::AlreadyRecalled));
    for chosen in ["bob@example.org", "account3@example.org"] {
        let told = plan(&mut house, CAROL, chosen);
        assert_eq!(told, Some(Refusal::NotFound), "{chosen}");
    }
    house.check();
}

fn chosen(house: &mut House, sent: &Submission, whom: &[&str]) -> Requested {
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.chosen = whom.iter().map(ToString::to_string).collect();
    house.recalls.request(&request, house.now).unwrap()
}

fn is_cancelled(house: &House, sent: &Submission, n: usize) -> bool {
    let status = tern_queue::status(&house.engine, house.items(sent)[n]).unwrap();
    matches!(status, Some(tern_queue::Status::Finished(row)) if row.ending == tern_queue::Ending::Cancelled)
}

/// Numbers of recipients outside are of one sending: a recall of an earlier one stops nothing of a later one, and is
/// not joined by who asks for that.
#[test]
fn what_is_sent_again_to_one_who_was_chosen_is_stopped_too() {
    let mut house = House::new();
    let out = "out@elsewhere.test";
    let first = house.submit(ALICE, &[CAROL], &[out], 1);
    let one = chosen(&mut house, &first, &[out]);
    assert!(matches!(one, Requested::Sealed(_)));
    house.recalls.run(one.id(), house.now).unwrap();
    house.now = house.now.plus_millis(10);
    let again = house.submit(ALICE, &[CAROL], &["other@elsewhere.test", out], 1);
    let mut planned = house.request(ALICE, Selector::Submission(again.id));
    planned.chosen = vec![out.into()];
    assert!(house.recalls.plan(&planned, house.now).unwrap().is_ok());
    let two = chosen(&mut house, &again, &[out]);
    assert!(matches!(two, Requested::Sealed(_)), "{two:?}");
    house.recalls.run(two.id(), house.now).unwrap();
    assert!(is_cancelled(&house, &first, 0) && is_cancelled(&house, &again, 1));
    assert!(!is_cancelled(&house, &again, 0), "to another one");
    for sent in [&first, &again] {
        assert_eq!(
            chosen(&mut house, sent, &[out]),
            Requested::Joined(two.id())
        );
    }
    house.check();
}

/// The queue asks the seal before it hands anything out: it says so of each sending, before the recall is carried out.
#[test]
fn what_was_sent_before_to_one_who_is_chosen_is_under_the_seal_at_once() {
    let mut house = House::new();
    let (out, other) = ("out@elsewhere.test", "other@elsewhere.test");
    let first = house.submit(ALICE, &[], &[other, out], 1);
    house.now = house.now.plus_millis(10);
    let apart = house.submit(ALICE, &[], &[other], 1);
    house.now = house.now.plus_millis(10);
    let last = house.submit(ALICE, &[CAROL], &[out], 1);
    let answer = chosen(&mut house, &last, &[out]);
    let seal = house.sealing.seal_of(last.digest, answer.id().tag());
    let seal = seal.unwrap().unwrap();
    let covered = |sent: &Submission, n: u32| seal.covers_outside(sent.id, Some(n), None);
    assert!(covered(&last, 0) && covered(&first, 1));
    assert!(!covered(&first, 0) && !covered(&apart, 0), "to another one");
    house.recalls.run(answer.id(), house.now).unwrap();
    assert!(is_cancelled(&house, &first, 1) && !is_cancelled(&house, &first, 0));
    assert_eq!(house.uids(CAROL, INBOX), [1]);
    house.check();
}

/// Asked for one by one, by whoever: the letter can still be taken back, by them and by others.
#[test]
fn who_asks_often_for_a_letter_uses_up_nobody_elses_recalls() {
    let mut house = House::new();
    let to = house.crowd(limits::MAX_RECALLS_OF_ONE + 2);
    let sent = house.submit(ALICE, &to, &[], 1);
    let ask = |house: &mut House, who: &str, whom: Option<usize>| {
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        // Rates are another thing.
        request.requester.account = None;
        request.requester.name = who.into();
        let address = |n: usize| format!("account{}@example.org", to[n]);
        request.chosen = whom.map(address).into_iter().collect();
        house.recalls.request(&request, house.now).unwrap()
    };
    for n in 0..limits::MAX_RECALLS_OF_ONE {
        let answer = ask(&mut house, "anna", Some(n));
        assert!(matches!(answer, Requested::Sealed(_)), "{n} {answer:?}");
    }
    let beyond = ask(&mut house, "anna", Some(limits::MAX_RECALLS_OF_ONE));
    assert!(
        matches!(beyond, Requested::Refused(_, Refusal::RateLimited)),
        "{beyond:?}"
    );
    let other = ask(&mut house, "carl", Some(limits::MAX_RECALLS_OF_ONE));
    assert!(matches!(other, Requested::Sealed(_)), "{other:?}");
    let all = ask(&mut house, "anna", None);
    assert!(matches!(all, Requested::Sealed(_)), "{all:?}");
    house.recalls.run_open(house.now).unwrap();
    for account in &to {
        assert!(house.uids(*account, INBOX).is_empty(), "{account}");
    }
    let last = ask(&mut house, "anna", Some(0));
    assert_eq!(last, Requested::Joined(all.id()));
    house.check();
}

fn mark(house: &House, flags: Flags) {
    let flag = FlagRequest {
        access: Access::owner(BOB, INBOX),
        uids: &[Uid(1)],
        change: &FlagChange::Set(flags),
        unchanged_since: None,
        by: None,
    };
    house.mailboxes.change_flags(&flag).unwrap();
}

/// A copy was read when the recall left it, and is unread by now: it is asked for, and not taken yet.
#[test]
fn what_was_left_for_its_state_is_taken_once_that_is_another_one() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let ask = |house: &mut House| {
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.selection = tern_policy::Selection::OnlyUnread;
        let answer = house.recalls.request(&request, house.now).unwrap();
        house.recalls.run(answer.id(), house.now).unwrap();
        answer
    };
    mark(&house, Flags::of(&[SystemFlag::Seen]));
    let first = ask(&mut house);
    assert_eq!(ask(&mut house), Requested::Joined(first.id()));
    assert_eq!(house.uids(BOB, INBOX), [1]);
    mark(&house, Flags::empty());
    let second = ask(&mut house);
    assert!(matches!(second, Requested::Sealed(_)), "{second:?}");
    assert!(house.uids(BOB, INBOX).is_empty());
    assert_eq!(ask(&mut house), Requested::Joined(second.id()));
    house.check();
}
