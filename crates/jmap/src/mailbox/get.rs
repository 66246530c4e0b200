//! `Mailbox/get` (RFC 8621 2.1).

use serde_json::{Value, json};
use tern_base::MailboxId;
use tern_mailbox::{Folder, INBOX, MailboxError, Role, SEPARATOR};
use tern_session::ids;

use super::counts::{Counts, counts};
use super::{rights, share};
use crate::budget::Objects;
use crate::context::Context;
use crate::error::MethodError;
use crate::scope::{Of, Scope};
use crate::standard::get::{self, GetArgs, Wanted};
use crate::{Capability, args, limits};

/// Every property of a Mailbox.
pub(crate) const PROPERTIES: [&str; 12] = [
    "id",
    "name",
    "parentId",
    "role",
    "sortOrder",
    "totalEmails",
    "unreadEmails",
    "totalThreads",
    "unreadThreads",
    "myRights",
    "isSubscribed",
    // By a capability of its own, and so the last.
    "shareWith",
];

/// The role of a mailbox by its registered name (RFC 8621 2).
pub(crate) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Inbox => "inbox",
        Role::Archive => "archive",
        Role::Drafts => "drafts",
        Role::Junk => "junk",
        Role::Sent => "sent",
        Role::Trash => "trash",
        Role::Important => "important",
    }
}

/// The name of a mailbox at its level. The inbox, whose name IMAP prescribes, is called as people
/// do.
pub(crate) fn name_of(folder: &Folder) -> &str {
    match folder.id == INBOX {
        true => "Inbox",
        false => folder.path.rsplit(SEPARATOR).next().unwrap_or_default(),
    }
}

/// The role of a name.
pub(super) fn role_of(name: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role_name(*role) == name)
}

pub(super) fn object(
    cx: &Context<'_>,
    scope: &Scope,
    folder: &Folder,
    counts: Counts,
) -> Result<Value, MailboxError> {
    let account = scope.account;
    let mut object = json!({
        "id": ids::mailbox_id(account, folder.id),
        "name": name_of(folder),
        "parentId": folder.parent.map(|parent| ids::mailbox_id(account, parent)),
        "role": folder.role.map(role_name),
        "sortOrder": folder.sort_order,
        "totalEmails": counts.total_emails,
        "unreadEmails": counts.unread_emails,
        "totalThreads": counts.total_threads,
        "unreadThreads": counts.unread_threads,
        "myRights": rights::own(cx, scope, folder),
        "isSubscribed": folder.subscribed,
    });
    if cx.uses(Capability::MailShare) {
        object["shareWith"] = share::with(cx, scope, folder.id)?;
    }
    Ok(object)
}

/// The properties that change as messages come, change and go.
pub(super) const COUNTS: [&str; 4] = [
    "totalEmails",
    "unreadEmails",
    "totalThreads",
    "unreadThreads",
];

/// One of an account's mailboxes, with its counts where they are asked for, as they were when the method
/// first counted.
pub(super) fn one(
    cx: &Context<'_>,
    scope: &Scope,
    all: &[Folder],
    folder: &Folder,
    counted: bool,
) -> Result<Value, MailboxError> {
    if !counted {
        return object(cx, scope, folder, Counts::default());
    }
    let counts = scope.counts_once(cx.verbs.mailboxes, trash_of(all))?;
    let counts = counts.get(&folder.id).copied().unwrap_or_default();
    object(cx, scope, folder, counts)
}

fn trash_of(folders: &[Folder]) -> Option<MailboxId> {
    let mut all = folders.iter();
    let trash = all.find(|folder| folder.role == Some(Role::Trash));
    trash.map(|trash| trash.id)
}

/// `Mailbox/get`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: GetArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let known = match cx.uses(Capability::MailShare) {
        true => &PROPERTIES[..],
        false => &PROPERTIES[..PROPERTIES.len() - 1],
    };
    let wanted = Wanted::of(args.properties.as_deref(), known)?;
    let (view, modseq) = scope.view(cx.verbs.mailboxes)?;
    let folders = scope.folders(cx.verbs.mailboxes)?;
    let counts = counts(&view, trash_of(&folders));
    let of = |cx: &Context<'_>, folder: &Folder| {
        let counts = counts.get(&folder.id).copied().unwrap_or_default();
        Ok::<_, MailboxError>(wanted.select(object(cx, &scope, folder, counts)?))
    };
    let (mut list, mut not_found) = (Objects::default(), Vec::new());
    match &args.ids {
        // RFC 8620 5.1: all of them, where they are not too many.
        None if folders.len() > limits::MAX_OBJECTS_IN_GET => {
            return Err(MethodError::REQUEST_TOO_LARGE);
        }
        None => {
            for folder in &folders {
                let object = of(cx, folder)?;
                list.push(cx, object)?;
            }
        }
        Some(ids) => {
            for id in cx.each_once(ids)? {
                let mailbox = ids::parse_mailbox_id(scope.account, &id);
                match folders.iter().find(|folder| Some(folder.id) == mailbox) {
                    Some(folder) => {
                        let object = of(cx, folder)?;
                        list.push(cx, object)?;
                    }
                    None => not_found.push(id),
                }
            }
        }
    }
    Ok(get::response(
        &args.account_id,
        &scope.state(Of::Mailboxes, modseq),
        list,
        &not_found,
    ))
}
