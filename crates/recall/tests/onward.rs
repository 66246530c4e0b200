//! Recalls of a letter that others have sent on to other servers: each copy has its outcome, too.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use std::sync::Arc;

use house::counting::Counting;
use house::{ALICE, BOB, CAROL, DAVE, House};
use tern_mailbox::{Carriage, INBOX};
use tern_queue::{LeaseId, QueueId, Reply};
use tern_recall::{
    Outcome, Reach, Reason, RecallId, Selector, StatusLine, Subject, Submission, onward, submission,
};

const FAR: [&str; 3] = ["x@far.example", "y@far.example", "z@far.example"];

fn forward(n: usize, attached: &[u8]) -> Vec<u8> {
    let head = format!(
        "From: bob@example.org\r\nTo: x@far.example\r\nSubject: Fwd: Letter {n}\r\n\
         Date: Sat, 21 Nov 2026 22:30:00 +0000\r\nMessage-ID: <fwd{n}@example.org>\r\n\
         Content-Type: multipart/mixed; boundary=x{n}\r\n\r\n--x{n}\r\n\r\nHave a look\r\n\
         --x{n}\r\nContent-Type: message/rfc822\r\n\r\n"
    );
    let tail = format!("\r\n--x{n}--\r\n");
    [head.as_bytes(), attached, tail.as_bytes()].concat()
}

/// Alice has sent Bob a letter, who has sent it on.
fn sent_on(house: &mut House) -> (Submission, Submission) {
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let fwd = forward(1, &house.letter(1));
    let on = house.submit_content(BOB, &[], &FAR, &fwd);
    (sent, on)
}

fn reply(code: u16) -> Reply {
    Reply {
        code,
        enhanced: None,
        text: String::new(),
        host: Some("mx.far.example".to_owned()),
    }
}

fn take(house: &House, item: QueueId) {
    tern_queue::lease(&house.engine, item, LeaseId(7), house.now, 60_000).unwrap();
}

/// The lines of what was sent on: to whom, by whom, and what became of it.
fn lines(house: &House, id: RecallId) -> Vec<(String, String, Outcome, Reason)> {
    let status = house.recalls.status(id, 100).unwrap();
    let of = |line: &StatusLine| {
        let by = line.sent_on.as_ref()?.by.clone();
        let outcome = &line.outcome;
        Some((line.recipient.clone(), by, outcome.outcome, outcome.reason))
    };
    status.lines.iter().filter_map(of).collect()
}

fn expected(ends: [(Outcome, Reason); 3]) -> Vec<(String, String, Outcome, Reason)> {
    let ends = FAR.iter().zip(ends);
    let line = |(to, (outcome, reason)): (&&str, _)| {
        (
            (*to).to_owned(),
            "bob@example.org".to_owned(),
            outcome,
            reason,
        )
    };
    ends.map(line).collect()
}

const PREVENTED: (Outcome, Reason) = (Outcome::Prevented, Reason::Queued);
const TAKEN: (Outcome, Reason) = (Outcome::Relayed, Reason::TakenOutside);
const IN_FLIGHT: (Outcome, Reason) = (Outcome::Pending, Reason::InFlight);

#[test]
fn what_was_sent_on_outside_is_stopped_or_said_to_have_left() {
    let mut house = House::new();
    let (sent, on) = sent_on(&mut house);
    let items = house.items(&on);
    house.relay(
        items[0],
        LeaseId(1),
        tern_queue::Outcome::Delivered(reply(250)),
    );
    take(&house, items[1]);
    let request = house.request(ALICE, Selector::Submission(sent.id));
    let (_, plan) = house.recalls.plan(&request, house.now).unwrap().unwrap();
    let id = house.recall(ALICE, &sent).id();
    assert_eq!(lines(&house, id), expected([TAKEN, IN_FLIGHT, PREVENTED]));
    assert_eq!(plan.tally(), house.recalls.tally(id).unwrap());
    house.check();
    let attached = house.recalls.outcomes(id).unwrap().into_iter();
    let mut attached = attached.filter(|(subject, _)| matches!(subject, Subject::Onward(..)));
    assert!(attached.all(|(_, outcome)| outcome.carriage.is_some_and(Carriage::is_attached)));
    // The attempt comes to nothing, and there is no other.
    house.relay_leased(
        items[1],
        LeaseId(7),
        tern_queue::Outcome::Temporary(reply(450)),
    );
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(lines(&house, id), expected([TAKEN, PREVENTED, PREVENTED]));
    house.check();
    let status = house.recalls.status(id, 100).unwrap().json();
    let copies = status["copies"].as_array().unwrap();
    let left = copies
        .iter()
        .find(|copy| copy["recipient"] == FAR[0])
        .unwrap();
    assert_eq!(left["lineage"], "attached");
    assert_eq!(left["sentOn"]["by"], "bob@example.org");
    assert_eq!(left["sentOn"]["submission"], on.id.to_string());
    assert_eq!(left["seen"]["servings"][0]["client"], "mx.far.example");
    let reader = house.request(ALICE, Selector::Submission(sent.id));
    let evidence = house.recalls.evidence(id, &reader.requester, house.now);
    let evidence = evidence.unwrap();
    assert_eq!(evidence["recall"]["copies"], status["copies"]);
}

#[test]
fn the_sender_is_told_how_many_left_and_not_who_sent_them_on() {
    let mut house = House::new();
    let (sent, on) = sent_on(&mut house);
    let items = house.items(&on);
    house.relay(
        items[0],
        LeaseId(1),
        tern_queue::Outcome::Delivered(reply(250)),
    );
    house.recall(ALICE, &sent);
    let report = house.report(ALICE);
    assert!(report.contains("Subject: Partly taken back"), "{report}");
    let elsewhere = "  Copies elsewhere\r\n      2 of 3: Stopped before it left this server. (prevented)\r\n\
                     \x20     1 of 3: It had left for another server and can't be taken back there. (relayed)";
    assert!(report.contains(elsewhere), "{report}");
    assert!(!report.contains("far.example"), "{report}");
}

#[test]
fn what_is_sent_on_after_the_recall_has_its_outcome_once_it_is_stopped() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB, CAROL], &[], 1);
    let id = house.recall(ALICE, &sent).id();
    let fwd = forward(1, &house.letter(1));
    let on = house.submit_content(BOB, &[], &FAR, &fwd);
    // What delivery does under a seal.
    tern_store::transact(&house.engine, |txn| -> Result<_, tern_store::StoreError> {
        for item in house.items(&on) {
            let tern_queue::Cancelled::Cancelled { item, .. } =
                tern_queue::cancel_in(txn, item, house.now)?
            else {
                panic!("not live");
            };
            house
                .mailboxes
                .unlink_blob_in(txn, item.blob, house.now)
                .unwrap();
        }
        onward::note_stopped_in(txn, id.tag(), on.id);
        Ok(tern_store::Verdict::Commit(()))
    })
    .unwrap();
    assert_eq!(house.recalls.refresh_late(id.tag(), house.now).unwrap(), 3);
    assert_eq!(lines(&house, id), expected([PREVENTED; 3]));
    assert_eq!(house.recalls.refresh_late(id.tag(), house.now).unwrap(), 0);
    assert!(house.report(ALICE).contains("Copies elsewhere"));
    house.check();
}

#[test]
fn what_stays_by_choice_or_is_out_of_reach_is_said_so() {
    let mut house = House::new();
    let (sent, on) = sent_on(&mut house);
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.chosen = vec!["bob@example.org".to_owned()];
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    let not_chosen = (Outcome::KeptByPolicy, Reason::NotChosen);
    assert_eq!(lines(&house, request.id), expected([not_chosen; 3]));
    let mut request = house.request(ALICE, Selector::Submission(sent.id));
    request.reach = Reach::Copies;
    house.recalls.request(&request, house.now).unwrap();
    house.recalls.run(request.id, house.now).unwrap();
    let out_of_reach = (Outcome::KeptByPolicy, Reason::OutOfReach);
    assert_eq!(lines(&house, request.id), expected([out_of_reach; 3]));
    for item in house.items(&on) {
        let status = tern_queue::status(&house.engine, item).unwrap();
        assert!(matches!(status, Some(tern_queue::Status::Live(_))));
    }
    house.check();
}

#[test]
fn only_whoever_sent_it_first_is_told_what_was_sent_on() {
    let mut house = House::new();
    let (hers, on) = sent_on(&mut house);
    // Carol sends the letter again, word for word, and takes that back.
    let again = house.submit(CAROL, &[DAVE], &["w@far.example"], 1);
    let id = house.recall(CAROL, &again).id();
    assert!(lines(&house, id).is_empty());
    let live = |item| {
        matches!(
            tern_queue::status(&house.engine, item),
            Ok(Some(tern_queue::Status::Live(_)))
        )
    };
    assert!(house.items(&on).into_iter().all(live));
    house.check();
    // Hers does not speak of what Carol sent.
    let id = house.recall(ALICE, &hers).id();
    assert_eq!(lines(&house, id), expected([PREVENTED; 3]));
    house.check();
}

#[test]
fn killed_at_any_commit_each_has_one_outcome() {
    for kill_at in 0.. {
        let mut house = House::new();
        let (sent, on) = sent_on(&mut house);
        house.relay(
            house.items(&on)[0],
            LeaseId(1),
            tern_queue::Outcome::Delivered(reply(250)),
        );
        let request = house.request(ALICE, Selector::Submission(sent.id));
        let through = house.killed_at(kill_at, |house| {
            house.recalls.request(&request, house.now)?;
            house.recalls.run(request.id, house.now)
        });
        let house = house.restarted();
        if house.recalls.recall(request.id).is_ok() {
            house.recalls.run_open(house.now).unwrap();
            assert_eq!(
                lines(&house, request.id),
                expected([TAKEN, PREVENTED, PREVENTED])
            );
        }
        house.check();
        if through {
            break;
        }
    }
}

#[test]
fn undone_it_says_nothing_of_what_is_sent_on_later() {
    let mut house = House::new();
    let (sent, _) = sent_on(&mut house);
    let id = house.recall(ALICE, &sent).id();
    let requester = house
        .request(ALICE, Selector::Submission(sent.id))
        .requester;
    house.recalls.restore(id, &requester, house.now).unwrap();
    house.recalls.run(id, house.now).unwrap();
    let fwd = forward(2, &house.letter(1));
    let later = house.submit_content(BOB, &[], &FAR, &fwd);
    house.recalls.run_open(house.now).unwrap();
    assert_eq!(lines(&house, id), expected([PREVENTED; 3]));
    assert_eq!(house.uids(BOB, INBOX), [2]);
    let live = |item| {
        matches!(
            tern_queue::status(&house.engine, item),
            Ok(Some(tern_queue::Status::Live(_)))
        )
    };
    assert!(house.items(&later).into_iter().all(live));
    assert!(
        submission::submission(&house.engine, later.id)
            .unwrap()
            .is_some()
    );
    house.check();
}

/// What sent them on is read once for all of them, not for each.
#[test]
fn what_was_sent_on_to_many_is_told_by_a_few_rows() {
    let asked = |count: usize| {
        let mut house = House::new();
        let sent = house.submit(ALICE, &[BOB], &[], 1);
        let out: Vec<String> = (0..count).map(|n| format!("x{n}@far.example")).collect();
        let out: Vec<&str> = out.iter().map(String::as_str).collect();
        let fwd = forward(1, &house.letter(1));
        house.submit_content(BOB, &[], &out, &fwd);
        let id = house.recall(ALICE, &sent).id();
        let engine = Arc::new(Counting::new(house.engine.clone()));
        let recalls = house.recalls_over(Arc::<Counting>::clone(&engine)).0;
        engine.forget();
        let status = recalls.status(id, 1_000).unwrap();
        assert_eq!(
            status
                .lines
                .iter()
                .filter(|line| line.sent_on.is_some())
                .count(),
            count
        );
        engine.asked()
    };
    let (few, many) = (asked(10), asked(50));
    // Each has its row in the queue.
    assert!(many - few <= 2 * 40, "{few} {many}");
}
