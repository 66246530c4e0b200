//! The standard methods as far as they are the same for every type (RFC 8620 5).

pub(crate) mod changes;
pub(crate) mod filter;
pub(crate) mod get;
pub(crate) mod listed;
pub(crate) mod query;
pub(crate) mod set;
