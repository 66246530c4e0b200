//! The engine contract in executable form. Every engine's tests call [`run`].

use crate::{Batch, Bound, CommitError, Engine, Range, StoreError, Verdict, limits, transact};
use tern_base::BlobId;

/// A maker of fresh, empty engines.
pub type MakeEngine<'a> = &'a mut dyn FnMut() -> Box<dyn Engine>;

/// Runs every case, each on a fresh engine. Panics where the contract is broken.
pub fn run(make: MakeEngine<'_>) {
    for (name, case) in CASES {
        let engine = make();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&*engine)))
            .unwrap_or_else(|_| panic!("conformance case failed: {name}"));
    }
}

/// One case: an assertion over a fresh engine.
pub type Case = fn(&dyn Engine);

/// Every case, by name.
pub const CASES: &[(&str, Case)] = &[
    (
        "a batch is applied whole, later writes of a key win",
        batch_whole,
    ),
    (
        "an expectation that no longer holds is a conflict",
        conflict,
    ),
    (
        "an expected absence is a conflict once the row is there",
        conflict_absent,
    ),
    ("a conflict writes nothing", conflict_writes_nothing),
    ("a snapshot sees one moment", snapshot_isolation),
    ("pages of a scan tile the range, both ways", scan_pages),
    ("scans are bounded to their range", scan_bounds),
    ("limits are answered and nothing is written", limits_hold),
    ("blob pieces are written, read, deleted", blobs),
    ("transact retries until its reads hold", transact_retries),
    ("transact sees its own writes", transact_own_writes),
    ("concurrent increments lose nothing", concurrent_increments),
    ("write skew is a conflict", write_skew),
];

/// A batch of puts.
fn puts(rows: &[(&[u8], &[u8])]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in rows {
        batch.put(key.to_vec(), value.to_vec());
    }
    batch
}

fn commit(engine: &dyn Engine, rows: &[(&[u8], &[u8])]) {
    engine.commit(puts(rows)).expect("commit");
}

fn get(engine: &dyn Engine, key: &[u8]) -> Option<Vec<u8>> {
    engine.get(key).expect("get")
}

fn batch_whole(engine: &dyn Engine) {
    let mut batch = puts(&[(b"1a", b"x"), (b"1b", b"y"), (b"1a", b"z")]);
    batch.delete(b"1b".to_vec());
    batch.delete(b"1none".to_vec());
    engine.commit(batch).expect("commit");
    assert_eq!(get(engine, b"1a"), Some(b"z".to_vec()));
    assert_eq!(get(engine, b"1b"), None);
    commit(engine, &[(b"1empty", b"")]);
    assert_eq!(get(engine, b"1empty"), Some(Vec::new()));
    let many = engine
        .get_many(&[b"1none".to_vec(), b"1a".to_vec()])
        .expect("get_many");
    assert_eq!(many, [None, Some(b"z".to_vec())]);
}

fn conflict(engine: &dyn Engine) {
    commit(engine, &[(b"1a", b"1")]);
    let mut batch = puts(&[(b"1b", b"2")]);
    batch.expect(b"1a".to_vec(), Some(b"0".to_vec()));
    assert_eq!(engine.commit(batch), Err(CommitError::Conflict));
    let mut batch = puts(&[(b"1b", b"2")]);
    batch.expect(b"1a".to_vec(), Some(b"1".to_vec()));
    assert_eq!(engine.commit(batch), Ok(()));
    let mut batch = puts(&[(b"1b", b"3")]);
    batch.expect(b"1gone".to_vec(), Some(b"1".to_vec()));
    assert_eq!(engine.commit(batch), Err(CommitError::Conflict));
}

fn conflict_absent(engine: &dyn Engine) {
    let absent = || {
        let mut batch = puts(&[(b"1a", b"mine")]);
        batch.expect(b"1a".to_vec(), None);
        batch
    };
    assert_eq!(engine.commit(absent()), Ok(()));
    assert_eq!(engine.commit(absent()), Err(CommitError::Conflict));
}

fn conflict_writes_nothing(engine: &dyn Engine) {
    let blob = BlobId([7; 32]);
    let mut batch = puts(&[(b"1a", b"1")]);
    batch.put_blob_piece(blob, 0, vec![1]);
    batch.expect(b"1never".to_vec(), Some(vec![]));
    assert_eq!(engine.commit(batch), Err(CommitError::Conflict));
    assert_eq!(get(engine, b"1a"), None);
    assert_eq!(engine.blob_piece(blob, 0), Ok(None));
}

fn snapshot_isolation(engine: &dyn Engine) {
    commit(engine, &[(b"1a", b"1"), (b"1b", b"1")]);
    let snapshot = engine.snapshot().expect("snapshot");
    let mut batch = puts(&[(b"1a", b"2"), (b"1c", b"2")]);
    batch.delete(b"1b".to_vec());
    engine.commit(batch).expect("commit");
    assert_eq!(snapshot.get(b"1a"), Ok(Some(b"1".to_vec())));
    let rows = snapshot
        .scan(&Range::prefix(b"1".to_vec()), 10)
        .expect("scan")
        .rows;
    assert_eq!(
        rows,
        [
            (b"1a".to_vec(), b"1".to_vec()),
            (b"1b".to_vec(), b"1".to_vec())
        ]
    );
    drop(snapshot);
    let rows = engine
        .scan(&Range::prefix(b"1".to_vec()), 10)
        .expect("scan")
        .rows;
    assert_eq!(
        rows,
        [
            (b"1a".to_vec(), b"2".to_vec()),
            (b"1c".to_vec(), b"2".to_vec())
        ]
    );
}

fn scan_pages(engine: &dyn Engine) {
    let keys: Vec<Vec<u8>> = (0..23u8).map(|n| vec![b'1', n]).collect();
    for key in &keys {
        commit(engine, &[(key, key)]);
    }
    for (limit, reverse) in [(1, false), (5, true), (5, false), (23, true), (24, false)] {
        let mut range = Range::prefix(b"1".to_vec());
        range.reverse = reverse;
        let mut seen = Vec::new();
        let mut next = Some(range);
        while let Some(range) = next {
            let page = engine.scan(&range, limit).expect("scan");
            assert!(page.rows.len() <= limit);
            assert!(page.next.is_none() || page.rows.len() == limit);
            seen.extend(page.rows.into_iter().map(|row| row.0));
            next = page.next;
        }
        if reverse {
            seen.reverse();
        }
        assert_eq!(seen, keys);
    }
    for reverse in [false, true] {
        let mut range = Range::prefix(b"1".to_vec());
        range.reverse = reverse;
        let mut seen = Vec::new();
        let all = engine.visit(&range, &mut |key, value| {
            assert_eq!(key, value);
            seen.push(key.to_vec());
            key != [b'1', 9]
        });
        all.expect("visit");
        let mut expected = match reverse {
            false => keys[..=9].to_vec(),
            true => keys[9..].to_vec(),
        };
        if reverse {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

fn scan_bounds(engine: &dyn Engine) {
    let high: &[u8] = &[b'1', 0xff, 0xff];
    commit(
        engine,
        &[
            (b"0", b""),
            (b"1", b""),
            (b"1a", b""),
            (high, b""),
            (b"2", b""),
        ],
    );
    let keys = |range: Range| -> Vec<Vec<u8>> {
        engine
            .scan(&range, 10)
            .expect("scan")
            .rows
            .into_iter()
            .map(|row| row.0)
            .collect()
    };
    assert_eq!(
        keys(Range::prefix(b"1".to_vec())),
        [b"1".to_vec(), b"1a".to_vec(), high.to_vec()]
    );
    assert_eq!(keys(Range::prefix(vec![b'1', 0xff])), [high.to_vec()]);
    assert_eq!(
        keys(Range::prefix(b"1".to_vec()).starting_at(b"1b".to_vec())),
        [high.to_vec()]
    );
    let empty = Range {
        start: b"2".to_vec(),
        end: b"1".to_vec(),
        reverse: false,
    };
    assert!(keys(empty).is_empty());
}

fn limits_hold(engine: &dyn Engine) {
    let too_large = |batch: Batch, bound: Bound| match engine.commit(batch) {
        Err(CommitError::Store(StoreError::TooLarge { what, .. })) => assert_eq!(what, bound),
        answer => panic!("{bound}: {answer:?}"),
    };
    let key = puts(&[(b"1ok", b""), (&vec![b'1'; limits::MAX_KEY + 1], b"")]);
    too_large(key, Bound::Key);
    let value = puts(&[(b"1ok", &vec![0; limits::MAX_VALUE + 1])]);
    too_large(value, Bound::Value);
    let mut whole = Batch::new();
    for n in 0..17u8 {
        whole.put(vec![b'1', n], vec![0; limits::MAX_VALUE]);
    }
    too_large(whole, Bound::Batch);
    assert_eq!(get(engine, b"1ok"), None);
    commit(
        engine,
        &[(&vec![b'1'; limits::MAX_KEY], &vec![0; limits::MAX_VALUE])],
    );
}

fn blobs(engine: &dyn Engine) {
    let (a, b) = (BlobId([1; 32]), BlobId([2; 32]));
    let piece: Vec<u8> = (0..limits::BLOB_PIECE).map(|n| (n % 251) as u8).collect();
    engine.stage_blob_piece(a, 0, &piece).expect("stage");
    engine.stage_blob_piece(a, 1, b"tail").expect("stage");
    let mut batch = puts(&[(b"1a", b"")]);
    batch.put_blob_piece(b, 0, b"inline".to_vec());
    engine.commit(batch).expect("commit");
    assert_eq!(engine.blob_piece(a, 0), Ok(Some(piece)));
    assert_eq!(engine.blob_piece(a, 1), Ok(Some(b"tail".to_vec())));
    assert_eq!(engine.blob_piece(a, 2), Ok(None));
    assert_eq!(engine.blob_piece(b, 0), Ok(Some(b"inline".to_vec())));
    let many = [(b, 0), (a, 2), (a, 1), (b, 0)];
    let inline = || Some(b"inline".to_vec());
    assert_eq!(
        engine.blob_pieces(&many),
        Ok(vec![inline(), None, Some(b"tail".to_vec()), inline()])
    );
    assert_eq!(engine.blob_pieces(&[]), Ok(vec![]));
    assert_eq!(engine.blobs_after(None, 9), Ok(vec![a, b]));
    assert_eq!(engine.blobs_after(None, 1), Ok(vec![a]));
    assert_eq!(engine.blobs_after(Some(a), 9), Ok(vec![b]));
    let mut batch = Batch::new();
    batch.delete_blob(a, 2);
    engine.commit(batch).expect("commit");
    assert_eq!(engine.blobs_after(None, 9), Ok(vec![b]));
    assert_eq!(engine.blob_piece(a, 0), Ok(None));
    assert_eq!(engine.blob_piece(a, 1), Ok(None));
    assert_eq!(engine.blob_piece(b, 0), Ok(Some(b"inline".to_vec())));
    let over = vec![0; limits::BLOB_PIECE + 1];
    assert!(matches!(
        engine.stage_blob_piece(a, 0, &over),
        Err(StoreError::TooLarge {
            what: Bound::BlobPiece,
            ..
        })
    ));
}

fn transact_retries(engine: &dyn Engine) {
    commit(engine, &[(b"1n", b"x")]);
    let mut tries = 0;
    let seen = transact(engine, |txn| -> Result<_, StoreError> {
        tries += 1;
        let value = txn.get(b"1n")?;
        if tries < 3 {
            commit(engine, &[(b"1n", &[b'0' + tries])]);
        }
        txn.put(b"1seen".to_vec(), value.clone().unwrap_or_default());
        Ok(Verdict::Commit(value))
    });
    assert_eq!((tries, seen), (3, Ok(Some(b"2".to_vec()))));
    assert_eq!(get(engine, b"1seen"), Some(b"2".to_vec()));
    let busy = transact(engine, |txn| -> Result<Verdict<()>, StoreError> {
        let n = txn.get(b"1n")?.map_or(0, |v| v.len());
        commit(engine, &[(b"1n", &vec![0; n + 1])]);
        txn.put(b"1never".to_vec(), vec![]);
        Ok(Verdict::Commit(()))
    });
    assert_eq!(busy, Err(StoreError::Busy));
    assert_eq!(get(engine, b"1never"), None);
}

fn transact_own_writes(engine: &dyn Engine) {
    commit(engine, &[(b"1a", b"old")]);
    let result = transact(engine, |txn| -> Result<_, StoreError> {
        txn.put(b"1a".to_vec(), b"new".to_vec());
        txn.delete(b"1b".to_vec());
        assert_eq!(txn.get(b"1a")?, Some(b"new".to_vec()));
        assert_eq!(txn.peek(b"1a")?, Some(b"new".to_vec()));
        assert_eq!(txn.get(b"1b")?, None);
        Ok(Verdict::Abandon(()))
    });
    assert_eq!(result, Ok(()));
    assert_eq!(get(engine, b"1a"), Some(b"old".to_vec()));
}

fn concurrent_increments(engine: &dyn Engine) {
    const THREADS: u64 = 4;
    const EACH: u64 = 50;
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    while transact(engine, increment).is_err() {}
                }
            });
        }
    });
    let bytes = get(engine, b"1n").expect("counter");
    assert_eq!(
        u64::from_be_bytes(bytes.try_into().expect("8 bytes")),
        THREADS * EACH
    );
}

fn increment(txn: &mut crate::Transaction<'_>) -> Result<Verdict<()>, StoreError> {
    let n = txn
        .get(b"1n")?
        .map_or(0, |v| u64::from_be_bytes(v.try_into().expect("8 bytes")));
    txn.put(b"1n".to_vec(), (n + 1).to_be_bytes().to_vec());
    Ok(Verdict::Commit(()))
}

fn write_skew(engine: &dyn Engine) {
    commit(engine, &[(b"1a", b"on"), (b"1b", b"on")]);
    let off = |key: &[u8], other: &[u8]| {
        let mut batch = puts(&[(key, b"off")]);
        batch.expect(other.to_vec(), Some(b"on".to_vec()));
        batch
    };
    assert_eq!(engine.commit(off(b"1a", b"1b")), Ok(()));
    assert_eq!(engine.commit(off(b"1b", b"1a")), Err(CommitError::Conflict));
}
