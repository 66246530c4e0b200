//! `Email/import` (RFC 8621 4.8).

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_base::{OriginId, ThreadId};
use tern_mailbox::{AppendRequest, MailboxError, Placed};
use tern_session::ids;

use super::keep::{self, Kept};
use super::parse::is_message;
use crate::blob::Found;
use crate::blob_id::{BlobKey, BlobRef};
use crate::budget::Unread;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::scope::{Of, Scope};
use crate::standard::wrong::Wrong;
use crate::{args, limits};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    #[serde(default)]
    if_in_state: Option<String>,
    emails: Map<String, Value>,
}

/// `Email/import`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let scope = cx.scope_to_change(&args.account_id)?;
    if args.emails.len() > limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let since = scope.moment(cx.verbs.mailboxes)?;
    let old_state = scope.state(Of::Messages, since.seen);
    if args
        .if_in_state
        .as_deref()
        .is_some_and(|wanted| wanted != old_state)
    {
        return Err(MethodError::STATE_MISMATCH);
    }
    let (mut made, mut refused) = (Map::new(), Map::new());
    for (creation, email) in args.emails {
        let outcome = import(cx, &scope, &email);
        cx.answer.let_go();
        match outcome {
            Ok((id, object)) => {
                cx.was_created(&creation, &id);
                made.insert(creation, object);
            }
            Err(error) => drop(refused.insert(creation, error.into_json())),
        }
    }
    let own = made.values().filter_map(|made| made["id"].as_str());
    let own = own
        .filter_map(|id| ids::parse_email_id(scope.account, id))
        .collect();
    let now = scope.after(cx.verbs.mailboxes, since, &own);
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({
        "accountId": args.account_id, "oldState": old_state,
        "newState": scope.state(Of::Messages, now),
        "created": map(made), "notCreated": map(refused),
    }))
}

/// Makes an Email from an EmailImport.
fn import(cx: &mut Context<'_>, scope: &Scope, email: &Value) -> Result<(String, Value), SetError> {
    let none = SetError::new("invalidProperties", "an EmailImport is an object");
    let email = email.as_object().ok_or(none)?;
    let known = ["blobId", "mailboxIds", "keywords", "receivedAt"];
    let mut all = Wrong::default();
    for name in email.keys().filter(|name| !known.contains(&name.as_str())) {
        all.take::<()>(Err(keep::wrong(name, "no property of an EmailImport")));
    }
    let kept = all.take(Kept::read(cx, scope.account, email));
    let blob = email.get("blobId").and_then(Value::as_str);
    let blob = all.take(blob.ok_or_else(|| keep::wrong("blobId", "not an id")));
    let (mut kept, blob) = all.unless(kept.zip(blob))?;
    let mailboxes = cx.verbs.mailboxes;
    let blob = cx.resolved(blob).to_owned();
    let found = Found::by_id(mailboxes, &mut cx.work, scope, &blob)?;
    // RFC 8621 4.8: invalidProperties for a blob that is not there, too.
    let found = found.ok_or_else(|| keep::wrong("blobId", "there is no such blob"))?;
    let content = match found.take(cx) {
        Err(Unread::Mailbox(MailboxError::Sealed)) => {
            return Err(keep::wrong("blobId", "there is no such blob any more"));
        }
        taken => taken?,
    };
    // RFC 8621 4.8: what is not repaired is refused.
    if !is_message(&content) {
        return Err(SetError::new("invalidEmail", "the blob is no message"));
    }
    kept.received = kept.received.or_else(|| tern_mime::received_at(&content));
    put(cx, scope, kept, content)
}

/// Puts a message into its mailboxes; what the server sets of it.
pub(super) fn put(
    cx: &mut Context<'_>,
    scope: &Scope,
    mut kept: Kept,
    content: Vec<u8>,
) -> Result<(String, Value), SetError> {
    let (mailboxes, account) = (cx.verbs.mailboxes, scope.account);
    let octets = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let first = kept.mailboxes.pop_first().ok_or_else(SetError::not_found)?;
    let request = AppendRequest {
        account,
        mailbox: first,
        content,
        flags: kept.flags,
        received: kept.received,
        origin: OriginId::new(cx.now, cx.entropy),
        by: cx.caller.bringer_in(account),
    };
    let placed = mailboxes.append_to_each_for(scope.acting(), request, &kept.mailboxes, cx.now);
    let placed = placed.map_err(refused)?;
    Ok(made(cx, scope, &placed, octets))
}

/// What a client is told of a message that was put nowhere.
pub(super) fn refused(error: MailboxError) -> SetError {
    match error {
        MailboxError::NoMailbox => keep::wrong("mailboxIds", "there is no such mailbox"),
        other => other.into(),
    }
}

/// What the server sets of a message that was put somewhere.
pub(super) fn made(
    cx: &Context<'_>,
    scope: &Scope,
    placed: &Placed,
    octets: u32,
) -> (String, Value) {
    let (mailboxes, account) = (cx.verbs.mailboxes, scope.account);
    // What is under a seal is accepted and gone at once, so that a client settles.
    let (thread, size) = match mailboxes.message(account, placed.message) {
        Ok(row) => (row.thread, row.size),
        Err(_) => (ThreadId(placed.message.0), octets),
    };
    let key = BlobKey::new(mailboxes.content_key());
    let id = ids::email_id(account, placed.message);
    let object = json!({
        "id": id, "blobId": BlobRef::message(placed.message).id(&key, account),
        "threadId": ids::thread_id(account, thread), "size": size,
    });
    (id, object)
}
