//! Measures searches of a long log on the default engine, and what an entry costs.
//! `cargo run --release -p tern-audit --example search -- 1000000`
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement may panic and reads the clock"
)]

use std::time::Instant;

use tern_audit::{Actor, AuditError, Draft, EntryId, Filter, append_in, ensure_key, read};
use tern_base::{AccountId, SeededEntropy, Timestamp};
use tern_store::{Verdict, transact};
use tern_store_rocksdb::{RocksEngine, Settings};

/// Entries of one transaction.
const BATCH: u64 = 200;

fn main() {
    let count: u64 = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000);
    let directory = tempfile::tempdir().unwrap();
    let engine = RocksEngine::open(&directory.path().join("store"), &Settings::default()).unwrap();
    fill(&engine, count);
    let named = |actor: Option<&str>, action: Option<&str>, target: Option<String>| Filter {
        actor: actor.map(str::to_owned),
        action: action.map(str::to_owned),
        target,
        ..Filter::default()
    };
    let oldest = |filter: Filter| Filter {
        before: Some(Timestamp(100 * 1_000)),
        ..filter
    };
    let letter = Some(format!("letter {}", count / 2_000));
    let actor = || named(Some("user7@example.org"), None, None);
    let every = named(None, Some("letter"), None);
    measure(&engine, "one letter", &named(None, None, letter));
    measure(&engine, "an actor", &actor());
    measure(&engine, "an actor, oldest", &oldest(actor()));
    measure(&engine, "nobody", &named(Some("nobody"), None, None));
    measure(&engine, "an action, oldest", &oldest(every));
    measure(&engine, "a time, oldest", &oldest(Filter::default()));
}

fn fill(engine: &RocksEngine, count: u64) {
    let mut entropy = SeededEntropy::new(1);
    ensure_key(engine, "log", Timestamp(0), &mut entropy).unwrap();
    let start = Instant::now();
    for first in (0..count).step_by(BATCH as usize) {
        transact(engine, |txn| {
            for n in first..(first + BATCH).min(count) {
                append_in(txn, draft(n))?;
            }
            Ok::<_, AuditError>(Verdict::Commit(()))
        })
        .unwrap();
    }
    let spent = start.elapsed().as_secs_f64();
    println!("{count} entries appended in {spent:.1} s");
    engine.flush().unwrap();
}

/// The first thousand entries that fit.
fn measure(engine: &RocksEngine, what: &str, filter: &Filter) {
    let (start, mut found, mut until) = (Instant::now(), 0, None);
    loop {
        let page = read(engine, filter, until, 1_000 - found).unwrap();
        found += page.entries.len();
        match page.next {
            Some(next) if found < 1_000 => until = Some(next),
            _ => break,
        }
    }
    let millis = start.elapsed().as_secs_f64() * 1e3;
    println!("{what:>18}: {found:>5} entries in {millis:>8.1} ms");
}

fn draft(n: u64) -> Draft {
    let actor = Actor::Account {
        account: AccountId((n % 1_000) as u32),
        address: format!("user{}@example.org", n % 1_000),
    };
    let id = EntryId((u128::from(n + 1) << 64).to_be_bytes());
    Draft::new(id, Timestamp(1_000 * n), actor, "letter.request")
        .target(format!("letter {}", n / 1_000))
        .detail("subject", "Figures of the third quarter")
        .detail("policies", "default.age default.recipients role.user")
        .detail("number", n)
}
