//! Message disposition notifications (RFC 9007, RFC 8098): answering a sender who asks what became of a
//! message, and reading such an answer.
//!
//! Invariants:
//! - Of a message one notification is sent at most, whoever asks by whatever protocol and whatever is cut
//!   off: `$mdnsent` is set before it leaves.
//! - Nothing that a client or a sender wrote adds a field or a part to what is sent.

mod ask;
pub(crate) mod parse;
mod report;
pub(crate) mod send;

use serde_json::{Map, Value, json};

use report::Report;

/// The keyword of a message of which a notification was sent (RFC 3503, RFC 9007 1.2).
const MDN_SENT: &str = "$mdnsent";

/// An MDN (RFC 9007 2).
struct Mdn<'a> {
    for_email: Option<String>,
    subject: Option<&'a str>,
    text: Option<&'a str>,
    includes_original: bool,
    report: &'a Report,
}

impl Mdn<'_> {
    /// Every property.
    fn object(&self) -> Value {
        let report = self.report;
        let extensions: Map<String, Value> = report
            .extensions
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        json!({
            "forEmailId": self.for_email,
            "subject": self.subject,
            "textBody": self.text,
            "includeOriginalMessage": self.includes_original,
            "reportingUA": report.reporting_ua,
            "disposition": report.disposition.object(),
            "mdnGateway": report.gateway,
            "originalRecipient": report.original_recipient,
            "finalRecipient": report.final_recipient,
            "originalMessageId": report.original_message_id,
            "error": (!report.errors.is_empty()).then_some(&report.errors),
            "extensionFields": (!extensions.is_empty()).then_some(extensions),
        })
    }
}
