//! Blob ids (RFC 8620 1.2): what can be downloaded.
//!
//! `G` and the number of a message, or `U` and the name of an upload, a code, and a path for each message on the way in: that of a part
//! within the message, then that of a part within the message that this part is. The code is keyed
//! with the server's secret over the account and all the rest, so that an id can't be guessed, and one
//! of another account is the id of nothing.

use std::fmt::{self, Write as _};

use tern_base::{AccountId, BlobId, MessageId};

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

/// What a blob is, or is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// A message.
    Message(MessageId),
    /// What a client uploaded.
    Upload(BlobId),
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => write!(f, "G{message}"),
            Self::Upload(blob) => write!(f, "U{blob}"),
        }
    }
}

impl Whole {
    fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix('U') {
            return BlobId::from_hex(name).map(Self::Upload);
        }
        let number = text.strip_prefix('G')?.parse().ok()?;
        Some(Self::Message(MessageId(number)))
    }
}

/// A message or an upload, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// What is whole.
    pub whole: Whole,
    /// The part within it, then the part within the message which that is, and so on. None: the
    /// whole itself.
    pub paths: Vec<Path>,
}

impl BlobRef {
    /// A whole message.
    pub const fn message(message: MessageId) -> Self {
        Self {
            whole: Whole::Message(message),
            paths: Vec::new(),
        }
    }

    /// What a client uploaded.
    pub const fn upload(blob: BlobId) -> Self {
        Self {
            whole: Whole::Upload(blob),
            paths: Vec::new(),
        }
    }

    /// A part of what this is, which is a message.
    #[must_use]
    pub fn part(&self, path: &[u32]) -> Self {
        let mut paths = self.paths.clone();
        paths.push(path.to_vec());
        Self {
            whole: self.whole,
            paths,
        }
    }

    /// Its id.
    pub fn id(&self, key: &BlobKey, account: AccountId) -> String {
        let code = self.code(key, account);
        format!("{}-{code}{}", self.whole, self.rest())
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
        let text = format!("{account} {}{}", self.whole, self.rest());
        let digest = blake3::keyed_hash(&key.0, text.as_bytes());
        let hex = digest.to_hex();
        hex.as_str().get(..24).unwrap_or_default().to_owned()
    }

    /// Reads an id; `None` for what is none of this account.
    pub fn parse(key: &BlobKey, account: AccountId, id: &str) -> Option<Self> {
        let mut fields = id.split('-');
        let whole = Whole::parse(fields.next()?)?;
        let _code = fields.next()?;
        let paths = fields.map(|path| match path {
            "0" => Some(Path::new()),
            _ => path.split('_').map(|number| number.parse().ok()).collect(),
        });
        let paths: Option<Vec<Path>> = paths.collect();
        let found = Self {
            whole,
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
            BlobRef::upload(BlobId([0xab; 32])),
            BlobRef::upload(BlobId([0xab; 32])).part(&[1]),
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
