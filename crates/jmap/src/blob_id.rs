//! Blob ids (RFC 8620 1.2): what can be downloaded.
//!
//! `G` and the number of a message, a code, and a path for each message on the way in: that of a part
//! within the message, then that of a part within the message that this part is. The code is keyed
//! with the server's secret over the account and all the rest, so that an id can't be guessed, and one
//! of another account is the id of nothing.

use std::fmt::Write as _;

use tern_base::{AccountId, MessageId};

/// The key that codes are made with.
#[derive(Clone, Copy)]
pub struct BlobKey([u8; 32]);

impl BlobKey {
    /// From the key of the server's content.
    pub fn new(content_key: &[u8; 32]) -> Self {
        Self(blake3::derive_key("tern jmap blob ids v1", content_key))
    }
}

/// The number of a part: positions from the outside to the inside, each from 1; empty for what is
/// the whole.
pub type Path = Vec<u32>;

/// A message, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// The message.
    pub message: MessageId,
    /// The part within it, then the part within the message which that is, and so on. None: the
    /// message itself.
    pub paths: Vec<Path>,
}

impl BlobRef {
    /// A whole message.
    pub const fn message(message: MessageId) -> Self {
        Self {
            message,
            paths: Vec::new(),
        }
    }

    /// A part of what this is, which is a message.
    #[must_use]
    pub fn part(&self, path: &[u32]) -> Self {
        let mut paths = self.paths.clone();
        paths.push(path.to_vec());
        Self {
            message: self.message,
            paths,
        }
    }

    /// Its id.
    pub fn id(&self, key: &BlobKey, account: AccountId) -> String {
        let code = self.code(key, account);
        format!("G{}-{code}{}", self.message, self.rest())
    }

    /// The paths as they stand in the id.
    fn rest(&self) -> String {
        let mut out = String::new();
        for path in &self.paths {
            let mut separator = '-';
            // The part that a message without others is.
            if path.is_empty() {
                out.push_str("-0");
            }
            for number in path {
                let _ = write!(out, "{separator}{number}");
                separator = '_';
            }
        }
        out
    }

    fn code(&self, key: &BlobKey, account: AccountId) -> String {
        let text = format!("{account} {}{}", self.message, self.rest());
        let digest = blake3::keyed_hash(&key.0, text.as_bytes());
        let hex = digest.to_hex();
        hex.as_str().get(..24).unwrap_or_default().to_owned()
    }

    /// Reads an id; `None` for what is none of this account.
    pub fn parse(key: &BlobKey, account: AccountId, id: &str) -> Option<Self> {
        let mut fields = id.strip_prefix('G')?.split('-');
        let message = MessageId(fields.next()?.parse().ok()?);
        let _code = fields.next()?;
        let paths = fields.map(|path| match path {
            "0" => Some(Path::new()),
            _ => path.split('_').map(|number| number.parse().ok()).collect(),
        });
        let paths: Option<Vec<Path>> = paths.collect();
        let found = Self {
            message,
            paths: paths?,
        };
        // Also what is spelled in another way is the id of nothing.
        (found.id(key, account) == id).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: AccountId = AccountId(1);

    #[test]
    fn an_id_is_read_back_by_its_account_and_by_nobody_else() {
        let key = BlobKey::new(&[1; 32]);
        let whole = BlobRef::message(MessageId(7));
        let part = whole.part(&[2, 1]);
        for blob in [
            whole.clone(),
            part.clone(),
            part.part(&[]),
            part.part(&[1]).part(&[3]),
        ] {
            let id = blob.id(&key, BOB);
            assert_eq!(BlobRef::parse(&key, BOB, &id), Some(blob), "{id}");
            assert_eq!(BlobRef::parse(&key, AccountId(2), &id), None);
            assert_eq!(BlobRef::parse(&BlobKey::new(&[2; 32]), BOB, &id), None);
            assert!(
                id.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            );
        }
        let id = whole.id(&key, BOB);
        for other in [
            format!("{id}-1"),
            id.replace("G7", "G8"),
            format!("{id}-"),
            String::from("G7"),
            String::new(),
        ] {
            assert_eq!(BlobRef::parse(&key, BOB, &other), None, "{other}");
        }
    }
}
