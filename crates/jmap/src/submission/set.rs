//! `EmailSubmission/set` (RFC 8621 7.5).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tern_base::{AccountId, MessageId, OriginId};
use tern_delivery::{
    DeliveryError, Envelope, Misnamed, NewSending, Sending, SubmitError, Submitter, limits,
};
use tern_mailbox::{ExposureLevel, MailboxError, Served, Share};
use tern_session::ids;

use super::envelope::{self, Senders};
use super::{PROPERTIES, id_of, object, parse_id, source, undo_status};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::standard::wrong::Wrong;
use crate::{args, identity, state};

/// What follows for the Emails of the submissions that the call was successful with.
#[derive(Default)]
struct OnSuccess {
    update: Map<String, Value>,
    destroy: Vec<String>,
}

impl OnSuccess {
    /// Takes its two members out of the arguments.
    fn take(args: &mut Value) -> Result<Self, MethodError> {
        let mut member = |name: &str| {
            let taken = args.as_object_mut().and_then(|all| all.remove(name));
            taken.filter(|value| !value.is_null())
        };
        let update = member("onSuccessUpdateEmail").map_or(Ok(Map::new()), args::read)?;
        let destroy = member("onSuccessDestroyEmail").map_or(Ok(Vec::new()), args::read)?;
        Ok(Self { update, destroy })
    }

    /// The arguments of the Email/set that follows, if one does. What was created by an earlier call is named
    /// by its creation id, too.
    fn implied(
        self,
        cx: &Context<'_>,
        account: AccountId,
        account_id: &str,
        done: &BTreeMap<String, MessageId>,
    ) -> Option<Value> {
        let email = |id: &String| {
            let email = done.get(id).or_else(|| done.get(cx.resolved(id)))?;
            Some(ids::email_id(account, *email))
        };
        let updates = self.update.into_iter();
        let update: Map<String, Value> = updates
            .filter_map(|(id, patch)| Some((email(&id)?, patch)))
            .collect();
        let destroy: Vec<String> = self.destroy.iter().filter_map(email).collect();
        let is_any = !update.is_empty() || !destroy.is_empty();
        is_any.then(|| json!({"accountId": account_id, "update": update, "destroy": destroy}))
    }
}

/// `EmailSubmission/set`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let on_success = OnSuccess::take(&mut args)?;
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let (old, before) = cx.verbs.outbox.all(account)?;
    let old_state = state::of_number(old);
    args.check(&old_state)?;
    let mut outcomes = Outcomes::default();
    let (mut done, mut made) = (BTreeMap::new(), Vec::new());
    for (creation, properties) in args.create.take().unwrap_or_default() {
        let outcome = create(cx, account, &properties).map(|sending| {
            let id = id_of(account, sending.id);
            done.insert(format!("#{creation}"), sending.email);
            done.insert(id.clone(), sending.email);
            made.push((creation.clone(), properties, sending));
            (id.clone(), json!({"id": id}))
        });
        outcomes.create(cx, &creation, outcome);
    }
    let mut succeeded = |id: &str| {
        let known = before.iter().find(|it| id_of(account, it.id) == id);
        if let Some(known) = known {
            done.insert(id.to_owned(), known.email);
        }
    };
    let updates = args.update.take().unwrap_or_default();
    outcomes.update_each(cx, &args, updates, |cx, id, patch| {
        let outcome = update(cx, account, id, patch);
        if outcome.is_ok() {
            succeeded(id);
        }
        outcome.map(|()| Value::Null)
    });
    outcomes.destroy_each(cx, &args, |cx, id| {
        let outcome = destroy(cx, account, id);
        if outcome.is_ok() {
            succeeded(id);
        }
        outcome
    });
    if let Some(implied) = on_success.implied(cx, account, &args.account_id, &done) {
        cx.implied.push(("Email/set", implied));
    }
    let own: BTreeSet<String> = outcomes.touched().map(str::to_owned).collect();
    let changes = cx.verbs.outbox.changes(account, old, usize::MAX);
    let new_state = state::after_own(old, changes, |id| own.contains(&id_of(account, *id)));
    // Behind the state: what becomes of them meanwhile is a change since.
    for (creation, properties, sending) in &made {
        outcomes.tell(creation, told_of(cx, account, properties, sending));
    }
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

/// What is told of one that was made.
fn told_of(cx: &Context<'_>, account: AccountId, asked: &Value, sending: &Sending) -> Value {
    // It is sent, or kept to be, whether or not the rest can be read now.
    let told = object(&source(cx.verbs), account, sending, |_| true);
    let mut told = told.unwrap_or_else(|_| json!({"id": id_of(account, sending.id)}));
    // RFC 8620 5.3: what the client has sent is not told again.
    if let Some(all) = told.as_object_mut() {
        all.retain(|name, _| asked.get(name).is_none_or(Value::is_null));
    }
    told
}

fn wrong(property: &str, why: &str) -> SetError {
    let why = match PROPERTIES.contains(&property) {
        true => why,
        false => "there is no such property",
    };
    SetError::invalid_properties(&[property], why)
}

fn create(
    cx: &mut Context<'_>,
    account: AccountId,
    properties: &Value,
) -> Result<Sending, SetError> {
    let Some(properties) = properties.as_object() else {
        return Err(SetError::new("invalidProperties", "it is no object"));
    };
    let mut all = Wrong::default();
    for name in properties.keys() {
        if !["identityId", "emailId", "envelope"].contains(&name.as_str()) {
            all.take::<()>(Err(wrong(name, "the client does not set it")));
        }
    }
    let id = |name: &str| {
        let id = properties.get(name).and_then(Value::as_str);
        id.map(|id| cx.resolved(id).to_owned())
            .ok_or_else(|| wrong(name, "not an id"))
    };
    let (identity_id, email_id) = (all.take(id("identityId")), all.take(id("emailId")));
    let (identity_id, email_id) = all.unless(identity_id.zip(email_id))?;
    let identity = identity::parse_id(account, &identity_id);
    let (_, identities) = cx.verbs.identities.all(account)?;
    let identity = identities.iter().find(|it| Some(it.id) == identity);
    let identity = identity.ok_or_else(|| wrong("identityId", "there is no such identity"))?;
    let no_email = || wrong("emailId", "there is no such Email");
    let email = ids::parse_email_id(account, &email_id).ok_or_else(no_email)?;
    let mailboxes = cx.verbs.mailboxes;
    let gone = |error| match error {
        MailboxError::NoMessage | MailboxError::Sealed => no_email(),
        other => SetError::from(other),
    };
    let row = mailboxes.message(account, email).map_err(gone)?;
    // What stands before it is this mailbox's own.
    let own = row.prefix.len() as u64;
    // Read, looked through line by line, and parsed.
    cx.work.take(3 * u64::from(row.size))?;
    cx.answer.hold(row.size.into())?;
    let given = properties.get("envelope").filter(|given| !given.is_null());
    if given.is_none() {
        // The envelope that is told is made of its header.
        let level = ExposureLevel::Headers;
        let served = Served::of((account, email), &row, level, Share::NONE);
        let served = mailboxes.record_served(&[served], &cx.caller.viewer_in(account), cx.now);
        served.map_err(gone)?;
    }
    let content = mailboxes.read(account, &row, own..u64::MAX).map_err(gone)?;
    let content = content.0;
    let envelope = sendable(cx, account, &content, given, identity)?;
    let new = NewSending {
        submitter: Submitter {
            account,
            login: cx.caller.login.clone(),
            connection: Some(cx.caller.connection()),
        },
        identity: identity.id.0,
        email,
        thread: row.thread,
        content,
        envelope,
    };
    Ok(cx.verbs.outbox.submit(new, cx.now, cx.entropy)?)
}

/// Refuses what can't be sent by this account; the envelope of what can.
fn sendable(
    cx: &Context<'_>,
    account: AccountId,
    content: &[u8],
    given: Option<&Value>,
    identity: &tern_directory::Identity,
) -> Result<Envelope, SetError> {
    if !is_whole_lines(content) {
        let why = "it has a NUL, or a CR or LF that ends no line";
        return Err(SetError::new("invalidEmail", why).and("properties", json!(["bodyStructure"])));
    }
    let senders = Senders::of(content)?;
    let misnamed = cx.verbs.outbox.misnamed(account, content);
    match misnamed.map_err(|_| SetError::new("serverFail", "the directory can't be read"))? {
        None => {}
        // Of a message that is not theirs nothing is told that is on no record.
        Some(Misnamed::Foreign(_) | Misnamed::Elsewhere(_)) => {
            let why = "it says that it is from an address that is not the account's";
            return Err(SetError::new("forbiddenFrom", why));
        }
        Some(misnamed) => {
            let property = match misnamed {
                Misnamed::Sender(_) | Misnamed::Unread("Sender") => "sender",
                _ => "from",
            };
            let error = SetError::new("invalidEmail", misnamed.to_string());
            return Err(error.and("properties", json!([property])));
        }
    }
    match given {
        None => Ok(envelope::of_message(content, &senders, &identity.email)),
        Some(given) => envelope::read(given),
    }
}

/// What SMTP would take: lines that end in CRLF, and no NUL.
pub(crate) fn is_whole_lines(content: &[u8]) -> bool {
    let mut before = 0;
    for byte in content {
        let is_wrong = match (before, *byte) {
            (b'\r', b'\n') => false,
            (b'\r', _) | (_, b'\n' | 0) => true,
            _ => false,
        };
        if is_wrong {
            return false;
        }
        before = *byte;
    }
    before != b'\r'
}

/// Calls it off: nothing else of it can change.
fn update(cx: &Context<'_>, account: AccountId, id: &str, patch: &Value) -> Result<(), SetError> {
    let (sending, outbox) = (find(cx, account, id)?, cx.verbs.outbox);
    let Some(patch) = patch.as_object() else {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    };
    let failed = |_| SetError::new("serverFail", "the outbox can't be read");
    let wants = |name: &str| {
        patch
            .keys()
            .any(|path| path.split('/').next() == Some(name))
    };
    let now = object(&source(cx.verbs), account, &sending, wants).map_err(failed)?;
    let mut is_canceled = false;
    for (path, value) in patch {
        match (path.as_str(), value.as_str()) {
            (path, _) if is_as_it_is(&now, path, value) => {}
            ("undoStatus", Some("canceled")) => is_canceled = true,
            ("undoStatus", Some("pending" | "final"))
                if undo_status(sending.stage) != "pending" =>
            {
                return Err(SetError::new("cannotUnsend", "it is over"));
            }
            (path, _) => return Err(wrong(path, "nothing but undoStatus can change")),
        }
    }
    if !is_canceled {
        return Ok(());
    }
    match outbox.cancel(account, sending.id, cx.now).map_err(failed)? {
        Some(true) => Ok(()),
        Some(false) => {
            let why = "it has left; a recall may take it back";
            Err(SetError::new("cannotUnsend", why))
        }
        None => Err(SetError::not_found()),
    }
}

/// Forgets what is over: RFC 8621 7 lets a server forbid the rest, and what is pending would be sent
/// with nobody able to call it off.
fn destroy(cx: &Context<'_>, account: AccountId, id: &str) -> Result<(), SetError> {
    let id: OriginId = parse_id(account, id).ok_or_else(SetError::not_found)?;
    let failed = |_| SetError::new("serverFail", "the outbox can't be read");
    match cx.verbs.outbox.forget(account, id).map_err(failed)? {
        Some(true) => Ok(()),
        Some(false) => Err(SetError::new("forbidden", "it waits for its time")),
        None => Err(SetError::not_found()),
    }
}

fn find(cx: &Context<'_>, account: AccountId, id: &str) -> Result<Sending, SetError> {
    let id = parse_id(account, id).ok_or_else(SetError::not_found)?;
    let failed = |_| SetError::new("serverFail", "the outbox can't be read");
    let (_, all) = cx.verbs.outbox.all(account).map_err(failed)?;
    let mut all = all.into_iter();
    all.find(|it| it.id == id).ok_or_else(SetError::not_found)
}

impl From<SubmitError> for SetError {
    fn from(error: SubmitError) -> Self {
        let text = error.to_string();
        match error {
            SubmitError::ForbiddenMailFrom => Self::new("forbiddenMailFrom", text),
            SubmitError::NoRecipients => Self::new("noRecipients", text),
            SubmitError::TooManyRecipients(most) => {
                Self::new("tooManyRecipients", text).and("maxRecipients", json!(most))
            }
            // RFC 8620 5.3: it may work later, which `forbiddenToSend` does not say.
            SubmitError::TooOften => Self::new("rateLimit", text),
            SubmitError::InvalidRecipients(all) => {
                Self::new("invalidRecipients", text).and("invalidRecipients", json!(all))
            }
            SubmitError::BadEnvelope(why) => Self::invalid_properties(&["envelope"], why),
            SubmitError::TooLarge => {
                Self::new("tooLarge", text).and("maxSize", json!(limits::MAX_SENDING))
            }
            SubmitError::TooManyPending => Self::new("overQuota", text),
            // What delivery refuses by SMTP it refuses here.
            SubmitError::Delivery(DeliveryError::Refused(_) | DeliveryError::Limit(_)) => {
                Self::new("forbiddenToSend", text)
            }
            SubmitError::Delivery(_) => Self::new("serverFail", "it could not be sent now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf() {
        for good in ["", "a\r\nb", "\r\n\r\n", "ä\r\n"] {
            assert!(is_whole_lines(good.as_bytes()), "{good:?}");
        }
        for bad in ["a\nb", "a\rb", "a\r", "a\0", "\r\r\n", "\n"] {
            assert!(!is_whole_lines(bad.as_bytes()), "{bad:?}");
        }
    }
}
