//! Which servers take a domain's mail: a route of the configuration, or else the domain's MX
//! records (RFC 5321 5.1).
//!
//! Invariant: this host is never among them, so no message loops through it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tern_base::Entropy;

use super::names::{Missing, Names};
use crate::config::{HostPort, RouteDomain};

/// Where a domain's mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To the one that the configuration names, for this domain or for all others.
    Configured {
        /// Where it is.
        host: HostPort,
        /// By the route of all others.
        is_of_all: bool,
    },
    /// To one of these, by the domain's own word; the best first.
    Hosts(Vec<HostPort>),
    /// Nowhere, for good: an enhanced status code and why.
    Nowhere((u8, u16, u16), String),
    /// That can't be told now.
    Unknown(String),
}

/// One way that mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The domain, or the server that the configuration names for it and others.
    pub(super) name: String,
    /// By the route of all others: nothing is known of where to.
    pub(super) is_of_all: bool,
}

/// Most hosts of one domain that are tried in one attempt.
const MAX_HOSTS: usize = 5;
/// Where other servers take mail.
const SMTP_PORT: u16 = 25;

/// Finds routes.
pub(super) struct Routes {
    table: BTreeMap<RouteDomain, HostPort>,
    /// `None` where names are not to be looked up.
    names: Option<Arc<Names>>,
    hostname: String,
}

impl Routes {
    pub(super) fn new(
        table: BTreeMap<RouteDomain, HostPort>,
        names: Option<Arc<Names>>,
        hostname: &str,
    ) -> Self {
        Self {
            table,
            names,
            hostname: hostname.to_owned(),
        }
    }

    /// What mail for a domain has in common with other mail that goes the same way.
    pub(super) fn destination(&self, domain: &str) -> Destination {
        match self.configured(domain) {
            Some((host, is_of_all)) => Destination {
                name: host.to_string(),
                is_of_all,
            },
            None => Destination {
                name: domain.to_owned(),
                is_of_all: false,
            },
        }
    }

    /// The host that the configuration names, and whether it does so for all others.
    fn configured(&self, domain: &str) -> Option<(&HostPort, bool)> {
        let own = self.table.get(domain).map(|host| (host, false));
        own.or_else(|| self.table.get("*").map(|host| (host, true)))
    }

    pub(super) async fn of(&self, domain: &str, entropy: &mut (dyn Entropy + Send)) -> Route {
        if let Some((host, is_of_all)) = self.configured(domain) {
            let host = host.clone();
            return Route::Configured { host, is_of_all };
        }
        let Some(names) = &self.names else {
            return Route::Unknown(format!("no route to {domain}; see [relay] routes"));
        };
        // A literal address (RFC 5321 4.1.3) is where it says.
        if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
            return match literal_address(literal) {
                Some(ip) => Route::Hosts(vec![HostPort {
                    host: ip.to_string(),
                    port: SMTP_PORT,
                }]),
                // RFC 3463 3.2, X.1.2: bad destination system address.
                None => Route::Nowhere((5, 1, 2), format!("{domain} is no address")),
            };
        }
        match names.mail_servers(domain).await {
            Ok(found) => {
                let records = found.into_iter();
                let records =
                    records.map(|(preference, name)| (preference, entropy.next_u64(), name));
                choose(domain, records.collect(), &self.hostname)
            }
            Err(Missing::Name) => {
                // RFC 3463 3.2, X.1.2: bad destination system address.
                Route::Nowhere((5, 1, 2), format!("the domain {domain} does not exist"))
            }
            Err(Missing::Records) => choose(domain, Vec::new(), &self.hostname),
            Err(Missing::Unknown(why)) => {
                Route::Unknown(format!("the MX records of {domain}: {why}"))
            }
        }
    }
}

/// The address of a literal without its brackets (RFC 5321 4.1.3). Nothing is looked up by it.
fn literal_address(literal: &str) -> Option<IpAddr> {
    let v6 = literal
        .get(..5)
        .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    match v6.and_then(|tag| literal.get(tag.len()..)) {
        Some(rest) => rest.parse().ok().map(IpAddr::V6),
        None => literal.parse().ok().map(IpAddr::V4),
    }
}

/// Orders MX records: by preference, and by chance among equals (RFC 5321 5.1).
fn choose(domain: &str, mut records: Vec<(u16, u64, String)>, hostname: &str) -> Route {
    records.sort();
    if let [(_, _, only)] = &*records
        && only.trim_end_matches('.').is_empty()
    {
        // RFC 7505 3
        return Route::Nowhere((5, 1, 10), format!("the domain {domain} takes no mail"));
    }
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let mut names: Vec<(u16, String)> = records
        .into_iter()
        .map(|(preference, _, name)| (preference, bare(&name)))
        .collect();
    if names.is_empty() {
        // RFC 5321 5.1: no MX record is one of the domain itself.
        names.push((0, domain.to_ascii_lowercase()));
    }
    let own = names
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(hostname));
    if let Some(own) = own.map(|(preference, _)| *preference) {
        // RFC 5321 5.1: this host, and whatever is no better than it, would send the message back.
        names.retain(|(preference, _)| *preference < own);
        if names.is_empty() {
            // RFC 3463 3.5, X.4.6: routing loop detected.
            let why = format!("the mail of {domain} leads back to this server");
            return Route::Nowhere((5, 4, 6), why);
        }
    }
    names.truncate(MAX_HOSTS);
    let host = |(_, host)| HostPort {
        host,
        port: SMTP_PORT,
    };
    Route::Hosts(names.into_iter().map(host).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(records: &[(u16, &str)]) -> String {
        let records = records
            .iter()
            .map(|(p, n)| (*p, 0, (*n).to_owned()))
            .collect();
        match choose("example.net", records, "mx.example.org") {
            Route::Hosts(hosts) => hosts
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            Route::Configured { host, .. } => host.to_string(),
            Route::Nowhere(status, _) => format!("{status:?}"),
            Route::Unknown(why) => why,
        }
    }

    #[test]
    fn literals_are_addresses() {
        let read = |text| literal_address(text).map(|ip| ip.to_string());
        assert_eq!(read("192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(read("ipv6:2001:db8::1").as_deref(), Some("2001:db8::1"));
        for text in ["localhost", "2001:db8::1", "IPv6:192.0.2.1", "IPv6:", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn mx_records_are_chosen_by_the_rules() {
        let cases: &[(&[(u16, &str)], &str)] = &[
            (
                &[(20, "b.example.net."), (10, "A.example.net.")],
                "a.example.net:25 b.example.net:25",
            ),
            (&[], "example.net:25"),
            (&[(0, ".")], "(5, 1, 10)"),
            (&[(10, "mx.example.org.")], "(5, 4, 6)"),
            (
                &[
                    (10, "a.example.net."),
                    (20, "MX.example.org."),
                    (20, "c.example.net."),
                ],
                "a.example.net:25",
            ),
            (
                &[
                    (1, "a."),
                    (2, "b."),
                    (3, "c."),
                    (4, "d."),
                    (5, "e."),
                    (6, "f."),
                ],
                "a:25 b:25 c:25 d:25 e:25",
            ),
        ];
        for (records, expected) in cases {
            assert_eq!(chosen(records), *expected, "{records:?}");
        }
    }
}
