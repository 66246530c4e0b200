//! What an entry says: who did what to what, how they proved who they are, and from where.
//!
//! Invariant: the canonical JSON of an entry is a function of the entry alone and never changes
//! for an entry once written, whatever later versions add.

use std::collections::BTreeMap;
use std::fmt;

use tern_base::{AccountId, Entropy, OriginId, Timestamp};

use crate::limits;

/// The id of one entry, chosen by the caller: appending it twice appends it once. Sortable by time
/// (the layout of a UUID version 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 16]);

impl EntryId {
    /// A new id from the time and random bytes.
    pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Self {
        Self(OriginId::new(now, entropy).0)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first entry carries as the hash of the one before it.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The server itself (retention, a retry, a schedule).
    Server,
    /// Whoever ran the command line on the server's machine, by their name there.
    Operator(String),
    /// An account.
    Account {
        /// The account.
        account: AccountId,
        /// Its address at that time.
        address: String,
    },
    /// Somebody who did not prove who they are; the name they claimed, if any.
    Unauthenticated(Option<String>),
}

impl Actor {
    /// What the actor is called.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Server => Some("server"),
            Self::Operator(name) => Some(name),
            Self::Account { address, .. } => Some(address),
            Self::Unauthenticated(claimed) => claimed.as_deref(),
        }
    }
}

/// How the actor proved who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// The mechanism: `PLAIN`, `SCRAM-SHA-256`, `session`.
    pub mechanism: String,
    /// What was proven: `password`, `app-password`, `totp`, `webauthn`.
    pub factors: Vec<String>,
    /// Which credential, where there are several.
    pub credential: Option<String>,
    /// When a second factor was last shown.
    pub second_factor_at: Option<Timestamp>,
}

/// The value of a detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// An entry before it has its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Appending the same id again changes nothing.
    pub id: EntryId,
    /// When it was done.
    pub time: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// The account they did it for, by its address, when it is not their own.
    pub on_behalf_of: Option<String>,
    /// How they proved who they are.
    pub authentication: Option<Authentication>,
    /// The address they came from.
    pub peer: Option<String>,
    /// The protocol they used: `imap`, `smtp`, `jmap`, `console`, `cli`.
    pub protocol: Option<String>,
    /// What was done: a dotted name of the caller, such as `account.create`.
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// What else is worth knowing, by name.
    pub details: BTreeMap<String, Detail>,
}

impl Draft {
    /// An entry of an act by the server itself; the other fields are for the caller to fill.
    pub fn new(id: EntryId, time: Timestamp, actor: Actor, action: &str) -> Self {
        Self {
            id,
            time,
            actor,
            on_behalf_of: None,
            authentication: None,
            peer: None,
            protocol: None,
            action: action.to_owned(),
            target: None,
            details: BTreeMap::new(),
        }
    }

    /// Names what was acted on.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Detail>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a list of names without white space, none of which is cut: the first details' worth as `name`, what
    /// has no room there as `name-2` and so on. An empty list adds nothing.
    #[must_use]
    pub fn names<'a>(mut self, name: &str, names: impl IntoIterator<Item = &'a String>) -> Self {
        let (mut text, mut number) = (String::new(), 1_usize);
        for one in names {
            if !text.is_empty() && text.len() + 1 + one.len() > limits::MAX_TEXT {
                self = self.detail(&numbered(name, number), std::mem::take(&mut text));
                number += 1;
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(one);
        }
        match text.is_empty() {
            true => self,
            false => self.detail(&numbered(name, number), text),
        }
    }
}

/// What the so many-th detail of a list is called, from 1 on.
pub fn numbered(name: &str, number: usize) -> String {
    match number {
        1 => name.to_owned(),
        number => format!("{name}-{number}"),
    }
}

/// Whether a text of an entry is not all that was said.
pub fn is_cut(text: &str) -> bool {
    // A cut takes a part of a character with it.
    text.ends_with(CUT) && text.len() + 3 >= limits::MAX_TEXT
}

/// What stands for what was cut.
pub(crate) const CUT: char = '…';

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place: 1 for the first.
    pub sequence: u64,
    /// What it says.
    pub draft: Draft,
    /// The hash of the entry before it; [`Hash::ZERO`] for the first.
    pub previous: Hash,
    /// The SHA-256 of [`Entry::canonical_json`].
    pub hash: Hash,
}
