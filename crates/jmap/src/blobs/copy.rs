//! `Blob/copy` (RFC 8620 6.3): from an account that the caller sees to another one.
//!
//! What somebody uploaded is theirs in whatever account, so its copy is the same under another id. What is
//! in a message becomes an upload of the caller's, and is on record as read.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_mailbox::MailboxError;

use crate::blob::Found;
use crate::blob_id::{BlobKey, BlobRef};
use crate::budget::Unread;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::scope::Scope;
use crate::{args, limits};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    from_account_id: String,
    account_id: String,
    blob_ids: Vec<String>,
}

/// `Blob/copy`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let (from, to) = cx.both(&args.from_account_id, &args.account_id)?;
    if args.blob_ids.len() > limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let (mut copied, mut not_copied) = (Map::new(), Map::new());
    for id in cx.each_once(&args.blob_ids)? {
        let outcome = copy(cx, (&from, &to), &id);
        cx.answer.let_go();
        match outcome {
            Ok(copy) => drop(copied.insert(id, copy.into())),
            Err(error) => drop(not_copied.insert(id, error.into_json())),
        }
    }
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({
        "fromAccountId": args.from_account_id, "accountId": args.account_id,
        "copied": map(copied), "notCopied": map(not_copied),
    }))
}

fn copy(cx: &mut Context<'_>, (from, to): (&Scope, &Scope), id: &str) -> Result<String, SetError> {
    let mailboxes = cx.verbs.mailboxes;
    let key = BlobKey::new(mailboxes.content_key());
    let found = Found::by_id(mailboxes, &mut cx.work, from, id)?;
    let found = found.ok_or_else(SetError::not_found)?;
    if let Some(blob) = found.as_upload() {
        return Ok(blob.id(&key, to.account));
    }
    if found.size() > limits::MAX_SIZE_ATTACHMENTS {
        return Err(SetError::new("tooLarge", "the blob is too large"));
    }
    let octets = match found.take(cx) {
        Err(Unread::Mailbox(MailboxError::Sealed)) => return Err(SetError::not_found()),
        taken => taken?,
    };
    let kind = "application/octet-stream";
    let done = mailboxes.upload(to.caller, kind, &octets, cx.now, cx.entropy)?;
    Ok(BlobRef::upload(done.blob).id(&key, to.account))
}
