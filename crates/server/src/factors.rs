//! Second factors at the doors of the server: each code that was looked at is on record, right or
//! wrong, in the transaction that counts it.
//!
//! Refuses to put on record what was not looked at: whoever guesses on while an account is locked
//! would fill the log.

use std::sync::Arc;

use tern_audit::{AuditError, Authentication, Draft};
use tern_base::{AccountId, Entropy, Timestamp};
use tern_directory::{
    self as directory, CodeRefused, CodeShown, DirectoryError, FactorKey, FactorStatus, NewTotp,
    RecoveryCodes, Secrets,
};
use tern_store::{Engine, StoreError, Verdict, transact};

use crate::invite::Invites;

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
    invites: Invites,
}

impl Factors {
    pub(crate) fn new(engine: Arc<dyn Engine>, secrets: &Secrets) -> Self {
        Self {
            engine,
            key: secrets.factor_key(),
            invites: Invites::new(&secrets.session_key),
        }
    }

    /// Invitations to set one up.
    pub(crate) const fn invites(&self) -> &Invites {
        &self.invites
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

    /// Begins to set one up: the secret is to be shown once.
    pub(crate) fn enrol(
        &self,
        account: AccountId,
        entry: &Draft,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<NewTotp, FactorsError> {
        let new = NewTotp::new(&self.key, account, entropy)?;
        transact(&*self.engine, |txn| {
            directory::enrol_totp_in(txn, &new, now)?;
            tern_audit::append_in(txn, entry.clone())?;
            Ok::<_, FactorsError>(Verdict::Commit(()))
        })?;
        Ok(new)
    }

    /// Ends that by a first code: the recovery codes are to be shown once.
    pub(crate) fn confirm(
        &self,
        account: AccountId,
        code: &str,
        entry: &Draft,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Result<RecoveryCodes, CodeRefused>, FactorsError> {
        if let Some(until) = self.status(account, now)?.locked_until {
            return Ok(Err(CodeRefused::Locked { until }));
        }
        let codes = RecoveryCodes::new(entropy);
        // A wrong code is counted, and on record: so this is committed, too.
        let confirmed = transact(&*self.engine, |txn| {
            let confirmed = directory::confirm_totp_in(txn, &self.key, account, code, &codes, now)?;
            let entry = match confirmed {
                Ok(()) => entry.clone(),
                Err(refused) => refuse(entry.clone(), refused),
            };
            tern_audit::append_in(txn, entry)?;
            Ok::<_, FactorsError>(Verdict::Commit(confirmed))
        })?;
        Ok(confirmed.map(|()| codes))
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
fn refuse(mut entry: Draft, refused: CodeRefused) -> Draft {
    entry.action = String::from("factor.refuse");
    match refused {
        CodeRefused::Locked { until } => entry.detail("locked-until", until.to_string()),
        CodeRefused::Wrong { left } => entry.detail("tries-left", u64::from(left)),
        CodeRefused::NotSetUp => entry,
    }
}
