//! The options of JMAP.

use serde::{Deserialize, Serialize};

/// How often one account may ask by JMAP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jmap {
    /// Requests of one account within a minute, at once or spread, by HTTP and WebSocket together;
    /// more are answered 429 with a time to wait. What is downloaded and listened to is not counted. A
    /// number; default 1000. 0 is no limit.
    pub requests_per_minute: u32,
    /// Uploads of one account within an hour, at once or spread, those within requests (`Blob/upload`)
    /// among them; more are answered 429 with a time to wait, or `rateLimit` within a request. A number;
    /// default 1000. 0 is no limit.
    pub uploads_per_hour: u32,
}

impl Default for Jmap {
    fn default() -> Self {
        Self {
            requests_per_minute: 1_000,
            uploads_per_hour: 1_000,
        }
    }
}
