//! How much is written to the disk for each octet of content as a store grows.
//!
//! `cargo run --release -p tern-store-rocksdb --example growth [-- directory [gibibytes]]`
//!
//! A line for each half gibibyte of content: what the process has written for it (the kernel's
//! count, `/proc/self/io`), how many times the content that is, and the size of the store. Twice is
//! the log and the blob file. Content that compactions move again and again shows as more and more.

use std::fs;
use std::path::{Path, PathBuf};

use tern_base::BlobId;
use tern_store::{Batch, Engine};
use tern_store_rocksdb::{RocksEngine, Settings};

/// Octets of a piece: a letter with a small picture.
const PIECE: usize = 16 << 10;
const STEP: u64 = 512 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let kept = arguments.next().map(PathBuf::from);
    let gibibytes: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let directory = kept.unwrap_or_else(|| temporary.path().join("growth"));
    let engine = RocksEngine::open(&directory, &Settings::default())?;
    let mut random = Random(1);
    println!("content MiB | written MiB | times | store MiB");
    for step in 1..=gibibytes * 2 {
        let before = written()?;
        for _ in 0..STEP / (PIECE as u64 * 16) {
            let mut batch = Batch::new();
            for _ in 0..16 {
                batch.put_blob_piece(BlobId(random.id()), 0, random.piece());
            }
            engine.commit(batch)?;
        }
        let now = written()? - before;
        println!(
            "{} | {} | {:.1} | {}",
            (step * STEP) >> 20,
            now >> 20,
            now as f64 / STEP as f64,
            size(&directory)? >> 20
        );
    }
    engine.close()?;
    Ok(())
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn id(&mut self) -> [u8; 32] {
        let mut id = [0; 32];
        id.chunks_exact_mut(8)
            .for_each(|word| word.copy_from_slice(&self.next().to_le_bytes()));
        id
    }

    /// Octets that do not compress, as most attachments.
    fn piece(&mut self) -> Vec<u8> {
        (0..PIECE / 8)
            .flat_map(|_| self.next().to_le_bytes())
            .collect()
    }
}

fn written() -> std::io::Result<u64> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn size(directory: &Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let of = entry.metadata()?;
        total += if of.is_dir() {
            size(&entry.path())?
        } else {
            of.len()
        };
    }
    Ok(total)
}
