//! The clock, the generator's own CPU time, percentiles, and the JSON report that rows go into.
//!
//! Invariant: every row carries the generator's share of the machine, so that a reader sees whether
//! the tool or the server was the limit. Refuses to overwrite a report of another target.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};
use crate::process::Processes;

/// One measurement. A metric's name ends in its unit; `_per_s` means more is better, else less is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured, the same for every target.
    pub(crate) name: String,
    /// The figures.
    pub(crate) metrics: BTreeMap<String, f64>,
}

impl Row {
    /// An empty row.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            metrics: BTreeMap::new(),
        }
    }
    /// Adds a figure.
    pub(crate) fn set(&mut self, metric: &str, value: f64) {
        self.metrics.insert(metric.to_owned(), value);
    }
    /// Adds p50, p99 and the maximum in milliseconds.
    pub(crate) fn set_latencies(&mut self, name: &str, mut sample: Vec<Duration>) {
        sample.sort_unstable();
        for (label, share) in [("p50", 0.50), ("p99", 0.99), ("max", 1.0)] {
            if let Some(value) = percentile(&sample, share) {
                self.set(&format!("{name}_{label}_ms"), value.as_secs_f64() * 1e3);
            }
        }
    }
}

/// The value below which `share` of a sorted sample lies (nearest rank).
pub(crate) fn percentile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// All the rows of one target, as stored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Whose figures these are.
    pub(crate) target: String,
    /// The cores that server and generator shared.
    pub(crate) cores: usize,
    /// In the order in which they were measured; a name can occur again.
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Reads a report; a missing file is an error.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).step("read the report")?;
        serde_json::from_slice(&text)
            .map_err(|e| Error::Usage(format!("{} is not a report: {e}", path.display())))
    }

    /// Adds a row to the file, creating it if need be.
    pub(crate) fn append(path: &Path, target: &str, row: &Row) -> Result<()> {
        let mut report = if path.exists() {
            Self::read(path)?
        } else {
            Self::default()
        };
        if report.rows.is_empty() {
            report.target = target.to_owned();
            report.cores = cores();
        } else if report.target != target {
            return Err(Error::Usage(format!(
                "{} holds figures of {}, not of {target}",
                path.display(),
                report.target
            )));
        }
        report.rows.push(row.clone());
        let text = serde_json::to_vec_pretty(&report)
            .map_err(|e| Error::Usage(format!("the report cannot be written: {e}")))?;
        std::fs::write(path, text).step("write the report")
    }
}

/// The cores of this machine.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// This process's CPU time so far, user and system.
fn own_cpu() -> Duration {
    getrusage(UsageWho::RUSAGE_SELF).map_or(Duration::ZERO, |usage| {
        [usage.user_time(), usage.system_time()]
            .iter()
            .map(|t| {
                Duration::from_secs(t.tv_sec().unsigned_abs())
                    + Duration::from_micros(t.tv_usec().unsigned_abs())
            })
            .sum()
    })
}

/// Where rows go, and what every measurement may use.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    /// Whose figures these are.
    pub(crate) target: String,
    /// The report file, if any.
    pub(crate) json: Option<std::path::PathBuf>,
    /// The server's processes, if they are known.
    pub(crate) processes: Option<Processes>,
    /// No measurement takes longer.
    pub(crate) max_seconds: u64,
}

impl Bench {
    /// Runs a measurement within the bound on time.
    pub(crate) async fn bounded<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(Duration::from_secs(self.max_seconds), work).await {
            Ok(done) => done,
            Err(_) => Err(Error::Late {
                step: name.to_owned(),
                seconds: self.max_seconds,
            }),
        }
    }

    /// Prints a row and appends it to the report.
    pub(crate) fn record(&self, row: &Row) -> Result<()> {
        let mut line = format!("{:<44}", row.name);
        for (metric, value) in &row.metrics {
            line.push_str(&format!(" {metric}={}", short(*value)));
        }
        println!("{line}");
        self.json
            .as_deref()
            .map_or(Ok(()), |path| Report::append(path, &self.target, row))
    }

    /// Starts the clock.
    pub(crate) fn meter(&self) -> Meter {
        let server = self.processes.as_ref().map(Processes::cpu_seconds);
        Meter {
            processes: self.processes.clone(),
            server,
            cpu: own_cpu(),
            wall: Instant::now(),
        }
    }
}

/// A running measurement.
#[derive(Debug)]
pub(crate) struct Meter {
    processes: Option<Processes>,
    server: Option<f64>,
    cpu: Duration,
    wall: Instant,
}

impl Meter {
    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }
    /// Stops the clock: wall time, the generator's CPU and its share of all cores, the server's CPU.
    pub(crate) fn stop(self, row: &mut Row) -> f64 {
        let wall = self.seconds();
        let cpu = own_cpu().saturating_sub(self.cpu).as_secs_f64();
        row.set("wall_s", wall);
        row.set("generator_cpu_s", cpu);
        row.set(
            "generator_share_percent",
            100.0 * cpu / wall / cores() as f64,
        );
        if let (Some(processes), Some(before)) = (&self.processes, self.server) {
            row.set("server_cpu_s", (processes.cpu_seconds() - before).max(0.0));
        }
        wall
    }
}

/// Three significant digits at least, no needless decimals.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1_000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let sample: Vec<u32> = (1..=100).collect();
        for (share, value) in [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)] {
            assert_eq!(percentile(&sample, share), Some(value));
        }
        assert_eq!(percentile(&[7], 0.5), Some(7));
        assert_eq!(percentile::<u32>(&[], 0.5), None);
    }

    #[test]
    fn a_report_grows_and_keeps_to_one_target() {
        let path = std::env::temp_dir().join(format!("bench-report-{}.json", std::process::id()));
        let mut row = Row::new("append");
        row.set("messages_per_s", 12.0);
        Report::append(&path, "ours", &row).unwrap();
        Report::append(&path, "ours", &row).unwrap();
        assert!(Report::append(&path, "peer", &row).is_err());
        let report = Report::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((report.rows.len(), report.target.as_str()), (2, "ours"));
        assert_eq!(report.rows[1], row);
    }
}
