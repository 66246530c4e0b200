//! What a client says of a notification that is to be sent.

use serde_json::{Map, Value};
use tern_base::EmailAddress;

use super::report::{Disposition, is_extension};
use crate::context::Context;
use crate::error::SetError;
use crate::limits;

/// An MDN as a client wrote it.
pub(super) struct Asked {
    pub(super) for_email: String,
    pub(super) subject: Option<String>,
    pub(super) text: Option<String>,
    pub(super) includes_original: bool,
    pub(super) reporting_ua: Option<String>,
    pub(super) disposition: Disposition,
    pub(super) final_recipient: Option<EmailAddress>,
    pub(super) extensions: Vec<(String, String)>,
}

pub(super) fn wrong(property: &str, why: &str) -> SetError {
    SetError::invalid_properties(&[property], why)
}

impl Asked {
    pub(super) fn read(cx: &Context<'_>, mdn: &Map<String, Value>) -> Result<Self, SetError> {
        let told = |name: &str| mdn.get(name).filter(|value| !value.is_null());
        for name in mdn.keys().map(String::as_str) {
            match name {
                "forEmailId"
                | "subject"
                | "textBody"
                | "includeOriginalMessage"
                | "reportingUA"
                | "disposition"
                | "finalRecipient"
                | "extensionFields" => {}
                "mdnGateway" | "originalRecipient" | "originalMessageId" | "error" => {
                    if told(name).is_some() {
                        return Err(wrong(name, "the server sets it"));
                    }
                }
                _ => return Err(wrong(name, "no property of an MDN")),
            }
        }
        let line = |name: &str| -> Result<Option<String>, SetError> {
            let read = |value: &Value| line(value).ok_or_else(|| wrong(name, "not a line of text"));
            told(name).map(read).transpose()
        };
        let for_email = told("forEmailId").and_then(Value::as_str);
        let for_email = for_email.ok_or_else(|| wrong("forEmailId", "not an id"))?;
        let disposition = told("disposition").and_then(Disposition::of_object);
        let final_recipient = told("finalRecipient").map(|value| {
            let address = value.as_str().and_then(recipient);
            address.ok_or_else(|| wrong("finalRecipient", "no address with its type"))
        });
        Ok(Self {
            for_email: cx.resolved(for_email).to_owned(),
            subject: line("subject")?,
            text: told("textBody").map(text).transpose()?,
            includes_original: match told("includeOriginalMessage") {
                None => false,
                Some(Value::Bool(flag)) => *flag,
                Some(_) => return Err(wrong("includeOriginalMessage", "neither true nor false")),
            },
            reporting_ua: line("reportingUA")?,
            disposition: disposition
                .ok_or_else(|| wrong("disposition", "not {actionMode, sendingMode, type}"))?,
            final_recipient: final_recipient.transpose()?,
            extensions: told("extensionFields").map_or(Ok(Vec::new()), extensions)?,
        })
    }
}

/// A line that stays within its field.
fn line(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let fits = !text.is_empty() && text.len() <= limits::MAX_MDN_FIELD;
    (fits && !text.contains(char::is_control)).then(|| text.to_owned())
}

fn text(value: &Value) -> Result<String, SetError> {
    let no_text = || wrong("textBody", "not a text");
    let text = value.as_str().ok_or_else(no_text)?;
    match text.len() <= limits::MAX_MDN_TEXT {
        true => Ok(text.to_owned()),
        false => Err(SetError::new("tooLarge", "the text is too long")
            .and("maxSize", limits::MAX_MDN_TEXT.into())),
    }
}

/// RFC 8098 3.2.4: a type and an address; of mail there are two.
fn recipient(text: &str) -> Option<EmailAddress> {
    let (kind, address) = text.split_once(';').unwrap_or(("rfc822", text));
    let kinds = ["rfc822", "utf-8"];
    let is_mail = kinds.iter().any(|it| it.eq_ignore_ascii_case(kind.trim()));
    EmailAddress::parse(address.trim()).ok().filter(|_| is_mail)
}

fn extensions(value: &Value) -> Result<Vec<(String, String)>, SetError> {
    let no = |why: &str| wrong("extensionFields", why);
    let all = value.as_object().ok_or_else(|| no("not a map of fields"))?;
    if all.len() > limits::MAX_MDN_EXTENSIONS {
        return Err(no("too many fields"));
    }
    let one = |(name, value): (&String, &Value)| {
        let value = line(value).ok_or_else(|| no("a value is no line of text"))?;
        let is_short = name.len() <= tern_mailbox::limits::MAX_KEYWORD;
        match is_short && is_extension(name) {
            true => Ok((name.clone(), value)),
            false => Err(no("a field that is no extension's")),
        }
    };
    all.iter().map(one).collect()
}
