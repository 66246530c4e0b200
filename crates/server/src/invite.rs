//! Proofs that the pages hand out for setting up a second factor: the invitation that an operator gives
//! somebody, and that its holder has shown the account's password. Neither is stored: each is a MAC over
//! what it is for, whom, until when, and how often the factors of that account have changed by then.
//!
//! Invariant: an invitation alone sets nothing up, and neither does a password alone: whoever has
//! stolen the password of an account without a second factor must not give it one of their own. An
//! invitation is good once: neither a factor that was removed again nor a new password brings it back.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tern_base::{AccountId, Timestamp};

/// What is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// An operator lets the account set up a second factor.
    Invited,
    /// Its password was shown on the page of an invitation.
    PasswordShown,
}

impl Proof {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Invited => b"tern 2026-11 factor invitation",
            Self::PasswordShown => b"tern 2026-11 factor password shown",
        }
    }

    /// How long it is good, in milliseconds.
    pub(crate) const fn lifetime_ms(self) -> u64 {
        match self {
            Self::Invited => 24 * 60 * 60 * 1000,
            Self::PasswordShown => 15 * 60 * 1000,
        }
    }
}

/// Makes and reads proofs.
#[derive(Debug)]
pub(crate) struct Invites(hmac::Key);

/// An account, the number of its factors, and until when.
const BODY: usize = 20;

impl Invites {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A proof that is good from now on for its lifetime, or until the account's factors have another
    /// `generation`.
    pub(crate) fn make(
        &self,
        proof: Proof,
        (account, generation): (AccountId, u64),
        now: Timestamp,
    ) -> String {
        let until = now.plus_millis(proof.lifetime_ms());
        let mut token = account.0.to_be_bytes().to_vec();
        token.extend(generation.to_be_bytes());
        token.extend(until.0.to_be_bytes());
        let tag = hmac::sign(&self.0, &signed(proof, &token));
        token.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Whose proof a text is, in time, and of which generation of their factors: it is good for that one.
    pub(crate) fn read(
        &self,
        proof: Proof,
        text: &str,
        now: Timestamp,
    ) -> Option<(AccountId, u64)> {
        let token = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = token.split_first_chunk::<BODY>()?;
        // In constant time.
        hmac::verify(&self.0, &signed(proof, body), tag).ok()?;
        let (account, rest) = body.split_first_chunk::<4>()?;
        let (generation, until) = rest.split_first_chunk::<8>()?;
        let until = Timestamp(u64::from_be_bytes(until.try_into().ok()?));
        let account = AccountId(u32::from_be_bytes(*account));
        (now < until).then(|| (account, u64::from_be_bytes(*generation)))
    }
}

fn signed(proof: Proof, body: &[u8]) -> Vec<u8> {
    [proof.label(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_what_it_says_and_as_long() {
        let (invites, others) = (Invites::new(&[1; 32]), Invites::new(&[2; 32]));
        let (now, whose) = (Timestamp(1_800_000_000_000), (AccountId(7), 3));
        for (proof, other) in [
            (Proof::Invited, Proof::PasswordShown),
            (Proof::PasswordShown, Proof::Invited),
        ] {
            let token = invites.make(proof, whose, now);
            let last = now.plus_millis(proof.lifetime_ms() - 1);
            assert_eq!(invites.read(proof, &token, last), Some(whose));
            assert_eq!(
                invites.read(proof, &token, last.plus_millis(1)),
                None,
                "over"
            );
            assert_eq!(invites.read(other, &token, now), None, "for something else");
            assert_eq!(others.read(proof, &token, now), None, "of another server");
            for at in 0..token.len() {
                let mut changed = token.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).expect("ASCII");
                assert_eq!(invites.read(proof, &changed, now), None, "{at}");
            }
            assert_eq!(invites.read(proof, &token[..token.len() - 4], now), None);
        }
        assert_eq!(invites.read(Proof::Invited, "", now), None);
    }
}
