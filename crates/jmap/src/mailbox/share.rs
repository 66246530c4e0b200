//! With whom a mailbox is shared: `shareWith` (draft-ietf-jmap-mail-sharing, RFC 9670 4).
//!
//! Invariants: the rows are those of IMAP's SETACL, and so are their entries in the audit log. What a client
//! says as it is changes nothing, also where JMAP has no name for what somebody has (`l` without `r`). What
//! every account of the server was given (`anyone` of RFC 4314) is nobody's here, and stays.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tern_base::MailboxId;
use tern_directory::{GroupId, PrincipalId};
use tern_mailbox::{Grantee, MailboxError, Rights};

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
    if !scope.rights(mailbox).has(Rights::ADMINISTER) {
        return Ok(Value::Null);
    }
    let mut all = Map::new();
    for (grantee, rights) in cx.verbs.mailboxes.grants(scope.account, mailbox)? {
        if let Some(id) = principal_of(grantee) {
            all.insert(principal::id_of(id), rights::object(cx, rights, true));
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

    /// The rights of each whose rights change.
    pub(super) fn changes(
        &self,
        cx: &Context<'_>,
        scope: &Scope,
        now: &[(Grantee, Rights)],
    ) -> Result<Vec<(Grantee, Rights)>, SetError> {
        let mut all = Vec::new();
        for (who, named) in &self.named {
            let held = now.iter().find(|(grantee, _)| grantee == who);
            let held = held.map_or(Rights::NONE, |(_, rights)| *rights);
            let rights = match named {
                Named::Nothing => Rights::NONE,
                Named::Whole(said) => changed(cx, held, said, true)?,
                Named::Parts(said) => changed(cx, held, said, false)?,
            };
            if rights == held {
                continue;
            }
            // RFC 9670 4: the principal of the account is not among them.
            let owner = *who == Grantee::Account(scope.account);
            // Whoever has something may be given more, or have it taken away, seen or not.
            let sees = || cx.verbs.sharing.sees(cx.caller.account, *who);
            if owner || (held == Rights::NONE && !sees().map_err(MailboxError::from)?) {
                let why = "there is nobody of that id to share it with";
                return Err(SetError::invalid_properties(&["shareWith"], why));
            }
            all.push((*who, rights));
        }
        if self.is_whole {
            let gone = now
                .iter()
                .filter(|(who, _)| *who != Grantee::Anyone && !self.named.contains_key(who));
            all.extend(gone.map(|(who, _)| (*who, Rights::NONE)));
        }
        Ok(all)
    }
}

fn grantee(cx: &Context<'_>, id: &str) -> Result<Grantee, SetError> {
    let principal = principal::parse_id(cx.resolved(id));
    let nobody = || {
        let why = "there is nobody of that id to share it with";
        SetError::invalid_properties(&["shareWith"], why)
    };
    principal.map(grantee_of).ok_or_else(nobody)
}

/// Rights as they are once what a client says of some of them is so. Those of the same letters (`x`) are the
/// same right: what is said of one is said of both. Whoever is given any finds the mailbox, too.
fn changed(
    cx: &Context<'_>,
    held: Rights,
    said: &Map<String, Value>,
    is_whole: bool,
) -> Result<Rights, SetError> {
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
    let mut rights = held;
    for (_, letters) in rights::known(cx) {
        let said = wanted.iter().find(|(of, _)| *of == letters);
        let said = said.map(|(_, may)| *may);
        // What is so already is no change, also where it is so in part.
        match (said.or(is_whole.then_some(false)), held.has(letters)) {
            (Some(true), false) => rights = rights.with(letters),
            (Some(false), true) => rights = rights.without(letters),
            _ => {}
        }
    }
    Ok(match rights == held || rights == Rights::NONE {
        true => rights,
        false => rights.with(Rights::LOOKUP),
    })
}
