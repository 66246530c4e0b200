//! Checkpoints at the boundary: what is signed is proven, also by somebody who has nothing of the
//! store; every way to change a signed log behind its back is found and named.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use tern_audit::{
    Actor, Broken, Draft, EntryId, Key, Known, Note, Old, Proved, Signed, Verified, VerifyingKey,
    append, check, checkpoint, ensure_key, head, include, keys, merkle, prove, rotate, sweep,
    trunk, verify,
};
use tern_base::{SeededEntropy, Timestamp};
use tern_store::{Batch, Engine, MemEngine, Range, Read};

const NAME: &str = "mail.example.org/tern-audit";
const DAY: u64 = 86_400_000;

fn draft(n: u64, action: &str) -> Draft {
    let id = EntryId((u128::from(n) << 64 | 7).to_be_bytes());
    let actor = Actor::Operator(String::from("root"));
    Draft::new(id, Timestamp(n * DAY), actor, action).detail("n", n)
}

/// A log with a key and `count` entries, its own first one included.
fn log(count: u64) -> MemEngine {
    let engine = MemEngine::new();
    ensure_key(&engine, NAME, Timestamp(1), &mut SeededEntropy::new(1)).unwrap();
    grow(&engine, count, "act");
    engine
}

fn grow(engine: &dyn Engine, count: u64, action: &str) {
    for n in head(engine).unwrap().sequence + 1..=count {
        append(engine, &draft(n, action)).unwrap();
    }
}

fn sign(engine: &dyn Engine) -> Signed {
    checkpoint::sign(engine, Timestamp(5)).unwrap()
}

fn proved(engine: &dyn Engine) -> Proved {
    assert_eq!(check(engine).unwrap(), []);
    prove(engine, &Known::default()).unwrap().unwrap()
}

fn broken(engine: &dyn Engine, known: &Known) -> Broken {
    prove(engine, known).unwrap().expect_err("broken")
}

fn with(notes: &[&Signed]) -> Known {
    Known {
        checkpoints: notes.iter().map(|signed| signed.note.clone()).collect(),
        key: None,
    }
}

/// Changes rows behind the log's back.
fn tamper(engine: &MemEngine, change: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    change(&mut batch);
    engine.commit(batch).unwrap();
}

fn rows(engine: &MemEngine, table: u8) -> Vec<(Vec<u8>, Vec<u8>)> {
    engine
        .scan(&Range::prefix(vec![table]), 1_000)
        .unwrap()
        .rows
}

/// Copies a table as it is elsewhere.
fn copy(from: &MemEngine, to: &MemEngine, table: u8) {
    tamper(to, |batch| {
        for (key, _) in rows(to, table) {
            batch.delete(key);
        }
        for (key, value) in rows(from, table) {
            batch.put(key, value);
        }
    });
}

#[test]
fn a_checkpoint_is_verified_with_the_public_key_alone() {
    let engine = log(10);
    let signed = sign(&engine);
    assert_eq!(signed.checkpoint.entries, 10);
    assert_eq!(sign(&engine), signed, "nothing new");
    let key = keys(&engine).unwrap()[0].verifying.to_string();
    let key = VerifyingKey::parse(&key).unwrap();
    assert!(Note::parse(&signed.note).unwrap().is_signed_by(&key));
    let root = signed.checkpoint.root;
    grow(&engine, 25, "act");
    let proof = proved(&engine);
    assert_eq!(
        (proof.entries, proof.signed, proof.checkpoints),
        (25, 10, 1)
    );
    let later = sign(&engine);
    assert_ne!(later.checkpoint.root, root);
    let proof = proved(&engine);
    assert_eq!((proof.signed, proof.checkpoints), (25, 2));
    assert!(prove(&engine, &with(&[&signed, &later])).unwrap().is_ok());
}

#[test]
fn single_entries_are_proven_without_the_others() {
    let engine = log(37);
    let signed = sign(&engine);
    grow(&engine, 40, "act");
    let sequences = [1, 5, 36, 37];
    let inclusion = include(&engine, &sequences).unwrap();
    assert_eq!(inclusion.signed, signed);
    for (sequence, proof) in sequences.iter().zip(&inclusion.proofs) {
        let entry = tern_audit::entry(&engine, *sequence).unwrap().unwrap();
        let leaf = merkle::leaf(entry.canonical_json().as_bytes());
        let root = merkle::root_of(sequence - 1, 37, leaf, proof);
        assert_eq!(root, Some(signed.checkpoint.root));
        let other = merkle::root_of(*sequence, 37, leaf, proof);
        assert_ne!(other, Some(signed.checkpoint.root));
    }
    assert!(include(&engine, &[38]).is_err(), "not signed yet");
}

#[test]
fn checkpoints_are_due_by_number_and_by_age() {
    let engine = log(10);
    let due = |entries, millis, day| {
        checkpoint::is_due(&engine, entries, millis, Timestamp(day * DAY)).unwrap()
    };
    assert!(due(10, u64::MAX, 10) && !due(11, u64::MAX, 10));
    sign(&engine);
    assert!(!due(1, 0, 100), "nothing new");
    append(&engine, &draft(11, "act")).unwrap();
    assert!(!due(2, DAY, 11) && due(2, DAY, 12));
}

/// What somebody who can write the store, but has no key, may try.
#[test]
fn every_change_of_a_signed_log_is_named() {
    let engine = log(6);
    let young = engine.fork();
    grow(&engine, 10, "act");
    sign(&engine);
    grow(&engine, 12, "act");
    proved(&engine);

    // An entry edited, and every hash after it made to fit.
    let edited = young.fork();
    grow(&edited, 12, "other");
    assert!(matches!(
        verify(&edited, 1, None).unwrap(),
        Verified::Intact { .. }
    ));
    copy(&engine, &edited, 0x45);
    copy(&engine, &edited, 0x46);
    let found = broken(&edited, &Known::default());
    assert_eq!(found.sequence, 10);
    assert!(found.why.contains("other entries"), "{found:?}");

    // The end cut off, head and all.
    let cut = young.fork();
    copy(&engine, &cut, 0x45);
    let found = broken(&cut, &Known::default());
    assert_eq!(found.sequence, 6);
    assert!(found.why.contains("cut off"), "{found:?}");

    // A checkpoint replaced by one that another key signed.
    let forged = log_of_another_key(&young, 12);
    copy(&forged, &edited, 0x45);
    let found = broken(&edited, &Known::default());
    assert!(found.why.contains("not signed by the key"), "{found:?}");

    // Its key put in the place of the log's own, too.
    copy(&forged, &edited, 0x43);
    let found = broken(&edited, &Known::default());
    assert_eq!(found.sequence, 1);
    assert!(found.why.contains("was replaced"), "{found:?}");

    // Everything replaced: only who has kept the key, or a checkpoint, sees that.
    let key = Some(keys(&engine).unwrap()[0].verifying.clone());
    let whole = log_of_another_key(&MemEngine::new(), 12);
    proved(&whole);
    let kept = Known {
        key,
        ..Known::default()
    };
    assert!(broken(&whole, &kept).why.contains("none of the log's keys"));
    let found = broken(&whole, &with(&[&sign(&engine)]));
    assert!(
        found.why.contains("not signed by a key of this log"),
        "{found:?}"
    );
}

fn log_of_another_key(from: &MemEngine, count: u64) -> MemEngine {
    let other = from.fork();
    tamper(&other, |batch| {
        for table in [0x43, 0x44] {
            for (key, _) in rows(&other, table) {
                batch.delete(key);
            }
        }
    });
    ensure_key(&other, NAME, Timestamp(2), &mut SeededEntropy::new(9)).unwrap();
    grow(&other, count, "other");
    sign(&other);
    other
}

#[test]
fn every_changed_byte_of_a_checkpoint_or_key_shows() {
    let engine = log(4);
    sign(&engine);
    rotate(&engine, &draft(100, "x"), &mut SeededEntropy::new(3)).unwrap();
    sign(&engine);
    for table in [0x43, 0x45] {
        for (key, value) in rows(&engine, table) {
            for at in 0..value.len() {
                let changed = engine.fork();
                let mut bytes = value.clone();
                bytes[at] ^= 1;
                tamper(&changed, |batch| batch.put(key.clone(), bytes));
                let proof = prove(&changed, &Known::default()).unwrap();
                let Ok(proof) = proof else { continue };
                // When a key was made is in its entry; the row's copy of that proves nothing.
                let same = |(new, old): (&Key, &Key)| {
                    Key {
                        made: old.made,
                        ..new.clone()
                    } == *old
                };
                let all = keys(&engine).unwrap();
                assert!(
                    table == 0x43 && proof.keys != all && proof.keys.iter().zip(&all).all(same),
                    "table {table:#x}, byte {at}"
                );
            }
            let missing = engine.fork();
            tamper(&missing, |batch| batch.delete(key.clone()));
            if table == 0x43 {
                broken(&missing, &Known::default());
            }
        }
    }
}

#[test]
fn a_store_that_was_rolled_back_is_found_by_a_checkpoint_kept_elsewhere() {
    let engine = log(10);
    let backup = engine.fork();
    grow(&engine, 20, "act");
    let kept = sign(&engine);
    assert!(prove(&engine, &with(&[&kept])).unwrap().is_ok());
    // Restored from the backup, it is sound in itself.
    proved(&backup);
    let found = broken(&backup, &with(&[&kept]));
    assert_eq!(found.sequence, 10);
    assert!(found.why.contains("rolled back"), "{found:?}");
    // So it is when it has grown past that again.
    grow(&backup, 30, "other");
    sign(&backup);
    proved(&backup);
    let found = broken(&backup, &with(&[&kept]));
    assert_eq!(found.sequence, 20);
    assert!(found.why.contains("are not the 20"), "{found:?}");
}

#[test]
fn a_new_key_is_signed_by_the_old_one_which_signs_no_more() {
    let engine = log(3);
    let first = sign(&engine);
    let before = engine.fork();
    let new = rotate(
        &engine,
        &draft(50, "audit.key"),
        &mut SeededEntropy::new(77),
    )
    .unwrap();
    assert_eq!((new.number, new.sequence), (2, 4));
    let old = &keys(&engine).unwrap()[0];
    assert!(
        old.verifying
            .has_signed(&new.endorsed_text(), &new.endorsement)
    );
    let second = sign(&engine);
    assert!(
        Note::parse(&second.note)
            .unwrap()
            .is_signed_by(&new.verifying)
    );
    assert!(
        !Note::parse(&second.note)
            .unwrap()
            .is_signed_by(&old.verifying)
    );
    assert_eq!(proved(&engine).keys.len(), 2);
    // Who kept the first key goes on from there; so does who kept its checkpoint.
    let known = Known {
        key: Some(old.verifying.clone()),
        ..with(&[&first, &second])
    };
    assert!(prove(&engine, &known).unwrap().is_ok());
    // Who kept the second one alone has less, and is told so.
    let known = Known {
        key: Some(new.verifying.clone()),
        ..Known::default()
    };
    let proof = prove(&engine, &known).unwrap().unwrap();
    assert_eq!((proof.signed, proof.before_key), (4, 3));
    // Somebody has the seed of the old key: what they sign now is not believed.
    copy(&before, &engine, 0x44);
    tamper(&engine, |batch| {
        for table in [0x45, 0x46] {
            for (key, _) in rows(&engine, table) {
                batch.delete(key);
            }
        }
    });
    sign(&engine);
    let found = broken(&engine, &Known::default());
    assert!(found.why.contains("key of that time"), "{found:?}");
}

/// Somebody who can write the store makes a log up, and has a key of their own endorse the real one.
#[test]
fn a_log_that_names_the_key_that_was_kept_is_not_signed_by_it() {
    let real = log(3);
    let kept = keys(&real).unwrap().swap_remove(0).verifying;
    let forged = MemEngine::new();
    ensure_key(&forged, NAME, Timestamp(1), &mut SeededEntropy::new(9)).unwrap();
    grow(&forged, 8, "other");
    sign(&forged);
    // The seed of the real key is where the second of the forged log is made from.
    rotate(&forged, &draft(50, "audit.key"), &mut SeededEntropy::new(1)).unwrap();
    assert_eq!(keys(&forged).unwrap()[1].verifying, kept);
    proved(&forged);
    let known = Known {
        key: Some(kept),
        ..Known::default()
    };
    let found = broken(&forged, &known);
    assert!(found.why.contains("nothing is signed by it"), "{found:?}");
    // The real log has nothing by it so far, either.
    broken(&real, &known);
    sign(&real);
    let proof = prove(&real, &known).unwrap().unwrap();
    assert_eq!((proof.signed, proof.before_key), (3, 0));
}

fn trim(
    engine: &MemEngine,
    before: Timestamp,
    act: &Draft,
) -> Result<Option<tern_audit::Trimmed>, tern_audit::AuditError> {
    let up_to = u64::MAX;
    tern_audit::trim(engine, Old { before, up_to }, act, |_| Ok(true))
}

#[test]
fn old_entries_go_up_to_a_checkpoint_and_the_rest_is_proven_as_before() {
    let engine = log(10);
    let first = sign(&engine);
    grow(&engine, 20, "act");
    let second = sign(&engine);
    grow(&engine, 30, "act");
    let act = draft(1_000, "x");
    // The last entries of the checkpoints are of day 10 and of day 20.
    assert_eq!(trim(&engine, Timestamp(10 * DAY), &act).unwrap(), None);
    let trimmed = trim(&engine, Timestamp(20 * DAY), &act).unwrap().unwrap();
    assert_eq!((trimmed.entries, trimmed.up_to), (10, 10));
    assert_eq!(trim(&engine, Timestamp(20 * DAY), &act).unwrap(), None);
    // Before the rows are swept away, and after.
    assert_eq!(proved(&engine).entries, 21);
    let export = |engine: &MemEngine| tern_audit::export_jsonl(engine, 1, 100).unwrap().lines;
    let exported = export(&engine);
    assert!(exported.contains("\"sequence\":11,") && !exported.contains("\"sequence\":10,"));
    while !sweep(&engine).unwrap() {}
    let proof = proved(&engine);
    assert_eq!((proof.removed, proof.entries, proof.signed), (10, 21, 20));
    assert_eq!(rows(&engine, 0x41).len(), 21);
    assert_eq!(rows(&engine, 0x42).len(), 21);
    assert_eq!(check(&engine), Ok(Vec::new()), "the index is trimmed too");
    assert!(matches!(
        verify(&engine, 1, None),
        Ok(Verified::Intact { entries: 21, .. })
    ));
    let said = tern_audit::entry(&engine, 31).unwrap().unwrap().draft;
    assert_eq!(said.action, "audit.trim");
    // What was kept elsewhere is compared as far as it can be.
    assert!(prove(&engine, &with(&[&first, &second])).unwrap().is_ok());
    let inclusion = include(&engine, &[11, 20]).unwrap();
    let entry = tern_audit::entry(&engine, 11).unwrap().unwrap();
    let root = merkle::root_of(10, 20, entry.leaf(), &inclusion.proofs[0]);
    assert_eq!(root, Some(second.checkpoint.root));
    assert!(include(&engine, &[10]).is_err(), "removed");
    sign(&engine);
    let trimmed = trim(&engine, Timestamp(21 * DAY), &draft(1_001, "x"));
    assert_eq!(trimmed.unwrap().unwrap().up_to, 20);
    assert_eq!(proved(&engine).removed, 20);
    assert_eq!(trunk(&engine).unwrap().removed(), 20);
    // One of removed entries is compared with what was signed then.
    let proof = prove(&engine, &with(&[&first, &second])).unwrap().unwrap();
    assert_eq!(proof.past_proof, 0);
    // The same key has signed it, in a store that went another way.
    let other = log(5);
    grow(&other, 10, "other");
    let other = broken(&engine, &with(&[&sign(&other)]));
    assert!(
        other.sequence == 10 && other.why.contains("of other entries"),
        "{other:?}"
    );
    // Of just so many the log has signed nothing: it neither holds nor breaks.
    let between = sign(&log(15));
    let proof = prove(&engine, &with(&[&first, &between])).unwrap().unwrap();
    assert_eq!(proof.past_proof, 1);
}

#[test]
fn entries_that_are_gone_without_record_show() {
    let engine = log(10);
    sign(&engine);
    grow(&engine, 20, "act");
    let trimmed = engine.fork();
    trim(&trimmed, Timestamp(11 * DAY), &draft(1_000, "x"))
        .unwrap()
        .unwrap();
    // The trunk of a log that was trimmed by somebody else's key.
    let forged = log_of_another_key(&MemEngine::new(), 20);
    trim(&forged, Timestamp(30 * DAY), &draft(1_000, "x"))
        .unwrap()
        .unwrap();
    copy(&forged, &engine, 0x47);
    let found = broken(&engine, &Known::default());
    assert!(found.why.contains("nothing signed says"), "{found:?}");
    // Rows alone.
    tamper(&trimmed, |batch| batch.delete(vec![0x47]));
    while !sweep(&trimmed).unwrap() {}
    tamper(&trimmed, |batch| {
        batch.delete(rows(&trimmed, 0x41)[0].0.clone())
    });
    assert_eq!(broken(&trimmed, &Known::default()).sequence, 1);
}
