//! What the shell logs and counts.
//!
//! Invariant: no event holds message content or a secret.

use tern_mailbox::SealTag;
use tern_session::SessionEvent;

/// A limit that a peer ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// A line, or a literal that could not be skipped, over [`crate::limits`].
    Input,
    /// A literal refused with `TOOBIG`.
    Literal,
    /// Commands that don't parse.
    BadCommands,
    /// `max_auth_failures`
    AuthFailures,
    /// No memory for a literal, or for a message on its way to another account: refused with `UNAVAILABLE`.
    Memory,
    /// `login_timeout_secs`, `idle_timeout_secs` or `literal_timeout_secs`
    Time,
}

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What happens in a session of any protocol.
    Session(SessionEvent),
    /// The client said what it is (RFC 2971); at most 30 fields.
    ClientId(Vec<(String, Option<String>)>),
    /// A limit was hit.
    LimitHit(Limit),
    /// A message that was put here is under this seal: it was accepted, and was gone at once.
    Sealed(SealTag),
    /// Something on this side failed; the client was told no more than that it did.
    Failed {
        /// What the session was doing.
        doing: &'static str,
        /// Why it failed, for the log.
        why: String,
    },
}

impl From<SessionEvent> for Event {
    fn from(event: SessionEvent) -> Self {
        Self::Session(event)
    }
}
