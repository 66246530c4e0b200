//! Request-level errors as problem details (RFC 8620 3.6.1, RFC 7807).

use std::time::Duration;

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
    /// More come than may within a time: after this wait there may be another one.
    TooOften {
        /// How long that is.
        wait: Duration,
    },
    /// There is no memory for it now.
    NoMemory,
}

impl Problem {
    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::Limit(limit) if limit.starts_with("maxSize") => 413,
            Self::Limit(limit) if limit.starts_with("maxConcurrent") => 429,
            Self::TooOften { .. } => 429,
            Self::NoMemory => 503,
            _ => 400,
        }
    }

    /// After how many seconds it may be tried again.
    pub fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Limit(limit) if limit.starts_with("maxConcurrent") => Some(1),
            // A part of a second is a second.
            Self::TooOften { wait } => {
                Some(wait.as_millis().div_ceil(1_000).try_into().unwrap_or(1))
            }
            _ => None,
        }
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
            // RFC 8620 3.6.1: `limit` is for those that the capability object names.
            Self::TooOften { .. } => {
                let seconds = self.retry_after_secs().unwrap_or_default();
                return json!({
                    "type": "about:blank", "status": self.status(), "title": "Too Many Requests",
                    "detail": format!("Too many came of late: try again after {seconds} seconds."),
                });
            }
            Self::NoMemory => {
                return json!({
                    "type": "about:blank", "status": self.status(), "title": "Service Unavailable",
                    "detail": "No memory is left for it.",
                });
            }
        };
        json!({"type": kind(name), "status": self.status(), "detail": detail})
    }
}
