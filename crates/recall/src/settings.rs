//! The options of recalls: one doc comment, one type, one default for each. Who may take back what
//! is for policies to say.
//!
//! Invariant: the option reference is generated from these comments; each first sentence says
//! what the option does, the last says its unit and default.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::Whose;

const HOUR_MS: u64 = 60 * 60 * 1000;
const MINUTE_MS: u64 = 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Days. Elsewhere 0 is no bound: here it would be to keep nothing, so there is none.
const QUARTER: NonZeroU64 = NonZeroU64::new(90).expect("not zero");

/// The options of recalls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name of this host, which reports come from. A domain name; default `localhost`.
    pub hostname: String,
    /// How long copies of a recalled message that still arrive are stopped. In days, 1 at least; default
    /// 90.
    pub tombstone_days: NonZeroU64,
    /// How long an outcome that may still change is looked at again: that of a copy which was being
    /// handed to another server. In hours; default 24.
    pub retry_hours: u64,
    /// How long withdrawn copies are kept in the vault, so that a recall can be undone. A shorter time
    /// than before counts from a day after the server has begun to run with it. In days, 1 at least;
    /// default 90.
    pub vault_days: NonZeroU64,
    /// How long they are kept instead where they were taken from accounts of a domain, or from members
    /// of a group; of several that fit an account the longest counts. A table of domain, or address of
    /// a group, to days, 1 at least; default empty.
    pub vault_days_of: BTreeMap<Whose, NonZeroU64>,
    /// How many times its quota the messages of an account may fill together with what it deleted and
    /// legal holds keep; beyond that nothing more comes in. 0 for no bound; default 10.
    pub held_quotas: u32,
    /// How long what came in from other servers can be found by a retract. In days; default 90.
    pub arrivals_days: u64,
    /// How long a recall waits for its requester to show a second factor. In minutes; default 15.
    pub step_up_minutes: u64,
    /// The header field that says how confidential a message is, for policies; where a message has none
    /// its `Sensitivity` counts. A field name; empty for none; default empty.
    pub label_header: String,
    /// How many requests beyond its rate freeze an account, so that policies can ask for a second
    /// person. Within `freeze_minutes`; 0 for never; default 5.
    pub freeze_requests: u32,
    /// The time within which so many requests freeze an account. In minutes, 60 at most; default 10.
    pub freeze_minutes: u64,
    /// How many recipients the recalls of an account may cover within an hour before it is frozen.
    /// 0 for any number; default 1,000.
    pub freeze_recipients: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hostname: String::from("localhost"),
            tombstone_days: QUARTER,
            retry_hours: 24,
            vault_days: QUARTER,
            vault_days_of: BTreeMap::new(),
            held_quotas: tern_mailbox::limits::KEPT_QUOTAS,
            arrivals_days: 90,
            step_up_minutes: 15,
            label_header: String::new(),
            freeze_requests: 5,
            freeze_minutes: 10,
            freeze_recipients: 1_000,
        }
    }
}

impl Settings {
    pub(crate) const fn tombstone_ms(&self) -> u64 {
        self.tombstone_days.get().saturating_mul(DAY_MS)
    }

    pub(crate) const fn retry_ms(&self) -> u64 {
        self.retry_hours.saturating_mul(HOUR_MS)
    }

    pub(crate) const fn freeze_ms(&self) -> u64 {
        self.freeze_minutes.saturating_mul(MINUTE_MS)
    }

    pub(crate) const fn step_up_ms(&self) -> u64 {
        self.step_up_minutes.saturating_mul(MINUTE_MS)
    }

    pub(crate) const fn arrivals_ms(&self) -> u64 {
        self.arrivals_days.saturating_mul(DAY_MS)
    }
}
