//! `Email` (RFC 8621 4).

mod body;
pub(crate) mod changes;
pub(crate) mod compose;
mod content;
pub(crate) mod copy;
pub(crate) mod get;
mod header;
pub(crate) mod import;
mod keep;
pub(crate) mod parse;
mod property;
pub(crate) mod query;
pub(crate) mod seen;
pub(crate) mod set;
pub(crate) mod snippet;
mod unchanged;
mod value;
mod write;

pub(crate) use body::Located;
pub(crate) use value::within;
