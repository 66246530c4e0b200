//! A store that is put back from a backup as an attack: what the log and the recall say.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod house;

use house::{ALICE, BOB, House};
use tern_audit::{Known, checkpoint, ensure_key, prove};
use tern_base::SeededEntropy;
use tern_mailbox::INBOX;
use tern_recall::{RecallError, Requested};

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
