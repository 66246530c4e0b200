//! Passwords as what verifies them: Argon2id (RFC 9106) in the PHC string format.
//!
//! One hash costs about 23 ms and 19 MiB at the default cost: the caller bounds how many run at
//! once.

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordVerifier, Version};
use tern_base::Entropy;
use tern_store::StoreError;

use crate::limits;

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PasswordCost {
    /// 19 MiB, 2 passes, 1 lane: the least that the OWASP password storage guide advises.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

/// Octets of the shortest salt (RFC 9106 3.1).
const MIN_SALT: usize = 8;
/// Octets of hashes.
const HASH: std::ops::RangeInclusive<usize> = 16..=64;

/// KiB that a hash goes over, in all of its passes: what its time grows with.
fn work(params: &Params) -> u32 {
    params.m_cost().saturating_mul(params.t_cost())
}

/// Whether a hash that was made elsewhere can be verified here without costing more than is borne.
pub(crate) fn is_importable(text: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(text) else {
        return false;
    };
    let bearable = |params: Params| {
        params.m_cost() <= limits::MAX_HASH_MEMORY_KIB && work(&params) <= limits::MAX_HASH_WORK_KIB
    };
    // What can't be computed is refused at once when it is verified, and would tell that it is there.
    let is_computable = parsed
        .salt
        .as_ref()
        .is_some_and(|salt| salt.len() >= MIN_SALT)
        && parsed
            .hash
            .as_ref()
            .is_some_and(|hash| HASH.contains(&hash.len()))
        && parsed
            .version
            .is_none_or(|version| Version::try_from(version).is_ok());
    parsed.algorithm == Algorithm::Argon2id.ident()
        && is_computable
        && text.len() <= limits::MAX_TEXT
        && Params::try_from(&parsed).is_ok_and(bearable)
}

/// Makes and verifies password hashes of one cost.
pub struct Passwords {
    argon2: Argon2<'static>,
    params: Params,
    /// The hash of nobody's password: verifying it takes the time that a real one takes.
    dummy: String,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Passwords({:?})", self.params)
    }
}

impl Passwords {
    /// Hashes of this cost. Fails when the cost is outside what Argon2 allows.
    pub fn new(cost: PasswordCost, entropy: &mut dyn Entropy) -> Result<Self, StoreError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(|error| StoreError::Engine(format!("password cost: {error}")))?;
        let mut passwords = Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()),
            params,
            dummy: String::new(),
        };
        let mut nobody = [0; 16];
        entropy.fill(&mut nobody);
        passwords.dummy = passwords.hash(&nobody, entropy)?;
        Ok(passwords)
    }

    /// The hash of a password, with a fresh salt.
    pub fn hash(&self, password: &[u8], entropy: &mut dyn Entropy) -> Result<String, StoreError> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let hash = self.argon2.hash_password_with_salt(password, &salt);
        // Neither length is refused, so what remains is memory that can't be had.
        let hash = hash.map_err(|error| StoreError::Engine(format!("password hash: {error}")))?;
        Ok(hash.to_string())
    }

    /// Whether the password is that of the hash. Without a hash the answer is no, and takes as
    /// long.
    pub fn verify(&self, password: &[u8], hash: Option<&str>) -> bool {
        let text = hash.unwrap_or(&self.dummy);
        let Ok(parsed) = PasswordHash::new(text) else {
            return false;
        };
        let fits = self.argon2.verify_password(password, &parsed).is_ok();
        fits && hash.is_some()
    }

    /// How many times as long as one of its own the costliest hash takes that can be imported, at most.
    pub fn costliest_in_own(&self) -> u32 {
        limits::MAX_HASH_WORK_KIB
            .div_ceil(work(&self.params).max(1))
            .max(1)
    }

    /// Whether the hash was made at another cost, so that it should be made anew.
    pub fn needs_rehash(&self, hash: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(hash) else {
            return true;
        };
        let wanted = |params: &Params| {
            let of = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost());
            of(params) == of(&self.params)
        };
        parsed.algorithm != Algorithm::Argon2id.ident()
            || !Params::try_from(&parsed).is_ok_and(|params| wanted(&params))
    }
}
