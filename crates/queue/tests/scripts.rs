//! Scripts of verbs and what each answers, alone and with lost answers and conflicts.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod items;

use std::sync::atomic::{AtomicU64, Ordering};

use items::{LEASE_MS, MINUTE, id, new, reply, rows};
use tern_base::Timestamp;
use tern_queue::{
    Cancelled, Finished, Held, Item, LeaseId, Leased, NewItem, Outcome, Recorded, Released,
    Schedule, State, Status, cancel, check, due, due_now_in, end_leases, enqueue, hold, lease,
    prune, record, release, status,
};
use tern_store::mem::Injected;
use tern_store::{MemEngine, StoreError, Verdict, transact};

/// What came of an attempt, by its words.
fn outcome(words: &[&str], now: Timestamp) -> Outcome {
    match words[0] {
        "delivered" => Outcome::Delivered(reply(250)),
        "temporary" => Outcome::Temporary(reply(451)),
        "unanswered" => Outcome::Unanswered {
            reply: reply(0),
            together: 20,
        },
        "together" => Outcome::Together {
            reply: reply(421),
            together: words[1].parse().unwrap(),
        },
        "back" => Outcome::GivenBack,
        "waits" => Outcome::Waits {
            until: now.plus_millis(MINUTE),
            why: reply(0),
        },
        _ => Outcome::Permanent(reply(550)),
    }
}

/// Does one line of a script on item 1 and shows the answer. Times are in minutes.
fn act(engine: &MemEngine, line: &str) -> Result<String, StoreError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let now = Timestamp(words[0].parse::<u64>().unwrap() * MINUTE);
    let schedule = Schedule::default();
    let held = || LeaseId(words[2].parse().unwrap());
    let outcome = || outcome(&words[3..], now);
    Ok(match words[1] {
        "enqueue" => enqueue(engine, &new(1), &schedule, now)
            .unwrap()
            .to_string(),
        "held" => {
            let held = Some("by a rule".to_owned());
            enqueue(engine, &NewItem { held, ..new(1) }, &schedule, now)
                .unwrap()
                .to_string()
        }
        "due" => due(engine, now, 10)?.len().to_string(),
        "lease" => match lease(engine, id(1), held(), now, LEASE_MS)? {
            Leased::Yours(item) => format!("yours, attempt {}", item.attempts),
            Leased::NotNow => "not now".to_owned(),
            Leased::Cancelled { row, .. } => shown(&row),
            Leased::Gone => "gone".to_owned(),
        },
        "record" => match record(engine, id(1), held(), &outcome(), &schedule, now)? {
            Recorded::Finished { row, .. } => shown(&row),
            Recorded::Retry { item, tell_delay } => {
                let delay = if tell_delay { ", tell" } else { "" };
                format!("{}{delay}", state(&item))
            }
            Recorded::Held(item) => state(&item),
            Recorded::AlreadyFinished(row) => format!("already {}", shown(&row)),
            Recorded::NotLeased => "not leased".to_owned(),
            Recorded::Gone => "gone".to_owned(),
        },
        "start" => end_leases(engine, now)?.to_string(),
        "hold" => match hold(engine, id(1), "by hand", now)? {
            Held::Held { may_have_left } => format!("held{}", maybe(may_have_left)),
            Held::InFlight { until } => format!("in flight until {}", until.0 / MINUTE),
            Held::AlreadyFinished(row) => format!("already {}", shown(&row)),
            Held::Gone => "gone".to_owned(),
        },
        "release" => match release(engine, id(1), now)? {
            Released::AlreadyFinished(row) => format!("already {}", shown(&row)),
            other => format!("{other:?}").to_lowercase(),
        },
        "cancel" => match cancel(engine, id(1), now)? {
            Cancelled::Cancelled {
                row, may_have_left, ..
            } => {
                format!("{}{}", shown(&row), maybe(may_have_left))
            }
            Cancelled::InFlight { until } => format!("in flight until {}", until.0 / MINUTE),
            Cancelled::AlreadyFinished(row) => format!("already {}", shown(&row)),
            Cancelled::Gone => "gone".to_owned(),
        },
        verb => return asked(engine, verb, now),
    })
}

/// The verbs that need nothing but their name.
fn asked(engine: &MemEngine, verb: &str, now: Timestamp) -> Result<String, StoreError> {
    Ok(match verb {
        "flush" => transact(engine, |txn| {
            due_now_in(txn, id(1), now).map(Verdict::Commit)
        })?
        .to_string(),
        "together" => match status(engine, id(1))? {
            Some(Status::Live(item)) => item.most_together(50).to_string(),
            other => panic!("{other:?}"),
        },
        "owes" => match status(engine, id(1))? {
            Some(Status::Live(item)) => Schedule::default().owes_word(&item, now).to_string(),
            other => panic!("{other:?}"),
        },
        "prune" => prune(engine, &Schedule::default(), now)?.to_string(),
        "status" => match status(engine, id(1))? {
            None => "none".to_owned(),
            Some(Status::Live(item)) => state(&item),
            Some(Status::Finished(row)) => shown(&row),
        },
        _ => panic!("{verb}"),
    })
}

fn maybe(may_have_left: bool) -> &'static str {
    if may_have_left { ", may have left" } else { "" }
}

fn shown(row: &Finished) -> String {
    let reply = row.last_reply.as_ref().map_or(0, |(_, reply)| reply.code);
    format!("{:?} {reply}", row.ending).to_lowercase()
}

fn state(item: &Item) -> String {
    match &item.state {
        State::Ready { next_attempt } => format!("ready at {}", next_attempt.0 / MINUTE),
        State::Held { reason } => format!("held {reason}"),
        State::InFlight { until, .. } => format!("in flight until {}", until.0 / MINUTE),
    }
}

/// Scripts: `minute verb arguments => answer`.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "delivered at the first attempt",
        "0 enqueue => true
         0 enqueue => false
         0 due => 1
         0 lease 7 => yours, attempt 1
         0 due => 0
         1 lease 7 => yours, attempt 1
         1 lease 8 => not now
         1 record 7 delivered => relayed 250
         1 record 7 delivered => already relayed 250
         1 record 7 temporary => already relayed 250
         1 enqueue => false
         1 due => 0
         1 cancel => already relayed 250
         1 hold => already relayed 250
         1 release => already relayed 250
         1 lease 9 => gone",
    ),
    (
        "refused for good",
        "0 enqueue => true
         0 lease 7 => yours, attempt 1
         0 record 7 permanent => refused 550",
    ),
    (
        "retried by the schedule, told once, and given up",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         0 record 1 temporary => ready at 1
         0 record 1 temporary => not leased
         0 due => 0
         0 lease 2 => not now
         1 due => 1
         1 lease 2 => yours, attempt 2
         1 record 2 temporary => ready at 6
         6 lease 3 => yours, attempt 3
         6 record 3 temporary => ready at 21
         21 lease 4 => yours, attempt 4
         21 record 4 temporary => ready at 51
         51 lease 5 => yours, attempt 5
         51 record 5 temporary => ready at 111
         111 lease 6 => yours, attempt 6
         111 record 6 temporary => ready at 231
         240 lease 7 => yours, attempt 7
         240 record 7 temporary => ready at 480, tell
         480 lease 8 => yours, attempt 8
         480 record 8 temporary => ready at 720
         7100 lease 9 => yours, attempt 9
         7100 record 9 temporary => ready at 7200
         7200 lease 10 => yours, attempt 10
         7200 record 10 temporary => expired 451
         7200 due => 0",
    ),
    (
        "a crash: the lease runs out",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         9 due => 0
         10 due => 1
         10 lease 2 => yours, attempt 2
         10 record 1 temporary => not leased
         10 record 1 permanent => not leased
         11 record 2 delivered => relayed 250",
    ),
    (
        "a delivery counts after its lease ran out, too",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         10 lease 2 => yours, attempt 2
         11 record 1 delivered => relayed 250
         11 record 2 temporary => already relayed 250",
    ),
    (
        "cancelled while it waits",
        "0 enqueue => true
         0 cancel => cancelled 0
         0 cancel => already cancelled 0
         0 due => 0
         0 lease 1 => gone",
    ),
    (
        "cancelled in flight: only after the attempt failed",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 cancel => in flight until 10
         1 cancel => in flight until 10
         2 record 1 temporary => cancelled 451
         2 cancel => already cancelled 451",
    ),
    (
        "cancelled in flight: it had been delivered",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 cancel => in flight until 10
         2 record 1 delivered => relayed 250",
    ),
    (
        "the answer to the whole message is lost: it may have left, whatever comes after",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 record 1 unanswered => ready at 2
         1 record 1 unanswered => not leased
         2 lease 2 => yours, attempt 2
         2 record 2 temporary => ready at 7
         3 cancel => cancelled 451, may have left",
    ),
    (
        "the same when it was to be cancelled after the attempt",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 cancel => in flight until 10
         2 record 1 unanswered => cancelled 0
         2 status => cancelled 0",
    ),
    (
        "cancelled in flight: it was refused",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 cancel => in flight until 10
         2 record 1 permanent => refused 550",
    ),
    (
        "cancelled in flight, and the attempt lost",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 cancel => in flight until 10
         10 due => 1
         10 lease 2 => cancelled 0
         10 lease 2 => gone",
    ),
    (
        "cancelled after the attempt was lost",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         10 cancel => cancelled 0, may have left",
    ),
    (
        "held and released",
        "0 held => true
         0 due => 0
         0 lease 1 => not now
         0 hold => held
         0 status => held by a rule
         5 release => ready
         5 release => ready
         5 due => 1
         5 hold => held
         5 due => 0
         6 cancel => cancelled 0",
    ),
    (
        "it waits for a host: as if there had been no attempt, but no longer than it lives",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         0 record 1 waits => ready at 1
         1 lease 2 => yours, attempt 1
         1 record 2 temporary => ready at 2
         2 lease 3 => yours, attempt 2
         2 record 3 waits => ready at 3
         300 lease 4 => yours, attempt 2
         300 record 4 waits => ready at 301, tell
         7199 lease 5 => yours, attempt 2
         7199 record 5 waits => ready at 7200
         7200 lease 6 => yours, attempt 2
         7200 record 6 waits => expired 0",
    ),
    (
        "whoever was held for longer than a life is owed an attempt, though the host is busy",
        "0 held => true
         8000 release => ready
         8000 lease 1 => yours, attempt 1
         8000 owes => true
         8000 record 1 waits => ready at 8001, tell
         8001 owes => false
         8001 lease 2 => yours, attempt 1
         8001 record 2 waits => ready at 8002
         8100 lease 3 => yours, attempt 1
         8100 record 3 temporary => expired 451",
    ),
    (
        "but it is not owed without end",
        "0 enqueue => true
         7000 lease 1 => yours, attempt 1
         7000 record 1 waits => ready at 7001, tell
         7300 owes => true
         7300 lease 2 => yours, attempt 1
         7300 record 2 waits => ready at 7301
         7301 owes => false
         7539 lease 3 => yours, attempt 1
         7539 record 3 waits => ready at 7540
         7540 owes => true
         7540 lease 4 => yours, attempt 1
         7540 record 4 waits => expired 0",
    ),
    (
        "failed for several together: half as many at once, by the schedule",
        "0 enqueue => true
         0 together => 50
         0 lease 1 => yours, attempt 1
         0 record 1 temporary => ready at 1
         1 together => 50
         1 lease 2 => yours, attempt 2
         1 record 2 together 41 => ready at 6
         6 together => 20
         6 lease 3 => yours, attempt 3
         6 record 3 unanswered => ready at 21
         21 together => 10
         21 lease 4 => yours, attempt 4
         21 record 4 together 41 => ready at 51
         51 together => 10
         51 lease 5 => yours, attempt 5
         61 hold => held, may have left
         61 together => 10
         61 release => ready
         61 lease 6 => yours, attempt 6
         61 record 6 together 3 => ready at 181
         181 together => 1
         7200 lease 7 => yours, attempt 7
         7200 record 7 together 1 => expired 421",
    ),
    (
        "brought forward: what waits for its time, and nothing else",
        "0 enqueue => true
         0 flush => true
         0 lease 1 => yours, attempt 1
         0 flush => false
         1 record 1 temporary => ready at 2
         1 flush => true
         1 status => ready at 1
         2 flush => true
         2 status => ready at 1
         2 hold => held
         2 flush => false
         2 status => held by hand
         2 cancel => cancelled 451
         2 flush => false",
    ),
    (
        "given back: as if there had been no attempt, even at the end of its life",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 record 1 temporary => ready at 2
         2 lease 2 => yours, attempt 2
         3 record 2 back => ready at 3
         3 record 2 back => not leased
         3 lease 3 => yours, attempt 2
         4 hold => in flight until 13
         5 record 3 back => held by hand
         6 release => ready
         7200 lease 4 => yours, attempt 2
         7200 record 4 back => ready at 7200, tell
         7200 lease 5 => yours, attempt 2
         7200 cancel => in flight until 7210
         7201 record 5 back => cancelled 451",
    ),
    (
        "a start ends the leases of before: the item is due, and its attempt was lost",
        "0 enqueue => true
         0 start => 0
         0 lease 1 => yours, attempt 1
         1 start => 1
         1 due => 1
         1 lease 2 => yours, attempt 2
         2 record 2 temporary => ready at 7
         3 start => 0
         3 cancel => cancelled 451, may have left",
    ),
    (
        "held in flight",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 hold => in flight until 10
         2 record 1 temporary => held by hand
         3 release => ready
         3 lease 2 => yours, attempt 2
         4 hold => in flight until 13
         4 release => inflight
         5 record 2 temporary => ready at 10",
    ),
    (
        "held in flight, and the attempt lost",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 hold => in flight until 10
         10 lease 2 => not now
         10 status => held by hand
         11 hold => held, may have left
         12 record 1 delivered => relayed 250",
    ),
    (
        "a cancel in flight is more than a hold, and no release takes it back",
        "0 enqueue => true
         0 lease 1 => yours, attempt 1
         1 cancel => in flight until 10
         1 hold => in flight until 10
         1 release => inflight
         2 record 1 temporary => cancelled 451",
    ),
    (
        "held beyond its life: one attempt is made",
        "0 held => true
         9000 release => ready
         9000 lease 1 => yours, attempt 1
         9000 record 1 temporary => expired 451",
    ),
    (
        "history is kept for 30 days",
        "0 enqueue => true
         0 cancel => cancelled 0
         43200 prune => 0
         43200 status => cancelled 0
         43201 prune => 1
         43201 status => none
         43201 cancel => gone",
    ),
    (
        "nothing there",
        "0 lease 1 => gone
         0 record 1 delivered => gone
         0 hold => gone
         0 release => gone
         0 cancel => gone
         0 prune => 0",
    ),
];

#[test]
fn scripts() {
    for (name, script) in SCRIPTS {
        let engine = MemEngine::new();
        for line in script.lines().map(str::trim) {
            let (line, expected) = line.split_once(" => ").unwrap();
            assert_eq!(act(&engine, line).unwrap(), expected, "{name}: {line}");
            assert_eq!(check(&engine).unwrap(), [], "{name}: {line}");
        }
    }
}

/// Every script again, with each commit's answer lost: repeating a verb leaves the same rows.
#[test]
fn lost_answers_and_conflicts_change_nothing() {
    for (name, script) in SCRIPTS {
        for fate in [
            Injected::Conflict,
            Injected::UnknownApplied,
            Injected::UnknownDropped,
        ] {
            let (calm, engine) = (MemEngine::new(), MemEngine::new());
            for line in script.lines().map(str::trim) {
                let (line, _) = line.split_once(" => ").unwrap();
                act(&calm, line).unwrap();
                let commits = AtomicU64::new(0);
                engine.set_fault_hook(Some(Box::new(move |_| {
                    (commits.fetch_add(1, Ordering::Relaxed) == 0).then_some(fate)
                })));
                if line.contains("enqueue") || line.contains("held") {
                    // `act` unwraps these: their error is not the store's own type.
                    engine.set_fault_hook(None);
                }
                match act(&engine, line) {
                    Ok(_) => {}
                    Err(StoreError::Unknown) => drop(act(&engine, line).unwrap()),
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(rows(&engine), rows(&calm), "{name} {fate:?}");
        }
    }
}
