//! The options of `[policy]`: which policies are in force, and what the surroundings are called.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Who may take messages back, and under which conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Directories whose `*.cedar` files together are the policies; read again when they change and
    /// on SIGHUP. A list of paths; default empty, which takes the policies that are built in.
    pub directories: Vec<PathBuf>,
    /// What policies call networks. A table of a name to a list of addresses with prefix lengths,
    /// such as `office = ["192.0.2.0/24", "2001:db8::/32"]`; default empty.
    pub networks: BTreeMap<String, Vec<Network>>,
    /// Time zone of the local hour and weekday, by its IANA name such as `Europe/Amsterdam`. Default
    /// none: policies know the time in UTC only.
    pub time_zone: ZoneName,
    /// MaxMind database from which the country of an address is known. A path; default none.
    pub country_database: PathBuf,
}

/// An address and how many of its bits name the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// This machine itself.
    pub(super) fn loopback() -> Vec<Self> {
        let of = |address: IpAddr, bits| Self { address, bits };
        vec![
            of(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
            of(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
        ]
    }

    /// Whether an address is in it. An IPv4 address that is written as IPv6 is the IPv4 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits);
                let prefix = |a: u32| a.checked_shr(shift).unwrap_or(0);
                prefix(own.to_bits()) == prefix(other.to_bits())
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits);
                let prefix = |a: u128| a.checked_shr(shift).unwrap_or(0);
                prefix(own.to_bits()) == prefix(other.to_bits())
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network of the form address/bits");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.bits)
    }
}

/// The name of a time zone, as this machine or the binary itself knows it; or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

impl ZoneName {
    /// The zone; `None` where none is configured.
    pub fn zone(&self) -> Option<TimeZone> {
        match self.0.is_empty() {
            true => None,
            false => TimeZone::get(&self.0).ok(),
        }
    }
}

impl TryFrom<String> for ZoneName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if !name.is_empty() && TimeZone::get(&name).is_err() {
            return Err(format!("`{name}` is not a time zone"));
        }
        Ok(Self(name))
    }
}

impl From<ZoneName> for String {
    fn from(name: ZoneName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_its_bits_name() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ];
        for (network, address, holds) in cases {
            let network: Network = network.parse().expect("a network");
            let address = address.parse().expect("an address");
            assert_eq!(network.holds(address), holds, "{network:?} {address}");
        }
        for wrong in [
            "",
            "192.0.2.0/33",
            "::/129",
            "office",
            "192.0.2.0/-1",
            "1.2.3.4/a",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
