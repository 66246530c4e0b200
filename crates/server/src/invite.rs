//! Proofs that the pages hand out for setting up a second factor: the invitation that an operator gives
//! somebody, and that its holder has shown the account's password. Neither is stored: each is a MAC over
//! what it is for, whom, and until when.
//!
//! Invariant: an invitation alone sets nothing up, and neither does a password alone: whoever has
//! stolen the password of an account without a second factor must not give it one of their own.

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

/// An account, and until when.
const BODY: usize = 12;

impl Invites {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A proof that is good from now on for its lifetime.
    pub(crate) fn make(&self, proof: Proof, account: AccountId, now: Timestamp) -> String {
        let until = now.plus_millis(proof.lifetime_ms());
        let mut token = [&account.0.to_be_bytes()[..], &until.0.to_be_bytes()].concat();
        let tag = hmac::sign(&self.0, &signed(proof, &token));
        token.extend_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Whose proof a text is, while it is good.
    pub(crate) fn read(&self, proof: Proof, text: &str, now: Timestamp) -> Option<AccountId> {
        let token = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, tag) = token.split_first_chunk::<BODY>()?;
        // In constant time.
        hmac::verify(&self.0, &signed(proof, body), tag).ok()?;
        let (account, until) = body.split_first_chunk::<4>()?;
        let until = Timestamp(u64::from_be_bytes(until.try_into().ok()?));
        (now < until).then(|| AccountId(u32::from_be_bytes(*account)))
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
        let (now, account) = (Timestamp(1_800_000_000_000), AccountId(7));
        for (proof, other) in [
            (Proof::Invited, Proof::PasswordShown),
            (Proof::PasswordShown, Proof::Invited),
        ] {
            let token = invites.make(proof, account, now);
            let last = now.plus_millis(proof.lifetime_ms() - 1);
            assert_eq!(invites.read(proof, &token, last), Some(account));
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
