//! `Blob/upload` (RFC 9404 4.1): small blobs within a request, from texts and parts of other blobs. Each
//! counts as an upload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{is_whole, part};
use crate::args::{self, UnsignedInt};
use crate::blob::Found;
use crate::blob_id::{BlobKey, BlobRef};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::limits;
use crate::scope::Scope;
use crate::standard::wrong::Wrong;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    create: Map<String, Value>,
}

/// An UploadObject.
struct UploadObject {
    data: Vec<DataSource>,
    kind: Option<String>,
}

/// One of the three, and the part of the last.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataSource {
    #[serde(default, rename = "data:asText")]
    text: Option<String>,
    #[serde(default, rename = "data:asBase64")]
    base64: Option<String>,
    #[serde(default, rename = "blobId")]
    blob_id: Option<String>,
    #[serde(default)]
    offset: Option<UnsignedInt>,
    #[serde(default)]
    length: Option<UnsignedInt>,
}

/// `Blob/upload`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    if args.create.len() > limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let (mut made, mut refused) = (Map::new(), Map::new());
    for (creation, object) in args.create {
        match upload(cx, &scope, object) {
            Ok((id, object)) => {
                cx.was_created(&creation, &id);
                made.insert(creation, object);
            }
            Err(error) => drop(refused.insert(creation, error.into_json())),
        }
    }
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({
        "accountId": args.account_id, "created": map(made), "notCreated": map(refused),
    }))
}

fn upload(cx: &mut Context<'_>, scope: &Scope, object: Value) -> Result<(String, Value), SetError> {
    let object = read_object(&object)?;
    // RFC 9404 4.1: of no parts an empty blob is made.
    if object.data.len() > limits::MAX_DATA_SOURCES {
        return Err(SetError::invalid_properties(&["data"], "too many parts"));
    }
    let mut octets = Vec::new();
    for source in object.data {
        octets.extend(read(cx, scope, source)?);
        if octets.len() as u64 > limits::MAX_SIZE_BLOB_SET {
            return Err(SetError::new("tooLarge", "the blob is too large")
                .and("maxSize", limits::MAX_SIZE_BLOB_SET.into()));
        }
    }
    let kind = object
        .kind
        .unwrap_or_else(|| "application/octet-stream".to_owned());
    // It is written, and hashed.
    cx.work
        .take(octets.len() as u64 + limits::WORK_PER_UPLOAD)?;
    // RFC 8620 5.3: "It may work if tried again later."
    if !cx.verbs.uploads.may_upload(scope.caller) {
        let why = "the account has uploaded too often lately";
        return Err(SetError::new("rateLimit", why));
    }
    let mailboxes = cx.verbs.mailboxes;
    let done = mailboxes.upload(scope.caller, &kind, &octets, cx.now, cx.entropy)?;
    let key = BlobKey::new(mailboxes.content_key());
    let id = BlobRef::upload(done.blob).id(&key, scope.account);
    let object = json!({"id": id, "type": done.media_type, "size": done.size});
    Ok((id, object))
}

/// Reads an UploadObject, and names what is wrong in it.
fn read_object(object: &Value) -> Result<UploadObject, SetError> {
    let members = object
        .as_object()
        .ok_or_else(|| SetError::new("invalidProperties", "it is no object"))?;
    let wrong = |name: &str, why: String| SetError::invalid_properties(&[name], why);
    let mut all = Wrong::default();
    for name in members.keys() {
        if !["data", "type"].contains(&name.as_str()) {
            all.take::<()>(Err(wrong(name, "no property of it".to_owned())));
        }
    }
    let data = Vec::<DataSource>::deserialize(members.get("data").unwrap_or(&Value::Null));
    let data = all.take(data.map_err(|error| wrong("data", error.to_string())));
    let kind = Option::<String>::deserialize(members.get("type").unwrap_or(&Value::Null));
    let kind = all.take(kind.map_err(|error| wrong("type", error.to_string())));
    all.told()?;
    Ok(UploadObject {
        data: data.unwrap_or_default(),
        kind: kind.flatten(),
    })
}

fn read(cx: &mut Context<'_>, scope: &Scope, source: DataSource) -> Result<Vec<u8>, SetError> {
    let no = |why: &str| SetError::invalid_properties(&["data"], why);
    let is_part = source.offset.is_some() || source.length.is_some();
    match (source.text, source.base64, source.blob_id) {
        (Some(text), None, None) if !is_part => Ok(text.into_bytes()),
        (None, Some(text), None) if !is_part => STANDARD.decode(text).map_err(|_| no("no base64")),
        (None, None, Some(id)) => {
            let mailboxes = cx.verbs.mailboxes;
            let found = {
                let id = cx.resolved(&id).to_owned();
                Found::by_id(mailboxes, &mut cx.work, scope, &id)?
            };
            let found = found.ok_or_else(|| {
                SetError::new("blobNotFound", "there is no such blob").and("notFound", json!([id]))
            })?;
            let (offset, length) = (source.offset.map(|it| it.0), source.length.map(|it| it.0));
            if !is_whole(found.size(), offset, length) {
                return Err(no("the blob has no such part"));
            }
            let part = part(found.size(), offset, length);
            if part.end - part.start > limits::MAX_SIZE_BLOB_SET {
                return Err(SetError::new("tooLarge", "the part is too large")
                    .and("maxSize", limits::MAX_SIZE_BLOB_SET.into()));
            }
            found.record(mailboxes, cx.caller, cx.now)?;
            Ok(found.read(mailboxes, &mut cx.work, part)?)
        }
        _ => Err(no("a part is one of a text, base64 and a blob")),
    }
}
