//! How many synced commits a second this disk and this engine give: the ceiling that delivery is
//! measured against.
//!
//! `cargo run --release -p tern-store-rocksdb --example ceiling [-- directory [seconds]]`
//!
//! A table on stdout: commits a second by workload and number of threads, with the median and the
//! 99th percentile of one commit's latency in microseconds. The directory should be on the disk
//! that the server will use; it must not exist and is left behind.

#[path = "support/workload.rs"]
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use tern_store_rocksdb::{RocksEngine, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let kept = arguments.next().map(PathBuf::from);
    let seconds = arguments.next().map_or(Ok(3.0), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let directory = kept.unwrap_or_else(|| temporary.path().join("ceiling"));
    let engine = RocksEngine::open(&directory, &Settings::default())?;
    workload::table(&engine, Duration::from_secs_f64(seconds));
    println!("\n{:#?}", engine.statistics());
    engine.close()?;
    Ok(())
}
