//! Recalls over the in-memory engine, from the request to the report. Every test ends with a
//! check of every table, and of the audit chain.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House, OUTSIDE};
use tern_base::Timestamp;
use tern_mailbox::{Access, ExposureLevel, INBOX, Transfer};
use tern_queue::{LeaseId, Outcome as RelayOutcome, Reply};
use tern_recall::{
    Extent, Outcome, Reason, RecallError, Refusal, Request, Requested, Selector, State,
};

#[test]
fn every_copy_is_taken_back_with_its_outcome() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL, DAVE], &["out@elsewhere.test"], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    house.serve(CAROL, 1, ExposureLevel::Headers);
    let work = house
        .mailboxes
        .create_folder(CAROL, "Work", None, house.now)
        .unwrap()
        .id;
    let transfer = Transfer {
        from: Access::owner(CAROL, INBOX),
        uids: &[tern_base::Uid(1)],
        to: work,
        by: None,
    };
    house.mailboxes.copy(&transfer, house.now).unwrap();
    let id = house.recall(ALICE, &sent).id();
    assert_eq!(
        house.outcomes(id),
        [
            (
                "bob@example.org",
                Outcome::WithdrawnExposed,
                Reason::BodyServed
            ),
            (
                "carol@example.org",
                Outcome::WithdrawnUnexposed,
                Reason::HeadersServed
            ),
            (
                "dave@example.org",
                Outcome::WithdrawnUnexposed,
                Reason::NeverServed
            ),
            ("out@elsewhere.test", Outcome::Prevented, Reason::Queued),
        ]
    );
    for account in [BOB, CAROL, DAVE] {
        assert!(house.uids(account, INBOX).is_empty());
    }
    assert!(house.uids(CAROL, work).is_empty());
    let status = house.recalls.status(id, 10).unwrap();
    assert_eq!(
        (status.recall.state, Extent::of(&status.tally)),
        (State::Done, Extent::All)
    );
    let carol = status
        .lines
        .iter()
        .find(|line| line.recipient.starts_with("carol"))
        .unwrap();
    assert_eq!(carol.mailboxes, ["INBOX", "Work"]);
    house.check();
}

#[test]
fn the_report_is_one_message_that_is_replaced() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    let first = house.report(ALICE);
    assert!(
        first.contains("Subject: Taken back: Letter 1\r\n"),
        "{first}"
    );
    assert!(
        first.contains("  bob@example.org\r\n") && !first.contains("INBOX"),
        "{first}"
    );
    assert!(
        first.contains("Taken back; it had not been opened. (withdrawn-unexposed)"),
        "{first}"
    );
    assert!(
        first.contains("\"outcome\": \"withdrawn-unexposed\""),
        "{first}"
    );
    assert!(!first.contains("exposure"), "the sender sees outcomes only");
    house.append(BOB, INBOX, &house.letter(1));
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    let second = house.report(ALICE);
    assert!(
        second.contains(
            "1 of 2: A client put the message back; it was removed again at once. (blocked-late)"
        ),
        "{second}"
    );
    house.check();
}

#[test]
fn a_copy_its_owner_deleted_is_already_gone() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Downloaded);
    for account in [BOB, CAROL] {
        let uid = [tern_base::Uid(1)];
        house
            .mailboxes
            .expunge(&Access::owner(account, INBOX), &uid, false, house.now)
            .unwrap();
    }
    let id = house.recall(ALICE, &sent).id();
    assert_eq!(
        house.outcomes(id),
        [
            (
                "bob@example.org",
                Outcome::AlreadyGone,
                Reason::DeletedAfterServing
            ),
            (
                "carol@example.org",
                Outcome::AlreadyGone,
                Reason::DeletedUnread
            ),
        ]
    );
    assert_eq!(
        Extent::of(&house.recalls.status(id, 9).unwrap().tally),
        Extent::None
    );
    house.check();
}

#[test]
fn refusals_are_named_and_touch_nothing() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let refused = |house: &mut House, request: &Request, refusal| {
        let answer = house.recalls.request(request, house.now).unwrap();
        assert_eq!(answer, Requested::Refused(request.id, refusal));
        house.recalls.run(request.id, house.now).unwrap();
        assert_eq!(house.uids(BOB, INBOX), [1]);
    };
    let not_hers = house.request(BOB, Selector::Submission(sent.id));
    refused(&mut house, &not_hers, Refusal::NotYours);
    let report = house.report(BOB);
    assert!(
        report.contains("not-yours") && !report.contains("Letter 1"),
        "no oracle: {report}"
    );
    let decided = house.recalls.decided(not_hers.id).unwrap().expect("kept");
    assert_eq!(decided.code, "not-yours");
    assert_eq!(decided.policies, ["implicit-deny"]);
    let action = ("action".to_owned(), "recall.any".to_owned());
    assert!(decided.inputs.contains(&action), "{decided:?}");
    let unknown = house.request(ALICE, Selector::MessageId(ALICE, "none@x".into()));
    refused(&mut house, &unknown, Refusal::NotFound);
    house.now = house.now.plus_millis(24 * 3_600_000 + 1);
    let late = house.request(ALICE, Selector::Submission(sent.id));
    refused(&mut house, &late, Refusal::TooOld);
    house.check();
}

#[test]
fn ten_an_hour_and_no_more() {
    let mut house = House::new();
    for n in 0..11 {
        let sent = house.submit(ALICE, &[BOB], &[], n);
        let answer = house.recall(ALICE, &sent);
        let limited = matches!(answer, Requested::Refused(_, Refusal::RateLimited));
        assert_eq!(limited, n == 10);
    }
    house.now = house.now.plus_millis(3_600_001);
    let sent = house.submit(ALICE, &[BOB], &[], 12);
    assert!(matches!(house.recall(ALICE, &sent), Requested::Sealed(_)));
    house.check();
}

#[test]
fn asking_again_joins() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let first = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(first, Requested::Sealed(request.id));
    assert_eq!(
        house.recalls.request(&request, house.now).unwrap(),
        Requested::Joined(request.id)
    );
    let other = house.request(ALICE, Selector::Submission(sent.id));
    assert_eq!(
        house.recalls.request(&other, house.now).unwrap(),
        Requested::Joined(request.id)
    );
    house.recalls.run(request.id, house.now).unwrap();
    house.check();
}

#[test]
fn from_the_seal_on_nothing_is_served_before_anything_is_withdrawn() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let message = house.message_at(BOB, 1);
    let row = house.mailboxes.message(BOB, message).unwrap();
    let request = house.request(ALICE, Selector::Submission(sent.id));
    house.recalls.request(&request, house.now).unwrap();
    assert_eq!(house.uids(BOB, INBOX), [1], "still listed");
    assert!(house.mailboxes.read(BOB, &row, 0..9).is_err());
    assert!(house.mailboxes.message(BOB, message).is_err());
    house.recalls.run(request.id, house.now).unwrap();
    let half_way = house.mailboxes.read(BOB, &row, 0..9);
    assert!(half_way.is_err(), "nor to whoever found it before");
    house.check();
}

#[test]
fn chosen_recipients_only() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &["out@elsewhere.test"], 1);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.chosen = vec!["Bob@example.org".into()];
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(
        house.outcomes(request.id),
        [
            (
                "bob@example.org",
                Outcome::WithdrawnUnexposed,
                Reason::NeverServed
            ),
            (
                "carol@example.org",
                Outcome::KeptByPolicy,
                Reason::NotChosen
            ),
            (
                "out@elsewhere.test",
                Outcome::KeptByPolicy,
                Reason::NotChosen
            ),
        ]
    );
    assert_eq!(house.uids(CAROL, INBOX), [1]);
    house.check();
}

/// A typing mistake takes nothing back from whoever was meant, and nobody is to think that it has.
#[test]
fn an_address_that_nobody_was_written_to_by_is_named_wherever_the_recall_is_told() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let wrong = "carol@exmaple.org";
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.requester.name = "alice@example.org".into();
    request.chosen = vec!["bob@example.org".into(), wrong.into()];
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    let status = house.recalls.sender_status(request.id, 9).unwrap();
    let of_nobody = |one: &&tern_recall::Addressed| one.ends.is_empty();
    let named: Vec<_> = status.addressed.iter().filter(of_nobody).collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!(named.first().unwrap().recipient.as_deref(), Some(wrong));
    let report = house.report(ALICE).replace("\r\n", "\n");
    let told = format!("  {wrong}\n      The message was sent to nobody by this address.\n");
    assert!(report.contains(&told), "{report}");
    let full = house.recalls.status(request.id, 9).unwrap().json();
    assert_eq!(full["notSentTo"], serde_json::json!([wrong]));
    house.check();
}

#[test]
fn what_left_or_is_leaving_is_said_so() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[], &["a@x.test", "b@x.test", "c@x.test"], 1);
    let reply = || Reply {
        code: 250,
        enhanced: None,
        text: "ok".into(),
        host: None,
    };
    let items = house.items(&sent);
    house.relay(items[0], LeaseId(1), RelayOutcome::Delivered(reply()));
    tern_queue::lease(&house.engine, items[1], LeaseId(2), house.now, 60_000).unwrap();
    let id = house.recall(ALICE, &sent).id();
    let outcomes = |house: &House| -> Vec<_> {
        house
            .outcomes(id)
            .into_iter()
            .map(|(_, outcome, reason)| (outcome, reason))
            .collect()
    };
    let relayed = (Outcome::Relayed, Reason::TakenOutside);
    let prevented = (Outcome::Prevented, Reason::Queued);
    let pending = (Outcome::Pending, Reason::InFlight);
    assert_eq!(outcomes(&house), [relayed, pending, prevented]);
    house.check();
    house.relay_leased(items[1], LeaseId(2), RelayOutcome::Delivered(reply()));
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(outcomes(&house), [relayed, relayed, prevented]);
    assert!(house.report(ALICE).contains("Partly taken back"));
    house.check();
}

#[test]
fn the_same_message_id_by_another_sender_is_never_touched() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let forged = String::from_utf8(house.letter(1))
        .unwrap()
        .replace("Body", "Other body");
    house.append(BOB, INBOX, forged.as_bytes());
    house.recall(ALICE, &sent);
    assert_eq!(house.uids(BOB, INBOX), [2]);
    house.check();
}

#[test]
fn restore_brings_everything_back() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let work = house
        .mailboxes
        .create_folder(BOB, "Work", None, house.now)
        .unwrap()
        .id;
    let transfer = Transfer {
        from: Access::owner(BOB, INBOX),
        uids: &[tern_base::Uid(1)],
        to: work,
        by: None,
    };
    house.mailboxes.move_messages(&transfer, house.now).unwrap();
    let id = house.recall(ALICE, &sent).id();
    house.append(BOB, INBOX, &house.letter(1));
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    let requester = house.request(BOB, Selector::Submission(sent.id)).requester;
    let answer = house.recalls.restore(id, &requester, house.now);
    assert!(matches!(answer, Err(RecallError::NotAllowed(_))));
    let filter = tern_audit::Filter {
        action: Some(String::from("recall.restore-refused")),
        ..tern_audit::Filter::default()
    };
    let refused = tern_audit::read(&house.engine, &filter, None, 10).unwrap();
    assert_eq!(refused.entries.len(), 1, "a refused restore is on record");
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(
        (house.uids(BOB, work), house.uids(CAROL, INBOX)),
        (vec![2], vec![2])
    );
    assert!(
        house.uids(BOB, INBOX).is_empty(),
        "what a client put back is not doubled"
    );
    let report = house.report(ALICE);
    for told in [
        "Subject: Restored: Letter 1",
        "every copy that was kept is back where it was",
        "Put back. (withdrawn-unexposed)",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }
    assert!(
        !report.contains("Taken back without having been"),
        "{report}"
    );
    house.append(BOB, INBOX, &house.letter(1));
    assert_eq!(house.uids(BOB, INBOX), [3], "the tombstone is gone");
    let again = house.recall(ALICE, &sent);
    assert!(
        matches!(again, Requested::Sealed(_)),
        "it can be taken back again: {again:?}"
    );
    house.check();
}

#[test]
fn a_message_put_into_the_recall_mailbox_is_the_trigger() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB, OUTSIDE], &[], 1);
    let folder = house.mailboxes.folder(ALICE, "Recall").unwrap();
    // Her client's copy has neither the server's trace fields nor its token.
    house.append(ALICE, folder.id, &house.letter(1));
    let answers = house.triggers(ALICE).unwrap();
    assert!(matches!(answers[..], [Requested::Sealed(_)]), "{answers:?}");
    assert!(house.uids(BOB, INBOX).is_empty());
    assert_eq!(
        house.uids(ALICE, folder.id),
        [1, 2],
        "her copy and the report"
    );
    assert_eq!(house.triggers(ALICE).unwrap(), []);
    house.append(
        ALICE,
        folder.id,
        b"Subject: unknown\r\n\r\nnothing we sent\r\n",
    );
    let answers = house.triggers(ALICE).unwrap();
    assert!(
        matches!(answers[..], [Requested::Refused(_, Refusal::NotFound)]),
        "{answers:?}"
    );
    house.check();
}

/// What is in a mailbox that comes to be called `Recall` was put there for something else.
#[test]
fn what_nobody_put_into_the_recall_mailbox_asks_for_nothing() {
    let mut house = House::new();
    for n in [1, 2] {
        house.submit(ALICE, &[BOB], &[], n);
    }
    let old = house.mailboxes.folder(ALICE, "Recall").unwrap().id;
    house
        .mailboxes
        .delete_folder(&Access::owner(ALICE, old), house.now)
        .unwrap();
    let kept = house
        .mailboxes
        .create_folder(ALICE, "Kept", None, house.now)
        .unwrap()
        .id;
    house.append(ALICE, kept, &house.letter(1));
    house
        .mailboxes
        .rename_folder(&Access::owner(ALICE, kept), "Recall", house.now)
        .unwrap();
    assert_eq!(house.triggers(ALICE).unwrap(), []);
    assert_eq!(house.uids(BOB, INBOX), [1, 2]);
    assert_eq!(house.recalls.list(None, 9).unwrap().len(), 0);
    // What is put there from now on does.
    house.append(ALICE, kept, &house.letter(2));
    let answers = house.triggers(ALICE).unwrap();
    assert!(matches!(answers[..], [Requested::Sealed(_)]), "{answers:?}");
    assert_eq!(house.uids(BOB, INBOX), [1]);
    house.check();
}

/// The process is killed before each commit in turn; the next start finishes what was begun.
#[test]
fn killed_at_any_commit_it_finishes_by_itself() {
    let mut survived = 0;
    for kill_at in 0.. {
        let mut house = House::new();
        house.submit(ALICE, &[BOB, CAROL], &["out@elsewhere.test"], 1);
        house.serve(BOB, 1, ExposureLevel::Body);
        let folder = house.mailboxes.folder(ALICE, "Recall").unwrap().id;
        house.append(ALICE, folder, &house.letter(1));
        let finished = house.killed_at(kill_at, |house| house.triggers(ALICE));
        let house = house.restarted();
        house.recalls.run_open(house.now).unwrap();
        house.triggers(ALICE).unwrap();
        let recalls = house.recalls.list(None, 9).unwrap();
        assert_eq!(recalls.len(), 1);
        assert_eq!(recalls[0].recall.state, State::Done);
        assert_eq!(
            house.outcomes(recalls[0].recall.id),
            [
                (
                    "bob@example.org",
                    Outcome::WithdrawnExposed,
                    Reason::BodyServed
                ),
                (
                    "carol@example.org",
                    Outcome::WithdrawnUnexposed,
                    Reason::NeverServed
                ),
                ("out@elsewhere.test", Outcome::Prevented, Reason::Queued),
            ],
            "killed at commit {kill_at}"
        );
        assert_eq!(house.uids(ALICE, folder).len(), 2, "one report");
        house.check();
        if finished {
            break;
        }
        survived += 1;
    }
    assert!(survived > 5, "only {survived} commits");
}

/// Every commit meets a conflict before it goes through.
#[test]
fn conflicts_change_nothing() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &["out@elsewhere.test"], 1);
    let mut n = 0;
    house.engine.set_fault_hook(Some(Box::new(move |_| {
        n += 1;
        (n % 2 == 1).then_some(tern_store::mem::Injected::Conflict)
    })));
    let id = house.recall(ALICE, &sent).id();
    house.engine.set_fault_hook(None);
    assert_eq!(house.outcomes(id).len(), 3);
    house.check();
}

#[test]
fn a_thousand_copies_in_chunks() {
    let mut house = House::new();
    let crowd = house.crowd(1_000);
    let sent = house.submit(ALICE, &crowd, &[], 1);
    let id = house.recall(ALICE, &sent).id();
    let status = house.recalls.status(id, 5).unwrap();
    assert_eq!(status.tally.of(Outcome::WithdrawnUnexposed), 1_000);
    assert_eq!((status.lines.len(), status.more), (5, 995));
    assert!(status.recall.finished.is_some_and(|at| at > Timestamp(0)));
    house.check();
}

/// Whoever received a letter can send it again, word for word, and recall that: the first
/// sender's copies stay where they are.
#[test]
fn a_letter_sent_again_by_its_reader_gives_no_power_over_the_first() {
    let mut house = House::new();
    let hers = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    house.now = house.now.plus_millis(10);
    let his = house.submit(BOB, &[DAVE], &[], 1);
    let id = house.recall(BOB, &his).id();
    assert_eq!(house.uids(CAROL, INBOX), [1]);
    assert!(house.uids(DAVE, INBOX).is_empty());
    assert_eq!(
        house.outcomes(id),
        [(
            "dave@example.org",
            Outcome::WithdrawnUnexposed,
            Reason::NeverServed
        ),]
    );
    let carol = house.message_at(CAROL, 1);
    assert!(house.mailboxes.message(CAROL, carol).is_ok());
    let again = house.recall(ALICE, &hers);
    assert!(matches!(again, Requested::Sealed(_)));
    assert!(house.uids(CAROL, INBOX).is_empty());
    house.check();
}

/// The delivery of the message to many is still under way when it is recalled.
#[test]
fn what_had_not_arrived_yet_is_blocked_and_counted_once() {
    let mut house = House::new();
    let sent = house.submit_first_of(ALICE, &[BOB, CAROL], 1);
    let id = house.recall(ALICE, &sent).id();
    assert_eq!(
        house.outcomes(id)[1],
        (
            "carol@example.org",
            Outcome::AlreadyGone,
            Reason::DeletedUnread
        )
    );
    house.land_late(&sent, CAROL, 1);
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    assert_eq!(
        house.outcomes(id),
        [
            (
                "bob@example.org",
                Outcome::WithdrawnUnexposed,
                Reason::NeverServed
            ),
            (
                "carol@example.org",
                Outcome::BlockedLate,
                Reason::LateDelivery
            ),
        ]
    );
    house.check();
}

/// After the retry time only what is still unknown is given up: what was settled in the same look
/// keeps its outcome.
#[test]
fn giving_up_on_one_copy_leaves_the_others_outcomes_alone() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[], &["a@x.test", "b@x.test"], 1);
    let items = house.items(&sent);
    let week = 7 * 24 * 3_600_000;
    tern_queue::lease(&house.engine, items[0], LeaseId(1), house.now, week).unwrap();
    tern_queue::lease(&house.engine, items[1], LeaseId(2), house.now, week).unwrap();
    let id = house.recall(ALICE, &sent).id();
    house.now = house.now.plus_millis(25 * 3_600_000);
    let refused = Reply {
        code: 550,
        enhanced: None,
        text: "no".into(),
        host: None,
    };
    house.relay_leased(items[1], LeaseId(2), RelayOutcome::Permanent(refused));
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(
        house.outcomes(id),
        [
            ("a@x.test", Outcome::Relayed, Reason::MaybeTakenOutside),
            ("b@x.test", Outcome::Prevented, Reason::RefusedOutside),
        ]
    );
}
