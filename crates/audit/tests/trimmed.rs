//! What is removed of a log whose clock was wrong for a while.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use tern_audit::{
    Actor, Draft, EntryId, Known, Old, Trimmed, append, check, checkpoint, ensure_key, head, prove,
    sweep, trim,
};
use tern_base::{SeededEntropy, Timestamp};
use tern_store::MemEngine;

const DAY: u64 = 86_400_000;

fn draft(n: u64, day: u64) -> Draft {
    let id = EntryId((u128::from(n) << 64 | 7).to_be_bytes());
    let actor = Actor::Operator(String::from("root"));
    Draft::new(id, Timestamp(day * DAY), actor, "act")
}

/// A log with an entry for each of these days, signed behind each; the entry of its key is the first.
fn log(days: &[u64]) -> MemEngine {
    let engine = MemEngine::new();
    let name = "mail.example.org/tern-audit";
    ensure_key(&engine, name, Timestamp(1), &mut SeededEntropy::new(1)).unwrap();
    for day in days {
        let next = head(&engine).unwrap().sequence + 1;
        append(&engine, &draft(next, *day)).unwrap();
        checkpoint::sign(&engine, Timestamp(day * DAY)).unwrap();
    }
    engine
}

/// How many days' entries go that were written before a day, as of another.
fn gone(days: &[u64], before: u64, now: u64) -> usize {
    let engine = log(days);
    let gone = trim_up_to(&engine, before, now, u64::MAX).map_or(1, |trimmed| trimmed.up_to);
    assert_eq!(check(&engine), Ok(Vec::new()));
    let proof = prove(&engine, &Known::default()).unwrap().unwrap();
    assert_eq!(proof.removed, if gone > 1 { gone } else { 0 });
    gone as usize - 1
}

fn trim_up_to(engine: &MemEngine, before: u64, now: u64, up_to: u64) -> Option<Trimmed> {
    let before = Timestamp(before * DAY);
    let entry = draft(head(engine).unwrap().sequence + 1, now);
    let trimmed = trim(engine, Old { before, up_to }, &entry, |_| Ok(true)).unwrap();
    while !sweep(engine).unwrap() {}
    trimmed
}

#[test]
fn a_clock_that_is_set_back_removes_nothing_that_is_younger() {
    // Written on the days 9 and 10, by a clock that said 2 and 3.
    assert_eq!(gone(&[1, 4, 8, 2, 3, 11], 5, 30), 2);
    assert_eq!(
        gone(&[1, 4, 8, 2, 3, 11], 9, 30),
        3,
        "they may be as young as the next"
    );
    assert_eq!(gone(&[1, 4, 8, 2, 3, 11], 12, 30), 6);
    // It is back now: what it calls the future is not old, though all that it calls the past is.
    assert_eq!(gone(&[1, 2, 400, 450], 25, 390), 2);
    assert_eq!(gone(&[1, 2, 400, 450, 391], 25, 395), 2);
}

#[test]
fn a_clock_that_was_ahead_keeps_nothing_for_ever() {
    // Written on day 3, by a clock that was ten years ahead.
    assert_eq!(gone(&[1, 2, 3_650, 4, 5], 6, 30), 5);
    assert_eq!(gone(&[1, 2, 3_650, 4, 5], 5, 30), 4);
    assert_eq!(
        gone(&[1, 2, 3_650, 4, 5], 4, 30),
        2,
        "it may be as young as the next"
    );
    // By one that was some days ahead: no longer than that.
    assert_eq!(gone(&[1, 2, 20, 4, 5, 21], 20, 30), 2);
    assert_eq!(gone(&[1, 2, 20, 4, 5, 21], 22, 30), 6);
}

#[test]
fn what_may_not_go_yet_stays_whatever_its_time() {
    let engine = log(&[1, 2, 3_650, 4, 5]);
    assert_eq!(trim_up_to(&engine, 9, 30, 1), None);
    assert_eq!(trim_up_to(&engine, 9, 30, 3).unwrap().up_to, 3);
    assert_eq!(trim_up_to(&engine, 9, 30, 3), None);
    assert_eq!(trim_up_to(&engine, 9, 30, 5).unwrap().entries, 2);
}
