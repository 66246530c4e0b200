//! An authenticator application: RFC 6238 with its defaults (SHA-1, 30 seconds, 6 digits), which are
//! what every application understands. Set up in two steps: a secret is made and shown, and counts
//! only once a code of it has come back.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tern_base::{AccountId, EmailAddress, Entropy, Timestamp};
use tern_store::{StoreError, Transaction};
use totp_rs::{Builder, Secret, Totp};

use super::recovery::RecoveryCodes;
use super::rows::{self, State, Stored};
use super::show::{self, CodeRefused};
use super::{FactorId, FactorKey};
use crate::error::DirectoryError;
use crate::tables;

/// RFC 4226 4, R6: 160 bits are recommended.
const SECRET_BYTES: usize = 20;
/// RFC 6238 5.2: one step before and after, for clocks that differ.
const SKEW: u16 = 1;
/// RFC 3986 2.3: all but what is unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A secret that is not stored yet, sealed for one account.
pub struct NewTotp {
    account: AccountId,
    secret: Secret,
    sealed: Vec<u8>,
}

impl fmt::Debug for NewTotp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewTotp({})", self.account)
    }
}

impl NewTotp {
    /// A fresh secret for an account.
    pub fn new(
        key: &FactorKey,
        account: AccountId,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, StoreError> {
        let mut secret = [0; SECRET_BYTES];
        entropy.fill(&mut secret);
        let sealed = key.seal(account, FactorId::TOTP, &secret, entropy)?;
        Ok(Self {
            account,
            secret: Secret::new_stack(secret),
            sealed,
        })
    }

    /// The secret in Base32, for typing, to be shown once.
    pub fn base32(&self) -> String {
        self.secret.to_base32()
    }

    /// The `otpauth://` URI that applications read from a QR code, to be shown once.
    pub fn url(&self, issuer: &str, login: &EmailAddress) -> String {
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let (issuer, login) = (encode(issuer), encode(&login.to_string()));
        format!(
            "otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}",
            self.base32()
        )
    }
}

/// Begins an enrolment, in place of one that was not confirmed.
pub fn enrol_totp_in(
    txn: &mut Transaction<'_>,
    new: &NewTotp,
    now: Timestamp,
) -> Result<(), DirectoryError> {
    tables::require_account(txn, new.account)?;
    // Read by whoever changes the factors of an account: see `drop_factors_in`.
    State::get(txn, new.account)?;
    if let Some(Stored::Totp(known)) = Stored::get(txn, new.account, FactorId::TOTP)?
        && known.confirmed.is_some()
    {
        return Err(DirectoryError::FactorThere);
    }
    let stored = Stored::Totp(rows::Totp {
        sealed: new.sealed.clone(),
        created: now,
        confirmed: None,
        last_step: 0,
    });
    stored.put(txn, new.account, FactorId::TOTP);
    Ok(())
}

/// Ends an enrolment by a first code, and gives the account its recovery codes. Wrong codes count as
/// they do elsewhere: the transaction is to be committed in either case.
pub fn confirm_totp_in(
    txn: &mut Transaction<'_>,
    key: &FactorKey,
    account: AccountId,
    code: &str,
    codes: &RecoveryCodes,
    now: Timestamp,
) -> Result<Result<(), CodeRefused>, DirectoryError> {
    tables::require_account(txn, account)?;
    let mut totp = match Stored::get(txn, account, FactorId::TOTP)? {
        Some(Stored::Totp(totp)) if totp.confirmed.is_none() => totp,
        Some(_) => return Err(DirectoryError::FactorThere),
        None => return Err(DirectoryError::NoFactor),
    };
    let confirmed = show::counted(txn, account, now, |txn| {
        let Some(step) = step_of(key, account, &totp, code, now)? else {
            return Ok(None);
        };
        totp.last_step = step;
        totp.confirmed = Some(now);
        Stored::Totp(totp.clone()).put(txn, account, FactorId::TOTP);
        codes.store(txn, key, account, now);
        Ok(Some(((), super::FactorKind::Totp)))
    })?;
    if confirmed.is_ok() {
        super::void_invitations_in(txn, account)?;
    }
    Ok(confirmed)
}

/// The time step that a code is of, where it is good now and was not used.
pub(super) fn step_of(
    key: &FactorKey,
    account: AccountId,
    totp: &rows::Totp,
    code: &str,
    now: Timestamp,
) -> Result<Option<u64>, StoreError> {
    let secret = key.open(account, FactorId::TOTP, &totp.sealed)?;
    let step = generator(&secret).check(code, now.as_secs());
    // RFC 6238 5.2: a code is accepted once. What is older than one that was used is not, either.
    Ok(step.filter(|step| *step > totp.last_step))
}

fn generator(secret: &[u8]) -> Totp {
    let builder = Builder::new().with_skew(SKEW).with_secret(secret.to_vec());
    // The defaults of RFC 6238, which are the builder's; the length of the secret is this crate's.
    builder.build_noncompliant()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, for SHA-1: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let totp = generator(b"12345678901234567890");
        for (time, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp.check(code, time), Some(time / 30), "{code}");
        }
        assert_eq!(totp.check("287082", 59 + 30), Some(1), "one step late");
        assert_eq!(totp.check("287082", 59 + 60), None, "two steps late");
        assert_eq!(totp.check("081804", 1_111_111_109 - 30), Some(37_037_036));
        for code in ["", "28708", "2870820", "28708x", "٢٨٧٠٨٢"] {
            assert_eq!(totp.check(code, 59), None, "{code}");
        }
    }
}
