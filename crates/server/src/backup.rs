//! A backup says of itself that it is one, so that a server which is started on it begins anew; so does one
//! whose log was damaged.
//!
//! The mark is a file beside the store's own, which is there from the backup until the first start in the
//! store's place is done with it. Commands that only look at a backup leave it as it is.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::clock;
use crate::config::Config;
use crate::parts::{Parts, PartsError, store_directory};

/// The name of the file.
const MARK: &str = "BACKUP";

/// Marks what is in a directory as a backup, durably.
pub(crate) fn mark(directory: &Path) -> io::Result<()> {
    let mark = File::create(directory.join(MARK))?;
    mark.sync_all()?;
    File::open(directory)?.sync_all()
}

fn unmark(directory: &Path) -> io::Result<()> {
    fs::remove_file(directory.join(MARK))?;
    File::open(directory)?.sync_all()
}

/// Has the mailboxes begin anew where the store is a backup that was put in its place, or has lost what it
/// acknowledged with a damaged log. After a crash in the middle the next start does it again.
pub(crate) fn begin_anew(config: &Config, parts: &Parts) -> Result<(), PartsError> {
    let store = store_directory(&config.server.data_dir);
    let (is_backup, is_damaged) = (store.join(MARK).exists(), parts.rocks.log_was_damaged());
    if is_damaged {
        tracing::error!(
            logs = %store.join("damaged-logs").display(),
            "the store's log did not read back to its end: what was acknowledged last may be missing. \
             Unless the power has just failed, the disk is not to be trusted"
        );
    }
    if !is_backup && !is_damaged {
        return Ok(());
    }
    let accounts = parts.mailboxes.begin_anew(clock::now())?;
    if is_backup {
        unmark(&store).map_err(|error| PartsError::Directory(store, error))?;
    }
    parts.rocks.damage_is_noted()?;
    tracing::warn!(
        accounts,
        "the store is older than what was given out: clients read every mailbox anew"
    );
    Ok(())
}
