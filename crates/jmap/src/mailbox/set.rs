//! `Mailbox/set` (RFC 8621 2.5): each mailbox is one transaction.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tern_base::{AccountId, MailboxId};
use tern_mailbox::{Folder, FolderChange, INBOX, MailboxError, NewFolder, Role};
use tern_session::ids;

use super::counts::Counts;
use super::get::{self, role_of};
use super::later::{Later, What};
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::standard::wrong::Wrong;
use crate::{args, limits, state};

/// `Mailbox/set`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let remove_emails = args::take_flag(&mut args, "onDestroyRemoveEmails")?;
    let mut args: SetArgs = args::read(args)?;
    let account = cx.account(&args.account_id)?;
    let old_state = state::of(cx.verbs.mailboxes.newest_modseq(account)?);
    args.check(&old_state)?;
    let mut outcomes = Outcomes::default();
    let mut later = Later::default();
    for (creation, object) in outer_first(args.create.take().unwrap_or_default()) {
        let what = What::Create(creation, object);
        later.try_now(cx, account, what, &mut outcomes);
    }
    for (id, patch) in args.update.take().unwrap_or_default() {
        let id = cx.resolved(&id).to_owned();
        match args.stays(cx, &id) {
            Ok(()) => later.try_now(cx, account, What::Update(id, patch), &mut outcomes),
            Err(error) => outcomes.update(&id, Err(error)),
        }
    }
    let destroy = args.destroy.take().unwrap_or_default();
    let destroy = destroy.iter().map(|id| cx.resolved(id).to_owned());
    for id in inner_first(cx, account, destroy.collect())? {
        let outcome = destroy_one(cx, account, &id, remove_emails);
        outcomes.destroy(&id, outcome);
    }
    later.settle(cx, account, &mut outcomes);
    let new_state = state::of(cx.verbs.mailboxes.newest_modseq(account)?);
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

/// Mailboxes to make, each after the one that it is to be in (RFC 8620 5.3).
fn outer_first(all: Map<String, Value>) -> Vec<(String, Value)> {
    let above = |creation: &String| {
        let parent = all.get(creation)?.get("parentId")?.as_str()?;
        parent.strip_prefix('#').map(str::to_owned)
    };
    let depth = |creation: &String| {
        let path = std::iter::successors(Some(creation.clone()), above);
        // Those that wait for each other have no end.
        path.take(limits::MAX_MAILBOX_DEPTH).count()
    };
    let mut sorted: Vec<(usize, String)> = all.keys().map(|it| (depth(it), it.clone())).collect();
    sorted.sort();
    let mut all = all;
    sorted
        .into_iter()
        .filter_map(|(_, creation)| all.remove_entry(&creation))
        .collect()
}

pub(super) fn create(
    cx: &Context<'_>,
    account: AccountId,
    object: &Value,
) -> Result<(String, Value), SetError> {
    let change = read(cx, account, object, None)?;
    let folder = NewFolder {
        parent: change.parent.flatten(),
        name: change.name.unwrap_or_default(),
        role: change.role.flatten(),
        sort_order: change.sort_order.unwrap_or(0),
        subscribed: change.subscribed.unwrap_or(true),
    };
    let made = cx.verbs.mailboxes.add_folder(account, &folder, cx.now);
    let mailbox = made.map_err(|error| match error {
        MailboxError::Exists => exists(cx, account, folder.parent, &folder.name),
        other => of_mailbox(other),
    })?;
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

/// Which mailbox a patch changes, and how.
pub(super) fn change(
    cx: &Context<'_>,
    account: AccountId,
    id: &str,
    patch: &Value,
) -> Result<(MailboxId, FolderChange), SetError> {
    let mailbox = ids::parse_mailbox_id(account, id).ok_or_else(SetError::not_found)?;
    let folders = cx.verbs.mailboxes.folders(account)?;
    let folder = folders.iter().find(|folder| folder.id == mailbox);
    let folder = folder.ok_or_else(SetError::not_found)?;
    if !patch.is_object() {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    }
    let now = get::one(cx, account, &folders, folder)?;
    let change = read(cx, account, patch, Some(&now))?;
    Ok((mailbox, change))
}

pub(super) fn update(
    cx: &Context<'_>,
    account: AccountId,
    id: &str,
    patch: &Value,
) -> Result<(), SetError> {
    let (mailbox, change) = change(cx, account, id, patch)?;
    let done = cx.verbs.mailboxes.change_folder(account, mailbox, &change);
    done.map_err(|error| match error {
        MailboxError::Exists => {
            let folders = cx.verbs.mailboxes.folders(account).unwrap_or_default();
            let now = folders.iter().find(|folder| folder.id == mailbox);
            let parent = change.parent.or(now.map(|now| now.parent)).flatten();
            let name = change.name.as_deref().or(now.map(get::name_of));
            exists(cx, account, parent, name.unwrap_or_default())
        }
        other => of_mailbox(other),
    })
}

/// RFC 8620 5.4: which mailbox has the name already. RFC 8621 2.5 names no error of its own for it.
fn exists(cx: &Context<'_>, account: AccountId, parent: Option<MailboxId>, name: &str) -> SetError {
    let error = SetError::new("alreadyExists", "a mailbox of that name is there");
    let error = error.and("properties", json!(["name"]));
    let folders = cx.verbs.mailboxes.folders(account).unwrap_or_default();
    let is_it = |folder: &&Folder| {
        let named = get::name_of(folder);
        let is_inbox = folder.id == INBOX && named.eq_ignore_ascii_case(name);
        folder.parent == parent && (named == name || is_inbox)
    };
    match folders.iter().find(is_it) {
        Some(folder) => error.and("existingId", ids::mailbox_id(account, folder.id).into()),
        None => error,
    }
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
    let mut all = Wrong::default();
    for (name, value) in members {
        if now.is_some_and(|now| is_as_it_is(now, name, value)) {
            continue;
        }
        match name.as_str() {
            "name" => {
                let told = value.as_str().map(str::to_owned);
                change.name = all.take(told.ok_or_else(|| wrong(name)));
            }
            "parentId" => change.parent = all.take(parent(cx, account, value)),
            "role" => change.role = all.take(role(value)),
            "sortOrder" => {
                change.sort_order = all.take(sort_order(value).ok_or_else(|| wrong(name)));
            }
            "isSubscribed" => {
                change.subscribed = all.take(value.as_bool().ok_or_else(|| wrong(name)));
            }
            _ => {
                all.take::<()>(Err(wrong(name)));
            }
        }
    }
    // A new one without a name is wrong, whatever else of it is.
    if now.is_none() && !members.contains_key("name") {
        let missing = SetError::invalid_properties(&["name"], "a mailbox has a name");
        all.take::<()>(Err(missing));
    }
    all.told().map(|()| change)
}

/// RFC 8620 5.3: null is the default.
fn sort_order(value: &Value) -> Option<u32> {
    if value.is_null() {
        return Some(0);
    }
    let order = value.as_u64().and_then(|order| u32::try_from(order).ok());
    order.filter(|order| *order < 1 << 31)
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
