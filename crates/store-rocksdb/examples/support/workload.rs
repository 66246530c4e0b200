//! The workloads of the ceiling: what each thread commits, and how it is timed.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use tern_base::BlobId;
use tern_store::{Batch, Engine, Verdict, transact};

const THREADS: [u64; 4] = [1, 4, 16, 64];

type Commit = fn(&dyn Engine, u64, u64);

const WORKLOADS: &[(&str, Commit)] = &[
    ("1 row of 100 bytes", small),
    ("1 row, expected as it is", expected),
    ("10 rows, 4 expected, 4 KiB of mail", delivery),
    ("one row that every thread changes", contended),
];

/// Runs every workload with every number of threads and prints the table.
pub(crate) fn table(engine: &dyn Engine, time: Duration) {
    println!("| workload | threads | commits/s | p50 (us) | p99 (us) |");
    println!("|---|---|---|---|---|");
    for (number, (name, commit)) in WORKLOADS.iter().enumerate() {
        for threads in THREADS {
            let mut latencies = run(engine, *commit, threads, time, number as u64);
            latencies.sort_unstable();
            let per_second = latencies.len() as f64 / time.as_secs_f64();
            let at = |part: usize| {
                let index = latencies.len() * part / 100;
                latencies.get(index).copied().unwrap_or(0)
            };
            println!(
                "| {name} | {threads} | {per_second:.0} | {} | {} |",
                at(50),
                at(99)
            );
        }
    }
}

/// The latency of every commit, in microseconds.
#[expect(clippy::disallowed_methods, reason = "an example measures time")]
fn run(engine: &dyn Engine, commit: Commit, threads: u64, time: Duration, salt: u64) -> Vec<u64> {
    let start = Barrier::new(usize::try_from(threads).unwrap_or(1));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || {
                    let identity = (salt << 32) | (threads << 16) | thread;
                    let mut latencies = Vec::new();
                    start.wait();
                    let begin = Instant::now();
                    let mut last = Duration::ZERO;
                    while last < time {
                        commit(engine, identity, latencies.len() as u64);
                        let now = begin.elapsed();
                        latencies.push((now - last).as_micros() as u64);
                        last = now;
                    }
                    latencies
                })
            })
            .collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.flat_map(|result| result.expect("worker")).collect()
    })
}

fn key(table: u8, thread: u64, n: u64) -> Vec<u8> {
    let mut key = vec![table];
    key.extend_from_slice(&thread.to_be_bytes());
    key.extend_from_slice(&n.to_be_bytes());
    key
}

fn small(engine: &dyn Engine, thread: u64, n: u64) {
    let mut batch = Batch::new();
    batch.put(key(1, thread, n), vec![b'x'; 100]);
    engine.commit(batch).expect("commit");
}

fn expected(engine: &dyn Engine, thread: u64, n: u64) {
    let value = |n: u64| n.to_be_bytes().to_vec();
    let mut batch = Batch::new();
    batch.expect(key(2, thread, 0), n.checked_sub(1).map(value));
    batch.put(key(2, thread, 0), value(n));
    engine.commit(batch).expect("commit");
}

/// What a delivery to one mailbox writes: an account's head and a mailbox's head that others may
/// change, rows that must not exist yet, the message, its indexes and log, and its content.
fn delivery(engine: &dyn Engine, thread: u64, n: u64) {
    let value = |n: u64| [n.to_be_bytes(), thread.to_be_bytes()].concat();
    let mut batch = Batch::new();
    for table in [3, 4] {
        batch.expect(key(table, thread, 0), n.checked_sub(1).map(value));
        batch.put(key(table, thread, 0), value(n));
    }
    for table in [5, 6] {
        batch.expect(key(table, thread, n), None);
    }
    batch.put(key(5, thread, n), vec![b'm'; 300]);
    for table in 6..13 {
        batch.put(key(table, thread, n), value(n));
    }
    let mut blob = [0; 32];
    for (to, from) in blob.iter_mut().zip(mixed(thread ^ (n << 20))) {
        *to = from;
    }
    batch.put_blob_piece(BlobId(blob), 0, mail(thread.wrapping_add(n)));
    engine.commit(batch).expect("commit");
}

fn contended(engine: &dyn Engine, thread: u64, _: u64) {
    let row = key(13, thread >> 16, 0);
    let done = transact(engine, |txn| -> Result<_, tern_store::StoreError> {
        let old = txn.get(&row)?;
        let n = old.map_or(0, |bytes| {
            bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
        });
        txn.put(row.clone(), (n + 1).to_be_bytes().to_vec());
        Ok(Verdict::Commit(()))
    });
    match done {
        Ok(()) | Err(tern_store::StoreError::Busy) => {}
        Err(error) => panic!("commit: {error}"),
    }
}

/// 4 KiB that compress about as well as mail does: words, and a fifth of base64.
fn mail(seed: u64) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "the",
        "meeting",
        "of",
        "tomorrow",
        "please",
        "Received:",
        "from",
        "by",
        "regards",
        "\r\n",
        "attached",
        "invoice",
        "and",
        "we",
        "example.org",
        "to",
    ];
    let mut text = Vec::with_capacity(4200);
    for byte in mixed(seed) {
        if text.len() >= 4096 {
            break;
        }
        if byte < 52 {
            text.push(b'A' + byte / 2);
        } else {
            text.extend_from_slice(WORDS[usize::from(byte % 16)].as_bytes());
            text.push(b' ');
        }
    }
    text.truncate(4096);
    text
}

/// An endless stream of bytes from a seed (SplitMix64).
fn mixed(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    })
    .flatten()
}
