//! A writing process is killed at random points, again and again: every batch that it had
//! acknowledged is there whole, and no batch is there in part. Then the log's tail is torn, as by
//! a loss of power: everything synced before the tear is there.
//!
//! 10 kills and 10 tears; `TERN_KILLS=200` for more. `TERN_SEED` chooses other points.
//!
//! The test starts its own program again as the writer, which reports on its standard error.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tern_base::{BlobId, Entropy, SeededEntropy};
use tern_store::{Engine, Read, StoreError, Verdict, transact};
use tern_store_rocksdb::{OpenError, RocksEngine, Settings};

const WRITER: &str = "TERN_KILL_WRITER";
const THREADS: &str = "TERN_KILL_THREADS";
const PARTS: u64 = 3;

/// The writer: does nothing unless [`start`] made this process.
#[test]
fn writer() {
    let Some(directory) = std::env::var_os(WRITER) else {
        return;
    };
    let threads = setting(THREADS, 1);
    write_until_killed(&PathBuf::from(directory), threads);
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

fn kills() -> (u64, SeededEntropy) {
    // A writer that ran the other tests would start writers without end.
    assert!(std::env::var_os(WRITER).is_none(), "a writer only writes");
    let (kills, seed) = (setting("TERN_KILLS", 10), setting("TERN_SEED", 1));
    println!("{kills} from seed {seed}");
    (kills, SeededEntropy::new(seed))
}

/// Small enough that kills also hit flushes, compactions and changes of the log.
fn settings() -> Settings {
    Settings {
        cache_bytes: 1 << 20,
        write_buffer_bytes: 2 << 20,
        max_wal_bytes: 4 << 20,
        ..Settings::default()
    }
}

// The writer.

/// Commits numbered batches and prints `thread number log length` for each that is acknowledged.
fn write_until_killed(directory: &Path, threads: u64) {
    let engine = RocksEngine::open(directory, &settings()).expect("open");
    eprintln!("open");
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let engine = &engine;
            scope.spawn(move || {
                loop {
                    let n = write_one(engine, thread).expect("commit");
                    let (log, length) = newest_log(directory).unwrap_or_default();
                    let line = format!("{thread} {n} {log} {length}\n");
                    io::stderr().write_all(line.as_bytes()).expect("report");
                }
            });
        }
    });
}

/// One batch: the thread's head, rows and a blob piece, each telling the batch's number.
fn write_one(engine: &RocksEngine, thread: u64) -> Result<u64, StoreError> {
    transact(engine, |txn| -> Result<_, StoreError> {
        let n = number(txn.get(&head(thread))?.as_deref()) + 1;
        txn.put(head(thread), n.to_be_bytes().to_vec());
        for part in 0..PARTS {
            txn.put(row(thread, n, part), n.to_be_bytes().to_vec());
        }
        txn.put_blob_piece(blob(thread, n), 0, content(thread, n));
        Ok(Verdict::Commit(n))
    })
}

fn number(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |bytes| {
        u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
    })
}

fn head(thread: u64) -> Vec<u8> {
    [&[1], &thread.to_be_bytes()[..]].concat()
}

fn row(thread: u64, n: u64, part: u64) -> Vec<u8> {
    let words = [thread, n, part].map(u64::to_be_bytes);
    [&[2], words.as_flattened()].concat()
}

fn blob(thread: u64, n: u64) -> BlobId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(
        &(n ^ thread << 40)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes(),
    );
    id[8..16].copy_from_slice(&thread.to_be_bytes());
    BlobId(id)
}

/// Up to 8 KiB that do not compress.
fn content(thread: u64, n: u64) -> Vec<u8> {
    let seed = n ^ thread << 40;
    let words =
        (0..seed % 1024).map(|word| (seed << 16 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

fn newest_log(directory: &Path) -> io::Result<(u64, u64)> {
    let mut newest = (0, 0);
    for entry in fs::read_dir(directory.join("db"))? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let log = stem.and_then(|stem| stem.parse().ok()).unwrap_or(0);
        if path.extension().is_some_and(|end| end == "log") && log >= newest.0 {
            newest = (log, fs::metadata(&path).map_or(0, |file| file.len()));
        }
    }
    Ok(newest)
}

// The killer.

/// What the writer said of one batch.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    thread: u64,
    n: u64,
    log: u64,
    length: u64,
}

impl Acknowledged {
    /// `None` for a line that the kill cut short.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix('\n')?.split(' ').map(str::parse);
        let mut next = || words.next()?.ok();
        Some(Self {
            thread: next()?,
            n: next()?,
            log: next()?,
            length: next()?,
        })
    }
}

fn start(directory: &Path, threads: u64) -> (Child, BufReader<impl io::Read>) {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command
        .args(["writer", "--exact", "--nocapture"])
        .env(WRITER, directory)
        .env(THREADS, threads.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("spawn");
    let output = child.stderr.take().expect("piped");
    (child, BufReader::new(output))
}

/// Lets a writer go on for `lines` lines, kills it, and returns all that it acknowledged.
fn run_and_kill(directory: &Path, threads: u64, lines: u64) -> Vec<Acknowledged> {
    let (mut child, mut output) = start(directory, threads);
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    let mut read = 0;
    while {
        line.clear();
        output.read_line(&mut line).expect("read") > 0
    } {
        acknowledged.extend(Acknowledged::parse(&line));
        read += 1;
        if line == "open\n" {
            let second = RocksEngine::open(directory, &settings());
            assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
        }
        if read == lines {
            child.kill().expect("kill");
        }
    }
    child.wait().expect("wait");
    assert!(read >= lines, "the writer ended by itself: {line}");
    acknowledged
}

/// Checks that the thread's batches up to its head are there whole and none after it; its head.
fn check_thread(engine: &RocksEngine, thread: u64, from: u64) -> u64 {
    let last = number(engine.get(&head(thread)).expect("get").as_deref());
    for n in from..last + 100 {
        let there = n <= last && n > 0;
        for part in 0..PARTS {
            let found = engine.get(&row(thread, n, part)).expect("get");
            let expected = there.then(|| n.to_be_bytes().to_vec());
            assert_eq!(found, expected, "thread {thread}, batch {n} of {last}");
        }
        let found = engine.blob_piece(blob(thread, n), 0).expect("piece");
        let expected = there.then(|| content(thread, n));
        assert!(found == expected, "thread {thread}, content {n} of {last}");
    }
    last
}

#[test]
fn acknowledged_batches_survive_kills() {
    let (kills, mut entropy) = kills();
    const THREADS: u64 = 8;
    let root = tempfile::tempdir().expect("tempdir");
    let directory = root.path().join("store");
    let mut heads = [0; THREADS as usize];
    for kill in 0..kills {
        // Some kills hit the opening itself: its first line is all that is waited for.
        let lines = 1 + entropy.below(4000) * u64::from(kill % 4 != 3);
        let acknowledged = run_and_kill(&directory, THREADS, lines);
        let engine = RocksEngine::open(&directory, &settings()).expect("open after a kill");
        assert!(!engine.log_was_damaged(), "a kill is not damage");
        for (thread, last) in (0..).zip(&mut heads) {
            let mine = acknowledged.iter().filter(|line| line.thread == thread);
            let told = mine.map(|line| line.n).max().unwrap_or(*last);
            let found = check_thread(&engine, thread, *last);
            assert!(found >= told.max(*last), "kill {kill}: {found} of {told}");
            *last = found;
        }
    }
    let engine = RocksEngine::open(&directory, &settings()).expect("open");
    for (thread, last) in (0..).zip(heads) {
        assert_eq!(check_thread(&engine, thread, 0), last);
    }
    println!("{kills} kills, batches by thread: {heads:?}");
}

#[test]
fn synced_batches_survive_a_torn_log() {
    let (tears, mut entropy) = kills();
    let mut found_damaged = 0;
    for tear in 0..tears {
        let root = tempfile::tempdir().expect("tempdir");
        let directory = root.path().join("store");
        let acknowledged = run_and_kill(&directory, 1, 2 + entropy.below(1500));
        let (log, length) = newest_log(&directory).expect("log");
        let at = length - entropy.below(length.min(40_000) + 1);
        let path = directory.join("db").join(format!("{log:06}.log"));
        let file = OpenOptions::new().write(true).open(path).expect("open log");
        let garble = tear % 2 == 1;
        if garble {
            let noise: Vec<u8> = (at..length).map(|_| entropy.below(256) as u8).collect();
            file.write_all_at(&noise, at).expect("garble");
        } else {
            file.set_len(at).expect("truncate");
        }
        let before = |line: &&Acknowledged| line.log < log || line.log == log && line.length <= at;
        let kept = acknowledged.iter().filter(before).map(|line| line.n).max();
        let engine = RocksEngine::open(&directory, &settings()).expect("open a torn log");
        let found = check_thread(&engine, 0, 0);
        assert!(
            found >= kept.unwrap_or(0),
            "tear {tear}: {found} of {kept:?}"
        );
        // And the store goes on from there.
        let next = write_one(&engine, 0).expect("commit");
        assert_eq!(next, found + 1);
        // Damage is told until somebody has taken note of it, whoever opens the store before, and the logs
        // are there to be looked into.
        let damaged = engine.log_was_damaged();
        assert!(
            !damaged || garble,
            "a log that is short is what a kill leaves"
        );
        drop(engine);
        let engine = RocksEngine::open(&directory, &settings()).expect("reopen");
        assert_eq!(engine.log_was_damaged(), damaged);
        let kept = std::fs::read_dir(directory.join("damaged-logs"));
        assert_eq!(kept.is_ok_and(|logs| logs.count() > 0), damaged);
        engine.damage_is_noted().expect("notes it");
        assert!(!engine.log_was_damaged());
        found_damaged += u64::from(damaged);
        assert_eq!(check_thread(&engine, 0, 0), next);
    }
    println!("{tears} torn logs, {found_damaged} of them damaged");
    assert!(found_damaged > 0 || tears < 4, "no noise was ever damage");
}
