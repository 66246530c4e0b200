//! Who a client is: what it says of itself, and what tells it from the account's other clients.
//!
//! A client of one account can be a reader of another: somebody who was given rights in its mailboxes. There
//! its id begins with the account that it belongs to, so that whatever names the client names the reader,
//! also when nothing else is known of it any more.
//!
//! Invariant: the id of a client stays the same across connections, addresses and updates of its
//! software; it follows from what the client calls itself and from the credential it shows. It is
//! no proof: whoever has the credential can call himself as he likes.

use std::fmt;

use tern_base::AccountId;
use tern_base::codec::{Damaged, Reader, Writer};

use crate::limits;

/// What tells a client of an account from its other clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub [u8; 8]);

/// What the id of a reader's client begins with, and that of an account's own never does.
const OF_READER: u8 = 0xff;

impl DeviceId {
    /// The account that the client belongs to, where it is not the one that it reads.
    pub const fn reader(self) -> Option<AccountId> {
        let [kind, a, b, c, d, ..] = self.0;
        match kind {
            OF_READER => Some(AccountId(u32::from_be_bytes([a, b, c, d]))),
            _ => None,
        }
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn from_hex(text: &str) -> Option<Self> {
        let number = u64::from_str_radix(text, 16).ok()?;
        (text.len() == 16).then(|| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A client as it presents itself. An empty text is what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// `imap`, `smtp`, `jmap`, ...
    pub protocol: String,
    /// What it calls itself (RFC 2971 `name`, or the first word of a user agent).
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who makes it.
    pub vendor: String,
    /// The operating system, with its version.
    pub os: String,
    /// The name of the app password that it shows; empty for the account's own password.
    pub token: String,
    /// The account that it belongs to, where that is not the one whose mail it reads.
    pub reader: Option<AccountId>,
}

impl Client {
    /// What tells it from the account's other clients.
    pub fn id(&self) -> DeviceId {
        let mut w = Writer::versioned(1);
        for text in [&self.protocol, &self.name, &self.vendor, &self.token] {
            w.text(text);
        }
        // Without the version, which an update changes.
        w.text(
            self.os
                .split(|c: char| c.is_ascii_digit())
                .next()
                .unwrap_or(""),
        );
        let digest = tern_mime::blob_id(&[0; 32], &w.finish());
        let mut id = [0; 8];
        id.iter_mut()
            .zip(digest.0)
            .for_each(|(to, from)| *to = from);
        if let Some(AccountId(reader)) = self.reader {
            let [a, b, c, d] = reader.to_be_bytes();
            let [x, y, z, ..] = id;
            return DeviceId([OF_READER, a, b, c, d, x, y, z]);
        }
        if let [first @ OF_READER, ..] = &mut id {
            *first = OF_READER - 1;
        }
        DeviceId(id)
    }

    /// Name and version in one text.
    pub fn title(&self) -> String {
        match (self.name.is_empty(), self.version.is_empty()) {
            (false, false) => format!("{} {}", self.name, self.version),
            _ => format!("{}{}", self.name, self.version),
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        for text in self.texts() {
            w.text(shortened(text));
        }
        w.option(self.reader.as_ref(), |w, reader| {
            w.number(reader.0.into());
        });
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            protocol: r.text()?,
            name: r.text()?,
            version: r.text()?,
            vendor: r.text()?,
            os: r.text()?,
            token: r.text()?,
            reader: r.option(|r| r.number32().map(AccountId))?,
        })
    }

    fn texts(&self) -> [&String; 6] {
        let Self {
            protocol,
            name,
            version,
            vendor,
            os,
            token,
            reader: _,
        } = self;
        [protocol, name, version, vendor, os, token]
    }
}

/// A text that a client chose, as much of it as is kept.
pub(crate) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(limits::MAX_CLIENT_TEXT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mua() -> Client {
        Client {
            protocol: "imap".into(),
            name: "Mua".into(),
            version: "1.0".into(),
            vendor: "Mua Ltd".into(),
            os: "Linux 6.1".into(),
            token: "phone".into(),
            reader: None,
        }
    }

    #[test]
    fn an_update_changes_no_id_and_everything_else_does() {
        let id = mua().id();
        let updated = Client {
            version: "2.0".into(),
            os: "Linux 6.9".into(),
            ..mua()
        };
        assert_eq!(updated.id(), id);
        let others = [
            Client {
                name: "Mu".into(),
                ..mua()
            },
            Client {
                protocol: "smtp".into(),
                ..mua()
            },
            Client {
                token: String::new(),
                ..mua()
            },
            Client {
                os: "iOS".into(),
                ..mua()
            },
        ];
        for other in others {
            assert_ne!(other.id(), id, "{other:?}");
        }
        assert_eq!(DeviceId::from_hex(&id.to_string()), Some(id));
        assert_eq!(DeviceId::from_hex("+0"), None);
    }

    #[test]
    fn the_id_of_a_readers_client_names_the_reader_and_no_other_does() {
        let reader = |account| Client {
            reader: Some(AccountId(account)),
            ..mua()
        };
        for account in [0, 7, u32::MAX] {
            let id = reader(account).id();
            assert_eq!(id.reader(), Some(AccountId(account)));
            assert_eq!(DeviceId::from_hex(&id.to_string()), Some(id));
        }
        let other = Client {
            name: "Other".into(),
            ..reader(7)
        };
        assert_ne!(other.id(), reader(7).id());
        for n in 0..2_000 {
            let own = Client {
                name: n.to_string(),
                ..mua()
            };
            assert_eq!(own.id().reader(), None, "{n}");
        }
    }

    #[test]
    fn texts_are_cut_between_letters() {
        let long = "ä".repeat(limits::MAX_CLIENT_TEXT);
        assert_eq!(shortened(&long).len(), limits::MAX_CLIENT_TEXT);
        assert_eq!(shortened("short"), "short");
    }
}
