//! A search by time alone finds what reading the whole log finds and reads little of it, whatever the
//! clock did; so it does once old entries have gone, and the check notices where times and log differ.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use tern_audit::{
    Actor, AuditError, Draft, EntryId, Filter, Old, append_in, check, checkpoint, ensure_key, read,
    sweep, trim,
};
use tern_base::{BlobId, SeededEntropy, Timestamp};
use tern_store::{
    Batch, CommitError, Engine, MemEngine, Page, Range, Read, Snapshot, StoreError, Verdict,
    transact,
};

const SPAN: u8 = 0x4a;
const HOUR: u64 = 3_600_000;
const BEGIN: u64 = 480_000 * HOUR;

/// A store that counts the rows that are read of it.
struct Counting<'a>(&'a MemEngine, AtomicUsize);

impl Read for Counting<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.get(key)
    }

    fn scan(&self, range: &Range, limit: usize) -> Result<Page, StoreError> {
        let page = self.0.scan(range, limit)?;
        self.1.fetch_add(page.rows.len(), Ordering::Relaxed);
        Ok(page)
    }
}

impl Engine for Counting<'_> {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        self.0.snapshot()
    }

    fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.0.commit(batch)
    }

    fn stage_blob_piece(&self, blob: BlobId, piece: u32, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.stage_blob_piece(blob, piece, bytes)
    }

    fn blob_piece(&self, blob: BlobId, piece: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.blob_piece(blob, piece)
    }

    fn blobs_after(&self, after: Option<BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.0.blobs_after(after, limit)
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        self.0.checkpoint(directory)
    }
}

/// A log with an entry every ten seconds by a clock that the caller turns.
fn log(entries: u64, clock: impl Fn(u64) -> u64) -> (MemEngine, Vec<Timestamp>) {
    let engine = MemEngine::new();
    let mut entropy = SeededEntropy::new(1);
    ensure_key(&engine, "log", Timestamp(BEGIN), &mut entropy).unwrap();
    // The key has an entry of its own, the first.
    let mut times = vec![Timestamp(BEGIN)];
    times.extend((2..=entries).map(|n| Timestamp(clock(n))));
    for chunk in (2..=entries).collect::<Vec<_>>().chunks(500) {
        transact(&engine, |txn| {
            for n in chunk {
                let id = EntryId((u128::from(*n) << 64).to_be_bytes());
                let time = times[*n as usize - 1];
                append_in(txn, Draft::new(id, time, Actor::Server, "letter.done"))?;
            }
            Ok::<_, AuditError>(Verdict::Commit(()))
        })
        .unwrap();
    }
    (engine, times)
}

const fn steady(n: u64) -> u64 {
    BEGIN + 10_000 * n
}

fn window(since: Option<u64>, before: Option<u64>) -> Filter {
    Filter {
        since: since.map(Timestamp),
        before: before.map(Timestamp),
        ..Filter::default()
    }
}

/// Everything that a search finds, by pages, and how many rows were read for it.
fn search(engine: &MemEngine, filter: &Filter, limit: usize) -> (Vec<u64>, usize) {
    let engine = Counting(engine, AtomicUsize::new(0));
    let (mut found, mut until) = (Vec::new(), None);
    loop {
        let page = read(&engine, filter, until, limit).unwrap();
        assert!(page.entries.len() <= limit);
        found.extend(page.entries.iter().map(|entry| entry.sequence));
        until = page.next;
        if until.is_none() {
            return (found, engine.1.into_inner());
        }
    }
}

/// The entries of a time, newest first, by looking at them all.
fn expected(times: &[Timestamp], filter: &Filter, oldest: u64) -> Vec<u64> {
    let fits = |time: &Timestamp| {
        filter.since.is_none_or(|since| *time >= since)
            && filter.before.is_none_or(|before| *time < before)
    };
    let numbered = (1..).zip(times);
    let fitting = numbered.filter(|(n, time)| *n >= oldest && fits(time));
    let mut all: Vec<u64> = fitting.map(|(n, _)| n).collect();
    all.reverse();
    all
}

#[test]
fn a_search_by_time_alone_reads_little_of_a_long_log() {
    let (engine, times) = log(100_000, steady);
    let hour = |n: u64| Some(steady(0) + n * HOUR);
    // The log has 277 hours, 360 entries each.
    for (since, before) in [
        (hour(276), None),
        (hour(100), hour(101)),
        (hour(3), hour(4)),
        (None, hour(1)),
        (hour(150), hour(150)),
        (hour(500), None),
    ] {
        let filter = window(since, before);
        let (found, rows) = search(&engine, &filter, 500);
        assert_eq!(found, expected(&times, &filter, 1), "{filter:?}");
        // What fits, what else is in the two blocks at its ends, and the times of blocks passed over.
        let most = found.len() + 2 * 64 + 500;
        assert!(rows <= most, "{filter:?}: {rows} rows, {most} at most");
    }
    // Past what fits there is no more than the rest of a block to look at.
    let filter = window(hour(100), hour(101));
    let page = read(&engine, &filter, None, 360).unwrap();
    assert_eq!(page.entries.len(), 360);
    let rest = read(&engine, &filter, page.next, 360).unwrap();
    assert_eq!((rest.entries.len(), rest.next), (0, None));
    // Where most entries fit each is read once, and each page looks for where they begin.
    let filter = window(hour(1), None);
    let (found, rows) = search(&engine, &filter, 5_000);
    assert_eq!(found, expected(&times, &filter, 1));
    assert!(rows < found.len() / 5 * 6, "{rows} rows");
    assert_eq!(check(&engine), Ok(Vec::new()));
}

#[test]
fn so_it_does_with_a_clock_that_was_set_back_or_stood_at_its_beginning() {
    // Set back by two days for good in the middle, and near the end at 1970 for three entries.
    let (engine, times) = log(60_000, |n| match n {
        50_000..50_003 => 1_000 * (n - 50_000),
        30_000.. => steady(n) - 48 * HOUR,
        _ => steady(n),
    });
    let hour = |n: u64| Some(steady(0) + n * HOUR);
    for (since, before, most) in [
        // Of before and of after the clock was set back.
        (hour(60), hour(61), 2_500),
        (hour(10), hour(11), 1_500),
        (Some(0), Some(1_000_000), 1_500),
        (None, hour(2), 2_500),
        (hour(118), None, 1_500),
    ] {
        let filter = window(since, before);
        for limit in [7, 1_000] {
            let (found, rows) = search(&engine, &filter, limit);
            assert_eq!(found, expected(&times, &filter, 1), "{filter:?}");
            assert!(!found.is_empty());
            assert!(limit < 100 || rows < most, "{filter:?}: {rows} rows");
        }
    }
    assert_eq!(check(&engine), Ok(Vec::new()));
}

#[test]
fn what_was_removed_is_found_by_no_time() {
    let (engine, times) = log(1_000, steady);
    checkpoint::sign(&engine, Timestamp(steady(1_000))).unwrap();
    let more = |n: u64| {
        let id = EntryId((u128::from(n) << 64).to_be_bytes());
        let draft = Draft::new(id, Timestamp(steady(n)), Actor::Server, "letter.done");
        tern_audit::append(&engine, &draft).unwrap();
    };
    (1_001..=1_500).for_each(more);
    let mut times = times;
    times.extend((1_001..=1_500).map(|n| Timestamp(steady(n))));
    let id = EntryId([9; 16]);
    let entry = Draft::new(id, Timestamp(steady(1_501)), Actor::Server, "audit.trim");
    times.push(entry.time);
    let old = Old {
        before: Timestamp(steady(1_200)),
        up_to: u64::MAX,
    };
    let trimmed = trim(&engine, old, &entry, |_| Ok(true)).unwrap();
    assert_eq!(trimmed.unwrap().up_to, 1_000);
    let everything = window(None, Some(steady(1_400)));
    let nothing = window(None, Some(steady(900)));
    loop {
        let (found, _) = search(&engine, &everything, 100);
        assert_eq!(found, expected(&times, &everything, 1_001));
        assert_eq!(search(&engine, &nothing, 100).0, Vec::<u64>::new());
        assert_eq!(check(&engine), Ok(Vec::new()));
        if sweep(&engine).unwrap() {
            break;
        }
    }
    assert_eq!(check(&engine), Ok(Vec::new()));
    // Of the blocks that are gone no row is left: those up to 1,024, 1,088 and so on are.
    let rows = engine.scan(&Range::prefix(vec![SPAN]), 1_000).unwrap().rows;
    assert_eq!(rows.len(), (1_501 / 64) - (1_000 / 64));
}

#[test]
fn the_check_notices_where_times_and_log_differ() {
    let (pristine, _) = log(200, steady);
    let rows = pristine.scan(&Range::prefix(vec![SPAN]), 10).unwrap().rows;
    assert_eq!(rows.len(), 3);
    let finding = |change: &dyn Fn(&mut Batch)| {
        let engine = pristine.fork();
        let mut batch = Batch::new();
        change(&mut batch);
        engine.commit(batch).unwrap();
        let found = check(&engine).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].to_string()
    };
    let missing = finding(&|batch| batch.delete(rows[1].0.clone()));
    assert!(missing.contains("up to 128 are not as"), "{missing}");
    let other = finding(&|batch| batch.put(rows[1].0.clone(), rows[0].1.clone()));
    assert!(other.contains("up to 128 are not as"), "{other}");
    let more = finding(&|batch| {
        let mut key = rows[1].0.clone();
        *key.last_mut().unwrap() += 1;
        batch.put(key, rows[1].1.clone());
    });
    assert!(more.contains("4 rows, not 3"), "{more}");
}
