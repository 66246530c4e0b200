//! A full disk: commits are refused as full, reads go on, and commits are taken again once there
//! is room, without a restart. Content is refused first. Needs the right to mount a small file system; says so otherwise.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tern_base::BlobId;
use tern_store::{Batch, CommitError, Engine, Read, StoreError};
use tern_store_rocksdb::{RocksEngine, Settings};

/// A file system of its own, in memory.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir(path).expect("create_dir");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", size, "none"]).arg(path);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then(|| Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn settings() -> Settings {
    Settings {
        cache_bytes: 1 << 20,
        write_buffer_bytes: 2 << 20,
        max_wal_bytes: 4 << 20,
        ..Settings::default()
    }
}

fn row(n: u64) -> Vec<u8> {
    [&[1], &n.to_be_bytes()[..]].concat()
}

fn value(n: u64) -> Vec<u8> {
    let words = (0..500).map(|word| (n ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

fn commit(engine: &RocksEngine, n: u64) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    batch.put(row(n), value(n));
    engine.commit(batch)
}

/// Commits until the disk is full; the number of the batch that was refused.
fn fill(engine: &RocksEngine, from: u64) -> u64 {
    for n in from.. {
        match commit(engine, n) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, StoreError::Full.into());
                return n;
            }
        }
    }
    unreachable!("numbers do not end before a small disk does")
}

fn assert_holds(engine: &RocksEngine, below: u64) {
    for n in 0..below {
        let found = engine.get(&row(n)).expect("get");
        assert!(found == Some(value(n)), "row {n} of {below}");
    }
    assert_eq!(engine.get(&row(below)), Ok(None), "the refused row");
}

/// Commits number `n` as soon as the engine takes it, reading all the while.
#[expect(clippy::disallowed_methods, reason = "a test's own deadline")]
fn commit_when_possible(engine: &RocksEngine, n: u64) {
    let begin = Instant::now();
    while let Err(error) = commit(engine, n) {
        assert_eq!(error, StoreError::Full.into());
        assert!(begin.elapsed() < Duration::from_secs(60), "never recovered");
        assert_holds(engine, n);
    }
    let waited = begin.elapsed();
    if waited > Duration::from_secs(1) {
        println!("accepted again after {waited:?}");
    }
}

/// Commits content until it is refused.
fn fill_with_content(engine: &RocksEngine) -> u64 {
    for n in 0.. {
        let mut batch = Batch::new();
        batch.put_blob_piece(BlobId([n as u8; 32]), n as u32, value(n));
        match engine.commit(batch) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, StoreError::Full.into());
                return n;
            }
        }
    }
    unreachable!("numbers do not end before a small disk does")
}

#[test]
fn content_leaves_room_for_everything_else() {
    let root = tempfile::tempdir().expect("tempdir");
    let Some(disk) = Mounted::new(&root.path().join("disk"), "size=200m") else {
        println!("skipped: no right to mount a file system");
        return;
    };
    let engine = RocksEngine::open(&disk.0.join("store"), &settings()).expect("open");
    assert!(engine.has_room_for_content());
    let pieces = fill_with_content(&engine);
    assert!(!engine.has_room_for_content());
    assert!(pieces > 1_000, "{pieces} pieces");
    let staged = engine.stage_blob_piece(BlobId([9; 32]), 0, &value(0));
    assert_eq!(staged, Err(StoreError::Full));
    // Rows are taken, by the hundred, and content is not.
    for n in 0..500 {
        commit(&engine, n).expect("room is kept for rows");
    }
    assert_holds(&engine, 500);
    fs::write(disk.0.join("ballast"), vec![0; 1 << 10]).expect("room is left");
    // What makes room is taken, too.
    let mut batch = Batch::new();
    for n in 0..pieces {
        batch.delete_blob(BlobId([n as u8; 32]), 1);
    }
    engine.commit(batch).expect("deletions");
    drop(engine);
    drop(disk);
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    let root = tempfile::tempdir().expect("tempdir");
    let Some(disk) = Mounted::new(&root.path().join("disk"), "size=64m") else {
        println!("skipped: no right to mount a file system");
        return;
    };
    let ballast = disk.0.join("ballast");
    let load = || {
        let mut file = File::create(&ballast).expect("create");
        file.write_all(&vec![0; 32 << 20]).expect("write");
    };
    load();
    let directory = disk.0.join("store");
    let engine = RocksEngine::open(&directory, &settings()).expect("open");
    let full = fill(&engine, 0);
    assert!(full > 100, "{full} rows");
    assert_holds(&engine, full);
    // RocksDB tries to recover by itself: a row may get through where a flush made room.
    let again = commit(&engine, full);
    assert!(
        matches!(again, Ok(()) | Err(CommitError::Store(StoreError::Full))),
        "{again:?}"
    );

    fs::remove_file(&ballast).expect("remove");
    commit_when_possible(&engine, full);
    for n in full + 1..full + 500 {
        commit(&engine, n).expect("commit");
    }
    assert_holds(&engine, full + 500);
    drop(engine);
    let engine = RocksEngine::open(&directory, &settings()).expect("reopen");
    assert_holds(&engine, full + 500);

    // And a stop while the disk is full loses nothing either.
    let full = fill(&engine, full + 500);
    drop(engine);
    if let Ok(engine) = RocksEngine::open(&directory, &settings()) {
        assert_holds(&engine, full);
    }
    drop(disk);
}
