//! The options of `[audit]` and `[syslog]`: how often the log is signed, how long it is kept, and
//! where it is sent on.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::HostPort;

/// The tamper-evident log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The log is signed when its oldest entry that is not under a checkpoint is as old as this; 0
    /// signs once a minute. In minutes; default 10.
    pub checkpoint_minutes: u32,
    /// The log is signed when so many entries are not under a checkpoint. A number; default 1000.
    pub checkpoint_entries: u32,
    /// Entries that are older are removed, whole stretches up to a checkpoint, which goes on record;
    /// those of a recall that is not over, and all that came after them, stay, and all of them while a
    /// legal hold is in force. In days; default 0, which keeps all.
    pub keep_days: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            checkpoint_minutes: 10,
            checkpoint_entries: 1_000,
            keep_days: 0,
        }
    }
}

/// Where the audit log is sent on, by syslog over TLS (RFC 5424, RFC 5425).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Syslog {
    /// The collector. `host:port`, as a rule with port 6514; default none, which sends nothing.
    pub address: Collector,
    /// The name that the collector's certificate must have. A name or address; default none, which
    /// takes the host of `address`.
    pub server_name: String,
    /// File with the certificates that are trusted to vouch for the collector, in PEM. A path;
    /// default `/etc/ssl/certs/ca-certificates.crt`.
    pub trusted_certificates: PathBuf,
    /// File with a certificate chain in PEM that is shown to the collector. A path; default none.
    pub certificate: PathBuf,
    /// File with its private key in PEM. A path; default none.
    pub private_key: PathBuf,
    /// What the messages are filed under: `auth`, `authpriv`, `audit`, or `local0` to `local7`;
    /// default `audit`.
    pub facility: Facility,
    /// The private enterprise number in the name of the structured data, `tern@number`. A number;
    /// default 32473, which is reserved for examples (RFC 5612): set your organisation's own.
    pub enterprise_number: u32,
    /// Whether what was sent counts as taken only where the collector closed the connection in order
    /// (`close_notify`, RFC 5425 4.4). True or false; default true. Off, also whoever cuts a connection
    /// between the two has what was sent on it count as taken.
    pub orderly_end: bool,
}

impl Default for Syslog {
    fn default() -> Self {
        Self {
            address: Collector(None),
            server_name: String::new(),
            trusted_certificates: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            certificate: PathBuf::new(),
            private_key: PathBuf::new(),
            facility: Facility::Audit,
            enterprise_number: 32_473,
            orderly_end: true,
        }
    }
}

/// A collector, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Collector(pub Option<HostPort>);

impl TryFrom<String> for Collector {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.is_empty() {
            true => Ok(Self(None)),
            false => text.parse().map(|to| Self(Some(to))),
        }
    }
}

impl From<Collector> for String {
    fn from(collector: Collector) -> Self {
        collector.to_string()
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |to| to.fmt(f))
    }
}

/// What messages are filed under (RFC 5424 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of syslog")]
pub enum Facility {
    Auth = 4,
    Authpriv = 10,
    Audit = 13,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}
