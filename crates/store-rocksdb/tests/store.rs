//! What the engine adds to the contract: reopening, refusals, backup, blobs in their files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tempfile::TempDir;
use tern_base::BlobId;
use tern_store::{Batch, Engine, Range, Read, StoreError, limits};
use tern_store_rocksdb::{FORMAT_VERSION, OpenError, RocksEngine, Settings, is_copy, unmark_copy};

/// Buffers small enough that a test sees flushes and compactions.
fn small() -> Settings {
    Settings {
        cache_bytes: 1 << 20,
        write_buffer_bytes: 2 << 20,
        max_wal_bytes: 4 << 20,
        ..Settings::default()
    }
}

fn open(root: &TempDir) -> RocksEngine {
    RocksEngine::open(&root.path().join("store"), &small()).expect("open")
}

fn put(engine: &dyn Engine, n: u64) {
    let mut batch = Batch::new();
    batch.put(row(n), n.to_be_bytes().to_vec());
    batch.put_blob_piece(blob(n), 0, content(n));
    engine.commit(batch).expect("commit");
}

fn row(n: u64) -> Vec<u8> {
    [&[1], &n.to_be_bytes()[..]].concat()
}

fn blob(n: u64) -> BlobId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    BlobId(id)
}

fn content(n: u64) -> Vec<u8> {
    let words = (0..1500).map(|word| (n ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

fn assert_holds(engine: &dyn Engine, numbers: impl Iterator<Item = u64>) {
    for n in numbers {
        let value = Some(n.to_be_bytes().to_vec());
        assert_eq!(engine.get(&row(n)), Ok(value), "row {n}");
        let piece = engine.blob_piece(blob(n), 0).expect("piece");
        assert!(piece == Some(content(n)), "content {n}");
    }
}

#[test]
fn a_reopened_store_holds_everything_closed_or_dropped() {
    let root = tempfile::tempdir().expect("tempdir");
    for (n, orderly) in [(0, true), (500, false), (1000, true), (1500, false)] {
        let engine = open(&root);
        assert_holds(&engine, 0..n);
        for n in n..n + 500 {
            put(&engine, n);
        }
        if orderly {
            engine.close().expect("close");
        } else {
            drop(engine);
        }
    }
    let engine = open(&root);
    assert_holds(&engine, 0..2000);
    engine.compact().expect("compact");
    assert_holds(&engine, 0..2000);
    let page = engine.scan(&Range::prefix(vec![1]), 5000).expect("scan");
    assert_eq!(page.rows.len(), 2000);
}

#[test]
fn deleted_content_gives_its_room_back() {
    let root = tempfile::tempdir().expect("tempdir");
    let engine = open(&root);
    for n in 0..1000 {
        put(&engine, n);
    }
    engine.compact().expect("compact");
    let full = engine.statistics();
    assert!(full.blob_bytes > 11_000_000, "{full:?}");
    for n in 0..900 {
        let mut batch = Batch::new();
        batch.delete_blob(blob(n), 1);
        engine.commit(batch).expect("commit");
    }
    engine.compact().expect("compact");
    engine.compact().expect("compact");
    let emptied = engine.statistics();
    assert!(emptied.blob_bytes < full.blob_bytes / 2, "{emptied:?}");
    assert_holds(&engine, 900..1000);
}

#[test]
fn a_blob_of_many_pieces_is_deleted_whole() {
    let root = tempfile::tempdir().expect("tempdir");
    let engine = open(&root);
    for pieces in [3, 2000] {
        for piece in 0..pieces {
            engine
                .stage_blob_piece(blob(1), piece, b"x")
                .expect("stage");
        }
        engine
            .stage_blob_piece(blob(1), pieces, b"kept")
            .expect("stage");
        let mut batch = Batch::new();
        batch.delete_blob(blob(1), pieces);
        engine.commit(batch).expect("commit");
        for piece in 0..pieces {
            assert_eq!(engine.blob_piece(blob(1), piece), Ok(None));
        }
        let kept = engine.blob_piece(blob(1), pieces);
        assert_eq!(kept, Ok(Some(b"kept".to_vec())));
    }
}

#[test]
fn a_second_opener_is_refused() {
    let root = tempfile::tempdir().expect("tempdir");
    let engine = open(&root);
    let second = RocksEngine::open(engine.directory(), &small());
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
    put(&engine, 1);
    assert_holds(&engine, 1..2);
}

#[test]
fn a_store_of_another_build_or_an_unfinished_one_is_refused_and_left_alone() {
    let root = tempfile::tempdir().expect("tempdir");
    let engine = open(&root);
    let file = engine.directory().join("FORMAT");
    put(&engine, 1);
    drop(engine);
    let good = fs::read(&file).expect("read");
    let reopen = || RocksEngine::open(&root.path().join("store"), &small());

    for other in [FORMAT_VERSION - 1, FORMAT_VERSION + 1] {
        fs::write(&file, format!("tern-store-rocksdb {other}\n")).expect("write");
        let refused = reopen().expect_err("of another build");
        assert!(matches!(refused, OpenError::OtherFormat { found, .. } if found == other));
    }
    fs::write(&file, "rubbish").expect("write");
    assert!(matches!(reopen(), Err(OpenError::NotAStore(_))));
    fs::remove_file(&file).expect("remove");
    assert!(matches!(reopen(), Err(OpenError::NotAStore(_))));

    fs::write(&file, good).expect("write");
    assert_holds(&reopen().expect("open"), 1..2);
}

#[test]
fn a_missing_file_is_an_error_and_never_an_absent_row() {
    for kind in ["sst", "blob"] {
        let root = tempfile::tempdir().expect("tempdir");
        let engine = open(&root);
        put(&engine, 1);
        engine.flush().expect("flush");
        let files = fs::read_dir(engine.directory().join("db")).expect("read_dir");
        drop(engine);
        let mut removed = 0;
        for file in files.map(|entry| entry.expect("entry").path()) {
            if file.extension().is_some_and(|end| end == kind) {
                fs::remove_file(file).expect("remove");
                removed += 1;
            }
        }
        assert!(removed > 0, "{kind}");
        match RocksEngine::open(&root.path().join("store"), &small()) {
            Err(OpenError::Engine { .. }) => {}
            Err(other) => panic!("{other}"),
            Ok(engine) => {
                let piece = engine.blob_piece(blob(1), 0);
                assert!(matches!(piece, Err(StoreError::Engine(_))), "{piece:?}");
            }
        }
    }
}

#[test]
fn an_older_log_that_is_missing_or_cut_is_refused() {
    let settings = Settings {
        write_buffer_bytes: 8 << 20,
        ..Settings::default()
    };
    for missing in [true, false] {
        let root = tempfile::tempdir().expect("tempdir");
        let directory = root.path().join("store");
        let engine = RocksEngine::open(&directory, &settings).expect("open");
        put(&engine, 1);
        // Content fills its own buffer: a new log begins while the row is only in the old one.
        for n in 0..500 {
            let piece = content(n);
            engine.stage_blob_piece(blob(n), 1, &piece).expect("stage");
        }
        put(&engine, 2);
        drop(engine);
        let files = fs::read_dir(directory.join("db")).expect("read_dir");
        let paths = files.map(|entry| entry.expect("entry").path());
        let is_log = |path: &PathBuf| path.extension().is_some_and(|end| end == "log");
        let mut logs: Vec<_> = paths.filter(is_log).collect();
        logs.sort();
        assert!(logs.len() > 1, "{logs:?}");
        if missing {
            fs::remove_file(&logs[0]).expect("remove");
        } else {
            let file = fs::OpenOptions::new().write(true).open(&logs[0]);
            file.and_then(|file| file.set_len(40)).expect("truncate");
        }
        let opened = RocksEngine::open(&directory, &settings);
        assert!(
            matches!(opened, Err(OpenError::Engine { .. })),
            "{opened:?}"
        );
    }
}

#[test]
fn a_checkpoint_under_load_holds_all_that_was_committed_before_it() {
    let root = tempfile::tempdir().expect("tempdir");
    let engine = open(&root);
    let (committed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Acquire) {
                put(&engine, n);
                n += 1;
                committed.store(n, Ordering::Release);
            }
        });
        for copy in 0..5 {
            while committed.load(Ordering::Acquire) < (copy + 1) * 200 {
                std::thread::yield_now();
            }
            let directory = root.path().join(format!("copy{copy}"));
            let before = committed.load(Ordering::Acquire);
            engine.checkpoint(&directory).expect("checkpoint");
            assert!(is_copy(&directory));
            let backup = RocksEngine::open(&directory, &small()).expect("open the copy");
            assert_holds(&backup, 0..before);
            // A copy lives its own life.
            put(&backup, u64::MAX);
        }
        stop.store(true, Ordering::Release);
    });
    assert_eq!(engine.get(&row(u64::MAX)), Ok(None));
    let taken = engine.checkpoint(&root.path().join("copy0"));
    assert!(matches!(taken, Err(StoreError::Engine(_))), "{taken:?}");
    let copy = RocksEngine::open(&root.path().join("copy0"), &small()).expect("open");
    assert_holds(&copy, u64::MAX..u64::MAX);
}

#[test]
fn a_copy_is_for_its_owner_alone_and_says_that_it_is_one_until_it_is_put_to_use() {
    let root = tempfile::tempdir().expect("tempdir");
    let engine = open(&root);
    put(&engine, 1);
    let directory = root.path().join("copy");
    engine.checkpoint(&directory).expect("checkpoint");
    let mode = fs::metadata(&directory)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    drop(RocksEngine::open(&directory, &small()).expect("open the copy"));
    assert!(is_copy(&directory), "to look at it changes nothing");
    unmark_copy(&directory).expect("unmarked");
    assert!(!is_copy(&directory));
    // Whatever breaks off before `FORMAT` leaves no store.
    fs::remove_file(directory.join("FORMAT")).expect("removed");
    let opened = RocksEngine::open(&directory, &small());
    assert!(matches!(opened, Err(OpenError::NotAStore(_))), "{opened:?}");
}

#[test]
fn committers_of_one_moment_do_not_disturb_each_other() {
    const THREADS: u64 = 16;
    const EACH: u64 = 100;
    let root = tempfile::tempdir().expect("tempdir");
    let engine = open(&root);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0..EACH {
                    // Own rows as expected, next to refusals of a neighbour and oversize batches.
                    let key = row(thread << 32);
                    let mut good = Batch::new();
                    let old = n.checked_sub(1).map(|n| n.to_be_bytes().to_vec());
                    good.expect(key.clone(), old);
                    good.put(key, n.to_be_bytes().to_vec());
                    let mut stale = Batch::new();
                    stale.expect(row(((thread + 1) % THREADS) << 32), Some(vec![1]));
                    stale.put(row(7), vec![]);
                    let mut large = Batch::new();
                    large.put(row(8), vec![0; limits::MAX_VALUE + 1]);
                    assert_eq!(engine.commit(good), Ok(()));
                    assert!(engine.commit(stale).is_err());
                    assert!(engine.commit(large).is_err());
                }
            });
        }
    });
    assert_eq!(engine.get(&row(7)), Ok(None));
    assert_eq!(engine.get(&row(8)), Ok(None));
    for thread in 0..THREADS {
        let last = Some((EACH - 1).to_be_bytes().to_vec());
        assert_eq!(engine.get(&row(thread << 32)), Ok(last));
    }
}
