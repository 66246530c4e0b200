//! Whose share of the server something counts with.

use std::net::IpAddr;

use tern_base::AccountId;

use super::prefix::Network;

/// Who holds a part of what all share: memory for content, threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Account(AccountId),
    Network(Network),
    /// The host itself: a proxy or a filter, whose connections are not one client's.
    Loopback,
}

impl Holder {
    /// Who a connection from `peer` counts with before it has authenticated.
    pub(crate) fn stranger(peer: IpAddr) -> Self {
        match peer.to_canonical().is_loopback() {
            true => Self::Loopback,
            false => Self::Network(Network::wide(peer)),
        }
    }

    pub(crate) const fn is_stranger(self) -> bool {
        !matches!(self, Self::Account(_))
    }
}
