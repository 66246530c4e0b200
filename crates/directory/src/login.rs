//! Who a name and a password belong to.
//!
//! Refuses to say why a login failed to anybody but the log: an unknown name, a wrong password and
//! a disabled account get the same answer, and cost one slow hash each. A hash that was imported may be slower
//! than others: the server keeps the answer back for longer than any takes ([`Passwords::costliest_in_own`]).

use tern_base::{AccountId, EmailAddress, Entropy};
use tern_store::{Engine, Read, StoreError, Verdict, transact};

use crate::account::{Account, account_by_address};
use crate::credential::{self, CredentialId, Scope, Stored};
use crate::error::DirectoryError;
use crate::password::Passwords;
use crate::{limits, tables};

/// A login that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub account: Account,
    /// The credential that was shown.
    pub credential: CredentialId,
    /// What its owner calls the app password that was shown; `None` for the account's own.
    pub token: Option<String>,
    /// The password's hash was made at another cost: call [`rehash_password`].
    pub needs_rehash: bool,
}

/// Why a login failed. For the log; the peer is told one and the same for all but `Store`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginFailure {
    /// There is no account of this name.
    #[error("there is no such account")]
    UnknownName,
    /// The password is not right.
    #[error("the password is wrong")]
    WrongPassword,
    /// The app password is right, and not for this.
    #[error("the app password is not for {0}")]
    WrongScope(Scope),
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies a name (an account's primary address, in any case) and a password, or an app password
/// that is good for `scope`.
pub fn login(
    reader: &dyn Read,
    passwords: &Passwords,
    name: &str,
    password: &str,
    scope: Scope,
) -> Result<Login, LoginFailure> {
    let address = EmailAddress::parse(name).ok();
    let account = match &address {
        Some(address) => account_by_address(reader, address)?,
        None => None,
    };
    let stored = match &account {
        Some(account) => credential::all(reader, account.id)?,
        None => Vec::new(),
    };
    let fits = verify(passwords, &stored, password);
    let Some(account) = account else {
        return Err(LoginFailure::UnknownName);
    };
    let fits = fits.ok_or(LoginFailure::WrongPassword)?;
    if account.disabled || account.removing {
        if fits.token.is_some() {
            // As slow as every other failure.
            passwords.verify(b"", None);
        }
        return Err(LoginFailure::Disabled);
    }
    if !fits.scopes.is_empty() && !fits.scopes.contains(&scope) {
        // As slow as every other failure.
        passwords.verify(b"", None);
        return Err(LoginFailure::WrongScope(scope));
    }
    Ok(Login {
        account,
        credential: fits.credential,
        token: fits.token,
        needs_rehash: fits.needs_rehash,
    })
}

struct Fits {
    credential: CredentialId,
    token: Option<String>,
    scopes: Vec<Scope>,
    needs_rehash: bool,
}

/// Every failure costs one slow hash, whatever is stored; only a right app password is quicker.
fn verify(passwords: &Passwords, stored: &[Stored], password: &str) -> Option<Fits> {
    // Neither can be set, and a hash of a long text would cost the server more than the peer.
    if password.is_empty() || password.len() > limits::MAX_PASSWORD {
        passwords.verify(b"", None);
        return None;
    }
    let shown = blake3::Hash::from_bytes(credential::digest(password));
    let mut main = None;
    for credential in stored {
        match credential {
            Stored::Password(hash) => main = Some(hash.as_str()),
            // Comparing two `blake3::Hash` takes constant time.
            Stored::App(info, digest) if blake3::Hash::from_bytes(*digest) == shown => {
                if info.revoked.is_none() {
                    return Some(Fits {
                        credential: info.id,
                        token: Some(info.label.clone()),
                        scopes: info.scopes.clone(),
                        needs_rehash: false,
                    });
                }
            }
            Stored::App(..) => {}
        }
    }
    if !passwords.verify(password.as_bytes(), main) {
        return None;
    }
    Some(Fits {
        credential: CredentialId::PASSWORD,
        token: None,
        scopes: Vec::new(),
        needs_rehash: main.is_some_and(|hash| passwords.needs_rehash(hash)),
    })
}

/// Stores the hash of a password that was just verified anew, at the present cost. Nothing changes
/// when the account's password has become another since.
pub fn rehash_password(
    engine: &dyn Engine,
    account: AccountId,
    password: &str,
    passwords: &Passwords,
    entropy: &mut dyn Entropy,
) -> Result<(), DirectoryError> {
    let fresh = passwords.hash(password.as_bytes(), entropy)?;
    transact(engine, |txn| {
        tables::require_account(txn, account)?;
        let key = tables::credential_key(account, CredentialId::PASSWORD.0);
        let Some(row) = txn.get(&key)? else {
            return Ok(Verdict::Abandon(()));
        };
        match credential::decode(CredentialId::PASSWORD, &row)? {
            Stored::Password(old) if passwords.verify(password.as_bytes(), Some(&old)) => {
                txn.put(key, credential::encode(&Stored::Password(fresh.clone())));
                Ok(Verdict::Commit(()))
            }
            _ => Ok(Verdict::Abandon(())),
        }
    })
}
