//! Where an Email is kept and its keywords, as clients write them: `mailboxIds` and `keywords`, whole or
//! by patch (RFC 8620 5.3, RFC 8621 4.1.1).

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tern_base::{AccountId, MailboxId, Timestamp};
use tern_mailbox::{Flagging, Flags, Placing, SystemFlag};
use tern_session::ids;

use crate::context::Context;
use crate::date;
use crate::error::SetError;
use crate::limits;
use crate::standard::wrong::Wrong;

/// Reads the set of mailboxes that `mailboxIds` is.
pub(super) fn mailboxes(
    cx: &Context<'_>,
    account: AccountId,
    value: &Value,
) -> Result<BTreeSet<MailboxId>, SetError> {
    let members = members(value).ok_or_else(|| wrong("mailboxIds", "not a set of ids"))?;
    let ids = members.map(|id| mailbox(cx, account, id));
    let ids: BTreeSet<MailboxId> = ids.collect::<Result<_, _>>()?;
    match ids.len() {
        0 => Err(wrong("mailboxIds", "an Email is in at least one mailbox")),
        1..=limits::MAX_MAILBOXES_PER_EMAIL => Ok(ids),
        // RFC 8621 4.6
        _ => Err(SetError::new(
            "tooManyMailboxes",
            "more mailboxes than a message is in",
        )),
    }
}

/// Reads the set of keywords that `keywords` is.
pub(super) fn keywords(value: &Value) -> Result<Flags, SetError> {
    let members = members(value).ok_or_else(|| wrong("keywords", "not a set of keywords"))?;
    let mut flags = Flags::empty();
    for keyword in members {
        add(&mut flags, keyword)?;
    }
    Ok(flags)
}

/// The members of a set: an object whose values are all `true`.
fn members(value: &Value) -> Option<impl Iterator<Item = &str>> {
    let members = value.as_object()?;
    let all_true = members.values().all(|value| *value == Value::Bool(true));
    all_true.then(|| members.keys().map(String::as_str))
}

fn mailbox(cx: &Context<'_>, account: AccountId, id: &str) -> Result<MailboxId, SetError> {
    let found = ids::parse_mailbox_id(account, cx.resolved(id));
    found.ok_or_else(|| wrong("mailboxIds", "there is no such mailbox"))
}

/// Sets a keyword in flags.
fn add(flags: &mut Flags, keyword: &str) -> Result<(), SetError> {
    let bare = |c: u8| c.is_ascii_graphic() && !b"(){]%*\"\\".contains(&c);
    if keyword.is_empty() || !keyword.bytes().all(bare) {
        return Err(wrong("keywords", "a character that no keyword has"));
    }
    let system = [
        ("$seen", SystemFlag::Seen),
        ("$answered", SystemFlag::Answered),
        ("$flagged", SystemFlag::Flagged),
        ("$draft", SystemFlag::Draft),
    ];
    let known = system
        .iter()
        .find(|(name, _)| keyword.eq_ignore_ascii_case(name));
    match known {
        Some((_, flag)) => flags.set(*flag, true),
        None if flags.add_keyword(&keyword.to_ascii_lowercase()) => {}
        None if keyword.len() > tern_mailbox::limits::MAX_KEYWORD => {
            return Err(wrong("keywords", "too long"));
        }
        // RFC 8621 4.6
        None => {
            let why = "more keywords than a message has";
            return Err(SetError::new("tooManyKeywords", why));
        }
    }
    Ok(())
}

/// Where a new Email is to be kept.
pub(super) struct Kept {
    pub(super) mailboxes: BTreeSet<MailboxId>,
    pub(super) flags: Flags,
    pub(super) received: Option<Timestamp>,
}

impl Kept {
    /// Reads `mailboxIds`, `keywords` and `receivedAt` of what is to be made.
    pub(super) fn read(
        cx: &Context<'_>,
        account: AccountId,
        email: &Map<String, Value>,
    ) -> Result<Self, SetError> {
        let get = |name: &str| email.get(name).filter(|value| !value.is_null());
        let ids = get("mailboxIds");
        let ids = ids.ok_or_else(|| wrong("mailboxIds", "an Email is in at least one mailbox"));
        let received = |at: &Value| {
            let at = at.as_str().and_then(date::parse_utc);
            at.ok_or_else(|| wrong("receivedAt", "not a UTCDate"))
        };
        let mut all = Wrong::default();
        let ids = ids.and_then(|ids| mailboxes(cx, account, ids));
        let (mailboxes, flags) = (
            all.take(ids),
            all.take(get("keywords").map_or(Ok(Flags::empty()), keywords)),
        );
        let received = all.take(get("receivedAt").map(received).transpose());
        all.told()?;
        Ok(Self {
            mailboxes: mailboxes.unwrap_or_default(),
            flags: flags.unwrap_or_default(),
            received: received.flatten(),
        })
    }
}

pub(super) fn wrong(property: &str, why: &str) -> SetError {
    SetError::invalid_properties(&[property], why)
}

/// What a patch of an Email changes.
#[derive(Debug, Default)]
pub(super) struct Patch {
    pub(super) placing: Option<Placing>,
    pub(super) flagging: Option<Flagging>,
}

impl Patch {
    /// Reads a patch. Nothing but these two properties of an Email can change.
    pub(super) fn read(
        cx: &Context<'_>,
        account: AccountId,
        patch: &Map<String, Value>,
    ) -> Result<Self, SetError> {
        let (mut out, mut parts) = (Self::default(), Parts::default());
        for (path, value) in patch {
            match path.split_once('/') {
                // RFC 8620 5.3: what is before the last part of a path is there, and nothing is in a member.
                Some(("mailboxIds" | "keywords", member)) if member.contains('/') => {
                    let why = "nothing of a member is set in part";
                    return Err(SetError::new("invalidPatch", why));
                }
                None if path == "mailboxIds" => {
                    out.placing = Some(Placing::Set(mailboxes(cx, account, value)?));
                }
                // RFC 8620 5.3: null is the default, which is none.
                None if path == "keywords" && value.is_null() => {
                    out.flagging = Some(Flagging::Set(Flags::empty()));
                }
                None if path == "keywords" => {
                    out.flagging = Some(Flagging::Set(keywords(value)?));
                }
                Some(("mailboxIds", id)) => {
                    let mailbox = mailbox(cx, account, &unescaped(id))?;
                    let of = if is_set(path, value)? {
                        &mut parts.add
                    } else {
                        &mut parts.remove
                    };
                    of.insert(mailbox);
                    parts.places = true;
                }
                Some(("keywords", keyword)) => {
                    let of = if is_set(path, value)? {
                        &mut parts.set
                    } else {
                        &mut parts.clear
                    };
                    add(of, &unescaped(keyword))?;
                    parts.flags = true;
                }
                _ => return Err(wrong(path, "no property of an Email that can change")),
            }
        }
        // RFC 8620 5.3: a path must not be the beginning of another one.
        if (parts.places && out.placing.is_some()) || (parts.flags && out.flagging.is_some()) {
            return Err(SetError::new(
                "invalidPatch",
                "a property is set whole and in part",
            ));
        }
        if parts.places {
            let (add, remove) = (parts.add, parts.remove);
            out.placing = Some(Placing::Change { add, remove });
        }
        if parts.flags {
            let (add, remove) = (parts.set, parts.clear);
            out.flagging = Some(Flagging::Change { add, remove });
        }
        Ok(out)
    }
}

/// What a patch changes in part.
#[derive(Default)]
struct Parts {
    places: bool,
    add: BTreeSet<MailboxId>,
    remove: BTreeSet<MailboxId>,
    flags: bool,
    set: Flags,
    clear: Flags,
}

/// Whether a member of a set is put in, or taken out.
fn is_set(path: &str, value: &Value) -> Result<bool, SetError> {
    match value {
        Value::Bool(true) => Ok(true),
        Value::Null => Ok(false),
        _ => Err(wrong(path, "neither true nor null")),
    }
}

/// RFC 6901 4.
fn unescaped(text: &str) -> String {
    text.replace("~1", "/").replace("~0", "~")
}
