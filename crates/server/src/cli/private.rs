//! Files that hold what people wrote or read: for the user who asked alone.
//!
//! Invariant: what is there already is neither written over nor written through, not even by a link.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use miette::{IntoDiagnostic as _, Result, WrapErr as _};

/// Makes a directory that is not there yet.
pub(super) fn new_directory(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    named(made, path)
}

/// Makes a directory, and those above it, where they are not there yet.
pub(super) fn directory(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    named(made, path)
}

/// Begins a file that is not there yet.
pub(super) fn new_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    named(file, path)
}

/// Writes a file that is not there yet, durably.
pub(super) fn write_new(path: &Path, octets: &[u8]) -> Result<()> {
    let mut file = new_file(path)?;
    let written = file.write_all(octets).and_then(|()| file.sync_all());
    named(written, path)
}

fn named<T>(done: std::io::Result<T>, path: &Path) -> Result<T> {
    done.into_diagnostic()
        .wrap_err_with(|| path.display().to_string())
}
