//! A server that is started on a backup begins anew, and says so in the log; so does one whose store has lost
//! what it acknowledged with a damaged log.
//!
//! Invariant: whatever a store gives out once (UIDs, modseqs, ids) it gives out behind what it may have given
//! out since. The marks of a backup and of the damage are there until the first start in the store's place is
//! done with it; commands that only look at a store leave them as they are.

use tern_audit::{Actor, Draft, EntryId};

use crate::clock::{self, OsEntropy};
use crate::config::Config;
use crate::parts::{Parts, PartsError, store_directory};

/// Has the directory and the mailboxes begin anew where the store is older than what was given out. After a crash in the
/// middle the next start does it again.
pub(crate) fn begin(config: &Config, parts: &Parts) -> Result<(), PartsError> {
    let store = store_directory(&config.server.data_dir);
    let is_backup = tern_store_rocksdb::is_copy(&store);
    let is_damaged = parts.rocks.log_was_damaged();
    if is_damaged {
        tracing::error!(
            logs = %store.join("damaged-logs").display(),
            "the store's log did not read back to its end: what was acknowledged last may be missing. \
             Unless the power has just failed, the disk is not to be trusted"
        );
    }
    let now = clock::now();
    let steps = [
        (is_backup, "store.restored"),
        (is_damaged, "store.log-damaged"),
    ];
    for (_, action) in steps.iter().filter(|(is_so, _)| *is_so) {
        // Ahead of it: what the log lacks from here on was in no store that went on.
        let id = EntryId::new(now, &mut OsEntropy);
        let entry = Draft::new(id, now, Actor::Server, action).target("store");
        tern_audit::append(&*parts.engine, &entry)?;
    }
    if !is_backup && !is_damaged {
        return Ok(());
    }
    tern_directory::begin_anew(&*parts.engine)?;
    let accounts = parts.upkeep.begin_anew(now)?;
    if is_backup {
        tern_store_rocksdb::unmark_copy(&store)
            .map_err(|error| PartsError::Directory(store, error))?;
    }
    parts.rocks.damage_is_noted()?;
    tracing::warn!(
        accounts,
        "the store is older than what was given out: clients read every mailbox anew"
    );
    Ok(())
}
