//! Upload and download of a large blob, and how far the server's memory grows meanwhile.
//!
//! Invariant: no two blobs are alike; memory is what the server's processes have to themselves
//! (anonymous pages), looked at every few milliseconds, against what it was before the transfer.

use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::Value;

use super::HttpTarget;
use super::client::{Client, require};
use crate::deliver::unique_run;
use crate::error::{Error, Result};
use crate::measure::{Bench, Row};
use crate::message::Random;
use crate::process::Peak;

/// Uploads and downloads `repeat` blobs of `size` octets, after one that is not measured.
pub(super) async fn transfer(
    bench: &Bench,
    target: &HttpTarget,
    account: usize,
    size: usize,
    repeat: usize,
) -> Result<Vec<Row>> {
    let mut client = Client::open(target, account).await?;
    let mut random = Random::new(unique_run());
    let mut blob = upload(&mut client, octets(&mut random, size)).await?.1;
    download(&mut client, &blob, size).await?;
    let mut rows = Vec::new();
    for up in [true, false] {
        let meter = bench.meter();
        let (mut times, mut growth) = (Vec::with_capacity(repeat), 0);
        for _ in 0..repeat {
            let content = if up {
                octets(&mut random, size)
            } else {
                Bytes::new()
            };
            let peak = bench.processes.as_ref().map(Peak::start);
            if up {
                let (took, id) = upload(&mut client, content).await?;
                times.push(took);
                blob = id;
            } else {
                times.push(download(&mut client, &blob, size).await?);
            }
            if let Some(peak) = peak {
                growth = growth.max(peak.stop().await);
            }
        }
        let seconds = times.iter().sum::<Duration>().as_secs_f64();
        let mib = size >> 20;
        let what = if up { "upload" } else { "download" };
        let mut row = Row::new(format!("{what} of {mib} MiB"));
        row.set("megabytes_per_s", (size * repeat) as f64 / 1e6 / seconds);
        if bench.processes.is_some() {
            row.set("memory_growth_mib", growth as f64 / 1024.0);
        }
        row.set_latencies(what, times);
        meter.stop(&mut row);
        rows.push(row);
    }
    Ok(rows)
}

/// What no server can compress.
fn octets(random: &mut Random, size: usize) -> Bytes {
    let words = (0..size.div_ceil(8)).flat_map(|_| random.next().to_le_bytes());
    let mut octets: Vec<u8> = words.collect();
    octets.truncate(size);
    Bytes::from(octets)
}

async fn upload(client: &mut Client, content: Bytes) -> Result<(Duration, String)> {
    let path = client.session.upload();
    let start = Instant::now();
    let kind = "application/octet-stream";
    let answer = client.http.post("upload", &path, kind, content).await?;
    let took = start.elapsed();
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let blob = answer.get("blobId").and_then(Value::as_str);
    let blob = blob.ok_or_else(|| Error::Usage("an upload was given no id".into()))?;
    Ok((took, blob.to_owned()))
}

async fn download(client: &mut Client, blob: &str, size: usize) -> Result<Duration> {
    let path = client.session.download(blob);
    let start = Instant::now();
    let came = client.http.drain("download", &path).await?;
    let took = start.elapsed();
    require("octets", usize::try_from(came).unwrap_or(usize::MAX), size)?;
    Ok(took)
}
