//! The standard methods as far as they are the same for every type (RFC 8620 5).

pub(crate) mod changes;
pub(crate) mod filter;
pub(crate) mod get;
pub(crate) mod listed;
pub(crate) mod query;
pub(crate) mod set;
pub(crate) mod wrong;

use serde_json::Value;

/// An object of these members. Unlike `json!`, which copies what it is given, it takes them as they are:
/// most of a response is in one of them.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let member = |(name, value): (&str, Value)| (name.to_owned(), value);
    Value::Object(members.into_iter().map(member).collect())
}
