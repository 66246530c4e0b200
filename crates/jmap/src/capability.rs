//! The capabilities by name (RFC 8620 2, RFC 8621 1.3) and what each says of itself.

use serde_json::{Value, json};

use crate::blobs::lookup;
use crate::email::query::SORT_OPTIONS;
use crate::standard::query::Collation;
use crate::{limits, recall};

/// A capability that a request can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// `urn:ietf:params:jmap:core`
    Core,
    /// `urn:ietf:params:jmap:mail`
    Mail,
    /// `urn:ietf:params:jmap:blob` (RFC 9404)
    Blob,
    /// `urn:ietf:params:jmap:quota` (RFC 9425)
    Quota,
    /// `urn:ietf:params:jmap:submission`
    Submission,
    /// `urn:tern:jmap:recall`
    Recall,
    /// `urn:ietf:params:jmap:websocket` (RFC 8887)
    WebSocket,
    /// `urn:ietf:params:jmap:webpush-vapid` (RFC 9749)
    WebPushVapid,
    /// `urn:ietf:params:jmap:vacationresponse`
    VacationResponse,
    /// `urn:ietf:params:jmap:mdn` (RFC 9007)
    Mdn,
    /// `urn:ietf:params:jmap:principals` (RFC 9670)
    Principals,
    /// `urn:ietf:params:jmap:mail:share` (draft-ietf-jmap-mail-sharing)
    MailShare,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 12] = [
        Self::Core,
        Self::Mail,
        Self::Blob,
        Self::Quota,
        Self::Submission,
        Self::Recall,
        Self::WebSocket,
        Self::WebPushVapid,
        Self::VacationResponse,
        Self::Mdn,
        Self::Principals,
        Self::MailShare,
    ];

    /// Its registered name.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Core => "urn:ietf:params:jmap:core",
            Self::Mail => "urn:ietf:params:jmap:mail",
            Self::Blob => "urn:ietf:params:jmap:blob",
            Self::Quota => "urn:ietf:params:jmap:quota",
            Self::Submission => "urn:ietf:params:jmap:submission",
            Self::Recall => "urn:tern:jmap:recall",
            Self::WebSocket => "urn:ietf:params:jmap:websocket",
            Self::WebPushVapid => "urn:ietf:params:jmap:webpush-vapid",
            Self::VacationResponse => "urn:ietf:params:jmap:vacationresponse",
            Self::Mdn => "urn:ietf:params:jmap:mdn",
            Self::Principals => "urn:ietf:params:jmap:principals",
            Self::MailShare => "urn:ietf:params:jmap:mail:share",
        }
    }

    /// The capability of a name.
    pub fn of(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.uri() == uri)
    }

    /// What it says of the server.
    pub fn of_server(self) -> Value {
        match self {
            Self::Core => json!({
                "maxSizeUpload": limits::MAX_SIZE_UPLOAD,
                "maxConcurrentUpload": limits::MAX_CONCURRENT_UPLOAD,
                "maxSizeRequest": limits::MAX_SIZE_REQUEST,
                "maxConcurrentRequests": limits::MAX_CONCURRENT_REQUESTS,
                "maxCallsInRequest": limits::MAX_CALLS_IN_REQUEST,
                "maxObjectsInGet": limits::MAX_OBJECTS_IN_GET,
                "maxObjectsInSet": limits::MAX_OBJECTS_IN_SET,
                "collationAlgorithms": Collation::NAMED,
            }),
            // The session adds where it is.
            Self::WebSocket => json!({"supportsPush": true}),
            Self::Mail
            | Self::Blob
            | Self::Quota
            | Self::Submission
            | Self::Recall
            // The session adds the key.
            | Self::WebPushVapid
            | Self::VacationResponse
            | Self::Mdn
            | Self::Principals
            | Self::MailShare => json!({}),
        }
    }

    /// What it says of an account, where it is about accounts.
    pub fn of_account(self) -> Option<Value> {
        match self {
            Self::Core | Self::WebSocket | Self::WebPushVapid => None,
            Self::Quota => Some(json!({})),
            Self::Recall => Some(recall::about()),
            Self::Blob => Some(json!({
                "maxSizeBlobSet": limits::MAX_SIZE_BLOB_SET,
                "maxDataSources": limits::MAX_DATA_SOURCES,
                "supportedTypeNames": lookup::TYPES,
                "supportedDigestAlgorithms": ["sha-256", "sha-512"],
            })),
            Self::Mail => Some(json!({
                "maxMailboxesPerEmail": limits::MAX_MAILBOXES_PER_EMAIL,
                "maxMailboxDepth": limits::MAX_MAILBOX_DEPTH,
                "maxSizeMailboxName": limits::MAX_SIZE_MAILBOX_NAME,
                "maxSizeAttachmentsPerEmail": limits::MAX_SIZE_ATTACHMENTS,
                "emailQuerySortOptions": SORT_OPTIONS,
                "mayCreateTopLevelMailbox": true,
            })),
            // RFC 8621 1.3.3
            Self::VacationResponse => Some(json!({})),
            // RFC 9007 1.3
            Self::Mdn => Some(json!({})),
            // The session adds who the caller is.
            Self::Principals => Some(json!({})),
            Self::MailShare => Some(json!({})),
            // RFC 8621 1.3.2
            Self::Submission => Some(json!({
                "maxDelayedSend": tern_delivery::limits::MAX_HOLD_MS / 1_000,
                "submissionExtensions": {
                    "FUTURERELEASE": [], "DSN": [], "SMTPUTF8": [], "8BITMIME": [],
                    "SIZE": [tern_delivery::limits::MAX_SENDING.to_string()],
                },
            })),
        }
    }
}
