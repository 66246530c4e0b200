//! A write-ahead log that does not read back.
//!
//! What was acknowledged may be missing behind the damage, so whoever serves the store has to know, however
//! many programs open it before: a file beside the store says it until it is taken note of. The logs
//! stay beside it for whoever looks into them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::{format, mark};

/// The file that says so.
const MARK: &str = "LOG-DAMAGED";
/// Where the logs are kept that the store had then.
const LOGS: &str = "damaged-logs";

/// Notes it, durably, and keeps the logs, before anything of them is let go.
pub(crate) fn note(directory: &Path) -> io::Result<()> {
    let kept = directory.join(LOGS);
    // Those of an earlier time: one set is enough to look into.
    match fs::remove_dir_all(&kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir(&kept)?,
    }
    for entry in fs::read_dir(format::database_path(directory))? {
        let path = entry?.path();
        if let (Some(name), Some("log")) = (
            path.file_name(),
            path.extension().and_then(|it| it.to_str()),
        ) {
            fs::hard_link(&path, kept.join(name))?;
        }
    }
    File::open(&kept)?.sync_all()?;
    mark::set(directory, MARK)
}

pub(crate) fn is_noted(directory: &Path) -> bool {
    mark::is_set(directory, MARK)
}

/// Somebody has taken note of it.
pub(crate) fn forget(directory: &Path) -> io::Result<()> {
    mark::clear(directory, MARK)
}
