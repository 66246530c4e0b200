//! `Email/copy` (RFC 8621 4.7): from an account that the caller sees to another one.
//!
//! Invariant: each copy is one transaction, which the rights in both accounts allow; what leaves somebody
//! else's account is on record as read before it is anywhere else.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tern_mailbox::{AccountView, Across, Actor, Held, KeptAs};
use tern_session::ids;

use super::import::{made, refused};
use super::keep;
use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::scope::{Of, Scope};
use crate::standard::wrong::Wrong;
use crate::{args, date, limits};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Args {
    from_account_id: String,
    #[serde(default)]
    if_from_in_state: Option<String>,
    account_id: String,
    #[serde(default)]
    if_in_state: Option<String>,
    create: Map<String, Value>,
    #[serde(default)]
    on_success_destroy_original: bool,
    #[serde(default)]
    destroy_from_if_in_state: Option<String>,
}

/// `Email/copy`
pub(crate) fn run(cx: &mut Context<'_>, args: Value) -> Result<Value, MethodError> {
    let args: Args = args::read(args)?;
    let (from, to) = cx.both(&args.from_account_id, &args.account_id)?;
    if args.create.len() > limits::MAX_OBJECTS_IN_SET {
        return Err(MethodError::REQUEST_TOO_LARGE);
    }
    let mailboxes = cx.verbs.mailboxes;
    let since = to.moment(mailboxes)?;
    let old_state = to.state(Of::Messages, since.seen);
    let from_state = from.state(Of::Messages, from.newest(mailboxes)?);
    let is_not = |wanted: &Option<String>, is: &str| wanted.as_ref().is_some_and(|it| it != is);
    if is_not(&args.if_in_state, &old_state) || is_not(&args.if_from_in_state, &from_state) {
        return Err(MethodError::STATE_MISMATCH);
    }
    // RFC 4314 asks as whom: of each account by itself.
    let actor = cx.verbs.sharing.actor(cx.caller.account)?;
    let (mut all, mut not_created, mut copied) = (Map::new(), Map::new(), Vec::new());
    let (view, _) = from.view(mailboxes)?;
    for (creation, email) in args.create {
        let outcome = copy(cx, (&from, &to), (&actor, &view), &email);
        cx.answer.let_go();
        match outcome {
            Ok((original, id, object)) => {
                cx.was_created(&creation, &id);
                all.insert(creation, object);
                if !copied.contains(&original) {
                    copied.push(original);
                }
            }
            Err(error) => drop(not_created.insert(creation, error.into_json())),
        }
    }
    let own = all.values().filter_map(|made| made["id"].as_str());
    let own: BTreeSet<_> = own
        .filter_map(|id| ids::parse_email_id(to.account, id))
        .collect();
    let now = to.after(mailboxes, since, &own);
    if args.on_success_destroy_original && !copied.is_empty() {
        let implied = json!({
            "accountId": args.from_account_id, "destroy": copied,
            "ifInState": args.destroy_from_if_in_state,
        });
        cx.implied.push(("Email/set", implied));
    }
    let map = |map: Map<String, Value>| (!map.is_empty()).then_some(map);
    Ok(json!({
        "fromAccountId": args.from_account_id, "accountId": args.account_id,
        "oldState": old_state, "newState": to.state(Of::Messages, now),
        "created": map(all), "notCreated": map(not_created),
    }))
}

/// What is to be copied, and how the copy is kept.
struct Asked {
    original: String,
    mailboxes: BTreeSet<tern_base::MailboxId>,
    kept: KeptAs,
}

impl Asked {
    fn read(cx: &Context<'_>, to: &Scope, email: &Value) -> Result<Self, SetError> {
        let none = || SetError::new("invalidProperties", "what is to be copied is an object");
        let email = email.as_object().ok_or_else(none)?;
        let known = ["id", "mailboxIds", "keywords", "receivedAt"];
        let mut all = Wrong::default();
        for name in email.keys().filter(|name| !known.contains(&name.as_str())) {
            all.take::<()>(Err(keep::wrong(
                name,
                "no property that a copy can be given",
            )));
        }
        let get = |name: &str| email.get(name).filter(|value| !value.is_null());
        let id = get("id").and_then(Value::as_str);
        let id = all.take(id.ok_or_else(|| keep::wrong("id", "not an id")));
        let ids = get("mailboxIds");
        let ids = ids.ok_or_else(|| keep::wrong("mailboxIds", "an Email is in a mailbox at least"));
        let ids = all.take(ids.and_then(|ids| keep::mailboxes(cx, to.account, ids)));
        let flags = all.take(get("keywords").map(keep::keywords).transpose());
        let received = |at: &Value| {
            let at = at.as_str().and_then(date::parse_utc);
            at.ok_or_else(|| keep::wrong("receivedAt", "not a UTCDate"))
        };
        let received = all.take(get("receivedAt").map(received).transpose());
        let (id, mailboxes) = all.unless(id.zip(ids))?;
        Ok(Self {
            original: cx.resolved(id).to_owned(),
            mailboxes,
            kept: KeptAs {
                also: BTreeSet::new(),
                flags: flags.flatten(),
                seen_with: tern_mailbox::Flags::empty(),
                received: received.flatten(),
            },
        })
    }
}

/// Copies one message: the id of what was copied, that of the copy, and what the server sets of it.
fn copy(
    cx: &mut Context<'_>,
    (from, to): (&Scope, &Scope),
    (actor, view): (&Actor, &AccountView),
    email: &Value,
) -> Result<(String, String, Value), SetError> {
    let mut asked = Asked::read(cx, to, email)?;
    let mailboxes = cx.verbs.mailboxes;
    let message = ids::parse_email_id(from.account, &asked.original);
    let message = message.ok_or_else(SetError::not_found)?;
    let held: &Held = view.get(message).ok_or_else(SetError::not_found)?;
    let place = held.places.first().copied();
    let (mailbox, uid) = place.ok_or_else(SetError::not_found)?;
    let target = asked.mailboxes.pop_first();
    asked.kept.also = asked.mailboxes;
    // Where no other keywords are asked for it has those that it is seen with.
    asked.kept.seen_with = held.flags.clone();
    let across = Across {
        from: (from.account, mailbox),
        uid,
        to: (to.account, target.ok_or_else(SetError::not_found)?),
        actor,
        viewer: &cx.caller.viewer_in(from.account),
        bringer: &cx.caller.bringer_in(to.account),
        moving: false,
    };
    // Read, and parsed: all of it is in memory meanwhile.
    let size = u64::from(held.size);
    cx.work.take(2 * size)?;
    cx.answer.hold(size).map_err(SetError::from)?;
    let placed = mailboxes.copy_across_as(&across, Some(&asked.kept), cx.now);
    let placed = placed.map_err(refused)?.ok_or_else(SetError::not_found)?;
    let (id, object) = made(cx, to, &placed, held.size);
    Ok((asked.original, id, object))
}
