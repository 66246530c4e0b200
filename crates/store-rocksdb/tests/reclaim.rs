//! Content stays where it was written first, until enough of all content is garbage; then the room is
//! given back, and what was kept is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tern_base::BlobId;
use tern_store::{Batch, Engine};
use tern_store_rocksdb::{Reclaimed, RocksEngine, Settings};

/// Octets that do not compress, different for each seed.
fn octets(seed: u64, count: u64) -> Vec<u8> {
    let words = (0..count / 8).map(|word| {
        let mixed = (seed << 32 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    });
    words.flat_map(u64::to_le_bytes).collect()
}

/// Ids in no order, as the ones of messages are.
fn blob(n: u64) -> BlobId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    BlobId(id)
}

fn put(engine: &RocksEngine, n: u64, piece: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put_blob_piece(blob(n), 0, piece);
    engine.commit(batch).expect("commit");
}

fn blob_files(store: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(store.join("db")).expect("the database");
    let names = entries.flatten().map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    names.filter(|name| name.ends_with(".blob")).collect()
}

#[test]
fn content_that_is_kept_is_written_once_however_the_store_grows() {
    let root = tempfile::tempdir().expect("tempdir");
    let path = root.path().join("store");
    let settings = Settings {
        write_buffer_bytes: 2 << 20,
        max_wal_bytes: 4 << 20,
        ..Settings::default()
    };
    let engine = RocksEngine::open(&path, &settings).expect("open");
    let (piece, mut seen) = (octets(1, 8 << 10), BTreeSet::new());
    for n in 0..4_000 {
        put(&engine, n, piece.clone());
        if n % 500 == 0 {
            engine.flush().expect("flush");
            seen.extend(blob_files(&path));
        }
    }
    // Each flush leaves a file, and the compactions of four and more of them have moved nothing.
    assert!(seen.len() > 20, "{}", seen.len());
    let now = blob_files(&path);
    assert!(seen.is_subset(&now), "{seen:?} {now:?}");
}

#[test]
fn the_room_of_what_was_deleted_is_given_back_once_it_is_worth_it() {
    const PIECES: u64 = 2_000;
    let root = tempfile::tempdir().expect("tempdir");
    let engine = RocksEngine::open(&root.path().join("store"), &Settings::default()).expect("open");
    let piece = octets(1, 200 << 10);
    for n in 0..PIECES {
        put(&engine, n, piece.clone());
    }
    engine.flush().expect("flush");
    let full = engine.statistics().blob_bytes;
    assert!(full > PIECES * (200 << 10), "{full}");
    assert_eq!(engine.reclaim(|| true), Ok(Reclaimed::Nothing));

    // Too little to be worth it,
    let delete = |among: std::ops::Range<u64>| {
        for n in among.filter(|n| n % 5 != 0) {
            let mut batch = Batch::new();
            batch.delete_blob(blob(n), 1);
            engine.commit(batch).expect("commit");
        }
    };
    delete(0..PIECES / 5);
    assert_eq!(engine.reclaim(|| true), Ok(Reclaimed::Nothing));
    assert_eq!(engine.statistics().blob_bytes, full);
    // and enough, all over the files.
    delete(PIECES / 5..PIECES);
    assert_eq!(engine.reclaim(|| false), Ok(Reclaimed::Stopped));
    assert_eq!(engine.statistics().blob_bytes, full, "nothing was begun");
    let mut passes = 0;
    while let Reclaimed::Some(_) = engine.reclaim(|| true).expect("reclaim") {
        passes += 1;
        assert!(passes < 20, "{:?}", engine.statistics());
    }
    let rest = engine.statistics();
    assert!(passes > 1, "a part at a time");
    assert!(rest.blob_bytes < full / 2, "{rest:?}");
    for n in 0..PIECES {
        let found = engine.blob_piece(blob(n), 0).expect("read");
        assert!(found == (n % 5 == 0).then(|| piece.clone()), "{n}");
    }
}
