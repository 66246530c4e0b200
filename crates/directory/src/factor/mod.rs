//! Second factors: what somebody shows beside their password before the server does what matters.
//!
//! There are TOTP (an authenticator application) and recovery codes (on paper, for the day when the
//! telephone is gone). A row is one factor of one kind, so that passkeys become one more kind.
//!
//! Invariants:
//! - A code is good once: the time step of a TOTP code, or the recovery code, is used up in the very
//!   transaction that accepts it.
//! - Wrong codes are counted durably and in all; after [`crate::limits::MAX_WRONG_CODES`] nothing is
//!   looked at for a time, not even a right one.
//! - What verifies a code is sealed at rest, or a keyed hash. It is shown once, when it is made.
//!
//! Refuses to decide when a second factor is needed.

mod recovery;
pub(crate) mod rows;
mod seal;
mod show;
mod totp;

use tern_base::{AccountId, Timestamp};
use tern_store::{Read, StoreError, Transaction};

use crate::error::DirectoryError;
use crate::{limits, tables};
use rows::{State, Stored};

pub use recovery::{RecoveryCodes, renew_recovery_codes_in};
pub use seal::FactorKey;
pub use show::{CodeRefused, CodeShown, show_code, show_code_in};
pub use totp::{NewTotp, confirm_totp_in, enrol_totp_in};

/// A second factor of an account. Passkeys will take the numbers after those of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactorId(pub u32);

impl FactorId {
    /// The recovery codes, all together.
    pub const RECOVERY: Self = Self(0);
    /// The one authenticator application.
    pub const TOTP: Self = Self(1);
}

/// What kind of thing was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FactorKind {
    /// A code of an authenticator application (RFC 6238).
    Totp,
    /// A recovery code.
    RecoveryCode,
}

impl FactorKind {
    /// Its name in policies, in the audit log and in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery-code",
        }
    }
}

/// What is known of an account's second factors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactorStatus {
    /// An enrolment has begun and waits for its first code.
    pub pending: bool,
    /// Since when a second factor is set up.
    pub since: Option<Timestamp>,
    /// Recovery codes that are left.
    pub recovery_codes: usize,
    /// When a second factor was last shown, and which.
    pub last_shown: Option<(Timestamp, FactorKind)>,
    /// Until when no code is looked at, at the time of asking.
    pub locked_until: Option<Timestamp>,
    /// How often one was set up or removed, or the account's password was set: what lets somebody set one
    /// up is good for this number alone.
    pub generation: u64,
}

impl FactorStatus {
    /// Whether a second factor can be shown at all.
    pub const fn is_set_up(&self) -> bool {
        self.since.is_some()
    }
}

/// The second factors of an account.
pub fn factors(
    reader: &dyn Read,
    account: AccountId,
    now: Timestamp,
) -> Result<FactorStatus, StoreError> {
    let mut status = FactorStatus::default();
    let page = reader.scan(&tables::factors_of(account), limits::MAX_FACTORS)?;
    for (_, value) in &page.rows {
        match Stored::decode(value)? {
            Stored::Totp(totp) => {
                status.since = totp.confirmed;
                status.pending = totp.confirmed.is_none();
            }
            Stored::Recovery { digests, .. } => status.recovery_codes = digests.len(),
        }
    }
    if let Some(row) = reader.get(&tables::factors_key(account))? {
        let state = State::decode(&row)?;
        status.last_shown = state.last_shown;
        status.locked_until = show::locked_until(&state, now);
        status.generation = state.generation;
    }
    Ok(status)
}

/// Removes every second factor of an account, and what was counted. False when there was none.
pub fn remove_factors_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<bool, DirectoryError> {
    tables::require_account(txn, account)?;
    let generation = State::get(txn, account)?.generation + 1;
    let had = drop_factors_in(txn, account)?;
    let state = State {
        generation,
        ..State::default()
    };
    state.put(txn, account);
    Ok(had)
}

/// Has every invitation to set up a second factor be void.
pub(crate) fn void_invitations_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<(), StoreError> {
    let mut state = State::get(txn, account)?;
    state.generation += 1;
    state.put(txn, account);
    Ok(())
}

/// Removes the second factors of an account that is being removed: [`remove_factors_in`] wants one that
/// is there.
pub(crate) fn drop_factors_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
) -> Result<bool, StoreError> {
    let rows = txn.scan(&tables::factors_of(account), limits::MAX_FACTORS)?;
    for (key, _) in &rows.rows {
        // Read, so that an enrolment or a code at the same time is a conflict.
        txn.get(key)?;
        txn.delete(key.clone());
    }
    // Any other verb of the account's factors reads this row.
    txn.get(&tables::factors_key(account))?;
    txn.delete(tables::factors_key(account));
    Ok(!rows.rows.is_empty())
}
