//! What the DNS says of domains and hosts that take mail.
//!
//! Invariant: a name is asked for whole: no search list of this host completes it. What is not there is
//! told apart from what can't be told now; only the first is for good.

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;

/// The DNS, by the resolver of this host.
pub(super) struct Names(TokioResolver);

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There is no such name.
    Name,
    /// There is the name, and it has none of these records.
    Records,
    /// That can't be told now.
    Unknown(String),
}

impl Names {
    pub(super) fn of_host() -> Result<Self, NetError> {
        Ok(Self(TokioResolver::builder_tokio()?.build()?))
    }

    /// The MX records of a domain: preference and name.
    pub(super) async fn mail_servers(&self, domain: &str) -> Result<Vec<(u16, String)>, Missing> {
        let found = self.0.mx_lookup(whole(domain)).await?;
        let records = found.answers().iter().filter_map(|it| match &it.data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii())),
            _ => None,
        });
        some(records.collect())
    }

    /// The addresses of a host, of either family.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Missing> {
        let (v4, v6) = tokio::join!(
            self.0.ipv4_lookup(whole(host)),
            self.0.ipv6_lookup(whole(host))
        );
        let addresses = [v4, v6].map(|found| {
            let found = found?;
            let of = |data: &RData| match data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            };
            some(
                found
                    .answers()
                    .iter()
                    .filter_map(|it| of(&it.data))
                    .collect(),
            )
        });
        match addresses {
            [Ok(v4), Ok(v6)] => Ok([v4, v6].concat()),
            [Ok(found), Err(_)] | [Err(_), Ok(found)] => Ok(found),
            // Where one can't be told, there may be some.
            [Err(unknown @ Missing::Unknown(_)), _] | [_, Err(unknown)] => Err(unknown),
        }
    }
}

/// The dot at the end: the name is whole.
fn whole(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn some<T>(found: Vec<T>) -> Result<Vec<T>, Missing> {
    match found.is_empty() {
        true => Err(Missing::Records),
        false => Ok(found),
    }
}

impl From<NetError> for Missing {
    fn from(error: NetError) -> Self {
        match &error {
            error if error.is_nx_domain() => Self::Name,
            // RFC 2308 2.2.1: name servers without SOA are a referral, which is no answer.
            NetError::Dns(DnsError::NoRecordsFound(none))
                if none.soa.is_some() || none.ns.is_none() =>
            {
                Self::Records
            }
            error => Self::Unknown(error.to_string()),
        }
    }
}
