//! With whom a mailbox is shared: `shareWith` (draft-ietf-jmap-mail-sharing, RFC 9670 4).
//!
//! Invariants: the rows are those of IMAP's SETACL, and so are their entries in the audit log. What a client
//! says as it is changes nothing, also where JMAP has no name for what somebody has (`l` without `r`). What
//! every account of the server was given (`anyone` of RFC 4314) is nobody's here, and stays.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tern_base::MailboxId;
use tern_directory::{GroupId, PrincipalId};
use tern_mailbox::{Grantee, MailboxError, NotAllowed, Rights};
use tern_session::sharing::{Wanted, Wish};

use super::rights;
use crate::Capability;
use crate::context::Context;
use crate::error::SetError;
use crate::principal;
use crate::scope::Scope;

/// Who has which rights in a mailbox; null where nobody else has any, or the caller may not share it.
pub(super) fn with(
    cx: &Context<'_>,
    scope: &Scope,
    mailbox: MailboxId,
) -> Result<Value, MailboxError> {
    let mut all = Map::new();
    for (grantee, rights) in scope.grants(cx.verbs.mailboxes, mailbox)? {
        if let Some(id) = principal_of(grantee) {
            all.insert(principal::id_of(id), rights::object(cx, rights));
        }
    }
    Ok(match all.is_empty() {
        true => Value::Null,
        false => Value::Object(all),
    })
}

const fn principal_of(grantee: Grantee) -> Option<PrincipalId> {
    match grantee {
        Grantee::Anyone => None,
        Grantee::Account(account) => Some(PrincipalId::Account(account)),
        Grantee::Group(group) => Some(PrincipalId::Group(GroupId(group))),
    }
}

const fn grantee_of(principal: PrincipalId) -> Grantee {
    match principal {
        PrincipalId::Account(account) => Grantee::Account(account),
        PrincipalId::Group(group) => Grantee::Group(group.0),
    }
}

/// What becomes of the rights of those whom a client names.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// The property as a whole is set.
    is_whole: bool,
    named: BTreeMap<Grantee, Named>,
}

/// What a client says of somebody's rights.
#[derive(Debug)]
enum Named {
    /// None.
    Nothing,
    /// Exactly these.
    Whole(Map<String, Value>),
    /// These among others.
    Parts(Map<String, Value>),
}

impl Sharing {
    /// Whether a client says anything of it.
    pub(super) fn is_asked_for(&self) -> bool {
        self.is_whole || !self.named.is_empty()
    }

    /// Reads one member of a patch: `shareWith`, or a path into it. False where it is another property.
    pub(super) fn take(
        &mut self,
        cx: &Context<'_>,
        path: &str,
        value: &Value,
    ) -> Result<bool, SetError> {
        let mut parts = path.split('/');
        if parts.next() != Some("shareWith") || !cx.uses(Capability::MailShare) {
            return Ok(false);
        }
        let wrong = || SetError::invalid_properties(&[path], "it can't be that");
        let (who, right) = (parts.next(), parts.next());
        if parts.next().is_some() || (self.is_whole && who.is_some()) {
            return Err(SetError::new(
                "invalidPatch",
                "a property is set whole and in part",
            ));
        }
        let whole = |value: &Value| match value {
            Value::Null => Some(Named::Nothing),
            Value::Object(all) => Some(Named::Whole(all.clone())),
            _ => None,
        };
        let Some(who) = who else {
            if !self.named.is_empty() {
                return Err(SetError::new(
                    "invalidPatch",
                    "a property is set whole and in part",
                ));
            }
            self.is_whole = true;
            let all = match value {
                Value::Null => return Ok(true),
                value => value.as_object().ok_or_else(wrong)?,
            };
            for (who, value) in all {
                let named = whole(value).ok_or_else(wrong)?;
                self.named.insert(grantee(cx, who)?, named);
            }
            return Ok(true);
        };
        let who = grantee(cx, who)?;
        match (right, self.named.get_mut(&who)) {
            (None, None) => {
                self.named.insert(who, whole(value).ok_or_else(wrong)?);
            }
            (Some(right), None) => {
                let right = Map::from_iter([(right.to_owned(), value.clone())]);
                self.named.insert(who, Named::Parts(right));
            }
            (Some(right), Some(Named::Parts(all))) => {
                all.insert(right.to_owned(), value.clone());
            }
            _ => {
                return Err(SetError::new(
                    "invalidPatch",
                    "a property is set whole and in part",
                ));
            }
        }
        Ok(true)
    }

    /// Whether all that it says is that the caller gives up what they have: that takes no right.
    pub(super) fn gives_up(&self, cx: &Context<'_>) -> bool {
        let own = Grantee::Account(cx.caller.account);
        let mut named = self.named.iter();
        !self.is_whole && named.all(|(who, named)| *who == own && matches!(named, Named::Nothing))
    }

    /// What the client wants of a mailbox of this account.
    pub(super) fn wish<'s>(
        &self,
        cx: &Context<'_>,
        scope: &'s Scope,
        is_new: bool,
    ) -> Result<Wish<'s>, SetError> {
        let caller = cx.caller.account;
        let seen = match self.named.is_empty() {
            true => None,
            false => cx.verbs.principals.seen_by(caller).ok(),
        };
        let sees = |who: &Grantee| {
            let id = principal_of(*who);
            id.is_none_or(|id| seen.as_ref().is_some_and(|seen| seen.get(id).is_some()))
        };
        let mut named = BTreeMap::new();
        for (who, said) in &self.named {
            let wanted = match said {
                Named::Nothing => Wanted::Nothing,
                Named::Whole(said) => Wanted::Each(each(cx, said, true)?),
                Named::Parts(said) => Wanted::Each(each(cx, said, false)?),
            };
            named.insert(*who, (wanted, sees(who)));
        }
        Ok(Wish {
            owner: scope.account,
            acting: scope.acting(),
            named,
            is_whole: self.is_whole,
            is_new,
            also: None,
        })
    }
}

fn grantee(cx: &Context<'_>, id: &str) -> Result<Grantee, SetError> {
    let principal = principal::parse_id(cx.resolved(id));
    let nobody =
        || SetError::invalid_properties(&["shareWith"], NotAllowed::NobodyThere.to_string());
    principal.map(grantee_of).ok_or_else(nobody)
}

/// Which rights somebody is to have, and which not. Those of the same letters (`x`) are the same right: what
/// is said of one is said of both.
fn each(
    cx: &Context<'_>,
    said: &Map<String, Value>,
    is_whole: bool,
) -> Result<Vec<(Rights, bool)>, SetError> {
    let wrong = |why: &str| SetError::invalid_properties(&["shareWith"], why);
    let mut wanted: Vec<(Rights, bool)> = Vec::new();
    for (name, value) in said {
        let may = value.as_bool().or(value.is_null().then_some(false));
        let may = may.ok_or_else(|| wrong("a right is true or false"))?;
        let known = rights::known(cx).find(|(known, _)| known == name);
        let (_, letters) = known.ok_or_else(|| wrong("there is no such right"))?;
        match wanted.iter().find(|(same, _)| *same == letters) {
            Some((_, other)) if *other != may => {
                return Err(wrong("mayRename and mayDelete are one right here"));
            }
            Some(_) => {}
            None => wanted.push((letters, may)),
        }
    }
    if is_whole {
        for (_, letters) in rights::known(cx) {
            if wanted.iter().all(|(same, _)| *same != letters) {
                wanted.push((letters, false));
            }
        }
    }
    Ok(wanted)
}
