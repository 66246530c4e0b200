//! Which network an address counts with: what one customer has whole, and what one provider gives
//! out of one hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network, as what it counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Network {
    /// An IPv4 address, or an IPv6 /64: one customer, as a rule.
    Narrow(IpAddr),
    /// An IPv4 /24, or an IPv6 /48: the most that one customer has, as a rule.
    Wide(IpAddr),
}

impl Network {
    /// The narrow network of an address.
    pub(crate) fn narrow(peer: IpAddr) -> Self {
        Self::Narrow(cut(peer, 32, 64))
    }

    /// The wide network of an address.
    pub(crate) fn wide(peer: IpAddr) -> Self {
        Self::Wide(cut(peer, 24, 48))
    }
}

/// The first bits of an address, `v4` of them or `v6`.
fn cut(peer: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(ip) => {
            let mask = u32::MAX << (32 - v4);
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX << (128 - v6);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_count_with_their_networks() {
        let cases = [
            ("2001:db8::1", "2001:db8::", "2001:db8::"),
            ("2001:db8::ffff:1", "2001:db8::", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::", "2001:db8::"),
            ("2001:db8:1:1::1", "2001:db8:1:1::", "2001:db8:1::"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.0"),
        ];
        for (address, narrow, wide) in cases {
            let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
            let peer = parse(address);
            assert_eq!(Network::narrow(peer), Network::Narrow(parse(narrow)));
            assert_eq!(Network::wide(peer), Network::Wide(parse(wide)));
        }
    }
}
