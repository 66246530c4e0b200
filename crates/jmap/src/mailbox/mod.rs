//! `Mailbox` (RFC 8621 2).

pub(crate) mod changes;
mod counts;
pub(crate) mod get;
pub(crate) mod query;
pub(crate) mod query_changes;
pub(crate) mod set;
