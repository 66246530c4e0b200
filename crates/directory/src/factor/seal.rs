//! Secrets of second factors at rest: AES-256-GCM under a key of the server, bound to the account, so
//! that a row copied to another account opens nothing. Whoever has the whole store has the key, too;
//! what this keeps is the secret in a row that shows up alone: in a log, a dump, a bug report.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tern_base::codec::Damaged;
use tern_base::{AccountId, Entropy};
use tern_store::StoreError;
use zeroize::Zeroizing;

use super::FactorId;

/// The key that seals the secrets of second factors, and hashes recovery codes.
#[derive(Clone, PartialEq, Eq)]
pub struct FactorKey([u8; 32]);

impl fmt::Debug for FactorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorKey(..)")
    }
}

impl FactorKey {
    /// The key that follows from a key of the server.
    pub fn derive(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key("tern 2026-11 second factors", secret))
    }

    fn aead(&self) -> Result<LessSafeKey, StoreError> {
        let key = UnboundKey::new(&AES_256_GCM, &self.0);
        let key =
            key.map_err(|_| StoreError::Engine(String::from("AES-256-GCM is not to be had")))?;
        Ok(LessSafeKey::new(key))
    }

    /// Seals a secret of an account: a random nonce, then what AES-256-GCM makes of the secret.
    pub(super) fn seal(
        &self,
        account: AccountId,
        factor: FactorId,
        secret: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = secret.to_vec();
        let bound = Aad::from(bound_to(account, factor));
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        let done = self
            .aead()?
            .seal_in_place_append_tag(nonce_used, bound, &mut sealed);
        done.map_err(|_| StoreError::Engine(String::from("a secret could not be sealed")))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what [`Self::seal`] made for the same account and factor.
    pub(super) fn open(
        &self,
        account: AccountId,
        factor: FactorId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Damaged)?;
        let bound = Aad::from(bound_to(account, factor));
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let opened = self.aead()?.open_in_place(nonce, bound, &mut buffer);
        let length = opened.map_err(|_| Damaged)?.len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// What is stored of a recovery code.
    pub(super) fn digest(&self, account: AccountId, code: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"recovery code");
        hasher.update(&account.0.to_be_bytes());
        hasher.update(code.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

fn bound_to(account: AccountId, factor: FactorId) -> [u8; 8] {
    let mut bound = [0; 8];
    bound[..4].copy_from_slice(&account.0.to_be_bytes());
    bound[4..].copy_from_slice(&factor.0.to_be_bytes());
    bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_base::SeededEntropy;

    #[test]
    fn a_secret_opens_for_its_own_account_and_factor_alone() {
        let (key, other) = (FactorKey::derive(&[1; 32]), FactorKey::derive(&[2; 32]));
        let (account, factor) = (AccountId(7), FactorId::TOTP);
        let mut entropy = SeededEntropy::new(1);
        let sealed = key
            .seal(account, factor, b"secret", &mut entropy)
            .expect("sealed");
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        let open = |key: &FactorKey, account, factor| key.open(account, factor, &sealed).ok();
        assert_eq!(open(&key, account, factor).expect("opens")[..], *b"secret");
        assert_eq!(open(&other, account, factor), None);
        assert_eq!(open(&key, AccountId(8), factor), None);
        assert_eq!(open(&key, account, FactorId(2)), None);
        for cut in [0, NONCE_LEN, sealed.len() - 1] {
            assert!(key.open(account, factor, &sealed[..cut]).is_err(), "{cut}");
        }
        let again = key
            .seal(account, factor, b"secret", &mut entropy)
            .expect("sealed");
        assert_ne!(again, sealed, "each time under another nonce");
    }
}
