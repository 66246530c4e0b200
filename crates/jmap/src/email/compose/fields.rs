//! Header fields from properties: `subject`, `header:X-Any:asText` and so on (RFC 8621 4.1.2, 4.1.3).

use std::borrow::Cow;

use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::headers::url::URL;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Field;
use crate::email::header::{Form, HeaderProperty};
use crate::email::keep::wrong;
use crate::error::SetError;
use crate::limits;
use crate::standard::wrong::Wrong;

/// The fields of a message from its properties; each field once.
pub(super) fn of_email(properties: &Map<String, Value>) -> Result<Vec<Field>, SetError> {
    let (mut fields, mut all) = (Vec::new(), Wrong::default());
    for (name, value) in properties {
        all.take(of_property(&mut fields, name, value));
    }
    all.unless(Some(fields))
}

fn of_property(fields: &mut Vec<Field>, name: &str, value: &Value) -> Result<(), SetError> {
    let header = HeaderProperty::convenient(name).or_else(|| HeaderProperty::parse(name));
    let header = header.ok_or_else(|| wrong(name, "no property that a client can set"))?;
    // RFC 8621 4.6: those belong to the body.
    match is_content(&header.field) {
        true => Err(wrong(name, "a field of the body")),
        false => add(fields, name, &header, value),
    }
}

/// Whether a field says something of a body.
pub(super) fn is_content(field: &str) -> bool {
    field
        .get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// Adds the field that a property is; null is none.
pub(super) fn add(
    fields: &mut Vec<Field>,
    name: &str,
    header: &HeaderProperty,
    value: &Value,
) -> Result<(), SetError> {
    if value.is_null() {
        return Ok(());
    }
    // RFC 5322 3.6: a list in a field has something in it, so an empty one is no field.
    if header.form.is_list() && !header.all && value.as_array().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let is_known = |(known, _): &Field| known.eq_ignore_ascii_case(&header.field);
    if fields.iter().any(is_known) {
        return Err(wrong(name, "the field is set twice"));
    }
    let values = match (header.all, value) {
        (false, value) => vec![value],
        (true, Value::Array(values)) => values.iter().collect(),
        (true, _) => return Err(wrong(name, "not a list")),
    };
    for value in values {
        let written = written(header, value);
        let written = written.ok_or_else(|| wrong(name, "not a value of this form"))?;
        fields.push((header.field.clone(), written));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneAddress {
    #[serde(default)]
    name: Option<String>,
    email: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(default)]
    name: Option<String>,
    addresses: Vec<OneAddress>,
}

/// The value of a field in a form; `None` where it is none, or would not stay within its field.
fn written(header: &HeaderProperty, value: &Value) -> Option<HeaderType<'static>> {
    match header.form {
        Form::Raw => {
            let text = folded(value.as_str()?)?;
            // RFC 5322 2.1.1, with the name in front.
            let field = format!("{}: {}", header.field, text.trim_start());
            if field
                .split("\r\n")
                .any(|line| line.len() > limits::MAX_LINE)
            {
                return None;
            }
            Some(Raw::new(text.trim_start().to_owned()).into())
        }
        Form::Text => Some(Text::new(one_line(value.as_str()?)?.to_owned()).into()),
        Form::Addresses => {
            let all: Vec<OneAddress> = serde_json::from_value(value.clone()).ok()?;
            let all: Option<Vec<_>> = all.into_iter().map(address).collect();
            Some(Address::new_list(all?).into())
        }
        Form::GroupedAddresses => {
            let all: Vec<Group> = serde_json::from_value(value.clone()).ok()?;
            let mut list = Vec::new();
            for group in all {
                let inside: Option<Vec<_>> = group.addresses.into_iter().map(address).collect();
                match group.name {
                    Some(name) => {
                        let name = one_line(&name)?.to_owned();
                        list.push(Address::new_group(Some(name), inside?));
                    }
                    None => list.extend(inside?),
                }
            }
            Some(Address::new_list(list).into())
        }
        Form::MessageIds => {
            let ids: Vec<String> = serde_json::from_value(value.clone()).ok()?;
            let is_id = |id: &String| {
                !id.is_empty()
                    && id
                        .chars()
                        .all(|c| !c.is_whitespace() && !c.is_control() && !"<>".contains(c))
            };
            let fits = !ids.is_empty() && ids.iter().all(is_id);
            fits.then(|| MessageId::new_list(ids.into_iter().map(Cow::Owned)).into())
        }
        Form::Date => {
            // RFC 8620 1.4: with its own time zone, which a date of RFC 5322 keeps.
            let at = jiff::fmt::temporal::DateTimeParser::new();
            let text = value.as_str()?;
            let (at, offset) = (at.parse_timestamp(text).ok()?, offset(text)?);
            let zoned = at.to_zoned(jiff::tz::TimeZone::fixed(offset));
            // RFC 5322 3.3: no year before.
            if zoned.year() < 1900 {
                return None;
            }
            Some(Raw::new(jiff::fmt::rfc2822::to_string(&zoned).ok()?).into())
        }
        Form::Urls => {
            let urls: Vec<String> = serde_json::from_value(value.clone()).ok()?;
            let fits = urls
                .iter()
                .all(|url| !url.contains(['<', '>']) && one_line(url).is_some());
            fits.then(|| URL::new_list(urls.into_iter().map(Cow::Owned)).into())
        }
    }
}

/// The offset from UTC at the end of a date.
fn offset(text: &str) -> Option<jiff::tz::Offset> {
    if text.ends_with('Z') {
        return Some(jiff::tz::Offset::UTC);
    }
    let tail = text.get(text.len().checked_sub(6)?..)?;
    let (hours, minutes) = tail.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60;
    let sign = if tail.starts_with('-') { -1 } else { 1 };
    jiff::tz::Offset::from_seconds(sign * seconds).ok()
}

fn address(one: OneAddress) -> Option<Address<'static>> {
    let email = one_line(&one.email).filter(|email| !email.contains(['<', '>']))?;
    let name = match one.name.as_deref().map(str::trim) {
        None | Some("") => None,
        Some(name) => Some(one_line(name)?.to_owned()),
    };
    Some(Address::new_address(name, email.to_owned()))
}

/// The octets of a field as they may stand in a message: lines after the first one begin with white space
/// and have something else (RFC 5322 3.2.2).
fn folded(text: &str) -> Option<&str> {
    let mut lines = text.split("\r\n");
    let first = lines.next().is_some_and(|line| one_line(line).is_some());
    let goes_on = |line: &str| {
        line.starts_with([' ', '\t']) && !line.trim().is_empty() && one_line(line).is_some()
    };
    (first && lines.all(goes_on)).then_some(text)
}

/// A text that is one line: nothing in it ends the field.
fn one_line(text: &str) -> Option<&str> {
    (!text.contains(['\r', '\n', '\0'])).then_some(text)
}
