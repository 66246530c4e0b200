//! Recovery codes: ten at a time, each good once, kept as keyed hashes. 50 random bits each, which
//! the count of wrong codes makes more than enough.

use std::fmt;

use tern_base::{AccountId, Entropy, Timestamp};
use tern_store::Transaction;
use zeroize::Zeroizing;

use super::rows::Stored;
use super::{FactorId, FactorKey};
use crate::credential::random_letters;
use crate::error::DirectoryError;
use crate::{limits, tables};

/// Letters and digits of a code.
const LENGTH: usize = 10;

/// Codes that are not stored yet.
pub struct RecoveryCodes(Zeroizing<Vec<String>>);

impl fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCodes(..)")
    }
}

impl RecoveryCodes {
    /// Fresh ones.
    pub fn new(entropy: &mut dyn Entropy) -> Self {
        let code = |_| random_letters(LENGTH, entropy);
        Self(Zeroizing::new(
            (0..limits::RECOVERY_CODES).map(code).collect(),
        ))
    }

    /// The codes, to be shown once.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Makes them the account's, in place of those that it had.
    pub(super) fn store(
        &self,
        txn: &mut Transaction<'_>,
        key: &FactorKey,
        account: AccountId,
        now: Timestamp,
    ) {
        let digest = |code: &String| key.digest(account, &plain(code));
        let stored = Stored::Recovery {
            created: now,
            digests: self.0.iter().map(digest).collect(),
        };
        stored.put(txn, account, FactorId::RECOVERY);
    }
}

/// Gives an account with a second factor new recovery codes; the old ones are void.
pub fn renew_recovery_codes_in(
    txn: &mut Transaction<'_>,
    key: &FactorKey,
    account: AccountId,
    codes: &RecoveryCodes,
    now: Timestamp,
) -> Result<(), DirectoryError> {
    tables::require_account(txn, account)?;
    match Stored::get(txn, account, FactorId::TOTP)? {
        Some(Stored::Totp(totp)) if totp.confirmed.is_some() => {}
        _ => return Err(DirectoryError::NoFactor),
    }
    // Whoever uses an old one at the same time has used it before, or not at all.
    Stored::get(txn, account, FactorId::RECOVERY)?;
    codes.store(txn, key, account, now);
    Ok(())
}

/// Uses a code up, where it is one of the account's.
pub(super) fn use_up(
    txn: &mut Transaction<'_>,
    key: &FactorKey,
    account: AccountId,
    code: &str,
) -> Result<bool, DirectoryError> {
    let stored = Stored::get(txn, account, FactorId::RECOVERY)?;
    let Some(Stored::Recovery { created, digests }) = stored else {
        return Ok(false);
    };
    // Comparing two `blake3::Hash` takes constant time.
    let shown = blake3::Hash::from_bytes(key.digest(account, code));
    let (used, left): (Vec<_>, Vec<_>) = digests
        .into_iter()
        .partition(|digest| blake3::Hash::from_bytes(*digest) == shown);
    if used.is_empty() {
        return Ok(false);
    }
    let left = Stored::Recovery {
        created,
        digests: left,
    };
    left.put(txn, account, FactorId::RECOVERY);
    Ok(true)
}

/// A code without what the typist added. Case is the typist's, too.
pub(super) fn plain(code: &str) -> String {
    let kept = code.chars().filter(|c| !c.is_whitespace() && *c != '-');
    kept.map(|c| c.to_ascii_lowercase()).collect()
}
