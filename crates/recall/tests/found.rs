//! What the simulation found, each told in a few lines.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_base::{OriginId, Uid};
use tern_mailbox::{Access, ExposureLevel, INBOX};
use tern_queue::LeaseId;
use tern_recall::{Outcome, Reason, RecallId, Requested, Selector, State, Submission, submission};
use tern_store::Verdict;

#[test]
fn a_late_copy_of_which_nobody_was_told_has_its_outcome() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    house.append(BOB, INBOX, &house.letter(1));
    // Killed before anybody took note of it.
    let house = house.restarted();
    house.recalls.run_open(house.now).unwrap();
    let late = house.outcomes(id);
    let put_back = ("bob@example.org", Outcome::BlockedLate, Reason::PutBack);
    assert!(late.contains(&put_back), "{late:?}");
    assert_eq!(house.sealing.late_tags().unwrap(), []);
    house.check();
}

#[test]
fn a_letter_sent_twice_and_recalled_twice_stays_while_one_recall_stands() {
    let mut house = House::new();
    let first = house.submit(ALICE, &[BOB], &[], 1);
    let second = house.submit(ALICE, &[BOB], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(first.id));
    request.chosen = vec!["bob@example.org".into()];
    let one = request.id;
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(one, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    let two = house.recall(ALICE, &second).id();
    for (_, outcome, reason) in house.outcomes(two) {
        let said = (outcome, reason);
        assert_eq!(said, (Outcome::WithdrawnUnexposed, Reason::NeverServed));
    }
    let request = house.request(ALICE, Selector::Submission(first.id));
    for (id, back) in [(one, 0), (two, 2)] {
        let requester = &request.requester;
        house.recalls.restore(id, requester, house.now).unwrap();
        house.recalls.run(id, house.now).unwrap();
        assert_eq!(house.uids(BOB, INBOX).len(), back, "after {id}");
    }
    house.check();
}

#[test]
fn what_a_recall_that_is_being_undone_still_holds_is_said_to_be_withdrawn() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    house.serve(BOB, 1, ExposureLevel::Body);
    let first = house.recall(ALICE, &sent).id();
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    // Undone, and not carried out yet: its seal is gone, the copy is still in the vault under it.
    house.recalls.restore(first, &requester, house.now).unwrap();
    let mut chosen = house.request(ALICE, Selector::Submission(sent.id));
    chosen.chosen = vec!["bob@example.org".to_owned()];
    house.recalls.request(&chosen, house.now).unwrap();
    house.recalls.run(chosen.id, house.now).unwrap();
    let all = house.recall(ALICE, &sent).id();
    assert_ne!(all, chosen.id);
    let exposed = (
        "bob@example.org",
        Outcome::WithdrawnExposed,
        Reason::BodyServed,
    );
    let check = |house: &House| {
        for id in [chosen.id, all] {
            assert_eq!(house.outcomes(id), [exposed], "{id}");
        }
        house.check();
    };
    check(&house);
    // One of them keeps it from then on; the other goes on saying so.
    house.recalls.run(first, house.now).unwrap();
    check(&house);
    assert!(house.uids(BOB, INBOX).is_empty());
    for id in [chosen.id, all] {
        house.recalls.restore(id, &requester, house.now).unwrap();
        house.recalls.run(id, house.now).unwrap();
        house.check();
    }
    assert_eq!(house.uids(BOB, INBOX).len(), 1);
}

#[test]
fn whoever_had_it_by_another_sending_has_a_line_too() {
    let mut house = House::new();
    let first = house.submit(ALICE, &[BOB], &["one@elsewhere.test"], 1);
    let second = house.submit(
        ALICE,
        &[CAROL],
        &["two@elsewhere.test", "three@elsewhere.test"],
        1,
    );
    // What Bob sends on is his, and of his recipients nothing is said.
    house.submit(BOB, &[DAVE], &["four@elsewhere.test"], 1);
    house
        .mailboxes
        .expunge(&Access::owner(CAROL, INBOX), &[Uid(1)], false, house.now)
        .unwrap();
    let items = house.items(&second);
    tern_queue::lease(&house.engine, items[0], LeaseId(1), house.now, 60_000).unwrap();
    let planned = house.request(ALICE, Selector::Submission(first.id));
    let (_, plan) = house.recalls.plan(&planned, house.now).unwrap().unwrap();
    let id = house.recall(ALICE, &first).id();
    let prevented = |to| (to, Outcome::Prevented, Reason::Queued);
    let line = |to, outcome, reason| (to, outcome, reason);
    let mut expected = vec![
        line(
            "bob@example.org",
            Outcome::WithdrawnUnexposed,
            Reason::NeverServed,
        ),
        prevented("one@elsewhere.test"),
        line(
            "carol@example.org",
            Outcome::AlreadyGone,
            Reason::DeletedUnread,
        ),
        line("two@elsewhere.test", Outcome::Pending, Reason::InFlight),
        prevented("three@elsewhere.test"),
    ];
    assert_eq!(house.outcomes(id), expected);
    assert_eq!(plan.tally(), house.recalls.tally(id).unwrap());
    let shown = house.recalls.sender_status(id, 100).unwrap().addressed;
    assert_eq!(shown.len(), 5, "{shown:?}");
    house.now = house.now.plus_millis(60_001);
    house.recalls.run_open(house.now).unwrap();
    expected[3] = line(
        "two@elsewhere.test",
        Outcome::Relayed,
        Reason::MaybeTakenOutside,
    );
    assert_eq!(house.outcomes(id), expected);
    house.check();
}

#[test]
fn where_recipients_are_chosen_other_sendings_to_others_stay() {
    let mut house = House::new();
    let (one, two) = ("one@elsewhere.test", "two@elsewhere.test");
    let first = house.submit(ALICE, &[BOB], &[one], 1);
    let second = house.submit(ALICE, &[CAROL], &[one, two], 1);
    house.submit(ALICE, &[DAVE], &[two], 1);
    let mut request = house.request(ALICE, Selector::Submission(first.id));
    request.chosen = vec![one.to_owned()];
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    let lines = house.outcomes(request.id);
    let to = |address| lines.iter().filter(move |line| line.0 == address);
    let taken = (one, Outcome::Prevented, Reason::Queued);
    assert_eq!(
        to(one).copied().collect::<Vec<_>>(),
        [taken; 2],
        "{lines:?}"
    );
    let left = (two, Outcome::KeptByPolicy, Reason::NotChosen);
    assert_eq!(to(two).copied().collect::<Vec<_>>(), [left; 2], "{lines:?}");
    // Whom she chose is told of by the address that she wrote, whichever sending that was in.
    let told = house
        .recalls
        .sender_status(request.id, 9)
        .unwrap()
        .addressed;
    assert!(
        told.iter()
            .any(|line| line.recipient.as_deref() == Some(one))
    );
    let item = tern_queue::status(&house.engine, house.items(&second)[1]).unwrap();
    assert!(
        matches!(item, Some(tern_queue::Status::Live(_))),
        "{item:?}"
    );
    house.check();
}

#[test]
fn who_is_chosen_and_had_it_by_another_sending_is_taken_from() {
    let mut house = House::new();
    house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let second = house.submit(ALICE, &[CAROL], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(second.id));
    request.chosen = vec!["bob@example.org".to_owned()];
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    assert_eq!(house.uids(CAROL, INBOX).len(), 2);
    let taken = (
        "bob@example.org",
        Outcome::WithdrawnUnexposed,
        Reason::NeverServed,
    );
    assert!(house.outcomes(request.id).contains(&taken));
    house.check();
}

#[test]
fn what_a_client_had_put_back_does_not_hide_that_its_owner_deleted_the_message() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let first = house.recall(ALICE, &sent).id();
    house.append(BOB, INBOX, &house.letter(1));
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    house.recalls.restore(first, &requester, house.now).unwrap();
    house.recalls.run(first, house.now).unwrap();
    let back: Vec<Uid> = house.uids(BOB, INBOX).into_iter().map(Uid).collect();
    assert_eq!(back.len(), 1, "what was put back stays in the vault");
    house
        .mailboxes
        .expunge(&Access::owner(BOB, INBOX), &back, false, house.now)
        .unwrap();
    // His client has had what it put back.
    let second = house.recall(ALICE, &sent).id();
    let gone = (
        "bob@example.org",
        Outcome::AlreadyGone,
        Reason::DeletedAfterServing,
    );
    assert_eq!(house.outcomes(second), [gone]);
    house.check();
}

#[test]
fn a_recall_that_fails_keeps_back_the_late_copies_of_no_other() {
    let mut house = House::new();
    let mut recalls = Vec::new();
    for n in [1, 2] {
        let sent = house.submit(ALICE, &[BOB], &[], usize::from(n));
        let mut request = house.request(ALICE, Selector::Submission(sent.id));
        request.id = RecallId([n; 16]);
        house.recalls.request(&request, house.now).unwrap();
        house.recalls.run(request.id, house.now).unwrap();
        recalls.push((sent, request.id));
    }
    for (n, (sent, _)) in recalls.iter().enumerate() {
        house.land_late(sent, BOB, n + 1);
    }
    // The record of the first can't be read any more.
    let mut batch = tern_store::Batch::new();
    batch.put([&[0x54][..], &[1; 16]].concat(), vec![0]);
    tern_store::Engine::commit(&house.engine, batch).unwrap();
    assert!(house.recalls.run_open(house.now).is_err());
    let late = (
        "bob@example.org",
        Outcome::BlockedLate,
        Reason::LateDelivery,
    );
    assert!(house.outcomes(recalls[1].1).contains(&late));
}

#[test]
fn undone_while_an_item_is_in_flight_it_is_still_settled() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &["out@elsewhere.test"], 1);
    let item = house.items(&sent)[0];
    tern_queue::lease(&house.engine, item, LeaseId(1), house.now, 60_000).unwrap();
    let id = house.recall(ALICE, &sent).id();
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let requester = &request.requester;
    house.recalls.restore(id, requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
    // The attempt is lost: the remote server may have it.
    house.now = house.now.plus_millis(60_001);
    house.recalls.run_open(house.now).unwrap();
    let outcomes = house.outcomes(id);
    let lost = |line: &&(&str, Outcome, Reason)| {
        (line.1, line.2) == (Outcome::Relayed, Reason::MaybeTakenOutside)
    };
    assert!(outcomes.iter().any(|line| lost(&line)), "{outcomes:?}");
    house.check();
}

/// How many of the two destinations of a letter its delivery has reached.
fn reach(house: &House, sent: &Submission, reached: u32) {
    tern_store::transact(&house.engine, |txn| -> Result<_, tern_store::StoreError> {
        submission::reached_in(txn, sent.id, reached, 2);
        Ok(Verdict::Commit(()))
    })
    .unwrap();
}

#[test]
fn what_arrives_after_it_was_undone_stays_and_is_said_so() {
    let mut house = House::new();
    let sent = house.submit_first_of(ALICE, &[BOB, CAROL], 1);
    reach(&house, &sent, 1);
    let id = house.recall(ALICE, &sent).id();
    let request = house.request(ALICE, Selector::Submission(sent.id));
    house
        .recalls
        .restore(id, &request.requester, house.now)
        .unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
    let placed = house.land(&sent, CAROL, 1);
    assert_eq!(placed.sealed, None);
    reach(&house, &sent, 2);
    house.recalls.run_open(house.now).unwrap();
    let undone = ("carol@example.org", Outcome::KeptByPolicy, Reason::Undone);
    let outcomes = house.outcomes(id);
    assert!(outcomes.contains(&undone), "{outcomes:?}");
    assert_eq!(house.uids(CAROL, INBOX), [2]);
    house.check();
}

#[test]
fn who_was_not_chosen_is_not_said_to_have_it_since_the_recall_was_undone() {
    let mut house = House::new();
    let sent = house.submit_first_of(ALICE, &[BOB, CAROL], 1);
    reach(&house, &sent, 1);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.chosen = vec!["bob@example.org".into()];
    let id = request.id;
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    house
        .recalls
        .restore(id, &request.requester, house.now)
        .unwrap();
    house.recalls.run(id, house.now).unwrap();
    reach(&house, &sent, 2);
    house.recalls.run_open(house.now).unwrap();
    let kept = (Outcome::KeptByPolicy, Reason::NotChosen);
    let outcomes = house.outcomes(id);
    let carols = outcomes.iter().filter(|line| (line.1, line.2) == kept);
    assert_eq!(carols.count(), 1, "{outcomes:?}");
    house.check();
}

/// The delivery goes on at that very moment: what it brings once the seal is gone is to leave, and to stay.
#[test]
fn undone_while_its_recipients_are_settled_it_stops_nothing_more() {
    let mut house = House::new();
    let out = ["out@elsewhere.test"];
    let sent = house.submit(ALICE, &[BOB, CAROL], &out, 1);
    let of = sent.id;
    let reach = move |engine: &tern_store::MemEngine, reached| {
        tern_store::transact(engine, |txn| -> Result<_, tern_store::StoreError> {
            submission::reached_in(txn, of, reached, 3);
            Ok(Verdict::Commit(()))
        })
        .unwrap();
    };
    reach(&house.engine, 1);
    let id = house.recall(ALICE, &sent).id();
    assert!(house.recalls.recall(id).unwrap().unsettled);
    reach(&house.engine, 2);
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    let (other, engine, now) = (house.another(), house.engine.clone(), house.now);
    house.once_before_next_commit(move || {
        other.restore(id, &requester, now).unwrap();
        reach(&engine, 3);
    });
    house.recalls.run_open(now).unwrap();
    house.recalls.run_open(now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
    let outside = house.outcomes(id).into_iter().find(|line| line.0 == out[0]);
    let undone = (out[0], Outcome::KeptByPolicy, Reason::Undone);
    assert_eq!(outside, Some(undone));
    let item = house.items(&sent)[0];
    let live = tern_queue::status(&house.engine, item).unwrap();
    assert!(
        matches!(live, Some(tern_queue::Status::Live(_))),
        "{live:?}"
    );
    house.check();
}

#[test]
fn what_was_sealed_is_withdrawn_whoever_sends_the_letter_meanwhile() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    // A copy of her letter that came by another way.
    house.append(BOB, INBOX, &house.letter(1));
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let answer = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(request.id));
    // Bob's own session began before hers, and is accepted only now.
    let rival = submission::Submission {
        id: OriginId([0; 16]),
        account: BOB,
        ..sent.clone()
    };
    let record = |txn: &mut tern_store::Transaction<'_>| -> Result<_, tern_store::StoreError> {
        submission::record_in(txn, &rival)?;
        Ok(Verdict::Commit(()))
    };
    tern_store::transact(&house.engine, record).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

#[test]
fn two_threads_withdraw_each_copy_once_and_the_audit_log_is_whole() {
    let mut house = House::new();
    let crowd = house.crowd(1_300);
    let sent = house.submit(ALICE, &crowd, &[], 1);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    house.recalls.request(&request, house.now).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| house.recalls.assist(request.id, 0, house.now).unwrap());
        house.recalls.run(request.id, house.now).unwrap();
    });
    let tally = house.recalls.tally(request.id).unwrap();
    assert_eq!(tally.of(Outcome::WithdrawnUnexposed), 1_300);
    let state = house.recalls.recall(request.id).unwrap().state;
    assert_eq!(state, State::Done);
    assert!(
        crowd
            .iter()
            .all(|account| house.uids(*account, INBOX).is_empty())
    );
    house.check();
}

#[test]
fn help_comes_only_where_there_is_much_to_withdraw() {
    let mut house = House::new();
    let crowd = house.crowd(300);
    let sent = house.submit(ALICE, &crowd, &[], 1);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    house.recalls.request(&request, house.now).unwrap();
    let there = |house: &House| {
        let digest = house.recalls.recall(request.id).unwrap().digest;
        house.mailboxes.copies(digest).unwrap().len()
    };
    assert_eq!(there(&house), 300);
    house.recalls.assist(request.id, 301, house.now).unwrap();
    assert_eq!(there(&house), 300, "fewer than that");
    house.recalls.assist(request.id, 300, house.now).unwrap();
    let first = there(&house);
    assert!((1..300).contains(&first), "{first} are left to the other");
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(there(&house), 0);
    let tally = house.recalls.tally(request.id).unwrap();
    assert_eq!(tally.of(Outcome::WithdrawnUnexposed), 300);
    house.check();
}

/// She sends it to one who was chosen once the seal has fallen: that is hers to do, and no hold of anybody's.
#[test]
fn what_is_sent_to_one_who_was_chosen_after_the_seal_stays_and_can_be_asked_for() {
    let mut house = House::new();
    let chosen = vec!["account3@example.org".to_owned()];
    let first = house.submit(ALICE, &[BOB], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(first.id));
    request.chosen.clone_from(&chosen);
    house.recalls.request(&request, house.now).unwrap();
    house.now = house.now.plus_millis(1_000);
    let second = house.submit(ALICE, &[CAROL], &[], 1);
    house.recalls.run(request.id, house.now).unwrap();
    assert_eq!(house.uids(CAROL, INBOX), [1]);
    let outcomes = house.outcomes(request.id);
    let held = |line: &&(&str, Outcome, Reason)| line.1 == Outcome::KeptOnHoldVisible;
    assert_eq!(outcomes.iter().find(held), None, "nobody holds anything");
    let mut again = house.request(ALICE, Selector::Submission(second.id));
    again.chosen = chosen;
    let answer = house.recalls.request(&again, house.now).unwrap();
    assert_eq!(answer, Requested::Sealed(again.id));
    house.recalls.run(again.id, house.now).unwrap();
    assert!(house.uids(CAROL, INBOX).is_empty());
    house.check();
}

/// Each copy is told of once, whichever sending is named.
#[test]
fn a_letter_that_was_sent_twice_is_recalled_once() {
    let mut house = House::new();
    let first = house.submit(ALICE, &[BOB], &[], 1);
    house.now = house.now.plus_millis(1_000);
    let second = house.submit(ALICE, &[CAROL], &[], 1);
    let all = house.recall(ALICE, &first);
    assert!(matches!(all, Requested::Sealed(_)), "{all:?}");
    assert_eq!(house.recall(ALICE, &second), Requested::Joined(all.id()));
    assert_eq!(house.outcomes(all.id()).len(), 2);
    house.check();
}

/// What one recall took of another sending, and was purged since, its owner has not deleted.
#[test]
fn what_a_recall_of_another_sending_took_is_not_said_to_be_deleted_once_it_is_purged() {
    let mut house = House::new();
    let first = house.submit(ALICE, &[BOB], &[], 1);
    house.now = house.now.plus_millis(1_000);
    let second = house.submit(ALICE, &[CAROL], &[], 1);
    let mut request = house.request(ALICE, Selector::Submission(first.id));
    request.chosen = vec!["account3@example.org".into()];
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(CAROL, INBOX).is_empty());
    house.now = house.now.plus_millis(91 * 24 * 3_600_000);
    assert_eq!(house.recalls.purge(house.now).unwrap(), 1);
    let id = house.recall(ALICE, &second).id();
    let outcomes = house.outcomes(id);
    let gone = outcomes.iter().find(|line| line.1 == Outcome::AlreadyGone);
    assert_eq!(gone, None, "{outcomes:?}");
    house.check();
}

/// What kept it away is over: it can be asked for again.
#[test]
fn what_comes_back_once_the_tombstone_is_over_can_be_taken_back_again() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let first = house.recall(ALICE, &sent);
    assert_eq!(house.recall(ALICE, &sent), Requested::Joined(first.id()));
    house.now = house.now.plus_millis(91 * 24 * 3_600_000);
    assert!(house.land(&sent, BOB, 1).sealed.is_none());
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    // So late nobody but an operator may.
    request.requester.account = None;
    let second = house.recalls.request(&request, house.now).unwrap();
    assert_eq!(second, Requested::Sealed(request.id));
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty());
    house.check();
}

#[test]
fn whoever_is_sent_the_letter_again_was_not_chosen_and_is_kept_by_no_hold() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[CAROL], &[], 1);
    let mut chosen = house.request(ALICE, Selector::Submission(sent.id));
    chosen.chosen = vec!["bob@example.org".to_owned()];
    let sealed = house.recalls.request(&chosen, house.now).unwrap();
    assert_eq!(sealed, Requested::Sealed(chosen.id));
    // The seal has nobody's copy: Bob comes by it afterwards.
    house.submit(ALICE, &[BOB], &[], 1);
    house.recalls.run(chosen.id, house.now).unwrap();
    let stays = |whom| (whom, Outcome::KeptByPolicy, Reason::NotChosen);
    let outcomes = house.outcomes(chosen.id);
    assert!(outcomes.contains(&stays("bob@example.org")), "{outcomes:?}");
    assert_eq!(house.uids(BOB, INBOX), [1]);
    house.check();
}
