//! `Mailbox/set` (RFC 8621 2.5): each mailbox is one transaction.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tern_base::{AccountId, MailboxId};
use tern_mailbox::{
    Folder, FolderChange, Grantee, INBOX, MailboxError, NewFolder, Rights, RightsChange, Role,
    SEPARATOR,
};
use tern_session::{RightsRequest, ids, sharing};
use tern_store::Transaction;

use super::counts::Counts;
use super::get::{self, role_of};
use super::later::{Later, What};
use super::share::Sharing;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::scope::{Of, Scope};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::standard::wrong::Wrong;
use crate::{args, limits};

/// `Mailbox/set`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let remove_emails = args::take_flag(&mut args, "onDestroyRemoveEmails")?;
    let mut args: SetArgs = args::read(args)?;
    // Each mailbox has rights of its own, and whoever may only read one may subscribe to it.
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let old_state = state(cx, &scope)?;
    args.check(&old_state)?;
    let mut outcomes = Outcomes::default();
    let mut later = Later::default();
    for (creation, object) in outer_first(args.create.take().unwrap_or_default()) {
        let what = What::Create(creation, object);
        later.try_now(cx, &scope, what, &mut outcomes);
    }
    for (id, patch) in args.update.take().unwrap_or_default() {
        let id = cx.resolved(&id).to_owned();
        match args.stays(cx, &id) {
            Ok(()) => later.try_now(cx, &scope, What::Update(id, patch), &mut outcomes),
            Err(error) => outcomes.update(&id, Err(error)),
        }
    }
    let destroy = args.destroy.take().unwrap_or_default();
    let destroy = destroy.iter().map(|id| cx.resolved(id).to_owned());
    for id in inner_first(cx, account, destroy.collect())? {
        let outcome = destroy_one(cx, &scope, &id, remove_emails);
        outcomes.destroy(&id, outcome);
    }
    later.settle(cx, &scope, &mut outcomes);
    let new_state = state(cx, &scope.again(cx.verbs)?)?;
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

fn state(cx: &Context<'_>, scope: &Scope) -> Result<String, MailboxError> {
    let newest = scope.newest(cx.verbs.mailboxes)?;
    Ok(scope.state(Of::Mailboxes, newest))
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
    cx: &mut Context<'_>,
    scope: &Scope,
    object: &Value,
) -> Result<(String, Value), SetError> {
    let (scope, account) = (scope.again(cx.verbs)?, scope.account);
    let asked = read(cx, account, object, None)?;
    let change = asked.change;
    let mut folder = NewFolder {
        parent: change.parent.flatten(),
        name: change.name.unwrap_or_default(),
        role: change.role.flatten(),
        sort_order: change.sort_order.unwrap_or(0),
        subscribed: change.subscribed.unwrap_or(true),
    };
    let subscribed = folder.subscribed;
    if scope.is_foreign() {
        // What its owner sees of it, once somebody else has made it.
        folder.subscribed = true;
    }
    let given = asked.sharing.changes(cx, &scope, &[])?;
    let path = path_of(cx, account, folder.parent, &folder.name)?;
    let mailboxes = cx.verbs.mailboxes;
    let (actor, now) = (scope.actor(), cx.now);
    let made = together(cx, &scope, &path, &given, &|txn| {
        mailboxes.add_folder_in(txn, actor, account, &folder, now)
    });
    let mailbox = made.map_err(|error| match error {
        MailboxError::Exists => exists(cx, &scope, folder.parent, &folder.name),
        other => of_mailbox(other),
    })?;
    if scope.is_foreign() && subscribed {
        mailboxes.subscribe_foreign(scope.caller, (account, mailbox), true)?;
    }
    let folder = Folder {
        id: mailbox,
        parent: folder.parent,
        path: folder.name,
        role: folder.role,
        subscribed,
        uid_validity: 0,
        sort_order: folder.sort_order,
    };
    let scope = scope.again(cx.verbs)?;
    let mut told = get::object(cx, &scope, &folder, Counts::default())?;
    // RFC 8620 5.3: what the client did not say itself.
    if let (Some(told), Some(said)) = (told.as_object_mut(), object.as_object()) {
        told.retain(|name, _| !said.contains_key(name));
    }
    Ok((ids::mailbox_id(account, mailbox), told))
}

/// What its owner calls a mailbox of this name.
fn path_of(
    cx: &Context<'_>,
    account: AccountId,
    parent: Option<MailboxId>,
    name: &str,
) -> Result<String, MailboxError> {
    let folders = cx.verbs.mailboxes.folders(account)?;
    let parent = folders.iter().find(|folder| Some(folder.id) == parent);
    Ok(match parent {
        Some(parent) => format!("{}{SEPARATOR}{name}", parent.path),
        None => name.to_owned(),
    })
}

/// Does something to a mailbox, and gives these rights in it, in one transaction.
fn together(
    cx: &mut Context<'_>,
    scope: &Scope,
    path: &str,
    given: &[(Grantee, Rights)],
    first: &dyn Fn(&mut Transaction<'_>) -> Result<MailboxId, MailboxError>,
) -> Result<MailboxId, MailboxError> {
    let connection = cx.caller.connection();
    let mut requests = Vec::with_capacity(given.len());
    for (grantee, rights) in given {
        let who = (cx.caller.account, cx.caller.login.as_str());
        let entry = sharing::entry_of(who, &connection, cx.now, cx.entropy);
        let request = RightsRequest {
            owner: scope.account,
            // The one that `first` answers.
            mailbox: MailboxId(0),
            path,
            grantee: *grantee,
            change: RightsChange::Set(*rights),
            actor: scope.actor(),
        };
        requests.push((request, entry));
    }
    let mailboxes = cx.verbs.mailboxes;
    let sharing = cx.verbs.sharing;
    let done = sharing.change_together(mailboxes, scope.account, &requests, first);
    done.map_err(|error| match MailboxError::from(error) {
        // Whoever it was is gone.
        MailboxError::NoAccount => MailboxError::NotAllowed("there is nobody to share it with"),
        other => other,
    })
}

/// What a patch changes of which mailbox.
pub(super) struct Change {
    pub(super) mailbox: MailboxId,
    pub(super) change: FolderChange,
    /// The rights of others.
    pub(super) given: Vec<(Grantee, Rights)>,
    path: String,
}

/// Which mailbox a patch changes, and how.
pub(super) fn change(
    cx: &Context<'_>,
    scope: &Scope,
    id: &str,
    patch: &Value,
) -> Result<Change, SetError> {
    let account = scope.account;
    let mailbox = ids::parse_mailbox_id(account, id).ok_or_else(SetError::not_found)?;
    let folders = scope.folders(cx.verbs.mailboxes)?;
    let folder = folders.iter().find(|folder| folder.id == mailbox);
    let folder = folder.ok_or_else(SetError::not_found)?;
    if !patch.is_object() {
        return Err(SetError::new("invalidPatch", "a patch is an object"));
    }
    let now = get::one(cx, scope, &folders, folder)?;
    let asked = read(cx, account, patch, Some(&now))?;
    let held = match asked.sharing.is_asked_for() {
        // Who has which rights is told to nobody else.
        true if !scope.rights(mailbox).has(Rights::ADMINISTER) => {
            return Err(MailboxError::NotPermitted.into());
        }
        true => cx.verbs.mailboxes.grants(account, mailbox)?,
        false => Vec::new(),
    };
    Ok(Change {
        mailbox,
        change: asked.change,
        given: asked.sharing.changes(cx, scope, &held)?,
        path: folder.path.clone(),
    })
}

pub(super) fn update(
    cx: &mut Context<'_>,
    scope: &Scope,
    id: &str,
    patch: &Value,
) -> Result<(), SetError> {
    let scope = scope.again(cx.verbs)?;
    let Change {
        mailbox,
        mut change,
        given,
        path,
    } = self::change(cx, &scope, id, patch)?;
    let (mailboxes, account) = (cx.verbs.mailboxes, scope.account);
    // Whether somebody subscribes is their own affair.
    let subscribed = match scope.is_foreign() {
        true => change.subscribed.take(),
        false => None,
    };
    let changes = [(mailbox, change)];
    let done = together(cx, &scope, &path, &given, &|txn| {
        mailboxes.change_folders_in(txn, scope.actor(), account, &changes)?;
        Ok(mailbox)
    });
    let [(_, change)] = &changes;
    done.map_err(|error| match error {
        MailboxError::Exists => {
            let folders = scope.folders(mailboxes).unwrap_or_default();
            let now = folders.iter().find(|folder| folder.id == mailbox);
            let parent = change.parent.or(now.map(|now| now.parent)).flatten();
            let name = change.name.as_deref().or(now.map(get::name_of));
            exists(cx, &scope, parent, name.unwrap_or_default())
        }
        other => of_mailbox(other),
    })?;
    if let Some(subscribed) = subscribed {
        mailboxes.subscribe_foreign(scope.caller, (account, mailbox), subscribed)?;
    }
    Ok(())
}

/// RFC 8620 5.4: which mailbox has the name already. RFC 8621 2.5 names no error of its own for it.
fn exists(cx: &Context<'_>, scope: &Scope, parent: Option<MailboxId>, name: &str) -> SetError {
    let account = scope.account;
    let error = SetError::new("alreadyExists", "a mailbox of that name is there");
    let error = error.and("properties", json!(["name"]));
    let folders = scope.folders(cx.verbs.mailboxes).unwrap_or_default();
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
    scope: &Scope,
    id: &str,
    remove_emails: bool,
) -> Result<(), SetError> {
    let account = scope.account;
    let mailbox = ids::parse_mailbox_id(account, id).ok_or_else(SetError::not_found)?;
    let scope = scope.again(cx.verbs)?;
    let (mailboxes, actor) = (cx.verbs.mailboxes, scope.actor());
    if !scope.rights(mailbox).has(Rights::LOOKUP) {
        return Err(SetError::not_found());
    }
    let done = match remove_emails {
        true => mailboxes.delete_folder_for(actor, account, mailbox, cx.now),
        false => mailboxes.delete_empty_folder_for(actor, account, mailbox, cx.now),
    };
    done.map_err(|error| match error {
        // What is in it may be nothing that the caller knows of.
        MailboxError::HasChildren if !has_children(cx, &scope, mailbox) => {
            MailboxError::NotPermitted.into()
        }
        error => error.into(),
    })
}

fn has_children(cx: &Context<'_>, scope: &Scope, mailbox: MailboxId) -> bool {
    let folders = scope.folders(cx.verbs.mailboxes).unwrap_or_default();
    folders.iter().any(|folder| folder.parent == Some(mailbox))
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
        // RFC 8620 5.3: "It may work if tried again later."
        MailboxError::Limit(sharing::TOO_OFTEN) => SetError::new("rateLimit", error.to_string()),
        MailboxError::Limit(_) => SetError::new("overQuota", error.to_string()),
        other => other.into(),
    }
}

/// What a client asks of a mailbox.
struct Asked {
    change: FolderChange,
    sharing: Sharing,
}

/// Reads the properties of a mailbox that a client may set. What it says of the object as it is now is
/// no change.
fn read(
    cx: &Context<'_>,
    account: AccountId,
    object: &Value,
    now: Option<&Value>,
) -> Result<Asked, SetError> {
    let wrong = |name: &str| SetError::invalid_properties(&[name], "it can't be that");
    let members = object
        .as_object()
        .ok_or_else(|| SetError::new("invalidProperties", "a mailbox is an object"))?;
    let (mut change, mut sharing) = (FolderChange::default(), Sharing::default());
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
            _ => match sharing.take(cx, name, value) {
                Ok(true) => {}
                Ok(false) => drop(all.take::<()>(Err(wrong(name)))),
                Err(error) => drop(all.take::<()>(Err(error))),
            },
        }
    }
    // A new one without a name is wrong, whatever else of it is.
    if now.is_none() && !members.contains_key("name") {
        let missing = SetError::invalid_properties(&["name"], "a mailbox has a name");
        all.take::<()>(Err(missing));
    }
    all.told().map(|()| Asked { change, sharing })
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
