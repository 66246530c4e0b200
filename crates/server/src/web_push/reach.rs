//! Where pushes may go: to the public Internet, and into networks that the operator names.
//!
//! Invariant: a client can't make the server send requests into the network that it stands in. What a
//! URL says is judged when it is set; what its name leads to, each time before it is connected to.

use std::net::IpAddr;
use std::sync::Arc;

use url::Host;

use crate::config::Network;
use crate::net::is_public;

/// Where pushes may go.
#[derive(Clone, Debug)]
pub(super) struct PushReach {
    allowed: Arc<[Network]>,
    hostname: Arc<str>,
}

/// Names that are never those of hosts elsewhere (RFC 6761, RFC 6762, RFC 8375, and what networks call
/// themselves).
const INNER: [&str; 9] = [
    "localhost",
    "local",
    "internal",
    "home.arpa",
    "localdomain",
    "lan",
    "intranet",
    "corp",
    "home",
];

impl PushReach {
    pub(super) fn new(allowed: &[Network], hostname: &str) -> Self {
        Self {
            allowed: allowed.into(),
            hostname: hostname.into(),
        }
    }

    /// Whether a host may be tried. Where networks are allowed, what a name leads to decides.
    pub(super) fn allows(&self, host: &Host<&str>) -> bool {
        match host {
            Host::Ipv4(ip) => self.allows_address((*ip).into()),
            Host::Ipv6(ip) => self.allows_address((*ip).into()),
            Host::Domain(name) => !self.allowed.is_empty() || !self.is_inner(name),
        }
    }

    /// Whether an address may be connected to.
    pub(super) fn allows_address(&self, ip: IpAddr) -> bool {
        is_public(ip) || self.allowed.iter().any(|network| network.holds(ip))
    }

    fn is_inner(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        let is_below = |zone: &&str| {
            let above = name.strip_suffix(*zone);
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        !name.contains('.') || name == &*self.hostname || INNER.iter().any(is_below)
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn allows(networks: &[&str], url: &str) -> bool {
        let networks: Vec<Network> = networks
            .iter()
            .map(|it| it.parse().expect("a network"))
            .collect();
        let reach = PushReach::new(&networks, "mx.example.org");
        let url = Url::parse(url).expect("a URL");
        reach.allows(&url.host().expect("a host"))
    }

    #[test]
    fn urls_into_the_own_network_are_told_however_they_are_written() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://100.64.0.1/",
            "https://169.254.169.254/latest/",
            "https://172.16.5.4/",
            "https://192.168.0.1/",
            "https://224.0.0.1/",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a00:1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[fc00::1]/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://printer.local/",
            "https://push.internal/",
            "https://push/",
            "https://mx.example.org/",
        ] {
            assert!(!allows(&[], url), "{url}");
        }
        for url in [
            "https://push.example.net/1",
            "https://mylocal.example/",
            "https://1.1.1.1/",
            "https://[2a00::1]/",
        ] {
            assert!(allows(&[], url), "{url}");
        }
    }

    #[test]
    fn networks_that_are_named_may_be_reached_and_no_others() {
        let some = &["127.0.0.0/8", "fd00::/8"][..];
        for url in [
            "https://127.0.0.1:8443/",
            "https://[fd12::1]/",
            "https://localhost/",
        ] {
            assert!(allows(some, url), "{url}");
        }
        for url in ["https://10.0.0.1/", "https://[::1]/", "https://[fe80::1]/"] {
            assert!(!allows(some, url), "{url}");
        }
    }
}
