//! `Email/import` (RFC 8621 4.8).

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_base::{AccountId, OriginId, Timestamp};
use tern_mailbox::AppendRequest;
use tern_session::ids;

use super::keep;
use super::set::created;
use crate::blob::Found;
use crate::blob_id::{BlobKey, BlobRef};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::{args, date, limits, state};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    #[serde(default)]
    if_in_state: Option<String>,
    emails: Map<String, Value>,
}

/// An EmailImport.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Import {
    blob_id: String,
    mailbox_ids: Value,
    #[serde(default)]
    keywords: Option<Value>,
    #[serde(default)]
    received_at: Option<String>,
}

/// `Email/import`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    if args.emails.len() > limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let old_state = state::of(cx.verbs.mailboxes.newest_modseq(account)?);
    if args
        .if_in_state
        .as_deref()
        .is_some_and(|wanted| wanted != old_state)
    {
        return Err(MethodError::STATE_MISMATCH);
    }
    let (mut made, mut refused) = (Map::new(), Map::new());
    for (creation, email) in args.emails {
        match import(cx, account, email) {
            Ok((id, object)) => {
                cx.was_created(&creation, &id);
                made.insert(creation, object);
            }
            Err(error) => drop(refused.insert(creation, error.into_json())),
        }
    }
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({
        "accountId": args.account_id, "oldState": old_state,
        "newState": state::of(cx.verbs.mailboxes.newest_modseq(account)?),
        "created": map(made), "notCreated": map(refused),
    }))
}

fn import(
    cx: &mut Context<'_>,
    account: AccountId,
    email: Value,
) -> Result<(String, Value), SetError> {
    let import: Import = serde_json::from_value(email)
        .map_err(|error| SetError::new("invalidProperties", error.to_string()))?;
    let mut into = keep::mailboxes(cx, account, &import.mailbox_ids)?;
    let flags = match &import.keywords {
        Some(keywords) => keep::keywords(keywords)?,
        None => tern_mailbox::Flags::empty(),
    };
    let received = match &import.received_at {
        Some(text) => {
            let at = date::parse_utc(text);
            Some(at.ok_or_else(|| keep::wrong("receivedAt", "not a UTCDate"))?)
        }
        None => None,
    };
    let mailboxes = cx.verbs.mailboxes;
    let found = Found::by_id(mailboxes, account, cx.resolved(&import.blob_id))?;
    let found = found.ok_or_else(|| SetError::new("blobNotFound", "there is no such blob"))?;
    let content = found.into_octets(mailboxes, account)?;
    let first = into.pop_first().ok_or_else(SetError::not_found)?;
    let request = AppendRequest {
        account,
        mailbox: first,
        content,
        flags,
        received,
        origin: OriginId::new(cx.now, cx.entropy),
        by: cx.caller.bringer(),
    };
    put(cx, request, &into, cx.now)
}

/// Puts a message into its mailboxes; what the server sets of it.
pub(super) fn put(
    cx: &Context<'_>,
    request: AppendRequest,
    others: &std::collections::BTreeSet<tern_base::MailboxId>,
    now: Timestamp,
) -> Result<(String, Value), SetError> {
    let (mailboxes, account) = (cx.verbs.mailboxes, request.account);
    let octets = u32::try_from(request.content.len()).unwrap_or(u32::MAX);
    let placed = mailboxes.append_to_each(request, others, now)?;
    let key = BlobKey::new(mailboxes.content_key());
    let blob = BlobRef::message(placed.message).id(&key, account);
    // What is under a seal is accepted and gone at once, so that a client settles.
    let (thread, size) = match mailboxes.message(account, placed.message) {
        Ok(row) => (ids::thread_id(account, row.thread), row.size),
        Err(_) => (
            ids::thread_id(account, tern_base::ThreadId(placed.message.0)),
            octets,
        ),
    };
    Ok(created(account, placed.message, &blob, &thread, size))
}
