//! `Email/parse` (RFC 8621 4.9): a message within a blob as an Email, without it being one.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_mailbox::MailboxError;

use super::content::Content;
use super::get::Fetch;
use super::property::{self, Property};
use super::write;
use crate::args;
use crate::blob::Found;
use crate::budget::{Unread, weight};
use crate::context::Context;
use crate::error::MethodError;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args {
    account_id: String,
    blob_ids: Vec<String>,
    #[serde(flatten)]
    fetch: Fetch,
}

/// Whether octets are a message. Anything can be read as one; what has no field of one is none.
pub(super) fn is_message(octets: &[u8]) -> bool {
    tern_mime::headers(octets).any(|field| !field.name.is_empty())
}

/// `Email/parse`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let plan = args.fetch.plan(property::of_message())?;
    let (mut parsed, mut unparsable, mut not_found) = (Map::new(), Vec::new(), Vec::new());
    for id in cx.each_once(&args.blob_ids)? {
        let mailboxes = cx.verbs.mailboxes;
        let Some(found) = Found::by_id(mailboxes, &mut cx.work, &scope, &id)? else {
            not_found.push(id);
            continue;
        };
        cx.answer.let_go();
        cx.answer.hold(found.size())?;
        let octets = match found.record(mailboxes, cx.caller, cx.now) {
            Ok(()) => found.read_all(mailboxes, &mut cx.work),
            Err(error) => Err(error.into()),
        };
        let octets = match octets {
            Ok(octets) => octets,
            Err(Unread::Mailbox(MailboxError::Sealed)) => {
                not_found.push(id);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if !is_message(&octets) {
            unparsable.push(id);
            continue;
        }
        // It is parsed once more.
        cx.work.take(octets.len() as u64)?;
        let content = Content::in_memory(mailboxes, scope.account, &octets, found.blob.clone());
        let mut email = Map::new();
        write::write(&plan, &content, (&mut cx.work, &cx.answer), &mut email)?;
        for asked in &plan.properties {
            let value = match asked.property {
                Property::Size => octets.len().into(),
                // RFC 8621 4.9: what it has no value for.
                Property::Id
                | Property::ThreadId
                | Property::MailboxIds
                | Property::Keywords
                | Property::ReceivedAt => Value::Null,
                _ => continue,
            };
            email.insert(asked.name.clone(), value);
        }
        let email = Value::Object(email);
        cx.answer.take(weight(&email))?;
        parsed.insert(id, email);
    }
    // RFC 8621 4.9: each of them is null where there is none.
    let ids = |ids: Vec<String>| (!ids.is_empty()).then_some(ids);
    Ok(json!({
        "accountId": args.account_id, "parsed": (!parsed.is_empty()).then_some(parsed),
        "notParsable": ids(unparsable), "notFound": ids(not_found),
    }))
}
