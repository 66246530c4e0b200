//! A store that is put back from a backup as an attack: what the log and the recall say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, House};
use tern_audit::{Known, checkpoint, ensure_key, prove};
use tern_base::{EmailAddress, SeededEntropy};
use tern_mailbox::INBOX;
use tern_recall::{Missing, Outcome, Reason, RecallError, Requested, Selector, State};

#[test]
fn what_the_backup_does_not_have_is_kept_out_and_comes_back_when_that_is_undone() {
    for sender in [Some("alice@example.org"), Some("gone@example.org"), None] {
        let mut house = House::new();
        let backup = house.engine.fork();
        let letter = house.letter(1);
        let sent = house.submit(ALICE, &[BOB], &[], 1);
        let mut back = house.put_back(&backup);
        let missing = Missing {
            submission: sent.id,
            letter: sent.digest,
            message_id: sent.message_id.clone(),
            sender: sender.map(|text| EmailAddress::parse(text).unwrap()),
        };
        back.recalls.record_missing(&missing).unwrap();
        back.recalls.record_missing(&missing).unwrap();
        let mut request = back.request(ALICE, Selector::Submission(sent.id));
        request.requester.account = None;
        let asked = back.recalls.request(&request, back.now).unwrap();
        assert_eq!(asked, Requested::Sealed(request.id));
        back.recalls.run(request.id, back.now).unwrap();
        assert_eq!(back.recalls.recall(request.id).unwrap().state, State::Done);
        // A client that was off line brings it again.
        let placed = back.append(BOB, INBOX, &letter);
        assert_eq!(placed.sealed, Some(request.id.tag()));
        assert!(back.uids(BOB, INBOX).is_empty());
        back.recalls
            .refresh_late(request.id.tag(), back.now)
            .unwrap();
        let outcomes = back.outcomes(request.id);
        let late = ("bob@example.org", Outcome::BlockedLate, Reason::PutBack);
        assert_eq!(outcomes, [late]);
        // Its sender keeps their own.
        let own = back.append(ALICE, INBOX, &letter);
        assert_eq!(own.sealed.is_none(), sender == Some("alice@example.org"));
        back.check();
        back.recalls
            .refresh_late(request.id.tag(), back.now)
            .unwrap();
        back.recalls
            .restore(request.id, &request.requester, back.now)
            .unwrap();
        back.recalls.run(request.id, back.now).unwrap();
        assert_eq!(back.uids(BOB, INBOX).len(), 1);
        back.check();
    }
}

#[test]
fn what_is_on_record_is_not_replaced_by_what_a_log_says() {
    let mut house = House::new();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let missing = Missing {
        submission: sent.id,
        letter: tern_base::ContentDigest([9; 16]),
        message_id: "other@example.org".into(),
        sender: None,
    };
    house.recalls.record_missing(&missing).unwrap();
    let found = tern_recall::submission::submission(&house.engine, sent.id);
    assert_eq!(found.unwrap(), Some(sent));
    house.check();
}

#[test]
fn a_store_put_back_to_before_a_recall_is_found_and_the_message_can_be_taken_back_again() {
    let mut house = House::new();
    let name = "mx.example.org/tern-audit";
    ensure_key(&house.engine, name, house.now, &mut SeededEntropy::new(3)).unwrap();
    let sent = house.submit(ALICE, &[BOB], &[], 1);
    let backup = house.engine.fork();
    let id = house.recall(ALICE, &sent).id();
    let kept = checkpoint::sign(&house.engine, house.now).unwrap();
    let known = Known {
        key: None,
        checkpoints: vec![kept.note],
    };
    assert!(prove(&house.engine, &known).unwrap().is_ok());

    // Sound in itself, and without a word of the recall: the recipient has the message again.
    let mut back = house.put_back(&backup);
    back.check();
    let forgotten = back.recalls.recall(id).map(drop);
    assert_eq!(forgotten, Err(RecallError::NoRecall));
    assert_eq!(back.uids(BOB, INBOX), [1]);
    let found = prove(&back.engine, &known).unwrap().expect_err("older");
    assert!(found.why.contains("rolled back"), "{found:?}");

    // Taken back once more, the log is longer and still another one.
    let again = back.recall(ALICE, &sent);
    assert!(matches!(again, Requested::Sealed(_)), "{again:?}");
    assert!(back.uids(BOB, INBOX).is_empty());
    back.check();
    assert!(prove(&back.engine, &known).unwrap().is_err());
}
