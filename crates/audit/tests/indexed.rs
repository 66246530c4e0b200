//! A search by the index finds what reading the whole log finds, in the same order and page by page,
//! and the check notices where the two differ.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tern_audit::{Actor, Draft, Entry, EntryId, Filter, append, check, ensure_key, read};
use tern_base::{AccountId, SeededEntropy, Timestamp};
use tern_store::{Batch, Engine, MemEngine, Range, Read};

const INDEX: u8 = 0x49;

fn draft(n: u64) -> Draft {
    let actor = match n % 4 {
        0 => Actor::Server,
        1 => Actor::Operator(String::from("root")),
        2 => Actor::Unauthenticated(None),
        _ => Actor::Account {
            account: AccountId(n as u32 % 5),
            address: format!("user{}@example.org", n % 5),
        },
    };
    let action = [
        "letter.request",
        "letter.done",
        "letter",
        "letters",
        "hold.add",
    ];
    let id = EntryId((u128::from(n) << 64).to_be_bytes());
    // The clock goes back now and then.
    let time = Timestamp(1_000 * (n - n % 7));
    let draft = Draft::new(id, time, actor, action[n as usize % action.len()]);
    match n % 3 {
        0 => draft,
        m => draft.target(format!("letter {}", n / 30 * m)),
    }
}

fn log(entries: u64) -> MemEngine {
    let engine = MemEngine::new();
    let mut entropy = SeededEntropy::new(1);
    ensure_key(&engine, "log", Timestamp(0), &mut entropy).unwrap();
    for n in 1..=entries {
        append(&engine, &draft(n)).unwrap();
    }
    engine
}

fn all(engine: &MemEngine, filter: &Filter, limit: usize) -> Vec<Entry> {
    let (mut found, mut until) = (Vec::new(), None);
    loop {
        let page = read(engine, filter, until, limit).unwrap();
        assert!(page.entries.len() <= limit);
        found.extend(page.entries);
        match page.next {
            Some(next) => until = Some(next),
            None => return found,
        }
    }
}

#[test]
fn a_search_by_the_index_finds_what_reading_the_log_finds() {
    let engine = log(1_300);
    let everything = all(&engine, &Filter::default(), 10_000);
    let actors = [
        None,
        Some("root"),
        Some("server"),
        Some("user3@example.org"),
    ];
    let actions = [
        None,
        Some("letter"),
        Some("letter.done"),
        Some("hold"),
        Some("let"),
    ];
    let targets = [None, Some("letter 2"), Some("letter 40"), Some("letter")];
    let accounts = [None, Some(AccountId(1)), Some(AccountId(9))];
    let at = |n: u64| Some(Timestamp(1_000 * n));
    let times = [
        (None, None),
        (at(600), None),
        (None, at(70)),
        (at(300), at(310)),
        (at(900), at(900)),
    ];
    let mut found_any = 0;
    for n in 0..actors.len() * actions.len() * targets.len() * accounts.len() * times.len() {
        let (actor, n) = (actors[n % 4], n / 4);
        let (action, n) = (actions[n % 5], n / 5);
        let (target, n) = (targets[n % 4], n / 4);
        let (account, n) = (accounts[n % 3], n / 3);
        let filter = Filter {
            actor: actor.map(str::to_owned),
            account,
            action: action.map(str::to_owned),
            target: target.map(str::to_owned),
            since: times[n].0,
            before: times[n].1,
        };
        let expected: Vec<&Entry> = everything
            .iter()
            .filter(|entry| filter.fits(entry))
            .collect();
        found_any += usize::from(!expected.is_empty());
        for limit in [1, 7, 5_000] {
            let found = all(&engine, &filter, limit);
            assert!(
                found.iter().eq(expected.iter().copied()),
                "{filter:?} by {limit}"
            );
        }
    }
    assert!(found_any > 50, "{found_any}");
    assert_eq!(check(&engine), Ok(Vec::new()));
}

#[test]
fn the_check_notices_where_index_and_log_differ() {
    let pristine = log(40);
    let rows = pristine
        .scan(&Range::prefix(vec![INDEX]), 1_000)
        .unwrap()
        .rows;
    assert!(rows.len() > 80);
    let findings = |change: &dyn Fn(&mut Batch)| {
        let engine = pristine.fork();
        let mut batch = Batch::new();
        change(&mut batch);
        engine.commit(batch).unwrap();
        let found = check(&engine).unwrap();
        found
            .into_iter()
            .map(|finding| finding.0)
            .collect::<Vec<_>>()
    };
    let missing = findings(&|batch| batch.delete(rows[7].0.clone()));
    assert!(
        matches!(&missing[..], [only] if only.contains("rows, not")),
        "{missing:?}"
    );
    let astray = findings(&|batch| {
        let mut key = rows[7].0.clone();
        // A term that no entry has.
        key[1] ^= 0xff;
        batch.put(key, Vec::new());
    });
    assert!(
        matches!(&astray[..], [only] if only.contains("does not fit")),
        "{astray:?}"
    );
}
