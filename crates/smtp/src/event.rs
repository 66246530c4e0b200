//! What the shell logs and counts.
//!
//! Invariant: no event holds message content or a secret. A login that failed is named: that is
//! what finds an attack, and what the peer sent in its place is the peer's risk.

use tern_session::Mechanism;

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
    /// The session began.
    Connected,
    /// TLS is on.
    TlsStarted {
        /// Protocol version.
        version: String,
        /// Cipher suite.
        cipher: String,
    },
    /// Somebody authenticated.
    Authenticated {
        /// The login as the directory writes it.
        login: String,
        /// The mechanism used.
        mechanism: Mechanism,
    },
    /// Somebody failed to.
    AuthenticationFailed {
        /// The login as sent.
        login: String,
        /// The mechanism used.
        mechanism: Mechanism,
    },
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
    /// A limit was hit.
    LimitHit(Limit),
    /// A command had a bare LF or CR, or plaintext came behind STARTTLS: somebody tries to slip
    /// commands in.
    InjectionRefused,
    /// The session ended; nothing more comes of it.
    Closed,
}
