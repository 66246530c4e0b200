//! `/get` (RFC 8620 5.1).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::object;
use crate::budget::Objects;
use crate::error::MethodError;

/// The arguments of a `/get` that has no others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GetArgs {
    pub(crate) account_id: String,
    #[serde(default)]
    pub(crate) ids: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) properties: Option<Vec<String>>,
}

/// The properties that are asked for.
pub(crate) struct Wanted<'a>(Option<&'a [String]>);

impl<'a> Wanted<'a> {
    /// Of a type with these properties; all of them where the client names none.
    pub(crate) fn of(asked: Option<&'a [String]>, known: &[&str]) -> Result<Self, MethodError> {
        let mut names = asked.into_iter().flatten();
        match names.find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(unknown_property(name)),
            None => Ok(Self(asked)),
        }
    }

    /// What of an object is asked for: `id` always.
    pub(crate) fn select(&self, object: Value) -> Value {
        match (self.0, object) {
            (Some(names), Value::Object(all)) => {
                let is_asked = |name: &str| name == "id" || names.iter().any(|asked| asked == name);
                let kept = all.into_iter().filter(|(name, _)| is_asked(name));
                Value::Object(kept.collect::<Map<String, Value>>())
            }
            (_, object) => object,
        }
    }
}

/// A property that the type does not have.
pub(crate) fn unknown_property(name: &str) -> MethodError {
    MethodError::invalid_arguments(format!("there is no property {name:?}"))
}

/// The response of a `/get`.
pub(crate) fn response(account: &str, state: &str, list: Objects, not_found: &[String]) -> Value {
    object([
        ("accountId", account.into()),
        ("state", state.into()),
        ("list", list.into()),
        ("notFound", not_found.into()),
    ])
}
