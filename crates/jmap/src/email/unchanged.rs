//! What a patch of an Email names as it is: a client may send an object whole, with what can't change
//! in it, and that is no change (RFC 8620 5.3).
//!
//! Invariant: what is compared with content is on record first, as whenever an Email is told:
//! whoever names it right has read it, or learns it.

use serde_json::{Map, Value};
use tern_base::AccountId;
use tern_mailbox::Held;

use super::get;
use super::property::{self, Asked, PART_DEFAULTS, Property};
use super::write::Plan;
use crate::budget::TooMuch;
use crate::context::Context;
use crate::error::SetError;
use crate::standard::set::is_as_it_is;

/// The members of a patch without those that name what can't change as it is.
pub(super) fn changes(
    cx: &mut Context<'_>,
    account: AccountId,
    held: &Held,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, SetError> {
    let mut left = patch.clone();
    let fixed = fixed(patch);
    if fixed.is_empty() {
        return Ok(left);
    }
    let parts = named_in_parts(patch);
    for is_everything in [false, true] {
        let mut plan = plan(fixed.clone(), &parts)?;
        plan.fetch_all = is_everything;
        let object = get::one(cx, account, &plan, held).map_err(|error| match error.kind() {
            "requestTooLarge" => TooMuch.into(),
            _ => unreadable(error),
        })?;
        let object = object.ok_or_else(SetError::not_found)?;
        left.retain(|path, value| !is_told_by(&object, path, value));
        // Texts that are attachments are read only where one of them may be named.
        if !names_another_text(&left, &object) {
            break;
        }
    }
    Ok(left)
}

/// Whether texts of other parts are named than those that an object has.
fn names_another_text(patch: &Map<String, Value>, object: &Value) -> bool {
    let named = patch.get("bodyValues").and_then(Value::as_object);
    let mut named = named.into_iter().flat_map(Map::keys);
    named.any(|part| object["bodyValues"].get(part).is_none())
}

fn unreadable<E>(_: E) -> SetError {
    SetError::new("serverFail", "the message can't be read")
}

/// The properties that a patch names and that can't change.
fn fixed(patch: &Map<String, Value>) -> Vec<Asked<Property>> {
    let mut all: Vec<Asked<Property>> = Vec::new();
    for path in patch.keys() {
        // RFC 6901 4
        let name = path.split('/').next().unwrap_or_default();
        let name = name.replace("~1", "/").replace("~0", "~");
        let is_known = all.iter().any(|asked| asked.name == name);
        let property = property::of_name(&name).filter(|property| {
            !is_known && !matches!(property, Property::MailboxIds | Property::Keywords)
        });
        all.extend(property.map(|property| Asked { name, property }));
    }
    all
}

fn plan(properties: Vec<Asked<Property>>, parts: &[String]) -> Result<Plan, SetError> {
    Ok(Plan {
        properties,
        parts: property::of_parts(Some(parts)).map_err(unreadable)?,
        fetch_text: true,
        fetch_html: true,
        fetch_all: false,
        max_value: None,
    })
}

const OF_PARTS: [&str; 4] = ["bodyStructure", "textBody", "htmlBody", "attachments"];

/// The properties of body parts that are named: a client sends what it had asked for.
fn named_in_parts(patch: &Map<String, Value>) -> Vec<String> {
    fn collect(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
            Value::Object(members) => {
                for name in members.keys() {
                    let is_one = property::of_parts(Some(std::slice::from_ref(name))).is_ok();
                    if is_one && !names.contains(name) {
                        names.push(name.clone());
                    }
                }
                if let Some(inside) = members.get("subParts") {
                    collect(inside, names);
                }
            }
            _ => {}
        }
    }
    let mut names = PART_DEFAULTS.map(str::to_owned).to_vec();
    for value in OF_PARTS.iter().filter_map(|name| patch.get(*name)) {
        collect(value, &mut names);
    }
    names
}

/// Whether an object says what a member of a patch says.
fn is_told_by(object: &Value, path: &str, value: &Value) -> bool {
    let now = || object.get(path).unwrap_or(&Value::Null);
    match path {
        _ if OF_PARTS.contains(&path) => is_part_of(value, now()),
        "bodyValues" => are_values_of(value, now()),
        _ => is_as_it_is(object, path, value),
    }
}

/// Whether all that is said of body parts is so; a client need not have asked for all.
fn is_part_of(said: &Value, now: &Value) -> bool {
    match (said, now) {
        (Value::Array(said), Value::Array(now)) => {
            said.len() == now.len()
                && said
                    .iter()
                    .zip(now)
                    .all(|(said, now)| is_part_of(said, now))
        }
        (Value::Object(said), Value::Object(now)) => {
            let mut said = said.iter();
            said.all(|(name, said)| now.get(name).is_some_and(|now| is_part_of(said, now)))
        }
        _ => said == now,
    }
}

/// Whether these are texts of the message, each whole or as far as it was asked for.
fn are_values_of(said: &Value, now: &Value) -> bool {
    let (Some(said), Some(now)) = (said.as_object(), now.as_object()) else {
        return false;
    };
    said.iter().all(|(part, said)| {
        let Some(now) = now.get(part) else {
            return false;
        };
        let is_cut = said.get("isTruncated") == Some(&Value::Bool(true));
        let text = |of: &Value| of.get("value").and_then(Value::as_str).map(str::to_owned);
        match (text(said), text(now)) {
            (Some(said), Some(now)) if is_cut => now.starts_with(&said),
            _ => is_part_of(said, now),
        }
    })
}
