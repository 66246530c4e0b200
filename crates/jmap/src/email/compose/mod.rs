//! A message from what a client says of it (RFC 8621 4.6): header fields, body structure, texts, blobs.
//!
//! Invariant: what is written reads back as what was asked; no value of a client breaks out of its field.
//! Clock and entropy come from the caller, and the boundaries with them.

mod body;
mod fields;
mod part;

use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use serde_json::{Map, Value};
use tern_base::OriginId;

use crate::context::Context;
use crate::error::SetError;
use crate::limits;
use crate::scope::Scope;
use crate::standard::wrong::Wrong;

/// The properties of an Email that say where it is kept: the rest is the message.
const KEPT: [&str; 3] = ["mailboxIds", "keywords", "receivedAt"];

/// Writes the message of an Email that is to be made.
pub(super) fn compose(
    cx: &mut Context<'_>,
    scope: &Scope,
    email: &Map<String, Value>,
) -> Result<Vec<u8>, SetError> {
    let (mut of_header, mut of_body) = (Map::new(), Map::new());
    for (name, value) in email
        .iter()
        .filter(|(name, _)| !KEPT.contains(&name.as_str()))
    {
        match name.as_str() {
            "bodyStructure" | "bodyValues" | "textBody" | "htmlBody" | "attachments" => {
                of_body.insert(name.clone(), value.clone());
            }
            _ => {
                of_header.insert(name.clone(), value.clone());
            }
        }
    }
    let mut all = Wrong::default();
    let fields = all.take(fields::of_email(&of_header));
    let of_message = fields.as_deref().unwrap_or_default();
    let body = all.take(body::read(cx, scope, &of_body, of_message));
    let (mut fields, body) = all.unless(fields.zip(body))?;
    fields.extend(body.fields);
    message(cx, fields, body.root)
}

/// Writes a message of these header fields, and of what it must have and they lack.
pub(crate) fn message(
    cx: &mut Context<'_>,
    mut fields: Vec<Field>,
    root: MimePart<'static>,
) -> Result<Vec<u8>, SetError> {
    complete(cx, &mut fields);
    let mut message = MessageBuilder::new();
    for (name, value) in fields {
        message = message.header(name, value);
    }
    let written = message.body(root).write_to_vec();
    let written = written.map_err(|error| SetError::new("serverFail", error.to_string()))?;
    match written.len() as u64 <= limits::MAX_SIZE_UPLOAD {
        true => Ok(written),
        false => Err(SetError::new("tooLarge", "the message is too large")
            .and("maxSize", limits::MAX_SIZE_UPLOAD.into())),
    }
}

/// A boundary that stands in no text: RFC 2045 6.7, "=_" is not in quoted-printable.
pub(crate) fn boundary(cx: &mut Context<'_>) -> String {
    let mut bytes = [0; 12];
    cx.entropy.fill(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("=_{hex}")
}

/// One header field.
pub(crate) type Field = (String, HeaderType<'static>);

/// What a message must have and a client may leave to the server (RFC 5322 3.6).
fn complete(cx: &mut Context<'_>, fields: &mut Vec<Field>) {
    let has = |fields: &[Field], wanted: &str| {
        fields
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    if !has(fields, "Message-ID") {
        let domain = cx
            .caller
            .login
            .rsplit('@')
            .next()
            .unwrap_or_default()
            .to_owned();
        let id = format!("{}@{domain}", OriginId::new(cx.now, cx.entropy));
        fields.insert(0, ("Message-ID".to_owned(), MessageId::new(id).into()));
    }
    if !has(fields, "Date") {
        let now = i64::try_from(cx.now.as_secs()).unwrap_or_default();
        fields.insert(0, ("Date".to_owned(), Date::new(now).into()));
    }
    if !has(fields, "MIME-Version") {
        fields.push(("MIME-Version".to_owned(), Raw::new("1.0").into()));
    }
    // The builder looks for these by this spelling.
    for (name, _) in fields {
        for known in ["Message-ID", "Date", "MIME-Version"] {
            if name.eq_ignore_ascii_case(known) {
                known.clone_into(name);
            }
        }
    }
}
