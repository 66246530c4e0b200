//! The queue at its boundary: rows, races, schedules and what travels together.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod items;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use items::{HOUR, LEASE_MS, id, new, origin, reply, rows};
use tern_base::{BlobId, EmailAddress, Timestamp};
use tern_queue::{
    Cancelled, Dsn, Ending, Item, LeaseId, Leased, NewItem, Outcome, QueueId, Schedule, Status,
    by_origin, by_origin_in, cancel, cancel_in, check, due, each_due, enqueue, lease, list,
    next_due_after, prune, record,
};
use tern_store::{MemEngine, StoreError, Verdict, transact};

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

/// Of what waits for a host, something is told all the same.
#[test]
fn a_sender_is_owed_a_word_once_for_the_delay_and_at_the_end() {
    let engine = MemEngine::new();
    let schedule = Schedule::default();
    enqueue(&engine, &new(1), &schedule, Timestamp(0)).unwrap();
    let owed = |hours: u64| {
        let item = due(&engine, Timestamp(hours * HOUR), 1).unwrap().remove(0);
        schedule.owes_word(&item, Timestamp(hours * HOUR))
    };
    assert_eq!([owed(3), owed(4), owed(5)], [false, true, true]);
    let now = Timestamp(5 * HOUR);
    lease(&engine, id(1), LeaseId(1), now, LEASE_MS).unwrap();
    let waits = Outcome::Waits {
        until: now,
        why: reply(0),
    };
    record(&engine, id(1), LeaseId(1), &waits, &schedule, now).unwrap();
    assert_eq!([owed(5), owed(119), owed(120)], [false, false, true]);
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
