//! Request-level errors as problem details (RFC 8620 3.6.1, RFC 7807).

use serde_json::{Value, json};

/// Why a request was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It uses a capability that is not here.
    UnknownCapability(String),
    /// It is not I-JSON, or does not say that it is JSON.
    NotJson(String),
    /// It is JSON, and no request.
    NotRequest(String),
    /// It goes beyond this limit of the core capability.
    Limit(&'static str),
}

impl Problem {
    /// The HTTP status that goes with it.
    pub const fn status(&self) -> u16 {
        400
    }

    /// Its media type is `application/problem+json`.
    pub fn to_json(&self) -> Value {
        let kind = |name: &str| format!("urn:ietf:params:jmap:error:{name}");
        let (name, detail) = match self {
            Self::UnknownCapability(uri) => {
                let detail = format!("The request uses {uri:?}, which is not here.");
                ("unknownCapability", detail)
            }
            Self::NotJson(why) => ("notJSON", format!("The request is not I-JSON: {why}.")),
            Self::NotRequest(why) => ("notRequest", format!("The JSON is no request: {why}.")),
            Self::Limit(limit) => {
                return json!({
                    "type": kind("limit"), "limit": limit, "status": self.status(),
                    "detail": format!("The request goes beyond {limit}."),
                });
            }
        };
        json!({"type": kind(name), "status": self.status(), "detail": detail})
    }
}
