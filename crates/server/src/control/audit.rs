//! Requests about the audit log.

use serde::{Deserialize, Serialize};
use tern_base::Timestamp;

/// A request about the audit log.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AuditRequest {
    /// Prove it.
    Verify {
        /// A key that it must have.
        key: Option<String>,
        /// Checkpoints, as signed notes, that it must continue.
        checkpoints: Vec<String>,
    },
    /// Entries, the newest first.
    Search {
        /// Which.
        filter: AuditFilter,
        /// At most so many.
        limit: usize,
        /// From this one backwards; none for the newest.
        from: Option<u64>,
        /// Whose permission counts; none for the operator's own.
        by: Option<String>,
    },
    /// A page of it as JSON Lines.
    Export {
        /// The first entry.
        from: u64,
        /// Whose permission counts; none for the operator's own.
        by: Option<String>,
    },
    /// The keys that sign it.
    Keys,
    /// A new key.
    RotateKey,
    /// The checkpoint of now.
    Checkpoint,
    /// A page of all checkpoints.
    Checkpoints {
        /// The least number of entries.
        from: u64,
    },
}

/// Which audit entries: all that fit every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuditFilter {
    /// By the actor of this name.
    pub actor: Option<String>,
    /// With this action, or one below it.
    pub action: Option<String>,
    /// On this target.
    pub target: Option<String>,
    /// At this time or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Before this time, in milliseconds since 1970.
    pub before: Option<u64>,
}

impl AuditFilter {
    /// The fields that are set, as one text.
    pub(crate) fn describe(&self) -> String {
        let time = |millis: Option<u64>| millis.map(|millis| Timestamp(millis).to_string());
        let fields = [
            ("actor", self.actor.clone()),
            ("action", self.action.clone()),
            ("target", self.target.clone()),
            ("since", time(self.since)),
            ("before", time(self.before)),
        ];
        let set = fields
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        set.collect::<Vec<_>>().join(" ")
    }
}
