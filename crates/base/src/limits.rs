//! The bounds of what crates have in common.

/// Longest ENVID, in octets as it is encoded (RFC 3461 4.4).
pub const MAX_ENVID: usize = 100;
/// Longest ORCPT, in octets as it is encoded (RFC 3461 4.2).
pub const MAX_ORCPT: usize = 500;
