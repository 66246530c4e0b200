//! `Mailbox` (RFC 8621 2).

pub(crate) mod changes;
pub(crate) mod counts;
pub(crate) mod get;
mod later;
pub(crate) mod query;
pub(crate) mod query_changes;
pub(crate) mod rights;
pub(crate) mod set;
mod share;
