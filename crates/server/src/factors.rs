//! Second factors at the doors of the server: each code that was looked at is on record, right or
//! wrong, in the transaction that counts it.

use std::sync::Arc;

use tern_audit::Draft;
use tern_base::{AccountId, Timestamp};
use tern_directory::{self as directory, CodeRefused, FactorKey, FactorStatus};
use tern_store::{Engine, StoreError};

/// The second factors of all accounts.
pub(crate) struct Factors {
    engine: Arc<dyn Engine>,
    key: FactorKey,
}

impl Factors {
    pub(crate) fn new(engine: Arc<dyn Engine>, key: FactorKey) -> Self {
        Self { engine, key }
    }

    /// The key that seals their secrets.
    pub(crate) const fn key(&self) -> &FactorKey {
        &self.key
    }

    /// What an account has.
    pub(crate) fn status(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<FactorStatus, StoreError> {
        directory::factors(&*self.engine, account, now)
    }
}

/// An entry, as that of a code that was wrong.
pub(crate) fn refuse(mut entry: Draft, refused: CodeRefused) -> Draft {
    entry.action = String::from("factor.refuse");
    match refused {
        CodeRefused::Locked { until } => entry.detail("locked-until", until.to_string()),
        CodeRefused::Wrong { left } => entry.detail("tries-left", u64::from(left)),
        CodeRefused::NotSetUp => entry,
    }
}
