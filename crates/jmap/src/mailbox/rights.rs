//! Rights in a mailbox as JMAP names them, and as RFC 4314 does (RFC 8621 2).

use serde_json::{Map, Value};
use tern_mailbox::{Folder, INBOX, Rights};

use crate::Capability;
use crate::context::Context;
use crate::scope::Scope;

/// What each right of JMAP stands for.
pub(super) const NAMED: [(&str, Rights); 10] = [
    ("mayReadItems", Rights::LOOKUP.with(Rights::READ)),
    ("mayAddItems", Rights::INSERT),
    (
        "mayRemoveItems",
        Rights::DELETE_MESSAGES.with(Rights::EXPUNGE),
    ),
    ("maySetSeen", Rights::SEEN),
    ("maySetKeywords", Rights::WRITE),
    ("mayCreateChild", Rights::CREATE),
    ("mayRename", Rights::DELETE),
    ("mayDelete", Rights::DELETE),
    ("maySubmit", Rights::POST),
    // By draft-ietf-jmap-mail-sharing, and so the last.
    ("mayShare", Rights::ADMINISTER),
];

/// The rights that a request knows of.
pub(super) fn known(cx: &Context<'_>) -> impl Iterator<Item = (&'static str, Rights)> {
    let shares = cx.uses(Capability::MailShare);
    let named = NAMED.into_iter();
    named.filter(move |(name, _)| shares || *name != "mayShare")
}

/// The MailboxRights that were given.
pub(crate) fn object(cx: &Context<'_>, rights: Rights) -> Value {
    let right = |(name, needed)| (str::to_owned(name), Value::Bool(rights.has(needed)));
    Value::Object(known(cx).map(right).collect::<Map<_, _>>())
}

/// The MailboxRights of the caller in a mailbox (RFC 8621 2 `myRights`). The inbox stays where it is, whoever
/// may; and of others' mailboxes another one is renamed by whoever may make one where it stands.
pub(super) fn own(cx: &Context<'_>, scope: &Scope, folder: &Folder) -> Value {
    let rights = scope.rights(folder.id);
    let there = folder.parent.map(|parent| scope.rights(parent));
    let may_rename = !scope.is_foreign() || rights.may_be_put(there);
    let mut object = object(cx, rights);
    for (name, may) in [("mayRename", may_rename), ("mayDelete", true)] {
        if !may || folder.id == INBOX {
            object[name] = Value::Bool(false);
        }
    }
    object
}
