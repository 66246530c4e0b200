//! The ids that the rows of the store and the protocols share.
//!
//! Invariant: an id is never reused. `AccountId` and `MailboxId` count up from 1; `MessageId`
//! counts up within its account, `Uid` within its mailbox. A `ThreadId` names a conversation by the
//! message that began it: the same conversation has the same name again.

use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// An account: a person's or a shared store of mailboxes. Unique on the server.
    AccountId(u32)
);
number_id!(
    /// A mailbox (an IMAP mailbox, a folder). Unique within its account.
    MailboxId(u32)
);
number_id!(
    /// A message (a JMAP Email): unique within its account, stable for its life.
    MessageId(u64)
);
number_id!(
    /// A conversation: unique within its account.
    ThreadId(u64)
);
number_id!(
    /// The IMAP UID of a message in one mailbox (RFC 9051 2.3.1.1). Never 0 for a message.
    Uid(u32)
);
number_id!(
    /// A position in an account's one change sequence: IMAP MODSEQ and JMAP state (RFC 7162 3.1).
    Modseq(u64)
);

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident[$len:literal]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl $name {
            /// The id of a lower- or upper-case hexadecimal text of exactly the right length.
            pub fn from_hex(text: &str) -> Option<Self> {
                let bytes = text.as_bytes();
                if bytes.len() != $len * 2 {
                    return None;
                }
                let mut out = [0; $len];
                for (to, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                    let high = char::from(pair[0]).to_digit(16)?;
                    let low = char::from(pair[1]).to_digit(16)?;
                    *to = (high * 16 + low) as u8;
                }
                Some(Self(out))
            }

            /// The id of a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Some(Self(bytes.try_into().ok()?))
            }
        }
    };
}

byte_id!(
    /// The keyed digest that addresses one content of the server: unguessable without the key.
    BlobId[32]
);
byte_id!(
    /// The keyed digest of what makes two messages the same letter whatever trace headers they
    /// gathered on the way: equal for a sent message, its delivered copies and re-appended copies.
    ContentDigest[16]
);
byte_id!(
    /// How a message came onto this server: one accepted transaction (an SMTP message, an APPEND)
    /// whose copies all carry this id. Sortable by time (the layout of a UUID version 7, or 8 of what is
    /// foreign).
    OriginId[16]
);

impl OriginId {
    /// A new id from the time and 10 random bytes (RFC 9562 5.7).
    pub fn new(now: crate::Timestamp, entropy: &mut dyn crate::Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes[6..]);
        bytes[..6].copy_from_slice(&now.as_millis().to_be_bytes()[2..]);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The same of what was not sent from here, as far as is known: it came in from another server, or a client
    /// brought it. Its version says so (RFC 9562 5.8), wherever the id goes.
    #[must_use]
    pub const fn foreign(mut self) -> Self {
        self.0[6] = (self.0[6] & 0x0f) | 0x80;
        self
    }

    /// Whether what it brought was not sent from here, as far as is known.
    pub const fn is_foreign(&self) -> bool {
        self.0[6] & 0xf0 == 0x80
    }

    /// The moment this id was made.
    pub fn time(&self) -> crate::Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0[..6]);
        crate::Timestamp(u64::from_be_bytes(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SeededEntropy, Timestamp};

    #[test]
    fn origin_ids_sort_by_time_and_round_trip() {
        let mut entropy = SeededEntropy::new(1);
        let early = OriginId::new(Timestamp(1_000), &mut entropy);
        let late = OriginId::new(Timestamp(2_000), &mut entropy);
        assert!(early < late);
        assert_eq!(early.time(), Timestamp(1_000));
        let foreign = early.foreign();
        assert!(foreign.is_foreign() && !early.is_foreign());
        assert_eq!((foreign.time(), foreign.foreign()), (early.time(), foreign));
        assert_eq!(OriginId::from_hex(&early.to_string()), Some(early));
        assert_eq!(OriginId::from_hex("zz"), None);
        assert_eq!(OriginId::from_slice(&[0; 15]), None);
    }
}
