//! What was deleted is in no file of the store once it is compacted: no octet run of it, in table
//! files, blob files or logs. What was kept is found in the same files by the same search.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tern_base::BlobId;
use tern_store::{Batch, Engine, Read, limits};
use tern_store_rocksdb::{RocksEngine, Settings};

/// Octets that no compression makes shorter, so that a file that holds them shows them.
fn octets(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Octets that are looked for at once.
const RUN: usize = 16;

/// The runs of some octets that files below a directory have.
fn found(directory: &Path, runs: &BTreeSet<&[u8]>) -> usize {
    let mut found = BTreeSet::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            // Unlinked meanwhile, perhaps.
            let file = fs::read(path).unwrap_or_default();
            let windows = file.windows(RUN).filter_map(|window| runs.get(window));
            found.extend(windows.copied());
        }
    }
    found.len()
}

fn put(engine: &RocksEngine, n: u8, value: &[u8], content: &[u8]) {
    let mut batch = Batch::new();
    batch.put(vec![1, n], value.to_vec());
    engine.commit(batch).expect("commit");
    for (number, piece) in (0..).zip(content.chunks(limits::BLOB_PIECE)) {
        engine
            .stage_blob_piece(BlobId([n; 32]), number, piece)
            .expect("stage");
    }
}

#[test]
fn what_was_deleted_is_in_no_file_once_the_store_is_compacted() {
    let root = tempfile::tempdir().expect("tempdir");
    let path = root.path().join("store");
    let engine = RocksEngine::open(&path, &Settings::default()).expect("open");
    let (value, content) = (octets(1, 3_000), octets(2, 300_000));
    let (kept_value, kept_content) = (octets(3, 3_000), octets(4, 300_000));
    let runs = [&value, &content].map(|octets| octets.chunks_exact(RUN).collect());
    let kept_runs = [&kept_value, &kept_content].map(|octets| octets.chunks_exact(RUN).collect());
    put(&engine, 7, &value, &content);
    put(&engine, 8, &kept_value, &kept_content);
    let most = |runs: &BTreeSet<&[u8]>| runs.len() * 9 / 10;
    for all in &runs {
        assert!(found(&path, all) > most(all), "in the log");
    }
    // At the bottom of the store already, where ordinary compactions leave things alone.
    engine.compact().expect("compact");
    for all in &runs {
        assert!(found(&path, all) > most(all), "in the files");
    }
    let mut batch = Batch::new();
    batch.delete(vec![1, 7]);
    batch.delete_blob(
        BlobId([7; 32]),
        content.len().div_ceil(limits::BLOB_PIECE) as u32,
    );
    engine.commit(batch).expect("commit");
    engine.flush().expect("flush");
    assert!(found(&path, &runs[1]) > 0, "a marker is not enough");
    engine.compact().expect("compact");
    // Files are unlinked in the background; what was left of that is done at the next start.
    engine.close().expect("close");
    let engine = RocksEngine::open(&path, &Settings::default()).expect("open");
    assert_eq!(
        engine
            .blob_piece(BlobId([8; 32]), 0)
            .unwrap()
            .map(|piece| piece.len()),
        Some(limits::BLOB_PIECE)
    );
    assert_eq!(engine.get(&[1, 8]), Ok(Some(kept_value.clone())));
    engine.close().expect("close");
    for (all, kept) in runs.iter().zip(&kept_runs) {
        assert_eq!(found(&path, all), 0);
        assert!(found(&path, kept) > most(kept));
    }
}
