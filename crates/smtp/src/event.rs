//! What the shell logs and counts.
//!
//! Invariant: no event holds message content or a secret.

use tern_session::SessionEvent;

/// A limit that a peer ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// A line longer than `limits` allows.
    LineLength,
    /// More unexecuted input than `limits` allows.
    BufferedInput,
    /// `max_errors`
    Errors,
    /// `max_refused_recipients`
    RefusedRecipients,
    /// `max_auth_failures`
    AuthFailures,
    /// One of the `max_recipients_…`
    Recipients,
    /// `max_message_size`
    MessageSize,
    /// `max_messages`
    Messages,
    /// `max_hops`
    Hops,
    /// The server's memory for messages in transit.
    Memory,
    /// `command_timeout_secs`, `content_timeout_secs`, `message_timeout_secs` or
    /// `min_content_rate`
    Time,
}

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What happens in a session of any protocol.
    Session(SessionEvent),
    /// A recipient was refused.
    RecipientRefused {
        /// The reply code.
        code: u16,
        /// The address.
        recipient: String,
    },
    /// A message was accepted and is durable.
    MessageAccepted {
        /// The id named to the client.
        queue_id: String,
        /// Its size with the Received header, in octets.
        size: usize,
        /// Number of recipients.
        recipients: usize,
    },
    /// A message was refused after its content came.
    MessageRefused {
        /// The reply code.
        code: u16,
        /// The reply's text, with the enhanced status code.
        reason: String,
    },
    /// A limit was hit, for the first time in this session.
    LimitHit(Limit),
}

impl From<SessionEvent> for Event {
    fn from(event: SessionEvent) -> Self {
        Self::Session(event)
    }
}
