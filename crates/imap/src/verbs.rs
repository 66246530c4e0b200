//! What a session may reach, and what it and the shell tell each other about the other end.
//!
//! Invariant: a session acts on the mailboxes of the account that authenticated, and on nothing
//! else. Refuses to hand down anything beyond the mailbox verbs.

use std::fmt;
use std::net::IpAddr;

use tern_base::AccountId;
use tern_mailbox::Mailboxes;
use zeroize::Zeroizing;

/// The verbs that a session may use.
#[derive(Clone, Copy, Debug)]
pub struct Verbs<'a> {
    /// Mailboxes and messages.
    pub mailboxes: &'a Mailboxes,
}

/// What the shell knows of the other end when a connection is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the other end.
    pub ip: IpAddr,
    /// The facts of TLS where it was on before the first octet (RFC 8314 3.2).
    pub tls: Option<TlsFacts>,
}

/// What was negotiated in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// Protocol version as registered, e.g. `TLSv1.3`.
    pub version: String,
    /// Cipher suite as registered, e.g. `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The server name that the client asked for.
    pub sni: Option<String>,
}

/// How somebody authenticated. SCRAM-SHA-256 (RFC 7677) will be another variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 4616
    Plain,
    /// The LOGIN command, or the obsolete SASL mechanism of that name.
    Login,
}

/// What a client wants to have verified.
pub struct Credentials {
    /// The mechanism by which they came.
    pub mechanism: Mechanism,
    /// Whom the client wants to act as, where it named somebody (RFC 4616 authzid).
    pub act_as: Option<String>,
    /// The login name.
    pub login: String,
    /// The password; wiped when dropped.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("mechanism", &self.mechanism)
            .field("act_as", &self.act_as)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// What became of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// They are right.
    Accepted {
        /// The account.
        account: AccountId,
        /// The login as the directory writes it.
        login: String,
    },
    /// They are wrong, in whatever respect.
    Refused,
    /// Not tried: too many failures of late.
    Throttled,
    /// Can't be told now.
    Unavailable,
}

/// Who has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The account.
    pub account: AccountId,
    /// The login as the directory writes it.
    pub login: String,
    /// The mechanism used.
    pub mechanism: Mechanism,
}
