//! The server's processes, from /proc: memory and CPU time of a whole process tree.
//!
//! Invariant: reads only. A process that ends while it is read counts as nothing.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

/// How the server's processes are found; their descendants always belong to them.
#[derive(Clone, Debug)]
pub(crate) enum Processes {
    /// By id.
    Id(u32),
    /// By files that hold the ids: survives a restart of the server.
    Files(Vec<PathBuf>),
    /// By a substring of the command line (this tool itself left out).
    Pattern(String),
}

/// Memory of all the processes together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// How many processes.
    pub(crate) processes: usize,
    /// Proportional set size: shared pages divided among those that share them.
    pub(crate) pss_kib: u64,
    /// Resident set size: shared pages counted in each process.
    pub(crate) rss_kib: u64,
}

/// What /proc/PID/stat tells of one process.
struct Stat {
    parent: u32,
    ticks: u64,
}

/// Clock ticks per second in /proc: fixed by the Linux ABI.
const TICKS_PER_SECOND: f64 = 100.0;

impl Processes {
    /// The process tree as it is now.
    fn tree(&self) -> HashMap<u32, Stat> {
        let mut all: HashMap<u32, Stat> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid: u32| Some((pid, stat(pid)?)))
            .collect();
        let roots: HashSet<u32> = match self {
            Self::Id(pid) => HashSet::from([*pid]),
            Self::Files(paths) => paths
                .iter()
                .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
                .collect(),
            Self::Pattern(text) => all
                .keys()
                .copied()
                .filter(|pid| *pid != std::process::id() && command_line(*pid).contains(text))
                .collect(),
        };
        let parents: HashMap<u32, u32> = all.iter().map(|(pid, s)| (*pid, s.parent)).collect();
        all.retain(|pid, _| descends(*pid, &roots, &parents));
        all
    }

    /// Memory of the tree.
    pub(crate) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for pid in self.tree().into_keys() {
            let path = format!("/proc/{pid}/smaps_rollup");
            let Ok(text) = std::fs::read_to_string(path) else {
                continue;
            };
            memory.processes += 1;
            memory.pss_kib += field(&text, "Pss:");
            memory.rss_kib += field(&text, "Rss:");
        }
        memory
    }

    /// CPU seconds of the tree, children that have ended included.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.tree().values().map(|s| s.ticks).sum::<u64>() as f64 / TICKS_PER_SECOND
    }
}

/// How far the memory that a process tree has to itself grows.
pub(crate) struct Peak {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

impl Peak {
    /// Looks at the processes that there are now until it is stopped.
    pub(crate) fn start(processes: &Processes) -> Self {
        let pids: Vec<u32> = processes.tree().into_keys().collect();
        let anonymous = move || -> u64 {
            let status = |pid| std::fs::read_to_string(format!("/proc/{pid}/status"));
            let texts = pids.iter().filter_map(|pid| status(pid).ok());
            texts.map(|text| field(&text, "RssAnon:")).sum()
        };
        let before = anonymous();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::task::spawn_blocking(move || {
            let mut most = before;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(anonymous());
                std::thread::sleep(LOOK);
            }
            most.max(anonymous()) - before
        });
        Self { stop, task }
    }

    /// KiB above what there was at the start, at most.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_default()
    }
}

/// True if a process or one of its ancestors is a root.
fn descends(pid: u32, roots: &HashSet<u32>, parents: &HashMap<u32, u32>) -> bool {
    let mut at = pid;
    for _ in 0..64 {
        if roots.contains(&at) {
            return true;
        }
        match parents.get(&at) {
            Some(parent) => at = *parent,
            None => return false,
        }
    }
    false
}

fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// The value of a `Name:   123 kB` line.
fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command name is in parentheses and can hold anything: fields count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text
        .get(text.rfind(')')? + 1..)?
        .split_whitespace()
        .collect();
    // proc(5): ppid is field 4, utime stime cutime cstime are 14 to 17; the first here is field 3.
    let ticks = fields
        .get(11..15)?
        .iter()
        .map(|t| t.parse::<u64>().unwrap_or(0))
        .sum();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_with_a_hostile_name() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 5 6 7 8 20 0 1 0 9 10 11";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 26));
        assert!(parse_stat("42 no parenthesis").is_none());
    }

    #[test]
    fn rollup_fields() {
        let text = "0-1 ---p [rollup]\nRss:     1200 kB\nPss:      340 kB\nPss_Dirty: 9 kB\n";
        assert_eq!(
            (
                field(text, "Rss:"),
                field(text, "Pss:"),
                field(text, "Swap:")
            ),
            (1200, 340, 0)
        );
    }

    #[test]
    fn this_process_is_found_by_id() {
        let memory = Processes::Id(std::process::id()).memory();
        assert!(memory.processes >= 1 && memory.rss_kib > 100);
    }
}
