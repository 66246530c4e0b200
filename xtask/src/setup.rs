//! `cargo xtask setup`: what the build needs and cargo does not bring. Installs Debian packages
//! only where it may do so without asking for a password; elsewhere it prints the one command
//! and stops.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::{Context, Outcome, find_program, output, run, succeeds};
use crate::rocksdb;

/// Compiler, libclang, toolchain, then the RocksDB library.
pub(crate) fn run_verb(context: &mut Context) -> Outcome {
    check_toolchain(context)?;
    let mut missing = Vec::new();
    if find_program("c++").is_none()
        && find_program("g++").is_none()
        && find_program("clang++").is_none()
    {
        missing.push("g++");
    }
    if !has_libclang() {
        missing.push("libclang-dev");
    }
    install(&missing)?;
    rocksdb::ensure(context)
}

/// Installs Debian packages, or says which one command would.
pub(crate) fn install(packages: &[&str]) -> Outcome {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let advice = format!(
        "missing on this machine: {list}\n  On Debian or Ubuntu run:  sudo apt-get update && sudo apt-get install --yes {list}"
    );
    if find_program("apt-get").is_none() {
        return Err(advice);
    }
    let prefix: &[&str] = if output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        &["env"]
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n", "env"]
    } else {
        return Err(advice);
    };
    let apt = |words: &[&str]| {
        let mut command = Command::new(prefix[0]); // both prefixes above have a first word
        command
            .args(&prefix[1..])
            .arg("DEBIAN_FRONTEND=noninteractive")
            .arg("apt-get")
            .args(words);
        run(&mut command)
    };
    // A fresh machine has no package lists; a failed update may still leave usable ones.
    let _ = apt(&["update", "--quiet=2"]);
    let mut words = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    words.extend(packages);
    apt(&words).map_err(|error| format!("{error}\n{advice}"))
}

/// `--ignore-rust-version` silences cargo's own check, so ours must say it plainly.
fn check_toolchain(context: &Context) -> Outcome {
    let manifest = fs::read_to_string(context.root.join("Cargo.toml")).unwrap_or_default();
    let wanted = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let wanted = wanted.unwrap_or_default().trim_matches('"');
    let banner = output(
        Command::new("rustc")
            .arg("--version")
            .current_dir(&context.root),
    )?;
    let found = banner.split_whitespace().nth(1).unwrap_or_default();
    if version(found) < version(wanted) {
        return Err(format!(
            "Rust {found} is older than {wanted}, which this workspace needs: rustup update stable"
        ));
    }
    Ok(())
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Looks where bindgen's loader looks: LIBCLANG_PATH, then the distributions' library folders.
fn has_libclang() -> bool {
    if let Some(path) = env::var_os("LIBCLANG_PATH").map(PathBuf::from) {
        return path.is_file() || holds_libclang(&path);
    }
    let llvm = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let llvm = llvm.map(|entry| entry.path().join("lib"));
    let fixed = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib64"].map(PathBuf::from);
    let multiarch = PathBuf::from(format!("/usr/lib/{}-linux-gnu", env::consts::ARCH));
    llvm.chain(fixed)
        .chain([multiarch])
        .any(|dir| holds_libclang(&dir))
}

fn holds_libclang(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| is_libclang(&entry.file_name().to_string_lossy()))
}

/// `libclang-cpp.so` is another library.
fn is_libclang(name: &str) -> bool {
    let library = name.starts_with("libclang.so") || name.starts_with("libclang-");
    let macos = name == "libclang.dylib";
    macos || (library && name.contains(".so") && !name.starts_with("libclang-cpp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_is_told_from_its_neighbours() {
        let cases = [
            ("libclang.so", true),
            ("libclang.so.1", true),
            ("libclang-14.so.1", true),
            ("libclang-14.so.14.0.6", true),
            ("libclang.dylib", true),
            ("libclang-cpp.so.14", false),
            ("libclang_rt.asan.so", false),
            ("libclangTidy.a", false),
            ("libclang-common", false),
        ];
        for (name, expected) in cases {
            assert_eq!(is_libclang(name), expected, "{name}");
        }
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version("1.95.0") >= version("1.95"));
        assert!(version("1.100.0-nightly") > version("1.95"));
        assert!(version("1.94.1") < version("1.95"));
    }
}
