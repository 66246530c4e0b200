//! Sending, now and later, and calling it off.
//!
//! What is patched is given whole: the crate patches a member away by `false`, where only `null` may be
//! (RFC 8621 4.1.1).

use jmap_client::URI;
use jmap_client::client::Client;
use jmap_client::core::request::Request;
use jmap_client::core::response::{
    EmailSubmissionGetResponse, EmailSubmissionSetResponse, IdentityGetResponse,
};
use jmap_client::core::set::SetObject as _;
use jmap_client::email_submission::{Address, Delivered, UndoStatus};
use serde_json::{Map, Value, json};

use crate::Outcome;

fn request(client: &Client) -> Request<'_> {
    let mut request = client.build();
    request.using = vec![URI::Core, URI::Mail, URI::Submission];
    request
}

/// The account's identities, by their address.
pub(crate) async fn identities(client: &Client) -> Outcome {
    let mut request = request(client);
    request.get_identity();
    let mut response: IdentityGetResponse = request.send_single().await?;
    let all = response.take_list().into_iter();
    let all = all.filter_map(|mut it| Some((it.email()?.to_owned(), json!(it.take_id()))));
    Ok(Value::Object(all.collect::<Map<String, Value>>()))
}

/// Sends a draft as somebody to somebody, in so many seconds, and files it as sent.
pub(crate) async fn submit(client: &Client, args: &Value) -> Outcome {
    let word = |index: usize| args[index].as_str().unwrap_or_default();
    let (identity, email, from, to, sent) = (word(0), word(1), word(2), word(3), word(6));
    let mut request = request(client);
    let set = request.set_email_submission();
    let new = set.create();
    new.identity_id(identity).email_id(email);
    if let Some(seconds) = args[4].as_u64() {
        let held = Address::new(from).parameter("HOLDFOR", Some(seconds.to_string()));
        new.envelope(held, [to]);
    }
    let id = new.create_id().unwrap_or_default();
    let after = set.arguments().on_success_update_email(&id);
    after.mailbox_ids([sent]).keywords(["$seen"]);
    // Two responses come to the one call (RFC 8621 7.5).
    let mut answers = request.send().await?.unwrap_method_responses();
    let mut response: EmailSubmissionSetResponse = answers.remove(0).unwrap_set_email_submission()?;
    Ok(response.created(&id)?.take_id().into())
}

/// Calls a submission off, and its Email is a draft again.
pub(crate) async fn undo(client: &Client, id: &str, drafts: &str) -> Outcome {
    let mut request = request(client);
    let set = request.set_email_submission();
    set.update(id).undo_status(UndoStatus::Canceled);
    let after = set.arguments().on_success_update_email_id(id);
    after.mailbox_ids([drafts]).keywords(["$draft"]);
    let mut answers = request.send().await?.unwrap_method_responses();
    let mut response: EmailSubmissionSetResponse = answers.remove(0).unwrap_set_email_submission()?;
    response.updated(id)?;
    Ok(Value::Null)
}

/// How a submission stands.
pub(crate) async fn submission(client: &Client, id: &str) -> Outcome {
    let mut request = request(client);
    request.get_email_submission().ids([id]);
    let response: EmailSubmissionGetResponse = request.send_single().await?;
    let found = response.list().first().ok_or("no such submission")?;
    let undo_status = match found.undo_status() {
        Some(UndoStatus::Pending) => "pending",
        Some(UndoStatus::Final) => "final",
        Some(UndoStatus::Canceled) => "canceled",
        None => return Err("no undoStatus".into()),
    };
    let word = |it: &Delivered| match it {
        Delivered::Queued => "queued",
        Delivered::Yes => "yes",
        Delivered::No => "no",
        Delivered::Unknown => "unknown",
    };
    let each = found.delivery_status().into_iter().flatten();
    let delivered = each.map(|(to, it)| (to.clone(), json!(word(it.delivered()))));
    let delivered = Value::Object(delivered.collect());
    Ok(json!({"undoStatus": undo_status, "delivered": delivered}))
}
