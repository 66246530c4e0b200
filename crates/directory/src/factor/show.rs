//! Showing a second factor: a code is right once, and wrong ones are counted.

use tern_base::{AccountId, Timestamp};
use tern_store::{Engine, Transaction, Verdict, transact};

use super::rows::{State, Stored};
use super::{FactorId, FactorKey, FactorKind, recovery, totp};
use crate::error::DirectoryError;
use crate::limits::{CODE_LOCK_MS, MAX_CODE, MAX_CODE_LOCK_MS, MAX_WRONG_CODES};
use crate::tables;

/// A code that was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeShown {
    /// What it was a code of.
    pub kind: FactorKind,
}

/// Why a code does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefused {
    /// The account has no second factor, or is disabled or gone.
    #[error("no second factor is set up")]
    NotSetUp,
    /// It is wrong, or was used before.
    #[error("the code is wrong or was used before; tries left: {left}")]
    Wrong {
        /// Wrong codes until none is looked at for a while.
        left: u32,
    },
    /// Too many were wrong: it was not looked at.
    #[error("too many wrong codes; the next one is looked at after {until}")]
    Locked {
        /// When codes are looked at again.
        until: Timestamp,
    },
}

/// Shows a code of an account's second factor: of its authenticator application, or a recovery code.
/// Spaces and dashes in it are the typist's.
pub fn show_code(
    engine: &dyn Engine,
    key: &FactorKey,
    account: AccountId,
    code: &str,
    now: Timestamp,
) -> Result<Result<CodeShown, CodeRefused>, DirectoryError> {
    transact(engine, |txn| {
        show_code_in(txn, key, account, code, now).map(Verdict::Commit)
    })
}

/// [`show_code`] as a part of a transaction, which is to be committed whatever comes of the code.
pub fn show_code_in(
    txn: &mut Transaction<'_>,
    key: &FactorKey,
    account: AccountId,
    code: &str,
    now: Timestamp,
) -> Result<Result<CodeShown, CodeRefused>, DirectoryError> {
    // The commit depends on this row: nothing is added to an account that is gone.
    let known = tables::get_account(txn, account)?;
    if known.is_none_or(|account| account.disabled || account.removing) {
        return Ok(Err(CodeRefused::NotSetUp));
    }
    let mut known = match Stored::get(txn, account, FactorId::TOTP)? {
        Some(Stored::Totp(totp)) if totp.confirmed.is_some() => totp,
        _ => return Ok(Err(CodeRefused::NotSetUp)),
    };
    counted(txn, account, now, |txn| {
        if code.len() > MAX_CODE {
            return Ok(None);
        }
        let code = recovery::plain(code);
        let kind = if let Some(step) = totp::step_of(key, account, &known, &code, now)? {
            known.last_step = step;
            Stored::Totp(known.clone()).put(txn, account, FactorId::TOTP);
            FactorKind::Totp
        } else if recovery::use_up(txn, key, account, &code)? {
            FactorKind::RecoveryCode
        } else {
            return Ok(None);
        };
        Ok(Some((CodeShown { kind }, kind)))
    })
}

/// Does `look` unless too many codes were wrong, and counts what comes of it: `None` is a wrong one.
pub(super) fn counted<T>(
    txn: &mut Transaction<'_>,
    account: AccountId,
    now: Timestamp,
    look: impl FnOnce(&mut Transaction<'_>) -> Result<Option<(T, FactorKind)>, DirectoryError>,
) -> Result<Result<T, CodeRefused>, DirectoryError> {
    let mut state = State::get(txn, account)?;
    if let Some(until) = locked_until(&state, now) {
        return Ok(Err(CodeRefused::Locked { until }));
    }
    if let Some((right, kind)) = look(txn)? {
        let shown = State {
            last_shown: Some((now, kind)),
            generation: state.generation,
            ..State::default()
        };
        shown.put(txn, account);
        return Ok(Ok(right));
    }
    if distance(state.last_failure, now) >= MAX_CODE_LOCK_MS {
        state.failures = 0;
    }
    state.failures = state.failures.saturating_add(1);
    state.last_failure = now;
    state.put(txn, account);
    Ok(Err(match locked_until(&state, now) {
        Some(until) => CodeRefused::Locked { until },
        None => CodeRefused::Wrong {
            left: MAX_WRONG_CODES - state.failures % MAX_WRONG_CODES,
        },
    }))
}

/// Until when no code is looked at. A clock that went back does not make that longer.
pub(super) fn locked_until(state: &State, now: Timestamp) -> Option<Timestamp> {
    if state.failures == 0 || !state.failures.is_multiple_of(MAX_WRONG_CODES) {
        return None;
    }
    let doublings = (state.failures / MAX_WRONG_CODES - 1).min(16);
    let lock_ms = (CODE_LOCK_MS << doublings).min(MAX_CODE_LOCK_MS);
    let is_over = distance(state.last_failure, now) >= lock_ms;
    (!is_over).then(|| state.last_failure.plus_millis(lock_ms))
}

/// How far two moments are from each other, in milliseconds, whichever is the earlier.
const fn distance(one: Timestamp, other: Timestamp) -> u64 {
    one.0.abs_diff(other.0)
}
