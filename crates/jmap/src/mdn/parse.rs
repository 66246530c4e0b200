//! `MDN/parse` (RFC 9007 2.2): a blob as a notification.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_base::AccountId;
use tern_mailbox::MailboxError;
use tern_mime::{Part, PartKind};
use tern_session::ids;

use super::Mdn;
use super::report::Report;
use crate::args;
use crate::blob::Found;
use crate::budget::{Unread, weight};
use crate::context::Context;
use crate::email::within;
use crate::error::MethodError;
use crate::scope::Scope;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    account_id: String,
    blob_ids: Vec<String>,
}

/// `MDN/parse`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let account = cx.account(&args.account_id);
    // RFC 9007 2.2
    let account = account.map_err(|_| MethodError::invalid_arguments("no such account"))?;
    let (mut parsed, mut unparsable, mut not_found) = (Map::new(), Vec::new(), Vec::new());
    for id in cx.each_once(&args.blob_ids)? {
        let Some(octets) = octets(cx, &id)? else {
            not_found.push(id);
            continue;
        };
        match mdn(cx, account, &octets)? {
            Some(mdn) => drop(parsed.insert(id, mdn)),
            None => unparsable.push(id),
        }
    }
    let list = |list: Vec<String>| (!list.is_empty()).then_some(list);
    Ok(json!({
        "accountId": args.account_id, "parsed": (!parsed.is_empty()).then_some(parsed),
        "notParsable": list(unparsable), "notFound": list(not_found),
    }))
}

/// What a blob holds, on record as served; `None` where it is not there, or sealed.
fn octets(cx: &mut Context<'_>, id: &str) -> Result<Option<Vec<u8>>, MethodError> {
    let mailboxes = cx.verbs.mailboxes;
    let Some(found) = Found::by_id(mailboxes, &mut cx.work, &Scope::own(cx.caller), id)? else {
        return Ok(None);
    };
    cx.answer.let_go();
    cx.answer.hold(found.size())?;
    let served = found.record(mailboxes, cx.caller, cx.now);
    let served = served.map_err(Unread::from);
    match served.and_then(|()| found.read_all(mailboxes, &mut cx.work)) {
        Ok(octets) => Ok(Some(octets)),
        Err(Unread::Mailbox(MailboxError::Sealed)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a message is a notification, by its type (RFC 8098 3).
pub(super) fn is_mdn<B: AsRef<[u8]>>(root: &Part<B>) -> bool {
    let kind = root.param("report-type").unwrap_or_default();
    root.is_type("multipart", "report") && kind.eq_ignore_ascii_case(b"disposition-notification")
}

/// The MDN that a message is; `None` where it is none.
fn mdn(
    cx: &mut Context<'_>,
    account: AccountId,
    octets: &[u8],
) -> Result<Option<Value>, MethodError> {
    cx.work.take(2 * octets.len() as u64)?;
    let message = tern_mime::parse(octets);
    let PartKind::Multipart { parts } = &message.body.kind else {
        return Ok(None);
    };
    let [human, machine, rest @ ..] = parts.as_slice() else {
        return Ok(None);
    };
    let types = [
        "disposition-notification",
        "global-disposition-notification",
    ];
    let is_report = types.iter().any(|kind| machine.is_type("message", kind));
    if !is_report || !is_mdn(&message.body) {
        return Ok(None);
    }
    let Some(report) = Report::read(&decoded(machine, octets)) else {
        return Ok(None);
    };
    let text = plain_text(human).map(|part| {
        let text = tern_mime::part_text(part, octets);
        text.replace("\r\n", "\n")
    });
    let whole = ["rfc822", "global"];
    let original = rest.first();
    let subject = tern_mime::header_value(octets, "Subject");
    let subject = subject.map(|raw| tern_mime::decode_header_text(&raw));
    let mdn = Mdn {
        for_email: for_email(cx, account, &report)?,
        subject: subject.as_deref(),
        text: text.as_deref(),
        includes_original: original
            .is_some_and(|part| whole.iter().any(|kind| part.is_type("message", kind))),
        report: &report,
    };
    let object = mdn.object();
    cx.answer.take(weight(&object))?;
    Ok(Some(object))
}

fn decoded(part: &Part, message: &[u8]) -> Vec<u8> {
    let range = part.body.start as usize..part.body.end as usize;
    let raw = message.get(range).unwrap_or_default();
    let decoded = tern_mime::decode_part(&within(part, raw), raw).map(|it| it.into_owned());
    decoded.unwrap_or_else(|| raw.to_vec())
}

/// The part that people read, in whichever form of it is plain text.
fn plain_text(part: &Part) -> Option<&Part> {
    match &part.kind {
        PartKind::Multipart { parts } => parts.iter().find_map(plain_text),
        _ => part.is_type("text", "plain").then_some(part),
    }
}

/// The message that the notification is about, where it is the account's own and known by its id.
fn for_email(
    cx: &Context<'_>,
    account: AccountId,
    report: &Report,
) -> Result<Option<String>, MethodError> {
    let line = report.original_message_id.as_deref().unwrap_or_default();
    let Some(id) = tern_mime::message_ids(line.as_bytes()).next() else {
        return Ok(None);
    };
    let Some(message) = cx.verbs.outbox.copy_of_submitted(account, &id)? else {
        return Ok(None);
    };
    match cx.verbs.mailboxes.message(account, message) {
        Ok(_) => Ok(Some(ids::email_id(account, message))),
        Err(MailboxError::Sealed | MailboxError::NoMessage) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
