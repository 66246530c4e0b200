//! The options of SMTP sessions: one doc comment, one type, one default for each.
//!
//! Invariant: the option reference is generated from these comments; each first sentence says
//! what the option does, the last says its unit and default.

use serde::{Deserialize, Serialize};

/// What to do with message content that has a bare LF or a bare CR (CVE-2023-51764: end of data
/// is CRLF.CRLF alone, whatever is chosen here).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BareNewline {
    /// Refuse the message with 550 5.6.11 once it has been received.
    #[default]
    Reject,
    /// Store a bare LF as CRLF and a bare CR as a space. Only CRLF begins a line of the
    /// transfer, so neither can end the data or carry a stuffed dot.
    Normalise,
}

/// What to do with a submitted message that bears somebody else's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignFrom {
    /// Refuse it with 550 5.7.1.
    Refuse,
    /// Refuse it, but where the name is of another server: whose that is this server can't judge.
    #[default]
    Outside,
    /// Take it: the envelope alone is asked for an address of the account.
    Allow,
}

/// The options of SMTP reception (port 25) and submission (ports 465 and 587).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name of this host in the banner, in EHLO replies and in Received headers. A domain name;
    /// default `localhost`.
    pub hostname: String,
    /// Largest message accepted, announced by SIZE. In octets; default 52428800 (50 MiB).
    pub max_message_size: u64,
    /// Most recipients of one message on reception. A number; default 1000.
    pub max_recipients_reception: u32,
    /// Most recipients of one message on submission. A number; default 10000.
    pub max_recipients_submission: u32,
    /// Most recipients of one message with the null sender. Further ones are told to come in a
    /// message of their own. A number; default 100 (RFC 5321 4.5.3.1.8).
    pub max_recipients_null_sender: u32,
    /// Most messages of one session, announced by LIMITS MAILMAX. A number; default 100000.
    pub max_messages: u32,
    /// Most Received headers of a message before it counts as looping. A number; default 50.
    pub max_hops: u32,
    /// Errors in commands after which a session is closed. A number; default 20.
    pub max_errors: u32,
    /// Refused recipients after which a session is closed: it is searching for addresses. A
    /// number; default 100.
    pub max_refused_recipients: u32,
    /// Failed authentications after which a session is closed. A number; default 3.
    pub max_auth_failures: u32,
    /// What to do with message content that has a bare LF or CR. `reject` or `normalise`;
    /// default `reject`.
    pub bare_newline: BareNewline,
    /// What to do with a submitted message whose From or Sender names an address that is not the account's,
    /// or can't be read whole: a program may show it as if that person had written it. `refuse`, `outside`
    /// (take those of other servers' domains) or `allow`; default `outside`. JMAP always refuses it.
    pub foreign_from: ForeignFrom,
    /// Offer STARTTLS. True or false; default true.
    pub starttls: bool,
    /// Refuse mail on submission before TLS is on. True or false; default true.
    pub submission_requires_tls: bool,
    /// Offer AUTH without TLS, so that passwords cross the network in the clear. True or false;
    /// default false.
    pub auth_without_tls: bool,
    /// Longest wait for a whole command. In seconds; default 300 (RFC 5321 4.5.3.2.7).
    pub command_timeout_secs: u64,
    /// Longest wait for the next piece of a message. In seconds; default 180.
    pub content_timeout_secs: u64,
    /// Longest time from the first piece of a message to its last, whatever is said in between: the
    /// largest message needs a line that brings it within this time. In seconds; default 3600.
    pub message_timeout_secs: u64,
    /// Slowest transfer of a message that is endured, beyond one `content_timeout_secs` of grace.
    /// In octets for each second; default 500.
    pub min_content_rate: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hostname: String::from("localhost"),
            max_message_size: 50 << 20,
            max_recipients_reception: 1_000,
            max_recipients_submission: 10_000,
            max_recipients_null_sender: 100,
            max_messages: 100_000,
            max_hops: 50,
            max_errors: 20,
            max_refused_recipients: 100,
            max_auth_failures: 3,
            bare_newline: BareNewline::Reject,
            foreign_from: ForeignFrom::Outside,
            starttls: true,
            submission_requires_tls: true,
            auth_without_tls: false,
            command_timeout_secs: 300,
            content_timeout_secs: 180,
            message_timeout_secs: 3_600,
            min_content_rate: 500,
        }
    }
}
