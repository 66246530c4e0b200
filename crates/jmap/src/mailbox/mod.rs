//! `Mailbox` (RFC 8621 2).

pub(crate) mod changes;
mod counts;
pub(crate) mod get;
