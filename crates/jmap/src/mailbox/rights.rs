//! Rights in a mailbox as JMAP names them, and as RFC 4314 does (RFC 8621 2).

use serde_json::{Map, Value};
use tern_mailbox::Rights;

use crate::Capability;
use crate::context::Context;

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

/// A MailboxRights. The inbox stays where it is, whoever may.
pub(crate) fn object(cx: &Context<'_>, rights: Rights, may_go: bool) -> Value {
    let right = |(name, needed): (&str, Rights)| {
        let may = rights.has(needed) && (may_go || needed != Rights::DELETE);
        (name.to_owned(), Value::Bool(may))
    };
    Value::Object(known(cx).map(right).collect::<Map<_, _>>())
}
