//! Second factors at the doors of the server: each code that was looked at is on record, right or
//! wrong, in the transaction that counts it.
//!
//! Refuses to put on record what was not looked at: whoever guesses on while an account is locked
//! would fill the log.

use std::sync::Arc;

use tern_audit::{AuditError, Authentication, Draft};
use tern_base::{AccountId, Timestamp};
use tern_directory::{
    self as directory, CodeRefused, CodeShown, DirectoryError, FactorKey, FactorStatus,
};
use tern_store::{Engine, StoreError, Verdict, transact};

/// Why a code could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactorsError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

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
    ) -> Result<FactorStatus, FactorsError> {
        Ok(directory::factors(&*self.engine, account, now)?)
    }

    /// Looks at a code of an account. `entry` says who shows it, from where and for what.
    pub(crate) fn show(
        &self,
        account: AccountId,
        code: &str,
        entry: &Draft,
        now: Timestamp,
    ) -> Result<Result<CodeShown, CodeRefused>, FactorsError> {
        if let Some(until) = self.status(account, now)?.locked_until {
            return Ok(Err(CodeRefused::Locked { until }));
        }
        transact(&*self.engine, |txn| {
            let shown = directory::show_code_in(txn, &self.key, account, code, now)?;
            if let Some(entry) = on_record(entry, &shown) {
                tern_audit::append_in(txn, entry)?;
            }
            Ok::<_, FactorsError>(Verdict::Commit(shown))
        })
    }
}

/// What the log says of a code.
fn on_record(entry: &Draft, shown: &Result<CodeShown, CodeRefused>) -> Option<Draft> {
    let mut entry = entry.clone();
    match shown {
        Ok(shown) => {
            let kind = shown.kind.code();
            entry.authentication = Some(Authentication {
                mechanism: String::from("code"),
                factors: vec![kind.to_owned()],
                credential: None,
                second_factor_at: Some(entry.time),
            });
            Some(entry.detail("factor", kind))
        }
        Err(CodeRefused::NotSetUp) => None,
        Err(refused) => Some(refuse(entry, *refused)),
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
