//! EmailSubmission (RFC 8621 7): what was sent, or waits for its time, and what became of it.
//!
//! Invariant: `undoStatus` is `canceled` only for what served nobody. What has left can't be unsent; it
//! can be recalled.

pub(crate) mod changes;
mod envelope;
pub(crate) mod get;
pub(crate) mod query;
pub(crate) mod set;

use serde_json::{Map, Value, json};
use tern_base::{AccountId, MessageId, OriginId};
use tern_delivery::{Delivered, DeliveryError, Envelope, Outbox, Sending, Stage};
use tern_directory::IdentityId;
use tern_session::ids;

use crate::blob_id::{BlobKey, BlobRef};
use crate::error::MethodError;
use crate::push::Told;
use crate::{Verbs, date, identity, state};

/// Every property of an EmailSubmission.
pub(crate) const PROPERTIES: [&str; 10] = [
    "id",
    "identityId",
    "emailId",
    "threadId",
    "envelope",
    "sendAt",
    "undoStatus",
    "deliveryStatus",
    "dsnBlobIds",
    "mdnBlobIds",
];

pub(crate) fn id_of(account: AccountId, id: OriginId) -> String {
    format!("S{account}-{id}")
}

/// The submission of an id, if it is one of this account.
pub(crate) fn parse_id(account: AccountId, text: &str) -> Option<OriginId> {
    let (_, hex) = text.split_once('-')?;
    OriginId::from_hex(hex).filter(|id| id_of(account, *id) == text)
}

/// What an EmailSubmission is told by.
fn source<'a>(verbs: &Verbs<'a>) -> (&'a Outbox, BlobKey) {
    (verbs.outbox, BlobKey::new(verbs.mailboxes.content_key()))
}

/// What a listener is told of.
pub(crate) fn told(verbs: &Verbs<'_>, account: AccountId) -> Result<Told, MethodError> {
    let state = state::of_number(verbs.outbox.state(account)?);
    let mark = state.clone();
    Ok(Told { mark, state })
}

/// `undoStatus`
const fn undo_status(stage: Stage) -> &'static str {
    match stage {
        Stage::Pending => "pending",
        Stage::Canceled => "canceled",
        Stage::Leaving | Stage::Sent | Stage::Refused(_) => "final",
    }
}

/// An EmailSubmission, with the parts that take looking up where they are wanted.
fn object(
    (outbox, key): &(&Outbox, BlobKey),
    account: AccountId,
    sending: &Sending,
    wants: impl Fn(&str) -> bool,
) -> Result<Value, DeliveryError> {
    let mut all = json!({
        "id": id_of(account, sending.id),
        "identityId": identity::id_of(account, IdentityId(sending.identity)),
        "emailId": ids::email_id(account, sending.email),
        "threadId": ids::thread_id(account, sending.thread),
        "sendAt": date::utc(sending.send_at),
        "undoStatus": undo_status(sending.stage),
    });
    if wants("dsnBlobIds") || wants("mdnBlobIds") {
        let reports = outbox.reports(account, sending.id)?;
        let ids = |messages: &[MessageId]| {
            let blobs = messages.iter().map(|it| BlobRef::message(*it));
            Value::from_iter(blobs.map(|blob| blob.id(key, account)))
        };
        all["dsnBlobIds"] = ids(&reports.dsn);
        all["mdnBlobIds"] = ids(&reports.mdn);
    }
    if wants("envelope") {
        all["envelope"] = envelope_object(&outbox.envelope(account, sending.id)?);
    }
    if wants("deliveryStatus") {
        all["deliveryStatus"] = delivery_status(outbox, account, sending)?;
    }
    Ok(all)
}

fn envelope_object(envelope: &Envelope) -> Value {
    let address = |stop: &tern_delivery::Stop| {
        let parameters: Map<String, Value> = stop
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let parameters = (!parameters.is_empty()).then_some(parameters);
        json!({"email": stop.email, "parameters": parameters})
    };
    let rcpt_to: Vec<Value> = envelope.rcpt_to.iter().map(address).collect();
    json!({"mailFrom": address(&envelope.mail_from), "rcptTo": rcpt_to})
}

fn delivery_status(
    outbox: &Outbox,
    account: AccountId,
    sending: &Sending,
) -> Result<Value, DeliveryError> {
    let Some(statuses) = outbox.statuses(account, sending)? else {
        return Ok(Value::Null);
    };
    let of_each = statuses.into_iter().map(|status| {
        let delivered = match status.delivered {
            Delivered::Yes => "yes",
            Delivered::Unknown => "unknown",
            Delivered::Queued => "queued",
            Delivered::No => "no",
        };
        // What else is known of who has opened it is a question of policy, and not answered here.
        let displayed = if status.displayed { "yes" } else { "unknown" };
        let about = json!({
            "smtpReply": status.reply, "delivered": delivered, "displayed": displayed,
        });
        (status.recipient, about)
    });
    Ok(Value::Object(of_each.collect()))
}

impl From<DeliveryError> for MethodError {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Store(error) => error.into(),
            DeliveryError::Mailbox(error) => error.into(),
            other => Self::server_fail(other.to_string()),
        }
    }
}
