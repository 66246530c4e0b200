//! `Mailbox/set` (RFC 8621 2.5): each mailbox is one transaction.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use tern_base::{AccountId, MailboxId};
use tern_mailbox::rows::Change as Logged;
use tern_mailbox::{
    Folder, FolderChange, INBOX, Limit, MailboxError, NewFolder, NotAllowed, Rights, Role,
};
use tern_session::sharing::Wish;
use tern_session::{ids, sharing};
use tern_store::Transaction;

use super::counts::Counts;
use super::get::{self, role_of};
use super::later::{Later, What};
use super::rights;
use super::share::Sharing;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::scope::{Moment, Of, Scope};
use crate::standard::set::{Outcomes, SetArgs, is_as_it_is};
use crate::standard::wrong::Wrong;
use crate::{args, limits, state};

/// `Mailbox/set`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let remove_emails = args::take_flag(&mut args, "onDestroyRemoveEmails")?;
    let mut args: SetArgs = args::read(args)?;
    // Each mailbox has rights of its own, and whoever may only read one may subscribe to it.
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let since = scope.moment(cx.verbs.mailboxes)?;
    let old_state = scope.state(Of::Mailboxes, since.seen);
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
    for id in inner_first(cx, account, destroy.collect()) {
        let outcome = destroy_one(cx, &scope, &id, remove_emails);
        outcomes.destroy(&id, outcome);
    }
    later.settle(cx, &scope, &mut outcomes);
    let new_state = state_after(cx, &scope, since, &outcomes);
    // What was done is done: where that can't be told now, it is told again.
    let new_state = new_state.unwrap_or_else(|_| old_state.clone());
    Ok(outcomes.response(&args.account_id, &old_state, &new_state))
}

/// The state of a caller who knows of `since` and of what became of a set.
fn state_after(
    cx: &Context<'_>,
    scope: &Scope,
    since: Moment,
    outcomes: &Outcomes,
) -> Result<String, MailboxError> {
    let mailboxes = cx.verbs.mailboxes;
    if scope.is_foreign() {
        // By other rights it is another state.
        let scope = scope.again(cx.verbs)?;
        return Ok(scope.state(Of::Mailboxes, scope.newest(mailboxes)?));
    }
    let own = outcomes.touched();
    let own: BTreeSet<MailboxId> = own
        .filter_map(|id| ids::parse_mailbox_id(scope.account, id))
        .collect();
    let is_own = |change: &Logged| match change {
        Logged::MailboxCreated(mailbox)
        | Logged::MailboxUpdated(mailbox)
        | Logged::MailboxDestroyed(mailbox)
        | Logged::Vanished { mailbox, .. } => own.contains(mailbox),
        Logged::Placed { .. } | Logged::Flagged { .. } => false,
    };
    let newest = state::after(mailboxes, scope, since, is_own)?;
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
    let asked = read(cx, account, object, As::New(&fresh(cx, &scope)))?;
    let change = asked.change;
    let mut folder = NewFolder {
        parent: change.parent.flatten(),
        name: change.name.unwrap_or_default(),
        role: change.role.flatten(),
        sort_order: change.sort_order.unwrap_or(0),
        subscribed: change.subscribed.unwrap_or(true),
    };
    let mut wish = asked.sharing.wish(cx, &scope, true)?;
    // Whether somebody subscribes is their own affair.
    let subscribes = scope.is_foreign() && folder.subscribed;
    if scope.is_foreign() {
        // What its owner sees of it, once somebody else has made it.
        folder.subscribed = true;
    }
    wish.also = subscribes.then_some(scope.caller);
    let mailboxes = cx.verbs.mailboxes;
    let (acting, now) = (scope.acting(), cx.now);
    let made = together(cx, &wish, &|txn| {
        let made = mailboxes.add_folder_in(txn, acting, account, &folder, now)?;
        if subscribes {
            let (caller, foreign) = (scope.caller, (account, made));
            match mailboxes.subscribe_foreign_in(txn, caller, foreign, true) {
                // The mailbox is made all the same, and what became of it is told.
                Err(MailboxError::Limit(_)) => {}
                done => done?,
            }
        }
        Ok(made)
    });
    let mailbox = made.map_err(|error| match error {
        MailboxError::Exists => exists(cx, &scope, folder.parent, &folder.name),
        other => of_mailbox(other),
    })?;
    let scope = scope.again(cx.verbs)?;
    let folders = scope.folders(mailboxes)?;
    let mut told = match folders.iter().find(|folder| folder.id == mailbox) {
        Some(folder) => get::object(cx, &scope, folder, Counts::default())?,
        // It is gone again, or shared with everybody but who made it.
        None => json!({"id": ids::mailbox_id(account, mailbox)}),
    };
    // RFC 8620 5.3: what is not as the client said.
    if let (Some(told), Some(said)) = (told.as_object_mut(), object.as_object()) {
        told.retain(|name, value| said.get(name) != Some(value));
    }
    Ok((ids::mailbox_id(account, mailbox), told))
}

/// Does something to a mailbox, and shares it so, in one transaction.
fn together(
    cx: &mut Context<'_>,
    wish: &Wish<'_>,
    first: &dyn Fn(&mut Transaction<'_>) -> Result<MailboxId, MailboxError>,
) -> Result<MailboxId, MailboxError> {
    let connection = cx.caller.connection();
    let who = (cx.caller.account, cx.caller.login.as_str());
    let (now, entropy) = (cx.now, &mut *cx.entropy);
    let mut entry = || sharing::entry_of(who, &connection, now, entropy);
    let (mailboxes, sharing) = (cx.verbs.mailboxes, cx.verbs.sharing);
    let done = sharing.change_together(mailboxes, wish, &mut entry, first);
    done.map_err(|error| match MailboxError::from(error) {
        // Whoever it was is gone.
        MailboxError::NoAccount => MailboxError::NotAllowed(NotAllowed::NobodyThere),
        other => other,
    })
}

/// What a patch changes of which mailbox.
pub(super) struct Change {
    pub(super) mailbox: MailboxId,
    pub(super) change: FolderChange,
    /// The rights of others.
    pub(super) sharing: Sharing,
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
    let counts = get::COUNTS.iter().any(|name| patch.get(name).is_some());
    let now = get::one(cx, scope, &folders, folder, counts)?;
    let Asked { change, sharing } = read(cx, account, patch, As::Now(&now))?;
    let may_share = scope.rights(mailbox).has(Rights::ADMINISTER);
    // Who has which rights is told to nobody else.
    if sharing.is_asked_for() && !may_share && !sharing.gives_up(cx) {
        return Err(MailboxError::NotPermitted.into());
    }
    Ok(Change {
        mailbox,
        change,
        sharing,
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
        sharing,
    } = self::change(cx, &scope, id, patch)?;
    let (mailboxes, account) = (cx.verbs.mailboxes, scope.account);
    // Whether somebody subscribes is their own affair.
    let subscribed = match scope.is_foreign() {
        true => change.subscribed.take(),
        false => None,
    };
    let mut wish = sharing.wish(cx, &scope, false)?;
    wish.also = subscribed.map(|_| scope.caller);
    let changes = [(mailbox, change)];
    let done = together(cx, &wish, &|txn| {
        mailboxes.change_folders_in(txn, scope.acting(), account, &changes)?;
        if let Some(subscribed) = subscribed {
            let (caller, foreign) = (scope.caller, (account, mailbox));
            mailboxes.subscribe_foreign_in(txn, caller, foreign, subscribed)?;
        }
        Ok(mailbox)
    });
    let [(_, change)] = &changes;
    done.map(drop).map_err(|error| match error {
        MailboxError::Exists => {
            let folders = scope.folders(mailboxes).unwrap_or_default();
            let now = folders.iter().find(|folder| folder.id == mailbox);
            let parent = change.parent.or(now.map(|now| now.parent)).flatten();
            let name = change.name.as_deref().or(now.map(get::name_of));
            exists(cx, &scope, parent, name.unwrap_or_default())
        }
        other => of_mailbox(other),
    })
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
    if !scope.rights(mailbox).has(Rights::LOOKUP) {
        return Err(SetError::not_found());
    }
    let (mailboxes, access) = (cx.verbs.mailboxes, scope.access(mailbox));
    let done = match remove_emails {
        true => mailboxes.delete_folder(&access, cx.now),
        false => mailboxes.delete_empty_folder(&access, cx.now),
    };
    done.map_err(|error| match error {
        // What is in it may be nothing that the caller knows of.
        MailboxError::HasChildren if !has_children(cx, &scope, mailbox) => {
            MailboxError::NotPermitted.into()
        }
        MailboxError::NotEmpty if !scope.rights(mailbox).has(Rights::READ) => {
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
        MailboxError::Limit(Limit::Depth) => {
            SetError::invalid_properties(&["parentId"], error.to_string())
        }
        MailboxError::Limit(Limit::NameOctets) => {
            SetError::invalid_properties(&["name"], error.to_string())
        }
        // RFC 8620 5.3: "It may work if tried again later."
        MailboxError::Limit(Limit::RightsChanges) => SetError::new("rateLimit", error.to_string()),
        MailboxError::Limit(_) => SetError::new("overQuota", error.to_string()),
        MailboxError::NotAllowed(NotAllowed::NobodyThere) => {
            SetError::invalid_properties(&["shareWith"], error.to_string())
        }
        other => other.into(),
    }
}

/// What a client asks of a mailbox.
struct Asked {
    change: FolderChange,
    sharing: Sharing,
}

/// What the server sets of a mailbox.
enum As<'a> {
    /// All of it, as it is now.
    Now(&'a Value),
    /// What one has that is to be made.
    New(&'a Value),
}

/// What a mailbox has that is to be made, as far as that is known beforehand: nothing is in it, and in
/// one's own account one may do all.
fn fresh(cx: &Context<'_>, scope: &Scope) -> Value {
    let counts = get::COUNTS
        .iter()
        .map(|name| ((*name).to_owned(), 0.into()));
    let mut fresh: Map<String, Value> = counts.collect();
    if !scope.is_foreign() {
        let rights = rights::object(cx, Rights::ALL);
        fresh.insert("myRights".to_owned(), rights);
    }
    fresh.into()
}

/// Reads the properties of a mailbox that a client may set. What it says of the object as it is, or will
/// be, is no change.
fn read(
    cx: &Context<'_>,
    account: AccountId,
    object: &Value,
    known: As<'_>,
) -> Result<Asked, SetError> {
    let (As::Now(as_it_is) | As::New(as_it_is)) = known;
    let wrong = |name: &str| SetError::invalid_properties(&[name], "it can't be that");
    let members = object
        .as_object()
        .ok_or_else(|| SetError::new("invalidProperties", "a mailbox is an object"))?;
    let (mut change, mut sharing) = (FolderChange::default(), Sharing::default());
    let mut all = Wrong::default();
    for (name, value) in members {
        if is_as_it_is(as_it_is, name, value) {
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
            "myRights" => {
                for name in rights_that_differ(&as_it_is["myRights"], value) {
                    all.take::<()>(Err(wrong(&name)));
                }
            }
            _ => match sharing.take(cx, name, value) {
                Ok(true) => {}
                Ok(false) => drop(all.take::<()>(Err(wrong(name)))),
                Err(error) => drop(all.take::<()>(Err(error))),
            },
        }
    }
    // A new one without a name is wrong, whatever else of it is.
    if matches!(known, As::New(_)) && !members.contains_key("name") {
        let missing = SetError::invalid_properties(&["name"], "a mailbox has a name");
        all.take::<()>(Err(missing));
    }
    all.told().map(|()| Asked { change, sharing })
}

/// The paths of the rights that are told other than they are, or that of all.
fn rights_that_differ(known: &Value, told: &Value) -> Vec<String> {
    match (known.as_object(), told.as_object()) {
        (Some(known), Some(told)) if !told.is_empty() => {
            let differs = |(name, may): &(&String, &Value)| known.get(*name) != Some(*may);
            let differing = told.iter().filter(differs);
            differing
                .map(|(name, _)| format!("myRights/{name}"))
                .collect()
        }
        _ => vec!["myRights".to_owned()],
    }
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
fn inner_first(cx: &Context<'_>, account: AccountId, mut ids: Vec<String>) -> Vec<String> {
    // Where they can't be read now, none can be destroyed either, and each says so.
    let folders = cx.verbs.mailboxes.folders(account).unwrap_or_default();
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
    ids
}
