//! A request for a recall, read from the object that a client creates or plans.

use serde_json::{Map, Value};
use tern_base::{AccountId, OriginId, Timestamp};
use tern_mailbox::MailboxError;
use tern_policy::{Notice, Selection};
use tern_recall::{
    Attachment, Notices, Reach, RecallError, RecallId, Request, Requester, Selector, limits,
};
use tern_session::ids;

use super::refused::failed;
use crate::context::Context;
use crate::error::SetError;
use crate::{date, limits as jmap_limits};

/// Reads a request; whoever asks is the caller.
pub(super) fn read(
    cx: &mut Context<'_>,
    account: AccountId,
    requester: Requester,
    object: &Value,
) -> Result<Request, SetError> {
    let none = SetError::new("invalidProperties", "a Recall is an object");
    let object = object.as_object().ok_or(none)?;
    let id = match text(object, "requestId")? {
        None => RecallId::new(cx.now, cx.entropy),
        Some(own) if own.len() <= jmap_limits::MAX_REQUEST_ID && !own.is_empty() => {
            RecallId::of_text(Some(account), &format!("jmap request {own}"))
        }
        Some(_) => return Err(wrong("requestId", "it is empty or too long")),
    };
    let mut request = Request::new(id, selector(cx, account, object)?, requester);
    for (name, value) in object {
        if value.is_null() {
            continue;
        }
        match name.as_str() {
            // Read above.
            "requestId" | "emailId" | "messageId" | "submissionId" => {}
            "recipients" => request.chosen = recipients(value)?,
            "only" => request.selection = selection(value)?,
            "reach" => request.reach = reach(value)?,
            "attachment" => {
                let asked = short(object, "attachment", limits::MAX_ATTACHMENT_NAME)?;
                request.attachment = asked.map(Attachment::asked);
            }
            "notice" => request.notices.whom = Some(notice(value)?),
            "noticeText" => {
                request.notices = Notices {
                    text: short(object, "noticeText", limits::MAX_NOTICE_TEXT)?.map(str::to_owned),
                    ..request.notices
                }
            }
            "reason" => {
                let reason = short(object, "reason", limits::MAX_REASON)?;
                request.reason = reason.filter(|it| !it.trim().is_empty()).map(str::to_owned);
            }
            "expiresAt" => request.expires = Some(expiry(value, cx.now)?),
            other => return Err(wrong(other, "it can't be set here")),
        }
    }
    Ok(request)
}

fn selector(
    cx: &Context<'_>,
    account: AccountId,
    object: &Map<String, Value>,
) -> Result<Selector, SetError> {
    let email = text(object, "emailId")?;
    let message_id = text(object, "messageId")?;
    let submission = text(object, "submissionId")?;
    match (email, message_id, submission) {
        (Some(email), None, None) => {
            let none = || wrong("emailId", "there is no such Email");
            let message = ids::parse_email_id(account, cx.resolved(email)).ok_or_else(none)?;
            match cx.verbs.recalls.letter_at(account, message) {
                Err(RecallError::Mailbox(MailboxError::NoMessage | MailboxError::Sealed)) => {
                    Err(none())
                }
                found => found.map_err(failed),
            }
        }
        (None, Some(id), None) => {
            let none = || wrong("messageId", "it is no Message-ID");
            let bare = tern_mime::clean_message_id(id).ok_or_else(none)?;
            Ok(Selector::MessageId(account, bare))
        }
        (None, None, Some(id)) => {
            let none = || wrong("submissionId", "it is no id of a submission");
            Ok(Selector::Submission(
                OriginId::from_hex(id).ok_or_else(none)?,
            ))
        }
        _ => Err(SetError::invalid_properties(
            &["emailId", "messageId", "submissionId"],
            "exactly one of these says which message",
        )),
    }
}

fn wrong(name: &str, why: &str) -> SetError {
    SetError::invalid_properties(&[name], why)
}

fn text<'t>(object: &'t Map<String, Value>, name: &str) -> Result<Option<&'t str>, SetError> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, "it is no text")),
    }
}

/// A text of so many characters at most.
fn short<'t>(
    object: &'t Map<String, Value>,
    name: &str,
    most: usize,
) -> Result<Option<&'t str>, SetError> {
    match text(object, name)? {
        Some(long) if long.chars().nth(most).is_some() => Err(wrong(name, "it is too long")),
        text => Ok(text),
    }
}

fn recipients(value: &Value) -> Result<Vec<String>, SetError> {
    let none = || wrong("recipients", "it is no list of addresses");
    let list = value.as_array().ok_or_else(none)?;
    if list.is_empty() || list.len() > limits::MAX_CHOSEN {
        return Err(wrong("recipients", "it names nobody, or too many"));
    }
    let texts = list.iter().map(|one| one.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(none)
}

fn selection(value: &Value) -> Result<Selection, SetError> {
    let all = [
        Selection::Any,
        Selection::OnlyUnexposed,
        Selection::OnlyUnread,
    ];
    let found = all.into_iter().find(|one| value == one.code());
    found.ok_or_else(|| wrong("only", "there is no such state of copies"))
}

fn reach(value: &Value) -> Result<Reach, SetError> {
    let found = [Reach::Copies, Reach::Attached];
    let found = found.into_iter().find(|one| value == one.code());
    found.ok_or_else(|| wrong("reach", "there is no such reach"))
}

/// The names of those whom notices are for.
pub(super) const NOTICES: [(&str, Notice); 3] = [
    ("none", Notice::None),
    ("exposed-only", Notice::ExposedOnly),
    ("all", Notice::All),
];

fn notice(value: &Value) -> Result<Notice, SetError> {
    let found = NOTICES.into_iter().find(|(name, _)| value == name);
    let found = found.map(|(_, notice)| notice);
    found.ok_or_else(|| wrong("notice", "it tells nobody that there is"))
}

fn expiry(value: &Value, now: Timestamp) -> Result<Timestamp, SetError> {
    let at = value.as_str().and_then(date::parse_utc);
    let fits = |at: &Timestamp| *at > now && at.millis_since(now) <= limits::MAX_EXPIRY_MS;
    at.filter(fits)
        .ok_or_else(|| wrong("expiresAt", "it is no UTCDate within the next ten years"))
}
