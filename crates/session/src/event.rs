//! What happens in a session of any protocol, for the shell's log.
//!
//! Invariant: no event holds message content or a secret. A login that failed is named: that is
//! what finds an attack, and what the peer sent in its place is the peer's risk.

use crate::login::Mechanism;

/// Something that happened in a session, whatever it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
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
    /// A command had a bare LF or CR, or plaintext came behind STARTTLS: somebody tries to slip
    /// commands in.
    InjectionRefused,
    /// The session ended; nothing more comes of it.
    Closed,
}
