//! The configuration: one TOML file, each option with one doc comment, one type and one default.
//!
//! Invariant: a file that loads says what the server does; an unknown key is an error and never
//! ignored. Options of a protocol or an engine live in the crate that obeys them.
//!
//! Refuses to read environment variables, and to guess.

mod audit;
mod error;
mod https;
mod jmap;
mod policy;
mod push;
mod reference;
mod sense;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tern_base::Domain;

pub use audit::{Audit, Collector, Facility, Syslog};
pub use error::ConfigError;
pub use https::{Https, PublicUrl};
pub use jmap::Jmap;
pub use policy::{Network, Policy, ZoneName};
pub use push::{Contact, Push};
pub use reference::{commented_default, reference};

/// Where the file is when the command line names none.
pub const DEFAULT_PATH: &str = "/etc/tern/tern.toml";

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The server as a whole.
    pub server: Server,
    /// Certificates.
    pub tls: Tls,
    /// The addresses to listen on, by what is spoken there.
    pub listeners: Listeners,
    /// What all connections together may use.
    pub limits: Limits,
    /// Incoming SMTP: reception on port 25, submission on ports 465 and 587.
    pub smtp: tern_smtp::Settings,
    /// IMAP.
    pub imap: tern_imap::settings::Settings,
    /// The pages of the server.
    pub https: Https,
    /// How often one account may ask by JMAP.
    pub jmap: Jmap,
    /// Who finds whom in the directory.
    pub directory: tern_directory::principal::Settings,
    /// Where clients are told what changed that have no connection: web push.
    pub push: Push,
    /// Where messages for other servers go.
    pub relay: Relay,
    /// Who may take messages back, and under which conditions.
    pub policy: Policy,
    /// How long what was taken back is kept, and what still arrives is stopped.
    pub recall: tern_recall::Settings,
    /// The tamper-evident log: how often it is signed, and how long it is kept.
    pub audit: Audit,
    /// Where the audit log is sent on, by syslog over TLS (RFC 5424, RFC 5425).
    pub syslog: Syslog,
    /// The storage engine.
    pub store: tern_store_rocksdb::Settings,
    /// The log.
    pub log: Log,
}

/// The server as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Name of this host in banners, greetings and trace headers; other servers expect the name
    /// that the address of this host leads to. A domain name; default `localhost`.
    pub hostname: HostName,
    /// Directory that holds everything the server keeps. A path; default `/var/lib/tern`.
    pub data_dir: PathBuf,
    /// Threads that serve sockets. A number; default 2.
    pub worker_threads: u16,
    /// Most threads that work on the store for clients; eight more are for the server's own work. A number; default 64.
    pub blocking_threads: u16,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            hostname: HostName(String::from("localhost")),
            data_dir: PathBuf::from("/var/lib/tern"),
            worker_threads: 2,
            blocking_threads: 64,
        }
    }
}

/// Certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// File with the certificate chain in PEM, the server's own first; read again when it changes
    /// and on SIGHUP. A path; default none, which makes a self-signed one in the data directory.
    pub certificate: PathBuf,
    /// File with the private key in PEM. A path; default none.
    pub private_key: PathBuf,
}

/// The addresses to listen on, by what is spoken there. An empty list turns a service off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listeners {
    /// Mail from other servers, STARTTLS offered. A list of addresses with ports; default port 25.
    pub smtp: Vec<SocketAddr>,
    /// Mail from this server's users, STARTTLS required. A list of addresses with ports; default
    /// port 587.
    pub submission: Vec<SocketAddr>,
    /// Mail from this server's users, TLS from the first byte. A list of addresses with ports;
    /// default port 465.
    pub submissions: Vec<SocketAddr>,
    /// IMAP, STARTTLS required before authentication. A list of addresses with ports; default
    /// port 143.
    pub imap: Vec<SocketAddr>,
    /// IMAP, TLS from the first byte. A list of addresses with ports; default port 993.
    pub imaps: Vec<SocketAddr>,
    /// The pages of the server, by which people confirm what they asked for, under TLS. A list of
    /// addresses with ports; default port 443.
    pub https: Vec<SocketAddr>,
}

impl Default for Listeners {
    fn default() -> Self {
        // The unspecified IPv6 address serves IPv4, too: the sockets are opened for both.
        let any = |port: u16| vec![SocketAddr::from(([0u16; 8], port))];
        Self {
            smtp: any(25),
            submission: any(587),
            submissions: any(465),
            imap: any(143),
            imaps: any(993),
            https: any(443),
        }
    }
}

/// What all connections together may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most connections at once; about half of them is kept for the listeners that are used, so
    /// that a flood at one leaves room at the others: 10 per cent for `smtp`, 5 for `submission`, 10
    /// for `submissions`, 5 for `imap`, 20 for `imaps`, 2 for `https`. A number; default 20000.
    pub max_connections: u32,
    /// Most connections at once from one address; an IPv6 address counts with its /64 network. A
    /// number; default 200. Loopback is not counted.
    pub max_connections_per_address: u32,
    /// Most connections at once from one network: an IPv4 /24, or an IPv6 /48. A number; default
    /// 1000. Loopback is not counted.
    pub max_connections_per_network: u32,
    /// Memory for messages on their way in, by SMTP and by APPEND, all sessions together. In bytes;
    /// default 268435456 (256 MiB).
    pub content_memory_bytes: u64,
    /// What of `content_memory_bytes` connections may hold that have not authenticated: all of
    /// reception. In bytes; default 134217728 (128 MiB).
    pub content_memory_reception_bytes: u64,
    /// What of `content_memory_bytes` one account may hold, or one network (an IPv4 /24, an IPv6
    /// /48) that has not authenticated. Memory is taken in powers of two: less than that of the
    /// largest message refuses such messages. Who holds more than a 64th of this leaves a quarter of the
    /// two options above to those who hold less. In bytes; default 67108864 (64 MiB). Loopback has no
    /// share of its own.
    pub content_memory_share_bytes: u64,
    /// Longest TLS handshake. In seconds; default 30.
    pub handshake_timeout_secs: u64,
    /// Longest wait for a client to take a piece of output. In seconds; default 180.
    pub write_timeout_secs: u64,
    /// Failed logins of one address (an IPv6 /64) after which further ones are refused unseen; a network
    /// (an IPv4 /24, an IPv6 /48) may fail four times as often. They run off evenly, as many within ten
    /// minutes, and what a program tries again and again is one. The answer to a failed login is delayed
    /// before that. Where one account was guessed at as often, whoever comes from a network that it has
    /// not logged in from waits, one at a time. A number; default 30.
    pub max_login_failures: u32,
    /// Addresses that are not one client, whose failed logins count for the account alone: a webmail or
    /// a proxy. A list of addresses with prefix lengths; default loopback.
    pub uncounted_networks: Vec<Network>,
    /// Recipients that one account may write to within an hour, at once or spread, by SMTP and JMAP
    /// together; more are told 450 or `rateLimit` for a while, so that an account that was taken over
    /// sends only so much. A number; default 10000. 0 is no limit.
    pub recipients_per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_address: 200,
            max_connections_per_network: 1_000,
            content_memory_bytes: 256 << 20,
            content_memory_reception_bytes: 128 << 20,
            content_memory_share_bytes: 64 << 20,
            handshake_timeout_secs: 30,
            write_timeout_secs: 180,
            max_login_failures: 30,
            uncounted_networks: Network::loopback(),
            recipients_per_hour: 10_000,
        }
    }
}

/// Where messages for other servers go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// The server for each domain, `*` for all others. A table of domain to `host:port`; default
    /// empty.
    pub routes: BTreeMap<RouteDomain, HostPort>,
    /// Look up the MX records of domains without a route; where that is off, messages for them wait
    /// in the queue. True or false; default true.
    pub resolve: bool,
    /// Let MX records and address literals lead into private networks, this host's own included;
    /// a route may lead anywhere in any case. True or false; default false.
    pub allow_private_addresses: bool,
    /// Whether TLS is used towards them: `never`, `opportunistic` or `required`, the last with a
    /// verified certificate; default `opportunistic`.
    pub tls: RelayTls,
    /// File with the certificates that `required` trusts, in PEM. A path; default
    /// `/etc/ssl/certs/ca-certificates.crt`.
    pub trusted_certificates: PathBuf,
    /// Most deliveries to other servers at once. A number; default 20.
    pub concurrency: u16,
    /// Most of them to one destination (a domain, or the server of its route), and most sessions with one
    /// address, so that one that is slow leaves room for others; a route of `*` has no such bound. A
    /// number; default 5.
    pub concurrency_per_destination: u16,
    /// Most recipients of a message that are handed over at once where they go the same way; fewer
    /// where the other server says so (RFC 9422), and half as many as failed together before. A number
    /// from 1 to 100; default 50.
    pub recipients_per_transaction: u16,
    /// Longest attempt to hand one message over, whatever it waits for but the answer to a message that
    /// is out whole; it is tried again later. In seconds; default 1800.
    pub attempt_timeout_secs: u64,
    /// Longest wait for a connection. In seconds; default 30.
    pub connect_timeout_secs: u64,
    /// Longest wait for a reply. In seconds; default 300 (RFC 5321 4.5.3.2).
    pub reply_timeout_secs: u64,
    /// Longest wait for the reply to the end of the data. In seconds; default 600 (RFC 5321
    /// 4.5.3.2.6).
    pub end_of_data_timeout_secs: u64,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            routes: BTreeMap::new(),
            resolve: true,
            allow_private_addresses: false,
            tls: RelayTls::Opportunistic,
            trusted_certificates: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            concurrency: 20,
            concurrency_per_destination: 5,
            recipients_per_transaction: 50,
            attempt_timeout_secs: 1_800,
            connect_timeout_secs: 30,
            reply_timeout_secs: 300,
            end_of_data_timeout_secs: 600,
        }
    }
}

/// Whether TLS is used towards other servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayTls {
    /// In the clear.
    Never,
    /// Where it is offered, whatever the certificate says.
    #[default]
    Opportunistic,
    /// Or nothing is sent; the certificate must name the host and be trusted.
    Required,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged: `error`, `warn`, `info`, `debug` or `trace`; default `info`.
    pub level: Level,
    /// How: `text` or `json`; default `text`.
    pub format: Format,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: Format::Text,
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What is broken.
    Error,
    /// What may become a trouble.
    Warn,
    /// What happened.
    Info,
    /// How it came about.
    Debug,
    /// Everything.
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A host's name: a domain name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl HostName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Domain::parse(&text) {
            Ok(domain) => Ok(Self(domain.as_str().to_owned())),
            Err(error) => Err(format!("`{text}` is not a domain name: {error}")),
        }
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

/// A domain of the table of routes, or `*` for all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RouteDomain(String);

impl TryFrom<String> for RouteDomain {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Domain::parse(&text) {
            _ if text == "*" => Ok(Self(text)),
            // As the domain of an address is compared.
            Ok(domain) => Ok(Self(domain.as_str().to_owned())),
            Err(error) => Err(format!("`{text}` is no domain name and not `*`: {error}")),
        }
    }
}

impl From<RouteDomain> for String {
    fn from(domain: RouteDomain) -> Self {
        domain.0
    }
}

impl Borrow<str> for RouteDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some((host, port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
        });
        match parts {
            Some((host, port)) => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            None => Err(format!("`{text}` is not of the form host:port")),
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HostPort> for String {
    fn from(to: HostPort) -> Self {
        to.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Says what is wrong, and where; see [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads a text. `name` is what an error calls it.
    ///
    /// # Errors
    /// Says what is wrong, and where.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let parsed = match toml::Deserializer::parse(text) {
            Ok(deserializer) => serde_path_to_error::deserialize(deserializer),
            Err(error) => return Err(ConfigError::syntax(text, name, &error)),
        };
        let config: Self = parsed.map_err(|error| ConfigError::of(text, name, &error))?;
        match config.senseless() {
            wrong if wrong.is_empty() => Ok(config.settled()),
            wrong => Err(ConfigError::senseless(name, &wrong)),
        }
    }

    /// The one host name where a section has none of its own.
    fn settled(mut self) -> Self {
        let name = self.server.hostname.as_str();
        let own = [
            &mut self.smtp.hostname,
            &mut self.imap.hostname,
            &mut self.recall.hostname,
        ];
        for own in own {
            if own == "localhost" {
                name.clone_into(own);
            }
        }
        self
    }
}
