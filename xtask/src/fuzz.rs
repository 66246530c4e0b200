//! `cargo xtask fuzz [--seconds N] [--target NAME] [--reproduce FILE]`: builds the fuzz targets
//! with libFuzzer and coverage on the stable toolchain, and runs them.
//!
//! Invariant: the corpus grows in the build cache, outside every clone; only a reproducer of a
//! failure is written into the clone, to a folder that git ignores. Refuses to need RocksDB.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::context::{Context, Outcome, output, run};

const PACKAGE: &str = "tern-fuzz";
const FOLDER: &str = "tests/fuzz";
const DEFAULT_SECONDS: u64 = 60;

/// A process that holds more is a failure.
const RSS_LIMIT_MB: u32 = 1_024;
/// An input that takes longer is a failure: a usual one takes well under a millisecond.
const INPUT_TIMEOUT_SECONDS: u32 = 10;
/// Octets of one input.
const MAX_INPUT_OCTETS: u32 = 8_192;

/// What cargo-fuzz 0.13 sets, without a sanitizer: the workspace has no unsafe code of its own.
/// Every flag is stable. Debug assertions bring overflow checks with them.
const COVERAGE: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
];

#[derive(Debug, Default, PartialEq)]
struct Options {
    seconds: Option<u64>,
    target: Option<String>,
    reproduce: Option<PathBuf>,
}

/// Where things of this verb are.
struct Places {
    binary: PathBuf,
    /// Below the build cache: corpora, artifacts and logs.
    work: PathBuf,
    /// The package.
    package: PathBuf,
}

/// One target being run.
struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

/// Builds, then runs every target, or the one that was asked for.
pub(crate) fn run_verb(context: &Context, rest: &[String]) -> Outcome {
    let options = parse(rest)?;
    let package = context.root.join(FOLDER);
    let targets = chosen(&package, options.target.as_deref())?;
    let places = Places {
        binary: build(context)?,
        work: context.cache.join("fuzz"),
        package,
    };
    if let Some(file) = &options.reproduce {
        let [target] = targets.as_slice() else {
            return Err("--reproduce needs --target".to_owned());
        };
        return run(places.command(target).arg(file));
    }
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let rounds: Vec<&[String]> = targets.chunks(jobs).collect();
    let seconds = options.seconds.unwrap_or(DEFAULT_SECONDS) / rounds.len().max(1) as u64;
    let mut failed = Vec::new();
    for round in rounds {
        let started: Outcome<Vec<Running>> = round
            .iter()
            .map(|target| places.start(target, seconds.max(1)))
            .collect();
        for running in started? {
            let name = running.name.clone();
            if !places.finish(running)? {
                failed.push(name);
            }
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        names => Err(format!("found something in {}", names.join(", "))),
    }
}

fn parse(rest: &[String]) -> Outcome<Options> {
    let mut options = Options::default();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        match word.as_str() {
            "--seconds" => {
                let seconds = value
                    .parse()
                    .map_err(|_| format!("{value}: not a number"))?;
                options.seconds = Some(seconds);
            }
            "--target" => options.target = Some(value.clone()),
            "--reproduce" => options.reproduce = Some(PathBuf::from(value)),
            _ => return Err(format!("fuzz does not know {word}")),
        }
    }
    Ok(options)
}

/// The targets: each has a folder of seeds, which a test of the package holds to.
fn chosen(package: &Path, target: Option<&str>) -> Outcome<Vec<String>> {
    let mut names = folders(&package.join("seeds"))?;
    names.sort();
    match target {
        None => Ok(names),
        Some(name) if names.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(format!("no target {name}; there are {}", names.join(", "))),
    }
}

/// Builds with a target folder of its own: other flags would rebuild everything there.
fn build(context: &Context) -> Outcome<PathBuf> {
    let version = output(Command::new("rustc").arg("-vV").current_dir(&context.root))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc -vV names no host")?;
    let folder = context.cache.join("fuzz/target");
    let arguments = ["build", "--release", "--quiet", "--package", PACKAGE];
    let mut cargo = context.cargo(&arguments);
    // With --target the flags reach neither build scripts nor procedural macros.
    cargo
        .args([
            "--features",
            "libfuzzer",
            "--bin",
            PACKAGE,
            "--target",
            host,
        ])
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    run(&mut cargo)?;
    Ok(folder.join(host).join("release").join(PACKAGE))
}

impl Places {
    /// The binary on one target, with its limits.
    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg(format!("-rss_limit_mb={RSS_LIMIT_MB}"))
            .arg(format!("-timeout={INPUT_TIMEOUT_SECONDS}"))
            .arg(format!("-max_len={MAX_INPUT_OCTETS}"))
            .env("TERN_FUZZ_TARGET", target)
            .env("RUST_BACKTRACE", "1");
        command
    }

    fn artifacts(&self, target: &str) -> PathBuf {
        self.work.join("artifacts").join(target)
    }

    fn start(&self, target: &str, seconds: u64) -> Outcome<Running> {
        let corpus = self.work.join("corpus").join(target);
        let artifacts = self.artifacts(target);
        // What an earlier run found is in the clone; here it would be found again.
        let _ = fs::remove_dir_all(&artifacts);
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
        }
        let log = self.work.join(format!("{target}.log"));
        let file = File::create(&log).map_err(|error| told(&log, &error))?;
        let mut command = self.command(target);
        command
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-print_final_stats=1", "-use_value_profile=0"]);
        let dictionary = self.package.join(format!("dictionaries/{target}.dict"));
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command
            .args([corpus, self.package.join("seeds").join(target)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let child = command
            .spawn()
            .map_err(|error| told(&self.binary, &error))?;
        let name = target.to_owned();
        Ok(Running { name, child, log })
    }

    /// Waits, prints the summary, keeps reproducers; whether the target held.
    fn finish(&self, mut running: Running) -> Outcome<bool> {
        let name = &running.name;
        let status = running.child.wait().map_err(|error| error.to_string())?;
        let log = fs::read(&running.log).map_err(|error| told(&running.log, &error))?;
        let log = String::from_utf8_lossy(&log);
        let summary = Summary::read(&log);
        println!("fuzz {name:<13} {}", summary.line());
        if status.success() {
            return Ok(true);
        }
        println!("fuzz {name} FAILED ({status}):\n{}", essence(&log));
        let crashes = self.package.join("crashes");
        fs::create_dir_all(&crashes).map_err(|error| told(&crashes, &error))?;
        for file in files(&self.artifacts(name))? {
            let shown = file.file_name().unwrap_or_default().to_string_lossy();
            if shown.starts_with("slow-unit-") {
                continue;
            }
            let kept = format!("{name}-{shown}");
            fs::copy(&file, crashes.join(&kept)).map_err(|error| told(&file, &error))?;
            let path = format!("{FOLDER}/crashes/{kept}");
            println!("  cargo xtask fuzz --target {name} --reproduce {path}");
        }
        Ok(false)
    }
}

/// What libFuzzer said in the end.
#[derive(Debug, Default, PartialEq)]
struct Summary {
    runs: String,
    coverage: String,
    corpus: String,
    new: String,
    rate: String,
    memory_mb: String,
}

impl Summary {
    fn read(log: &str) -> Self {
        let mut summary = Self::default();
        for line in log.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |name: &str| {
                let at = words.iter().position(|word| *word == name)?;
                words.get(at + 1).map(|word| (*word).to_owned())
            };
            if line.starts_with('#') && after("cov:").is_some() {
                summary.runs = words[0].trim_start_matches('#').to_owned();
                summary.coverage = after("cov:").unwrap_or_default();
                summary.corpus = after("corp:").unwrap_or_default();
            }
            let stat = |name: &str| after(&format!("stat::{name}:"));
            for (place, name) in [
                (&mut summary.runs, "number_of_executed_units"),
                (&mut summary.rate, "average_exec_per_sec"),
                (&mut summary.new, "new_units_added"),
                (&mut summary.memory_mb, "peak_rss_mb"),
            ] {
                if let Some(value) = stat(name) {
                    *place = value;
                }
            }
        }
        summary
    }

    fn line(&self) -> String {
        let Self {
            runs,
            coverage,
            corpus,
            new,
            rate,
            memory_mb,
        } = self;
        format!(
            "runs {runs}, coverage {coverage}, corpus {corpus}, new {new}, {rate}/s, {memory_mb} MB"
        )
    }
}

/// The part of a log that says what was found.
fn essence(log: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<&str> = log.lines().collect();
    let begins = |line: &&str| line.contains("panicked at") || line.contains("ERROR: libFuzzer");
    let first = lines.iter().position(begins);
    let first = first.unwrap_or(lines.len().saturating_sub(LINES));
    let shown = lines.iter().skip(first).take(LINES);
    shown.map(|line| format!("  {line}\n")).collect()
}

fn folders(of: &Path) -> Outcome<Vec<String>> {
    let all = entries(of)?.into_iter().filter(|path| path.is_dir());
    let name = |path: PathBuf| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    Ok(all.filter_map(name).collect())
}

fn files(of: &Path) -> Outcome<Vec<PathBuf>> {
    let all = entries(of)?.into_iter();
    Ok(all.filter(|path| path.is_file()).collect())
}

fn entries(of: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(of).map_err(|error| told(of, &error))?;
    let path = |entry: std::io::Result<fs::DirEntry>| entry.map(|entry| entry.path());
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(path).collect();
    paths.map_err(|error| told(of, &error))
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_refused() {
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        let read = parse(&words("--target rows --seconds 5 --reproduce a"));
        let expected = Options {
            seconds: Some(5),
            target: Some("rows".to_owned()),
            reproduce: Some(PathBuf::from("a")),
        };
        assert_eq!(read, Ok(expected));
        assert_eq!(parse(&[]), Ok(Options::default()));
        for bad in ["--seconds", "--seconds x", "--frob 1", "rows"] {
            assert!(parse(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_summary_is_what_the_engine_said_last() {
        let log = "INFO: seed corpus: files: 3\n#3\tINITED cov: 10 ft: 11 corp: 3/9b exec/s: 0\n\
                   #900\tDONE   cov: 25 ft: 31 corp: 7/90b lim: 40 exec/s: 300 rss: 30Mb\n\
                   stat::number_of_executed_units: 900\nstat::average_exec_per_sec:     300\n\
                   stat::new_units_added:          4\nstat::peak_rss_mb:              31\n";
        let line = "runs 900, coverage 25, corpus 7/90b, new 4, 300/s, 31 MB";
        assert_eq!(Summary::read(log).line(), line);
        assert_eq!(Summary::read(""), Summary::default());
    }

    #[test]
    fn the_essence_begins_where_it_failed() {
        let log = "#1 noise\nthread 'x' panicked at a.rs:1\nwhy\n==1== ERROR: libFuzzer: deadly\n";
        assert!(essence(log).starts_with("  thread 'x' panicked at a.rs:1\n  why\n"));
        assert_eq!(essence(""), "");
    }
}
