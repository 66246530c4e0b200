//! A copy of a store says of itself that it is one, so that whoever puts it in the store's place finds out.
//!
//! Invariant: a directory that opens as a store, and that [`RocksEngine::checkpoint`] made, has the mark until
//! [`unmark_copy`] takes it away: the mark is durable before `FORMAT` is written. Opening and closing leave it
//! as it is. Nobody but the owner of the process reaches a copy: what is in it is everybody's mail.
//!
//! [`RocksEngine::checkpoint`]: crate::RocksEngine

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::mark;

/// The name of the mark.
const MARK: &str = "BACKUP";

/// Whether what stands in a directory is a copy of a store.
pub fn is_copy(directory: &Path) -> bool {
    mark::is_set(directory, MARK)
}

/// Has a copy be a store of its own from now on, durably.
pub fn unmark_copy(directory: &Path) -> io::Result<()> {
    mark::clear(directory, MARK)
}

/// Makes the directory of a copy, for its owner alone. One that is there is refused.
pub(crate) fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(directory)?;
    let parent = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Marks what will be a copy.
pub(crate) fn mark(directory: &Path) -> io::Result<()> {
    mark::set(directory, MARK)
}
