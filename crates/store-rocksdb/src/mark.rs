//! A file beside a store that says something of it by being there.
//!
//! Invariant: what it says is durable when the call returns.

use std::fs::{self, File};
use std::io;
use std::path::Path;

pub(crate) fn is_set(directory: &Path, name: &str) -> bool {
    directory.join(name).exists()
}

pub(crate) fn set(directory: &Path, name: &str) -> io::Result<()> {
    File::create(directory.join(name))?.sync_all()?;
    File::open(directory)?.sync_all()
}

/// Takes it away, if it is there.
pub(crate) fn clear(directory: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(directory.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => File::open(directory)?.sync_all(),
    }
}
