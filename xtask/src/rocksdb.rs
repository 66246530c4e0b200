//! The RocksDB static library, compiled once for a machine (about 19 CPU-minutes) and shared by
//! every clone, profile and target folder. The cache folder's name holds everything that
//! changes the library's code: version, architecture, target CPU, features, C++ flags. A
//! library appears under its final name only when complete, so a run that was killed leaves
//! nothing that a later run would trust.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::context::{Context, Outcome, run, var};

const LIBRARY: &str = "librocksdb.a";

/// Makes sure that the library exists and tells `context` where. A `ROCKSDB_LIB_DIR` of the
/// user's own is left alone.
pub(crate) fn ensure(context: &mut Context) -> Outcome {
    if var("ROCKSDB_LIB_DIR").is_some() {
        return Ok(());
    }
    let Some(name) = cache_name(&context.root)? else {
        return Ok(());
    };
    let home = context.cache.join(name);
    if !home.join(LIBRARY).is_file() {
        build(context, &home)?;
    }
    context.rocksdb = Some(home);
    Ok(())
}

fn build(context: &Context, home: &Path) -> Outcome {
    let cache = &context.cache;
    fs::create_dir_all(cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let lock_path = cache.join("rocksdb.lock");
    let lock = File::create(&lock_path).and_then(|file| file.lock().map(|()| file));
    let lock = lock.map_err(|error| format!("{}: {error}", lock_path.display()))?;
    if home.join(LIBRARY).is_file() {
        return Ok(()); // another run built it while this one waited
    }
    eprintln!(
        "RocksDB is compiled once for this machine: about 10 minutes on 2 cores, then never again."
    );
    let work = cache.join("rocksdb-build");
    let mut cargo = context.cargo(&["build", "--release", "--package", "librocksdb-sys"]);
    run(cargo
        .arg("--target-dir")
        .arg(&work)
        .env_remove("CARGO_BUILD_TARGET"))?;
    let built = find_built(&work.join("release/build"))
        .ok_or_else(|| format!("no {LIBRARY} under {}", work.display()))?;
    install(&built, home)?;
    // Hundreds of megabytes of objects that nothing reads again.
    let _ = fs::remove_dir_all(&work);
    drop(lock);
    Ok(())
}

/// Copies under a temporary name in the same folder and renames: readers see a whole library or
/// none.
fn install(built: &Path, home: &Path) -> Outcome {
    let partial = home.join(format!("{LIBRARY}.partial"));
    fs::create_dir_all(home)
        .and_then(|()| fs::copy(built, &partial))
        .and_then(|_| File::open(&partial)?.sync_all())
        .and_then(|()| fs::rename(&partial, home.join(LIBRARY)))
        .map_err(|error| format!("{}: {error}", home.display()))
}

/// The newest library that cargo left in its build-script folders.
fn find_built(build_dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(build_dir).ok()?;
    let candidates = entries
        .flatten()
        .map(|entry| entry.path().join("out").join(LIBRARY));
    candidates
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
}

/// The cache folder's name, or none where the workspace does not use RocksDB.
fn cache_name(root: &Path) -> Outcome<Option<String>> {
    let lock = read(&root.join("Cargo.lock"))?;
    let Some(version) = locked_version(&lock, "librocksdb-sys") else {
        return Ok(None);
    };
    let manifest = read(&root.join("Cargo.toml"))?;
    let features = manifest
        .lines()
        .find(|line| line.starts_with("rocksdb ="))
        .unwrap_or_default();
    let config = fs::read_to_string(root.join(".cargo/config.toml")).unwrap_or_default();
    let cpu = flags_target_cpu()
        .or_else(|| config_target_cpu(&config))
        .unwrap_or_default();
    let setting = |name| var(name).map(|value| value.to_string_lossy().into_owned());
    let cxx_flags = setting("CXXFLAGS").unwrap_or_default();
    let cxx_standard = setting("ROCKSDB_CXX_STD").unwrap_or_default();
    let parts = [
        env::consts::ARCH,
        env::consts::OS,
        &cpu,
        features,
        &cxx_flags,
        &cxx_standard,
    ];
    Ok(Some(format!(
        "rocksdb-{version}-{:016x}",
        fnv1a(&parts.join("\n"))
    )))
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

/// Cargo's own order: the environment replaces the configuration file.
fn flags_target_cpu() -> Option<String> {
    let flags = var("CARGO_ENCODED_RUSTFLAGS").or_else(|| var("RUSTFLAGS"))?;
    Some(after_target_cpu(&flags.to_string_lossy()).unwrap_or_default())
}

fn config_target_cpu(config: &str) -> Option<String> {
    let section = format!("[target.{}-unknown-linux-gnu]", env::consts::ARCH);
    let (_, rest) = config.split_once(&section)?;
    rest.lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .find_map(after_target_cpu)
}

fn after_target_cpu(flags: &str) -> Option<String> {
    let (_, rest) = flags.split_once("target-cpu=")?;
    Some(
        rest.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
            .collect(),
    )
}

/// FNV-1a, 64 bits: a stable name, not a defence.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_comes_from_the_lock_file() {
        let lock = "[[package]]\nname = \"libc\"\nversion = \"0.2\"\n\n[[package]]\nname = \"librocksdb-sys\"\nversion = \"0.19.0+11.8.1\"\n";
        assert_eq!(
            locked_version(lock, "librocksdb-sys"),
            Some("0.19.0+11.8.1")
        );
        assert_eq!(locked_version(lock, "rocksdb"), None);
    }

    #[test]
    fn the_target_cpu_is_read_from_flags() {
        let cases = [
            ("-C target-cpu=x86-64-v2", Some("x86-64-v2")),
            ("-Ctarget-cpu=native\u{1f}-g", Some("native")),
            (
                "rustflags = [\"-C\", \"target-cpu=x86-64-v3\"]",
                Some("x86-64-v3"),
            ),
            ("-C opt-level=3", None),
        ];
        for (flags, cpu) in cases {
            assert_eq!(after_target_cpu(flags).as_deref(), cpu, "{flags}");
        }
    }

    #[test]
    fn different_flags_give_different_names() {
        assert_ne!(fnv1a("x86-64-v2"), fnv1a("x86-64-v3"));
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
    }
}
