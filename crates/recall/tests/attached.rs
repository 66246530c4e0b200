//! Recalls of a letter that has been forwarded as an attachment: what carries it is a copy too.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, CAROL, DAVE, ERIN, House};
use tern_base::AccountId;
use tern_mailbox::{Carriage, ExposureLevel, INBOX};
use tern_recall::{
    Outcome, Reach, Reason, RecallId, Requested, Selector, State, Subject, Submission,
};

/// A message of Bob's with some octets attached, as a client forwards them.
fn forward(n: usize, attached: &[u8]) -> Vec<u8> {
    let head = format!(
        "From: bob@example.org\r\nTo: dave@example.org\r\nSubject: Fwd: Letter {n}\r\n\
         Date: Sat, 21 Nov 2026 22:30:00 +0000\r\nMessage-ID: <fwd{n}@example.org>\r\n\
         Content-Type: multipart/mixed; boundary=x{n}\r\n\r\n--x{n}\r\n\r\nHave a look\r\n\
         --x{n}\r\nContent-Type: message/rfc822\r\n\r\n"
    );
    let tail = format!("\r\n--x{n}--\r\n");
    [head.as_bytes(), attached, tail.as_bytes()].concat()
}

/// What became of the messages of an account that carry the letter.
fn carried(house: &House, id: RecallId, account: AccountId) -> Vec<(Outcome, Reason)> {
    let all = house.copy_outcomes(id).into_iter();
    all.filter(|(of, _, outcome)| {
        *of == account && outcome.carriage.is_some_and(Carriage::is_attached)
    })
    .map(|(_, _, outcome)| (outcome.outcome, outcome.reason))
    .collect()
}

fn restore(house: &mut House, id: RecallId, sent: &Submission) {
    let requester = house
        .request(sent.account, Selector::Submission(sent.id))
        .requester;
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    assert_eq!(house.recalls.recall(id).unwrap().state, State::Restored);
}

#[test]
fn what_was_forwarded_as_an_attachment_is_taken_back_with_its_outcome() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let fwd = forward(1, &house.letter(1));
    let forwarded = house.submit_content(BOB, &[DAVE, ERIN], &[], &fwd);
    let bobs_sent = house.mailboxes.folder(BOB, "Sent").unwrap().id;
    house.append(BOB, bobs_sent, &fwd);
    // An answer of a server to Alice that carries what she sent, say.
    house.append(ALICE, INBOX, &forward(2, &house.letter(1)));
    house.serve(ERIN, 1, ExposureLevel::Body);
    let id = house.recall(ALICE, &sent).id();
    for account in [BOB, CAROL, DAVE, ERIN] {
        assert!(house.uids(account, INBOX).is_empty());
    }
    assert!(house.uids(BOB, bobs_sent).is_empty());
    assert_eq!(house.uids(ALICE, INBOX), [1]);
    let unexposed = (Outcome::WithdrawnUnexposed, Reason::NeverServed);
    let exposed = (Outcome::WithdrawnExposed, Reason::BodyServed);
    assert_eq!(carried(&house, id, DAVE), [unexposed]);
    assert_eq!(carried(&house, id, ERIN), [exposed]);
    // Bob's client brought its own.
    assert_eq!(carried(&house, id, BOB), [exposed]);
    let kept = (Outcome::KeptByPolicy, Reason::OwnCopy);
    assert_eq!(carried(&house, id, ALICE), [kept]);
    // Whom the sender wrote to is told of; who sent it on is not.
    let status = house.recalls.sender_status(id, 10).unwrap();
    let copies = |at: usize| -> u64 { status.addressed[at].ends.values().sum() };
    assert_eq!(status.addressed.len(), 3);
    assert_eq!((copies(0), copies(1), copies(2)), (1, 1, 3));
    assert_eq!(status.addressed[2].recipient, None);
    let json = house.recalls.status(id, 10).unwrap().json();
    let lineages = json["copies"].as_array().unwrap().iter();
    let attached = lineages.filter(|copy| copy["lineage"] == "attached");
    assert_eq!(attached.count(), 3);
    house.check();
    restore(&mut house, id, &sent);
    for account in [BOB, CAROL, DAVE, ERIN] {
        assert_eq!(house.uids(account, INBOX).len(), 1);
    }
    assert_eq!(house.uids(BOB, bobs_sent), [2]);
    house.check();
    // What was forwarded is Bob's to take back too, and touches nothing else.
    let his = house.recall(BOB, &forwarded).id();
    assert_eq!(house.uids(CAROL, INBOX).len(), 1);
    assert!(house.uids(DAVE, INBOX).is_empty());
    assert!(carried(&house, his, DAVE).is_empty());
    house.check();
}

/// What somebody else wrote around the letter is not the message that evidence is about.
#[test]
fn what_is_kept_of_the_message_is_none_that_carries_it() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[DAVE], &[], 1);
    let fwd = forward(1, &house.letter(1));
    house.submit_content(DAVE, &[BOB], &[], &fwd);
    let id = house.recall(ALICE, &sent).id();
    let (whose, kept) = house.recalls.kept_content(id).unwrap().unwrap();
    assert_eq!(whose, "dave@example.org");
    let kept = String::from_utf8(kept).unwrap();
    assert!(
        kept.contains("Body 1") && !kept.contains("Have a look"),
        "{kept}"
    );
    house.check();
}

#[test]
fn a_plan_counts_what_would_be_taken_with_it() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let fwd = forward(1, &house.letter(1));
    house.submit_content(BOB, &[DAVE], &[], &fwd);
    house.serve(DAVE, 1, ExposureLevel::Body);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let (_, plan) = house.recalls.plan(&request, house.now).unwrap().unwrap();
    let tally = plan.tally();
    assert_eq!(tally.of(Outcome::WithdrawnUnexposed), 1);
    assert_eq!(tally.of(Outcome::WithdrawnExposed), 1);
    assert_eq!(house.uids(DAVE, INBOX), [1]);
}

#[test]
fn what_is_forwarded_after_the_recall_is_stopped_and_comes_back_with_it() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    // Bob's client, off line until now, forwards it and files what it has sent.
    let fwd = forward(1, &house.letter(1));
    house.submit_content(BOB, &[DAVE], &[], &fwd);
    let bobs_sent = house.mailboxes.folder(BOB, "Sent").unwrap().id;
    let put = house.append(BOB, bobs_sent, &fwd);
    assert_eq!(put.sealed, Some(id.tag()));
    house.recalls.refresh_late(id.tag(), house.now).unwrap();
    assert!(house.uids(DAVE, INBOX).is_empty() && house.uids(BOB, bobs_sent).is_empty());
    let late = (Outcome::BlockedLate, Reason::LateDelivery);
    assert_eq!(carried(&house, id, DAVE), [late]);
    let put_back = (Outcome::BlockedLate, Reason::PutBack);
    assert_eq!(carried(&house, id, BOB), [put_back]);
    house.check();
    // It is no second copy of the letter: nobody else has it.
    restore(&mut house, id, &sent);
    assert_eq!(house.uids(BOB, bobs_sent), [2]);
    assert_eq!(house.uids(DAVE, INBOX), [2]);
    house.check();
}

#[test]
fn whoever_sends_the_letter_on_gains_no_power_over_what_carries_it() {
    let mut house = House::new();
    let hers = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    // Bob sends the letter again, word for word; Carol has forwarded Alice's.
    let his = house.submit(BOB, &[ERIN], &[], 1);
    let fwd = forward(1, &house.letter(1));
    house.submit_content(CAROL, &[DAVE], &[], &fwd);
    let answer = house.recall(BOB, &his);
    assert!(matches!(answer, Requested::Sealed(_)));
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    assert!(house.uids(ERIN, INBOX).is_empty());
    assert!(carried(&house, answer.id(), DAVE).is_empty());
    house.check();
    house.recall(ALICE, &hers);
    assert!(house.uids(DAVE, INBOX).is_empty());
    house.check();
}

#[test]
fn two_recalls_of_what_lies_in_each_other_do_not_give_back_what_the_other_holds() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let fwd = forward(1, &house.letter(1));
    let forwarded = house.submit_content(BOB, &[DAVE], &[], &fwd);
    let first = house.recall(ALICE, &sent).id();
    let second = house.recall(BOB, &forwarded).id();
    // Dave has deleted nothing: the first recall took it.
    let of_dave = house.recalls.outcomes(second).unwrap();
    assert_eq!(of_dave.len(), 1, "{of_dave:?}");
    assert_eq!(of_dave[0].1.outcome, Outcome::WithdrawnUnexposed);
    restore(&mut house, first, &sent);
    assert_eq!(house.uids(BOB, INBOX), [2]);
    assert!(house.uids(DAVE, INBOX).is_empty(), "Bob's recall holds it");
    let kept = house.sealing.vaulted(second.tag(), None, 9).unwrap();
    assert_eq!(kept.len(), 1);
    let subject = Subject::Copy(DAVE, kept[0].message);
    let handed = house.recalls.outcomes(second).unwrap();
    let handed: Vec<_> = handed
        .into_iter()
        .filter(|(of, _)| *of == subject)
        .collect();
    assert!(handed.len() == 1 && handed[0].1.carriage.is_none());
    house.check();
    restore(&mut house, second, &forwarded);
    assert_eq!(house.uids(DAVE, INBOX), [2]);
    house.check();
}

#[test]
fn a_deep_or_encoded_attachment_is_found() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let once = forward(1, &house.letter(1));
    house.submit_content(BOB, &[DAVE], &[], &forward(2, &once));
    let encoded =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, house.letter(1));
    let file = format!(
        "From: bob@example.org\r\nSubject: a file\r\nMessage-ID: <file@example.org>\r\n\
         Content-Type: application/octet-stream; name=\"letter.eml\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"
    );
    house.submit_content(BOB, &[ERIN], &[], file.as_bytes());
    let id = house.recall(ALICE, &sent).id();
    let unexposed = (Outcome::WithdrawnUnexposed, Reason::NeverServed);
    assert_eq!(carried(&house, id, DAVE), [unexposed]);
    assert_eq!(carried(&house, id, ERIN), [unexposed]);
    house.check();
}

#[test]
fn killed_at_any_commit_what_carries_it_is_taken_back_once() {
    for kill_at in 0.. {
        let mut house = House::new();
        let sent = house.submit(ALICE, &[BOB], &[], 1);
        let fwd = forward(1, &house.letter(1));
        house.submit_content(BOB, &[DAVE, ERIN], &[], &fwd);
        let request = house.request(ALICE, Selector::Submission(sent.id));
        let through = house.killed_at(kill_at, |house| {
            house.recalls.request(&request, house.now)?;
            house.recalls.run(request.id, house.now)
        });
        let house = house.restarted();
        if house.recalls.recall(request.id).is_ok() {
            house.recalls.run_open(house.now).unwrap();
            assert!(house.uids(DAVE, INBOX).is_empty());
            assert_eq!(carried(&house, request.id, DAVE).len(), 1);
            assert_eq!(carried(&house, request.id, ERIN).len(), 1);
        } else {
            assert_eq!(house.uids(DAVE, INBOX), [1]);
        }
        house.check();
        if through {
            break;
        }
    }
}

#[test]
fn a_recall_of_copies_alone_leaves_what_carries_the_letter_and_says_so() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let fwd = forward(1, &house.letter(1));
    house.submit_content(BOB, &[DAVE], &[], &fwd);
    house.serve(DAVE, 1, ExposureLevel::Body);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.reach = Reach::Copies;
    let (_, plan) = house.recalls.plan(&request, house.now).unwrap().unwrap();
    assert_eq!(plan.tally().of(Outcome::WithdrawnUnexposed), 2);
    assert_eq!(plan.tally().of(Outcome::KeptByPolicy), 1);
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    assert!(house.uids(BOB, INBOX).is_empty() && house.uids(CAROL, INBOX).is_empty());
    assert_eq!(house.uids(DAVE, INBOX), [1]);
    let kept = (Outcome::KeptByPolicy, Reason::OutOfReach);
    assert_eq!(carried(&house, request.id, DAVE), [kept]);
    // What carries it arrives, and it does not.
    house.submit_content(BOB, &[ERIN], &[], &fwd);
    assert_eq!(house.uids(ERIN, INBOX), [1]);
    assert!({
        let letter = house.letter(1);
        house.append(ERIN, INBOX, &letter).sealed.is_some()
    });
    house
        .recalls
        .refresh_late(request.id.tag(), house.now)
        .unwrap();
    let json = house.recalls.status(request.id, 10).unwrap().json();
    assert_eq!(json["reach"], "copies");
    house.check();
    restore(&mut house, request.id, &sent);
    assert_eq!(house.uids(BOB, INBOX), [2]);
    house.check();
}
