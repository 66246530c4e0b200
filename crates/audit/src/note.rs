//! Signed notes: a text with Ed25519 signatures under it, in the format of C2SP's `signed-note`
//! (the one of Go's checksum database and of certificate transparency), so that tools which know
//! nothing of this program verify them.
//!
//! ```text
//! mail.example.org/tern-audit
//! 1042
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — mail.example.org/tern-audit Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```
//!
//! Refuses a note whose text has control characters, and any that is longer than its bound.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use crate::append::AuditError;
use crate::limits;

/// The number of Ed25519 among the kinds of keys.
const ED25519_KIND: u8 = 1;

/// A public key with the name of the log that it signs for.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    public: [u8; 32],
}

impl VerifyingKey {
    /// A key by its name and bytes.
    pub(crate) const fn new(name: String, public: [u8; 32]) -> Self {
        Self { name, public }
    }

    /// The key of a text such as `mail.example.org/tern-audit+03dd…+AS…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.trim().split_once('+')?;
        let (id, bytes) = rest.split_once('+')?;
        let bytes = BASE64.decode(bytes).ok()?;
        let (kind, public) = bytes.split_first()?;
        let key = Self::new(name.to_owned(), public.try_into().ok()?);
        (*kind == ED25519_KIND && key.id_hex() == id && !name.is_empty()).then_some(key)
    }

    /// The name of the log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32 bytes of the key.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What a signature names it by: the first four bytes of a SHA-256 over name, kind and key.
    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new().chain_update(self.name.as_bytes());
        let digest = digest.chain_update([b'\n', ED25519_KIND]);
        let digest = digest.chain_update(self.public).finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// By what a signature names this key, in hexadecimal.
    pub fn id_hex(&self) -> String {
        self.id().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a signature of this key stands under a text.
    pub fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public)
            .verify(text.as_bytes(), signature)
            .is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[ED25519_KIND], &self.public[..]].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            self.id_hex(),
            BASE64.encode(bytes)
        )
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    key: VerifyingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.key)
    }
}

impl SigningKey {
    /// The key of a seed.
    ///
    /// # Errors
    /// The name can't be that of a key.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, AuditError> {
        let fits = |c: char| c.is_ascii_graphic() && c != '+';
        if name.is_empty() || name.len() > limits::MAX_LOG_NAME || !name.chars().all(fits) {
            return Err(AuditError::Form("a log name that is no plain text"));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        let pair = pair.map_err(|_| AuditError::Form("a seed that makes no key"))?;
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| AuditError::Form("a key of another length"))?;
        let key = VerifyingKey::new(name.to_owned(), public);
        Ok(Self { pair, key })
    }

    /// Its public part.
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.key
    }

    /// The 64 bytes of a signature.
    pub fn sign(&self, text: &str) -> Vec<u8> {
        self.pair.sign(text.as_bytes()).as_ref().to_vec()
    }

    /// A text, which ends with a line end, with a signature under it.
    pub fn note(&self, text: &str) -> String {
        let bytes = [&self.key.id()[..], &self.sign(text)].concat();
        format!("{text}\n— {} {}\n", self.key.name, BASE64.encode(bytes))
    }
}

/// A note as it was read; nothing says yet that a signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What was signed, with its last line end.
    pub text: String,
    /// Name, key id and signature of each line under it.
    signatures: Vec<(String, [u8; 4], Vec<u8>)>,
}

impl Note {
    /// Reads a note.
    pub fn parse(note: &str) -> Option<Self> {
        let is_control = |c: char| c.is_control() && c != '\n';
        if note.len() > limits::MAX_NOTE || note.contains(is_control) {
            return None;
        }
        let at = note.rfind("\n\n")?;
        let (text, below) = (&note[..=at], &note[at + 2..]);
        let signatures = below.strip_suffix('\n')?.split('\n').map(|line| {
            let (name, bytes) = line.strip_prefix("— ")?.split_once(' ')?;
            let bytes = BASE64.decode(bytes).ok()?;
            let (id, signature) = bytes.split_first_chunk::<4>()?;
            Some((name.to_owned(), *id, signature.to_vec()))
        });
        Some(Self {
            text: text.to_owned(),
            signatures: signatures.collect::<Option<_>>()?,
        })
    }

    /// Whether one of the signatures is this key's, and right.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let by = |(name, id, signature): &(String, [u8; 4], Vec<u8>)| {
            *name == key.name && *id == key.id() && key.has_signed(&self.text, signature)
        };
        self.signatures.iter().any(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_program_verifies_its_note() {
        // The example of Go's golang.org/x/mod/sumdb/note.
        let key = VerifyingKey::parse(
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        )
        .expect("a key");
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let note = format!(
            "{text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        assert!(Note::parse(&note).expect("a note").is_signed_by(&key));
        let other = note.replace("answer", "Answer");
        assert!(!Note::parse(&other).expect("a note").is_signed_by(&key));
    }

    #[test]
    fn what_is_signed_is_verified_and_nothing_else() {
        let key = SigningKey::new("log.example/tern-audit", &[7; 32]).expect("a key");
        let public = VerifyingKey::parse(&key.verifying().to_string()).expect("a key");
        let note = key.note("one\ntwo\n");
        assert!(Note::parse(&note).expect("a note").is_signed_by(&public));
        let other = SigningKey::new("log.example/tern-audit", &[8; 32]).expect("a key");
        assert!(
            !Note::parse(&note)
                .expect("a note")
                .is_signed_by(other.verifying())
        );
        for wrong in [
            "",
            "\n\n",
            "one\n",
            "one\n\n— a b",
            "one\n\nx\n",
            "o\rne\n\n— a AAAA\n",
        ] {
            assert_eq!(Note::parse(wrong), None, "{wrong:?}");
        }
        assert!(SigningKey::new("two words", &[7; 32]).is_err());
        assert_eq!(VerifyingKey::parse("log+00000000+AAAA"), None);
    }
}
