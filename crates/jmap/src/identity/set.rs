//! `Identity/set` (RFC 8621 6.3).

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tern_base::{AccountId, EmailAddress};
use tern_directory::{Correspondent, DirectoryError, IdentityDetails, IdentityId, Limit};

use super::{PROPERTIES, object, parse_id};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::standard::wrong::Wrong;
use crate::{args, state};

/// `Identity/set`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let old = cx.verbs.identities.all(account)?.0;
    let old_state = state::of_number(old);
    args.check(&old_state)?;
    let mut outcomes = Outcomes::default();
    for (creation, properties) in args.create.take().unwrap_or_default() {
        let outcome = create(cx, account, &properties);
        outcomes.create(cx, &creation, outcome);
    }
    let updates = args.update.take().unwrap_or_default();
    outcomes.update_each(cx, &args, updates, |cx, id, patch| {
        update(cx, account, id, patch).map(|()| Value::Null)
    });
    outcomes.destroy_each(cx, &args, |cx, id| destroy(cx, account, id));
    let own: BTreeSet<&str> = outcomes.touched().collect();
    let is_own = |id: &IdentityId| own.contains(super::id_of(account, *id).as_str());
    let changes = cx.verbs.identities.changes(account, old, usize::MAX);
    let new_state = state::after_own(old, changes, is_own);
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

fn create(
    cx: &Context<'_>,
    account: AccountId,
    properties: &Value,
) -> Result<(String, Value), SetError> {
    let Some(properties) = properties.as_object() else {
        return Err(SetError::new("invalidProperties", "it is no object"));
    };
    let (mut details, mut all) = (IdentityDetails::default(), Wrong::default());
    for (name, value) in properties.iter().filter(|(name, _)| *name != "email") {
        // RFC 8620 5.3: what the server sets is not the client's to choose.
        if all.take(set(&mut details, name, value)) == Some(false) {
            all.take::<()>(Err(wrong(name, "no property that can be set")));
        }
    }
    let email = properties.get("email").and_then(Value::as_str);
    let email = email.and_then(|text| EmailAddress::parse(text).ok());
    let email = all.take(email.ok_or_else(|| wrong("email", "not an address")));
    let email = all.unless(email)?;
    let identity = cx.verbs.identities.create(account, &email, &details)?;
    let mut made = object(account, &identity);
    let id = super::id_of(account, identity.id);
    // RFC 8620 5.3: what the client has sent is not told again.
    if let Some(all) = made.as_object_mut() {
        all.retain(|name, value| properties.get(name) != Some(value));
    }
    Ok((id, made))
}

fn update(cx: &Context<'_>, account: AccountId, id: &str, patch: &Value) -> Result<(), SetError> {
    let id = parse_id(account, id).ok_or_else(SetError::not_found)?;
    let Some(patch) = patch.as_object() else {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    };
    let (_, all) = cx.verbs.identities.all(account)?;
    let found = all.iter().find(|it| it.id == id);
    let found = found.ok_or_else(SetError::not_found)?;
    let now = object(account, found);
    let mut details = found.details.clone();
    let mut all = Wrong::default();
    for (path, value) in patch {
        all.take(apply(&mut details, &now, path, value));
    }
    all.told()?;
    Ok(cx.verbs.identities.update(account, id, &details)?)
}

/// One member of a patch.
fn apply(
    details: &mut IdentityDetails,
    now: &Value,
    path: &str,
    value: &Value,
) -> Result<(), SetError> {
    if is_as_it_is(now, path, value) {
        return Ok(());
    }
    if path.contains('/') {
        return Err(SetError::new(
            "invalidPatch",
            "nothing in it is set in part",
        ));
    }
    // RFC 8620 5.3: null is the default.
    match (path, value) {
        ("name", Value::Null) => details.name.clear(),
        ("textSignature", Value::Null) => details.text_signature.clear(),
        ("htmlSignature", Value::Null) => details.html_signature.clear(),
        _ if set(details, path, value)? => {}
        _ => return Err(wrong(path, "no property that can change")),
    }
    Ok(())
}

/// Sets a property; false where it is none that the client may set.
fn set(details: &mut IdentityDetails, name: &str, value: &Value) -> Result<bool, SetError> {
    let text = || -> Result<String, SetError> {
        let text = value.as_str().ok_or_else(|| wrong(name, "not a string"))?;
        Ok(text.to_owned())
    };
    match name {
        "name" => details.name = text()?,
        "textSignature" => details.text_signature = text()?,
        "htmlSignature" => details.html_signature = text()?,
        "replyTo" => details.reply_to = correspondents(name, value)?,
        "bcc" => details.bcc = correspondents(name, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads `EmailAddress[]|null` (RFC 8621 4.1.2.3).
fn correspondents(name: &str, value: &Value) -> Result<Option<Vec<Correspondent>>, SetError> {
    let Value::Array(items) = value else {
        return match value {
            Value::Null => Ok(None),
            _ => Err(wrong(name, "not a list of addresses")),
        };
    };
    let all: Option<Vec<Correspondent>> = items.iter().map(correspondent).collect();
    all.map(Some)
        .ok_or_else(|| wrong(name, "not a list of addresses"))
}

fn correspondent(value: &Value) -> Option<Correspondent> {
    let all: &Map<String, Value> = value.as_object()?;
    let name = match all.get("name") {
        None | Some(Value::Null) => None,
        Some(name) => Some(name.as_str()?.to_owned()),
    };
    let known = all.keys().all(|name| name == "name" || name == "email");
    let email = all.get("email")?.as_str().filter(|_| known)?.to_owned();
    Some(Correspondent { name, email })
}

fn destroy(cx: &Context<'_>, account: AccountId, id: &str) -> Result<(), SetError> {
    let id = parse_id(account, id).ok_or_else(SetError::not_found)?;
    Ok(cx.verbs.identities.destroy(account, id)?)
}

fn wrong(property: &str, why: &str) -> SetError {
    let why = match PROPERTIES.contains(&property) {
        true => why,
        false => "there is no such property",
    };
    SetError::invalid_properties(&[property], why)
}

impl From<DirectoryError> for SetError {
    fn from(error: DirectoryError) -> Self {
        let text = error.to_string();
        match error {
            // RFC 8621 6.3
            DirectoryError::NotOwnAddress => Self::new("forbiddenFrom", text),
            DirectoryError::ComesWithAddress => Self::new("forbidden", text),
            DirectoryError::NotFound(_) => Self::not_found(),
            DirectoryError::WrongCode => Self::invalid_properties(&["verificationCode"], text),
            DirectoryError::Limit(Limit::Identities) => Self::new("overQuota", text),
            DirectoryError::Limit(_) => Self::new("tooLarge", text),
            _ => Self::new("serverFail", "the directory could not do it"),
        }
    }
}
