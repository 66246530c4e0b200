//! `Blob/get` (RFC 9404 4.2): octets and digests of blobs within a response.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use tern_mailbox::MailboxError;

use super::{is_whole, part};
use crate::args::{self, UnsignedInt};
use crate::blob::Found;
use crate::budget::{Objects, Unread};
use crate::context::Context;
use crate::error::MethodError;
use crate::limits;
use crate::standard::get::unknown_property;
use crate::standard::object;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    ids: Vec<String>,
    #[serde(default)]
    properties: Option<Vec<String>>,
    #[serde(default)]
    offset: Option<UnsignedInt>,
    #[serde(default)]
    length: Option<UnsignedInt>,
}

const PROPERTIES: [&str; 7] = [
    "id",
    "size",
    "data",
    "data:asText",
    "data:asBase64",
    "digest:sha-256",
    "digest:sha-512",
];

/// `Blob/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let defaults = || vec!["data".to_owned(), "size".to_owned()];
    let mut properties = args.properties.unwrap_or_else(defaults);
    if let Some(name) = properties
        .iter()
        .find(|name| !PROPERTIES.contains(&name.as_str()))
    {
        return Err(unknown_property(name));
    }
    properties.sort_unstable();
    properties.dedup();
    let (offset, length) = (args.offset.map(|it| it.0), args.length.map(|it| it.0));
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    for id in cx.each_once(&args.ids)? {
        let mailboxes = cx.verbs.mailboxes;
        let Some(found) = Found::by_id(mailboxes, &mut cx.work, &scope, &id)? else {
            not_found.push(id);
            continue;
        };
        let (size, part) = (found.size(), part(found.size(), offset, length));
        if part.end - part.start > limits::MAX_BLOB_TOLD {
            return Err(MethodError::REQUEST_TOO_LARGE);
        }
        // As octets, and as they are told.
        let held = cx.answer.reserve(2 * (part.end - part.start))?;
        let needs_octets = properties.iter().any(|name| name != "id" && name != "size");
        let read = match needs_octets {
            true => found
                .record(mailboxes, cx.caller, cx.now)
                .map_err(Unread::from)
                .and_then(|()| found.read(mailboxes, &mut cx.work, part)),
            false => Ok(Vec::new()),
        };
        let octets = match read {
            Ok(octets) => octets,
            Err(Unread::Mailbox(MailboxError::Sealed)) => {
                not_found.push(id);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut object = data(&properties, &octets);
        object.insert("id".to_owned(), id.into());
        if properties.iter().any(|name| name == "size") {
            object.insert("size".to_owned(), size.into());
        }
        if !is_whole(size, offset, length) {
            object.insert("isTruncated".to_owned(), true.into());
        }
        list.push(cx, Value::Object(object))?;
        drop(held);
    }
    Ok(object([
        ("accountId", args.account_id.into()),
        ("list", list.into()),
        ("notFound", not_found.into()),
    ]))
}

/// What is asked for of octets.
fn data(properties: &[String], octets: &[u8]) -> Map<String, Value> {
    let mut all = Map::new();
    let text = std::str::from_utf8(octets).ok();
    for name in properties {
        match name.as_str() {
            "data" | "data:asText" if text.is_some() => {
                all.insert("data:asText".to_owned(), json!(text));
            }
            "data" => {
                all.insert("data:asBase64".to_owned(), STANDARD.encode(octets).into());
            }
            "data:asText" => {
                all.insert("data:asText".to_owned(), Value::Null);
            }
            "data:asBase64" => {
                all.insert(name.clone(), STANDARD.encode(octets).into());
            }
            "digest:sha-256" => {
                all.insert(name.clone(), STANDARD.encode(Sha256::digest(octets)).into());
            }
            "digest:sha-512" => {
                all.insert(name.clone(), STANDARD.encode(Sha512::digest(octets)).into());
            }
            _ => {}
        }
    }
    // RFC 9404 4.2: octets that are no text are told so.
    let wants_text = properties
        .iter()
        .any(|name| name == "data" || name == "data:asText");
    if text.is_none() && wants_text {
        all.insert("isEncodingProblem".to_owned(), true.into());
    }
    all
}
