//! A backup says of itself that it is one, so that a server which is started on it begins anew.
//!
//! The mark is a file beside the store's own, which is there from the backup until the first start in the
//! store's place is done with it. Commands that only look at a backup leave it as it is.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tern_mailbox::Mailboxes;

use crate::clock;
use crate::config::Config;
use crate::parts::{PartsError, store_directory};

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

/// Has the mailboxes begin anew where the store is a backup that was put in its place. After a crash in
/// the middle the next start does it again.
pub(crate) fn begin_anew(config: &Config, mailboxes: &Mailboxes) -> Result<(), PartsError> {
    let store = store_directory(&config.server.data_dir);
    if !store.join(MARK).exists() {
        return Ok(());
    }
    let accounts = mailboxes.begin_anew(clock::now())?;
    unmark(&store).map_err(|error| PartsError::Directory(store, error))?;
    tracing::warn!(
        accounts,
        "the store was put back from a backup: clients read every mailbox anew"
    );
    Ok(())
}
