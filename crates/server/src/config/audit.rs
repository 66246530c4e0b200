//! The options of `[audit]`: how often the log is signed, and how long it is kept.

use serde::{Deserialize, Serialize};

/// The tamper-evident log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The log is signed when its oldest entry that is not under a checkpoint is as old as this; 0
    /// signs once a minute. In minutes; default 10.
    pub checkpoint_minutes: u32,
    /// The log is signed when so many entries are not under a checkpoint. A number; default 1000.
    pub checkpoint_entries: u32,
    /// Entries that are older are removed, whole stretches up to a checkpoint, which goes on record;
    /// those of a recall that is not over, and all that came after them, stay. In days; default 0,
    /// which keeps all.
    pub keep_days: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            checkpoint_minutes: 10,
            checkpoint_entries: 1_000,
            keep_days: 0,
        }
    }
}
