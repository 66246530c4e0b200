//! Where things are (clone, build cache, target folder) and how a command is run. Every cargo
//! call of the other files goes through [`Context::cargo`], so all of them see the same RocksDB
//! library, target folder and flags. Nothing here is cached: a `Context` is what the
//! environment said when xtask started.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a verb returns: the error is one message for the person who ran it.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The places and settings that every verb shares.
pub(crate) struct Context {
    /// The root of this clone.
    pub(crate) root: PathBuf,
    /// The build cache of this machine, outside every clone.
    pub(crate) cache: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// The folder of the prebuilt `librocksdb.a`, once [`crate::rocksdb::ensure`] has run.
    pub(crate) rocksdb: Option<PathBuf>,
}

impl Context {
    /// Reads the environment; creates nothing.
    pub(crate) fn from_env() -> Outcome<Self> {
        let root = find_root()?;
        let cache = find_cache()?;
        let target = match var("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => cache.join("target"),
        };
        Ok(Self {
            root,
            cache,
            target,
            rocksdb: None,
        })
    }

    /// A cargo command at the root of the clone. `ignore_rust_version` because mail-parser
    /// 1.0.1 declares a newer Rust than it needs; our own minimum is checked by `setup`.
    pub(crate) fn cargo(&self, verb: &[&str]) -> Command {
        let mut command = self.cargo_raw(verb);
        command.arg("--ignore-rust-version");
        command
    }

    /// The same for the cargo verbs that do not resolve or build (fmt, metadata).
    pub(crate) fn cargo_raw(&self, verb: &[&str]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command
            .args(verb)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        if let Some(dir) = &self.rocksdb {
            command
                .env("ROCKSDB_LIB_DIR", dir)
                .env("ROCKSDB_STATIC", "1");
        }
        command
    }
}

/// An environment variable that is set and not empty.
pub(crate) fn var(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Prints the command and runs it with our output; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let shown = show(command);
    eprintln!("  $ {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed ({status})")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

/// Becomes the command, so that signals and the exit status are its own; returns only if it
/// could not be started.
pub(crate) fn replace(command: &mut Command) -> Outcome {
    let shown = show(command);
    eprintln!("  $ {shown}");
    let error = command.exec();
    Err(format!("`{shown}` could not be started: {error}"))
}

/// Runs a command quietly and returns what it printed to standard output.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{shown}` could not be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`{shown}` failed ({}): {complaint}", output.status))
}

/// Whether a command exists and succeeds, with its output thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The full path of a program on PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn find_root() -> Outcome<PathBuf> {
    // cargo sets it at run time to this clone's xtask, also when several clones share a
    // target folder.
    if let Some(dir) = var("CARGO_MANIFEST_DIR").map(PathBuf::from)
        && let Some(parent) = dir.parent()
        && parent.join("xtask/Cargo.toml").is_file()
    {
        return Ok(parent.to_owned());
    }
    let here = env::current_dir().map_err(|error| format!("no current folder: {error}"))?;
    here.ancestors()
        .find(|dir| dir.join("xtask/Cargo.toml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| "run `cargo xtask` inside a clone of the repository".to_owned())
}

fn find_cache() -> Outcome<PathBuf> {
    if let Some(dir) = var("TERN_BUILD_CACHE") {
        let dir = PathBuf::from(dir);
        return match dir.is_absolute() {
            true => Ok(dir),
            false => Err("TERN_BUILD_CACHE must be an absolute path".to_owned()),
        };
    }
    if let Some(dir) = var("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
    {
        return Ok(dir.join("tern-build"));
    }
    match var("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".cache/tern-build")),
        None => Err("set HOME, XDG_CACHE_HOME or TERN_BUILD_CACHE".to_owned()),
    }
}
