//! `Mailbox/set` (RFC 8621 2.5): each mailbox is one transaction.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tern_base::{AccountId, MailboxId};
use tern_mailbox::{Folder, FolderChange, MailboxError, NewFolder, Role};
use tern_session::ids;

use super::counts::Counts;
use super::get::{self, role_of};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::{args, state};

/// `Mailbox/set`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let remove_emails = args::take_flag(&mut args, "onDestroyRemoveEmails")?;
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let old_state = state::of(cx.verbs.mailboxes.newest_modseq(account)?);
    args.check(&old_state)?;
    let mut outcomes = Outcomes::default();
    create_all(
        cx,
        account,
        args.create.take().unwrap_or_default(),
        &mut outcomes,
    );
    let updates = roles_given_up_first(args.update.take().unwrap_or_default());
    outcomes.update_each(cx, &args, updates, |cx, id, patch| {
        update(cx, account, id, patch).map(|()| Value::Null)
    });
    let destroy = args.destroy.take().unwrap_or_default();
    let destroy = destroy.iter().map(|id| cx.resolved(id).to_owned());
    for id in inner_first(cx, account, destroy.collect())? {
        let outcome = destroy_one(cx, account, &id, remove_emails);
        outcomes.destroy(&id, outcome);
    }
    let new_state = state::of(cx.verbs.mailboxes.newest_modseq(account)?);
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

/// Makes mailboxes, each after the one that it is to be in (RFC 8620 5.3).
fn create_all(
    cx: &mut Context<'_>,
    account: AccountId,
    mut left: Map<String, Value>,
    outcomes: &mut Outcomes,
) {
    let parent_of = |object: &Value| {
        let parent = object.get("parentId").and_then(Value::as_str);
        parent
            .and_then(|id| id.strip_prefix('#'))
            .map(str::to_owned)
    };
    while !left.is_empty() {
        let waits = |object: &Value| parent_of(object).is_some_and(|it| left.contains_key(&it));
        let ready = left.iter().find(|(_, object)| !waits(object));
        // Where each waits for another one, none can be.
        let next = ready
            .or_else(|| left.iter().next())
            .map(|(id, _)| id.clone());
        let Some((creation, object)) = next.and_then(|id| left.remove_entry(&id)) else {
            return;
        };
        let outcome = create(cx, account, &object);
        outcomes.create(cx, &creation, outcome);
    }
}

fn create(
    cx: &Context<'_>,
    account: AccountId,
    object: &Value,
) -> Result<(String, Value), SetError> {
    let change = read(cx, account, object, None)?;
    let missing = || SetError::invalid_properties(&["name"], "a mailbox has a name");
    let folder = NewFolder {
        parent: change.parent.flatten(),
        name: change.name.ok_or_else(missing)?,
        role: change.role.flatten(),
        sort_order: change.sort_order.unwrap_or(0),
        subscribed: change.subscribed.unwrap_or(true),
    };
    let made = cx.verbs.mailboxes.add_folder(account, &folder, cx.now);
    let mailbox = made.map_err(of_mailbox)?;
    let folder = Folder {
        id: mailbox,
        parent: folder.parent,
        path: folder.name,
        role: folder.role,
        subscribed: folder.subscribed,
        uid_validity: 0,
        sort_order: folder.sort_order,
    };
    let mut told = get::object(account, &folder, Counts::default());
    // RFC 8620 5.3: what the client did not say itself.
    if let (Some(told), Some(said)) = (told.as_object_mut(), object.as_object()) {
        told.retain(|name, _| !said.contains_key(name));
    }
    Ok((ids::mailbox_id(account, mailbox), told))
}

fn update(cx: &Context<'_>, account: AccountId, id: &str, patch: &Value) -> Result<(), SetError> {
    let mailbox = ids::parse_mailbox_id(account, id).ok_or_else(SetError::not_found)?;
    let folders = cx.verbs.mailboxes.folders(account)?;
    let folder = folders.iter().find(|folder| folder.id == mailbox);
    let folder = folder.ok_or_else(SetError::not_found)?;
    if !patch.is_object() {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    }
    let now = get::one(cx, account, &folders, folder)?;
    let change = read(cx, account, patch, Some(&now))?;
    let done = cx.verbs.mailboxes.change_folder(account, mailbox, &change);
    done.map_err(of_mailbox)
}

fn destroy_one(
    cx: &Context<'_>,
    account: AccountId,
    id: &str,
    remove_emails: bool,
) -> Result<(), SetError> {
    let mailbox = ids::parse_mailbox_id(account, id).ok_or_else(SetError::not_found)?;
    let mailboxes = cx.verbs.mailboxes;
    match remove_emails {
        true => mailboxes.delete_folder(account, mailbox, cx.now)?,
        false => mailboxes.delete_empty_folder(account, mailbox, cx.now)?,
    }
    Ok(())
}

/// What the mailboxes refuse, by the property that it is about.
fn of_mailbox(error: MailboxError) -> SetError {
    match error {
        MailboxError::Limit("levels of mailboxes") => {
            SetError::invalid_properties(&["parentId"], error.to_string())
        }
        MailboxError::Limit("octets of a mailbox name") => {
            SetError::invalid_properties(&["name"], error.to_string())
        }
        MailboxError::Limit(_) => SetError::new("overQuota", error.to_string()),
        other => other.into(),
    }
}

/// Reads the properties of a mailbox that a client may set. What it says of the object as it is now is
/// no change.
fn read(
    cx: &Context<'_>,
    account: AccountId,
    object: &Value,
    now: Option<&Value>,
) -> Result<FolderChange, SetError> {
    let wrong = |name: &str| SetError::invalid_properties(&[name], "it can't be that");
    let members = object
        .as_object()
        .ok_or_else(|| SetError::new("invalidProperties", "a mailbox is an object"))?;
    let mut change = FolderChange::default();
    for (name, value) in members {
        if now.is_some_and(|now| is_as_it_is(now, name, value)) {
            continue;
        }
        match name.as_str() {
            "name" => change.name = Some(value.as_str().ok_or_else(|| wrong(name))?.to_owned()),
            "parentId" => change.parent = Some(parent(cx, account, value)?),
            "role" => change.role = Some(role(value)?),
            "sortOrder" => {
                let order = value.as_u64().and_then(|order| u32::try_from(order).ok());
                let order = order.filter(|order| *order < 1 << 31);
                change.sort_order = Some(order.ok_or_else(|| wrong(name))?);
            }
            "isSubscribed" => {
                change.subscribed = Some(value.as_bool().ok_or_else(|| wrong(name))?);
            }
            _ => return Err(wrong(name)),
        }
    }
    Ok(change)
}

fn parent(
    cx: &Context<'_>,
    account: AccountId,
    value: &Value,
) -> Result<Option<MailboxId>, SetError> {
    let id = match value {
        Value::Null => return Ok(None),
        value => value.as_str().map(|id| cx.resolved(id)),
    };
    let parent = id.and_then(|id| ids::parse_mailbox_id(account, id));
    let missing = || SetError::invalid_properties(&["parentId"], "there is no such mailbox");
    parent.map(Some).ok_or_else(missing)
}

fn role(value: &Value) -> Result<Option<Role>, SetError> {
    let unknown = || SetError::invalid_properties(&["role"], "no mailbox here can have that role");
    match value {
        Value::Null => Ok(None),
        value => value
            .as_str()
            .and_then(role_of)
            .map(Some)
            .ok_or_else(unknown),
    }
}

/// Updates, those first that give up a role: another one of the same call may take it.
fn roles_given_up_first(updates: Map<String, Value>) -> Vec<(String, Value)> {
    let mut updates: Vec<(String, Value)> = updates.into_iter().collect();
    updates.sort_by_key(|(_, patch)| patch.get("role") != Some(&Value::Null));
    updates
}

/// Mailboxes, each before the one that it is in. What is no mailbox comes as it stands.
fn inner_first(
    cx: &Context<'_>,
    account: AccountId,
    mut ids: Vec<String>,
) -> Result<Vec<String>, MethodError> {
    let folders = cx.verbs.mailboxes.folders(account)?;
    let parents: HashMap<MailboxId, Option<MailboxId>> = folders
        .iter()
        .map(|folder| (folder.id, folder.parent))
        .collect();
    let depth = |id: &String| {
        let above = |of: &MailboxId| parents.get(of).copied().flatten();
        std::iter::successors(ids::parse_mailbox_id(account, id), above).count()
    };
    ids.sort_by_key(|id| std::cmp::Reverse(depth(id)));
    ids.dedup();
    Ok(ids)
}
