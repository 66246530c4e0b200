//! Seeds that must hold: two hundred in a row, and each hard one that was found.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tern_sim::{Options, Summary, Trigger, run};

fn sum(seeds: std::ops::Range<u64>) -> Summary {
    let mut total = Summary::default();
    for seed in seeds {
        let (summary, _) = run(seed, Options::default()).unwrap_or_else(|failure| {
            panic!("{failure}\n(tern-sim --start {seed} --seeds 1 prints the trace)")
        });
        total += summary;
    }
    total
}

/// A run in which nothing happens proves nothing.
#[track_caller]
fn check(seeds: std::ops::Range<u64>) {
    let total = sum(seeds);
    assert!(total.accepted > 350 && total.seals > 120, "{total:?}");
    assert!(total.withdrawn > 150 && total.late > 50, "{total:?}");
    assert!(total.restored > 8 && total.exposed > 120, "{total:?}");
    assert!(total.freed > 0 && total.kept > 0, "{total:?}");
    assert!(total.sent_on > 10, "{total:?}");
    assert!(total.removed > 2 && total.kills > 20, "{total:?}");
    for trigger in Trigger::ALL {
        let asked = total.triggered.get(&trigger).copied().unwrap_or_default();
        assert!(asked > 0, "nothing was asked by {trigger:?}: {total:?}");
    }
    // Others are met in hundreds of seeds only (docs/recall.md 8).
    for with in ["a fetch", "a client"] {
        let met = total.races.get(with).copied().unwrap_or_default();
        assert!(met > 0, "no seal met {with}: {total:?}");
    }
}

#[test]
fn fifty_seeds() {
    check(0..50);
}

#[test]
fn a_hundred_seeds() {
    check(50..100);
}

#[test]
fn a_hundred_and_fifty_seeds() {
    check(100..150);
}

#[test]
fn two_hundred_seeds() {
    check(150..200);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let options = Options {
        trace: true,
        ..Options::default()
    };
    let (first, again) = (run(7, options).unwrap(), run(7, options).unwrap());
    assert!(!first.1.is_empty());
    assert_eq!(first, again);
}

/// Each of these seeds broke a promise when it was found; the sentence says which. What a seed
/// does changes with the simulation, so the mistakes of recalls are told again in a few lines in
/// that crate's own tests (`found.rs`).
#[test]
fn hard_seeds() {
    let found = [
        // A reader half-way through a message fetched the rest after the recall was done.
        3, 166,
        // A copy stopped on arrival had no outcome: whoever was to note it was killed.
        8, 9, 10, 18, 33,
        // Recalled twice as two submissions: the recipient was said to have deleted it.
        5, 13, 15, 23, 36,
        // The restore of one recall brought a copy back under another's seal.
        27, 45, 57,  // Undone while an item was in flight: its outcome stayed pending.
        16,  // After a restart the relay was handed what a settled seal covers.
        104, // A lost answer to a delivery under a seal: the late copy was brought twice.
        157, // A lost answer woke no session: a client in sync had less than the mailbox.
        60,
        // Another account sent the same letter word for word between the look and the seal: its
        // copies were sealed, never withdrawn, and served again after a restart.
        2625,
        // A recall that was being undone still held the copy of somebody whom another recall then
        // said to have deleted it.
        443, 1275, 1749, 1284, 1651, 3361, 6374, 6421,
        // What was left of a letter and was held did not count as held once the letter was whole again.
        471,
        // Such a rest, taken by another recall, was said to be purged while a hold kept it.
        5735,
        // Withdrawn, brought back and withdrawn again within one step, which the check looked at from
        // both ends alone.
        22880,
        // A copy that one seal hid before it was held was said to be hidden by the next.
        47175,
        // A copy of what carried a letter had what was served of that one, which the oracle did not know.
        111,
        // A download of what was expunged, and collected an hour later, was told of a damaged row.
        238, 467, 999, 1124,
        // A copy that was handed over while its new recall was being told of had nobody put in its place.
        10142,
        // What is left of a letter, withdrawn and away within one step, was said never to have been withdrawn.
        4896,
    ];
    for seed in found {
        sum(seed..seed + 1);
    }
}
