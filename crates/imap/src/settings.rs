//! The options of IMAP sessions: one doc comment, one type, one default for each.
//!
//! Invariant: the option reference is generated from these comments; each first sentence says
//! what the option does, the last says its unit and default.

use serde::{Deserialize, Serialize};

/// The options of IMAP (ports 993 and 143).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name of this host in the greeting. A domain name; default `localhost`.
    pub hostname: String,
    /// Largest message that APPEND takes, announced by APPENDLIMIT. In octets; default 52428800
    /// (50 MiB).
    pub max_message_size: u64,
    /// Failed authentications after which a session is closed. A number; default 3.
    pub max_auth_failures: u32,
    /// Offer STARTTLS. True or false; default true.
    pub starttls: bool,
    /// Offer authentication without TLS, so that passwords cross the network in the clear. True or
    /// false; default false.
    pub auth_without_tls: bool,
    /// Offer COMPRESS (RFC 4978): a connection that is compressed takes 45 KB more. True or false;
    /// default true.
    pub compress: bool,
    /// Longest time from the connection to the authentication. In seconds; default 60.
    pub login_timeout_secs: u64,
    /// Longest time that a command with literals may take to come in, a message that APPEND brings
    /// among them. In seconds; default 1800.
    pub literal_timeout_secs: u64,
    /// Longest wait for a command, or for DONE, once authenticated. In seconds; default 1800, the
    /// least that RFC 9051 5.4 allows.
    pub idle_timeout_secs: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hostname: String::from("localhost"),
            max_message_size: 50 << 20,
            max_auth_failures: 3,
            starttls: true,
            auth_without_tls: false,
            compress: true,
            login_timeout_secs: 60,
            literal_timeout_secs: 1_800,
            idle_timeout_secs: 1_800,
        }
    }
}
