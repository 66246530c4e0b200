//! The answer of somebody who is away, as octets (RFC 3834 3).

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use tern_base::{OriginId, Timestamp};

use super::Vacation;
use super::rows::Owed;

/// What is said where the account's owner says nothing.
const DEFAULT_TEXT: &str = "I am away at the moment, and will read your message when I am back.\n";

pub(crate) fn compose(
    hostname: &str,
    vacation: &Vacation,
    owed: &Owed,
    name: &str,
    origin: OriginId,
    now: Timestamp,
) -> Vec<u8> {
    // RFC 3834 3.1.5
    let subject = match (&vacation.subject, owed.subject.is_empty()) {
        (Some(subject), _) => one_line(subject),
        (None, true) => "Auto: away".to_owned(),
        (None, false) => format!("Auto: {}", owed.subject),
    };
    let (name, address) = (one_line(name), owed.from.to_string());
    let from = match name.is_empty() {
        true => Address::from(address),
        false => Address::from((name, address)),
    };
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let mut message = MessageBuilder::new()
        .from(from)
        .to(owed.to.to_string())
        .subject(subject)
        .date(Date::new(seconds))
        .message_id(MessageId::new(format!("{origin}@{hostname}")))
        // RFC 3834 3.1.7
        .header("Auto-Submitted", Raw::new("auto-replied"));
    if let Some(id) = &owed.message_id {
        message = message
            .in_reply_to(MessageId::new(id.clone()))
            .references(MessageId::new(id.clone()));
    }
    let plain = |text: &str| MimePart::new("text/plain", text.to_owned());
    let body = match (&vacation.text, &vacation.html) {
        (None, None) => plain(DEFAULT_TEXT),
        (Some(text), None) => plain(text),
        (None, Some(html)) => MimePart::new("text/html", html.clone()),
        (Some(text), Some(html)) => {
            let kind = ContentType::new("multipart/alternative");
            // RFC 2045 6.7: "=_" stands in no quoted-printable text.
            let kind = kind.attribute("boundary", format!("=_{origin}"));
            MimePart::new(
                kind,
                vec![plain(text), MimePart::new("text/html", html.clone())],
            )
        }
    };
    // Writing to memory can't fail.
    message.body(body).write_to_vec().unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
