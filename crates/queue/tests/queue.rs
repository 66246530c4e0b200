//! The queue at its boundary: scripts of verbs and what each answers, with faults and races.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use tern_base::{AccountId, BlobId, EmailAddress, OriginId, SeededEntropy, Timestamp};
use tern_queue::{
    Cancelled, Dsn, DsnReturn, Ending, Finished, Held, Item, LeaseId, Leased, NewItem, Notify,
    Outcome, QueueId, Recorded, Released, Reply, Schedule, State, Status, by_origin, by_origin_in,
    cancel, cancel_in, check, due, due_now_in, each_due, end_leases, enqueue, hold, lease, list,
    next_due_after, prune, record, release, status,
};
use tern_store::mem::Injected;
use tern_store::{MemEngine, Range, Read, StoreError, Verdict, transact};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const LEASE_MS: u64 = 10 * MINUTE;

/// Its last byte is 0: the schedule adds no spread.
fn origin(n: u64) -> OriginId {
    let mut origin = OriginId::new(Timestamp(n), &mut SeededEntropy::new(n));
    origin.0[15] = 0;
    origin
}

/// Item `n` of origin 1.
fn id(n: u8) -> QueueId {
    let mut bytes = [0; 16];
    bytes[0] = n;
    QueueId(bytes)
}

fn new(n: u8) -> NewItem {
    NewItem {
        id: id(n),
        origin: origin(1),
        account: Some(AccountId(1)),
        mail_from: Some(EmailAddress::parse("alice@a.example").unwrap()),
        recipient: EmailAddress::parse(&format!("user{n}@else.example")).unwrap(),
        named: (n == 2).then(|| EmailAddress::parse("list@a.example").unwrap()),
        dsn: Dsn {
            ret: Some(DsnReturn::Headers),
            envid: Some("QQ314159".to_owned()),
            notify: Some(Notify {
                success: true,
                failure: true,
                delay: false,
            }),
            orcpt: Some("rfc822;user@else.example".to_owned()),
        },
        smtputf8: n == 2,
        blob: BlobId([n; 32]),
        prefix: b"Received: by here\r\n".to_vec(),
        size: 1_000,
        not_before: None,
        held: None,
    }
}

fn reply(code: u16) -> Reply {
    Reply {
        code,
        enhanced: Some(((code / 100) as u8, 2, 3)),
        text: format!("reply {code}"),
        host: Some("mx.else.example".to_owned()),
    }
}

/// Does one line of a script on item 1 and shows the answer. Times are in minutes.
fn act(engine: &MemEngine, line: &str) -> Result<String, StoreError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let now = Timestamp(words[0].parse::<u64>().unwrap() * MINUTE);
    let schedule = Schedule::default();
    let held = || LeaseId(words[2].parse().unwrap());
    let outcome = || match words[3] {
        "delivered" => Outcome::Delivered(reply(250)),
        "temporary" => Outcome::Temporary(reply(451)),
        "unanswered" => Outcome::Unanswered {
            reply: reply(0),
            together: 20,
        },
        "together" => Outcome::Together {
            reply: reply(421),
            together: words[4].parse().unwrap(),
        },
        "back" => Outcome::GivenBack,
        "waits" => Outcome::Waits {
            until: now.plus_millis(MINUTE),
            why: reply(0),
        },
        _ => Outcome::Permanent(reply(550)),
    };
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
        "flush" => transact(engine, |txn| {
            due_now_in(txn, id(1), now).map(Verdict::Commit)
        })?
        .to_string(),
        "together" => match status(engine, id(1))? {
            Some(Status::Live(item)) => item.most_together(50).to_string(),
            other => panic!("{other:?}"),
        },
        "prune" => prune(engine, &schedule, now)?.to_string(),
        "status" => match status(engine, id(1))? {
            None => "none".to_owned(),
            Some(Status::Live(item)) => state(&item),
            Some(Status::Finished(row)) => shown(&row),
        },
        _ => panic!("{line}"),
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
         8000 record 1 waits => ready at 8001, tell
         8001 lease 2 => yours, attempt 1
         8001 record 2 waits => expired 0",
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

fn rows(engine: &MemEngine) -> Vec<(Vec<u8>, Vec<u8>)> {
    engine.scan(&Range::prefix(vec![]), 1_000).unwrap().rows
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

#[test]
fn items_come_back_as_they_were_put() {
    let engine = MemEngine::new();
    let schedule = Schedule::default();
    for n in [1, 2] {
        enqueue(&engine, &new(n), &schedule, Timestamp(n.into())).unwrap();
    }
    let bounce = NewItem {
        mail_from: None,
        account: None,
        dsn: Dsn::default(),
        not_before: Some(Timestamp(HOUR)),
        ..new(3)
    };
    enqueue(&engine, &bounce, &schedule, Timestamp(3)).unwrap();
    let items = list(&engine, None, 10).unwrap().items;
    for (n, item) in (1..).zip(&items) {
        let wanted = if n == 3 { bounce.clone() } else { new(n) };
        assert_eq!(item.id, wanted.id);
        assert_eq!(item.mail_from, wanted.mail_from);
        assert_eq!(item.recipient, wanted.recipient);
        assert_eq!(item.named, wanted.named);
        assert_eq!(item.dsn, wanted.dsn);
        assert_eq!(item.smtputf8, wanted.smtputf8);
        assert_eq!((item.blob, &item.prefix), (wanted.blob, &wanted.prefix));
        assert_eq!((item.account, item.size), (wanted.account, wanted.size));
        assert_eq!(item.created, Timestamp(n.into()));
    }
    assert_eq!(items.len(), 3);
    let next = |now| next_due_after(&engine, Timestamp(now)).unwrap();
    let wanted = [Some(1), Some(2), Some(HOUR), None].map(|at| at.map(Timestamp));
    assert_eq!([0, 1, 2, HOUR].map(next), wanted);
    let waiting = |now| due(&engine, Timestamp(now), 10).unwrap().len();
    assert_eq!([0, 1, 2, HOUR - 1, HOUR].map(waiting), [0, 1, 2, 2, 3]);
    assert_eq!(due(&engine, Timestamp(HOUR), 2).unwrap().len(), 2);
    let page = list(&engine, None, 2).unwrap();
    assert_eq!((page.items.len(), page.next), (2, Some(id(3))));
    let page = list(&engine, page.next, 2).unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));
    let long = NewItem {
        prefix: vec![0; 17_000],
        ..new(4)
    };
    assert!(enqueue(&engine, &long, &schedule, Timestamp(4)).is_err());
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn an_origin_tells_what_became_of_every_recipient() {
    let engine = MemEngine::new();
    let schedule = Schedule::default();
    let now = Timestamp(HOUR);
    for n in 1..=4 {
        enqueue(&engine, &new(n), &schedule, now).unwrap();
    }
    let other = NewItem {
        origin: origin(2),
        ..new(5)
    };
    enqueue(&engine, &other, &schedule, now).unwrap();
    let finish = |n, outcome| {
        lease(&engine, id(n), LeaseId(1), now, LEASE_MS).unwrap();
        record(&engine, id(n), LeaseId(1), &outcome, &schedule, now).unwrap();
    };
    finish(1, Outcome::Delivered(reply(250)));
    finish(2, Outcome::Permanent(reply(550)));
    cancel(&engine, id(3), now).unwrap();
    let found = by_origin(&engine, origin(1)).unwrap();
    let ending = |status: &Status| match status {
        Status::Live(_) => None,
        Status::Finished(row) => Some(row.ending),
    };
    let endings: Vec<_> = found.iter().map(ending).collect();
    let expected = [
        Some(Ending::Relayed),
        Some(Ending::Refused),
        Some(Ending::Cancelled),
        None,
    ];
    assert_eq!(endings, expected);
    let Status::Finished(row) = &found[0] else {
        panic!()
    };
    assert_eq!(row.last_reply, Some((now, reply(250))));
    assert_eq!(row.recipient.to_string(), "user1@else.example");

    // In one transaction: whatever still waits of an origin is cancelled.
    let cancelled = transact::<_, StoreError>(&engine, |txn| {
        let mut cancelled = 0;
        for status in by_origin_in(txn, origin(1))? {
            if let Cancelled::Cancelled { item, .. } = cancel_in(txn, status.id(), now)? {
                assert_eq!(item.blob, BlobId([4; 32]));
                cancelled += 1;
            }
        }
        Ok(Verdict::Commit(cancelled))
    });
    assert_eq!(cancelled, Ok(1));
    assert_eq!(by_origin(&engine, origin(2)).unwrap().len(), 1);
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn ids_of_recipients_are_stable_and_distinct() {
    let ids: std::collections::HashSet<_> = (0..1_000)
        .map(|n| QueueId::of_recipient(origin(1), n))
        .collect();
    assert_eq!(ids.len(), 1_000);
    assert_eq!(
        QueueId::of_recipient(origin(1), 5),
        QueueId::of_recipient(origin(1), 5)
    );
    let sixth = QueueId::of_recipient(origin(1), 5);
    assert_eq!(sixth.number_in(origin(1)), Some(5));
    assert_eq!(sixth.number_in(origin(2)), None);
    let text = id(9).to_string();
    assert_eq!(QueueId::from_hex(&text), Some(id(9)));
}

#[test]
fn one_worker_wins_each_item() {
    let engine = MemEngine::new();
    for n in 1..=40 {
        enqueue(&engine, &new(n), &Schedule::default(), Timestamp(0)).unwrap();
    }
    let won: Vec<AtomicU64> = (0..=40).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (engine, won) = (&engine, &won);
            scope.spawn(move || {
                for n in 1..=40 {
                    let mine = LeaseId(worker);
                    let leased = lease(engine, id(n), mine, Timestamp(1), LEASE_MS).unwrap();
                    if matches!(leased, Leased::Yours(_)) {
                        won[usize::from(n)].fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert!(
        won.iter()
            .skip(1)
            .all(|wins| wins.load(Ordering::Relaxed) == 1)
    );
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn a_cancel_and_a_lease_never_both_win() {
    for round in 0..200 {
        let engine = MemEngine::new();
        enqueue(&engine, &new(1), &Schedule::default(), Timestamp(0)).unwrap();
        let (leased, cancelled) = std::thread::scope(|scope| {
            let leased =
                scope.spawn(|| lease(&engine, id(1), LeaseId(1), Timestamp(1), 9).unwrap());
            let cancelled = scope.spawn(|| cancel(&engine, id(1), Timestamp(1)).unwrap());
            (leased.join().unwrap(), cancelled.join().unwrap())
        });
        match (&leased, &cancelled) {
            (Leased::Yours(_), Cancelled::InFlight { .. }) => {}
            (
                Leased::Gone,
                Cancelled::Cancelled {
                    may_have_left: false,
                    ..
                },
            ) => {}
            both => panic!("round {round}: {both:?}"),
        }
        assert_eq!(check(&engine).unwrap(), []);
    }
}

#[test]
fn retries_spread_but_never_past_the_expiry() {
    let schedule = Schedule::default();
    let engine = MemEngine::new();
    enqueue(&engine, &new(1), &schedule, Timestamp(0)).unwrap();
    let mut item = list(&engine, None, 1).unwrap().items.remove(0);
    let now = Timestamp(HOUR);
    for attempts in 1..20 {
        item.attempts = attempts;
        let base = schedule.next_attempt(&item, now).millis_since(now);
        item.origin.0[15] = 255;
        let spread = schedule.next_attempt(&item, now).millis_since(now);
        assert!(spread > base && spread <= base + base / 10, "{attempts}");
        item.id.0[15] = 9;
        let together = schedule.next_attempt(&item, now).millis_since(now);
        assert_eq!(together, spread, "the recipients of one message");
        item.origin.0[15] = 0;
    }
    let late = item.expires;
    assert_eq!(schedule.next_attempt(&item, Timestamp(late.0 - 5)), late);
    assert_eq!(schedule.next_attempt(&item, late), late.plus_millis(1));
}

#[test]
fn many_finished_items_are_pruned_in_chunks() {
    let engine = MemEngine::new();
    let schedule = Schedule::default();
    for n in 0..1_200 {
        let new = NewItem {
            id: QueueId::of_recipient(origin(1), n),
            ..new(1)
        };
        enqueue(&engine, &new, &schedule, Timestamp(0)).unwrap();
        if n % 12 != 0 {
            cancel(&engine, new.id, Timestamp(n.into())).unwrap();
        }
    }
    let later = Timestamp(schedule.history_ms + 600);
    assert_eq!(prune(&engine, &schedule, later).unwrap(), 550);
    assert_eq!(prune(&engine, &schedule, later).unwrap(), 0);
    assert_eq!(by_origin(&engine, origin(1)).unwrap().len(), 650);
    assert_eq!(check(&engine).unwrap(), []);
}

#[test]
fn damage_is_found() {
    let pristine = MemEngine::new();
    for n in 1..=2 {
        enqueue(&pristine, &new(n), &Schedule::default(), Timestamp(0)).unwrap();
    }
    cancel(&pristine, id(2), Timestamp(1)).unwrap();
    for (key, _) in rows(&pristine) {
        let engine = pristine.fork();
        let mut batch = tern_store::Batch::new();
        batch.delete(key.clone());
        tern_store::Engine::commit(&engine, batch).unwrap();
        assert_ne!(check(&engine).unwrap(), [], "{key:?}");
    }
}

#[test]
fn whoever_is_not_wanted_keeps_nobody_back() {
    let engine = MemEngine::new();
    let schedule = Schedule::default();
    for n in 0..1_200 {
        let recipient = match n {
            1_100 => "one@other.example",
            _ => "all@slow.example",
        };
        let new = NewItem {
            id: QueueId::of_recipient(origin(1), n),
            recipient: EmailAddress::parse(recipient).unwrap(),
            ..new(1)
        };
        enqueue(&engine, &new, &schedule, Timestamp(n.into())).unwrap();
    }
    let now = Timestamp(HOUR);
    let other = |item: &Item| item.recipient.domain().as_str() == "other.example";
    let mut found = Vec::new();
    each_due(&engine, now, |item| {
        found.extend(Some(item).filter(other));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(found.len(), 1);
    assert!(other(&found[0]));
    let mut seen = 0;
    each_due(&engine, now, |_| {
        seen += 1;
        match seen {
            ..250 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    })
    .unwrap();
    assert_eq!(seen, 250, "no more than was wanted");
    assert_eq!(due(&engine, now, 0).unwrap(), []);
}

#[test]
fn what_differs_in_nothing_but_the_recipient_travels_together() {
    let engine = MemEngine::new();
    enqueue(&engine, &new(1), &Schedule::default(), Timestamp(0)).unwrap();
    let item = list(&engine, None, 1).unwrap().items.remove(0);
    let address = |text| EmailAddress::parse(text).unwrap();
    let mut alike = item.clone();
    alike.id = id(7);
    alike.recipient = address("other@b.example");
    alike.named = Some(address("list@a.example"));
    alike.dsn.notify = None;
    alike.dsn.orcpt = None;
    alike.attempts = 3;
    assert!(item.travels_with(&alike));
    type Change = fn(&mut Item);
    let differ: [(&str, Change); 9] = [
        ("origin", |item| item.origin = origin(2)),
        ("account", |item| item.account = None),
        ("sender", |item| item.mail_from = None),
        ("RET", |item| item.dsn.ret = None),
        ("ENVID", |item| item.dsn.envid = None),
        ("SMTPUTF8", |item| item.smtputf8 = true),
        ("content", |item| item.blob = BlobId([9; 32])),
        ("prefix", |item| item.prefix = b"X: y\r\n".to_vec()),
        ("UTF-8", |item| {
            item.recipient = EmailAddress::parse("ü@b.example").unwrap()
        }),
    ];
    for (what, change) in differ {
        let mut other = alike.clone();
        change(&mut other);
        assert!(!item.travels_with(&other), "{what}");
        assert!(!other.travels_with(&item), "{what}");
    }
    let mut long = item;
    long.prefix = vec![b'x'; 2_000];
    assert!(!long.travels_with(&long.clone()), "too long to share");
}
