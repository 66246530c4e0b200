//! `/set` (RFC 8620 5.3): what of it is the same for every type.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::error::{MethodError, SetError};
use crate::limits;

/// The arguments of a `/set` that has no others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetArgs {
    pub(crate) account_id: String,
    #[serde(default)]
    pub(crate) if_in_state: Option<String>,
    #[serde(default)]
    pub(crate) create: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) update: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) destroy: Option<Vec<String>>,
}

impl SetArgs {
    /// Refuses what is too much, or not for the state that there is.
    pub(crate) fn check(&self, state: &str) -> Result<(), MethodError> {
        let of_map = |map: &Option<Map<String, Value>>| map.as_ref().map_or(0, Map::len);
        let count =
            of_map(&self.create) + of_map(&self.update) + self.destroy.as_ref().map_or(0, Vec::len);
        if count > limits::MAX_OBJECTS_IN_SET {
            return Err(MethodError::REQUEST_TOO_LARGE);
        }
        match self
            .if_in_state
            .as_deref()
            .is_none_or(|wanted| wanted == state)
        {
            true => Ok(()),
            false => Err(MethodError::STATE_MISMATCH),
        }
    }

    /// Refuses to change an object that the same call destroys (RFC 8620 5.3 `willDestroy`).
    pub(crate) fn stays(&self, cx: &Context<'_>, id: &str) -> Result<(), SetError> {
        let mut all = self.destroy.iter().flatten();
        match all.any(|destroyed| cx.resolved(destroyed) == id) {
            true => Err(SetError::new("willDestroy", "the same call destroys it")),
            false => Ok(()),
        }
    }
}

/// Whether a member of a patch says of an object what is so already: then it changes nothing, even
/// where it can't be changed (RFC 8620 5.3).
pub(crate) fn is_as_it_is(object: &Value, path: &str, value: &Value) -> bool {
    let mut now = Some(object);
    for name in path.split('/') {
        // RFC 6901 4. A path leads through objects alone.
        let name = name.replace("~1", "/").replace("~0", "~");
        let Some(members) = now.and_then(Value::as_object) else {
            return false;
        };
        now = members.get(&name);
    }
    match now {
        Some(now) => now == value,
        // What is not there is taken out, which can be said of a part alone.
        None => value.is_null() && path.contains('/'),
    }
}

/// What became of each object.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    created: Map<String, Value>,
    updated: Map<String, Value>,
    destroyed: Vec<String>,
    not_created: Map<String, Value>,
    not_updated: Map<String, Value>,
    not_destroyed: Map<String, Value>,
}

impl Outcomes {
    /// An object was made, or not. What the server set of it is told.
    pub(crate) fn create(
        &mut self,
        cx: &mut Context<'_>,
        creation: &str,
        outcome: Result<(String, Value), SetError>,
    ) {
        cx.answer.let_go();
        match outcome {
            Ok((id, object)) => {
                cx.was_created(creation, &id);
                self.created.insert(creation.to_owned(), object);
            }
            Err(error) => {
                self.not_created
                    .insert(creation.to_owned(), error.into_json());
            }
        }
    }

    /// What is told of an object that was made, where that is known only later.
    pub(crate) fn tell(&mut self, creation: &str, object: Value) {
        if let Some(told) = self.created.get_mut(creation) {
            *told = object;
        }
    }

    /// An object was changed, or not. Properties that changed besides what was asked are told. It is
    /// told by its id, also where the client named it by a creation id (RFC 8620 5.3).
    pub(crate) fn update(&mut self, id: &str, outcome: Result<Value, SetError>) {
        match outcome {
            Ok(others) => drop(self.updated.insert(id.to_owned(), others)),
            Err(error) => drop(self.not_updated.insert(id.to_owned(), error.into_json())),
        }
    }

    /// Changes objects, each unless the same call destroys it.
    pub(crate) fn update_each(
        &mut self,
        cx: &mut Context<'_>,
        args: &SetArgs,
        updates: impl IntoIterator<Item = (String, Value)>,
        mut update: impl FnMut(&mut Context<'_>, &str, &Value) -> Result<Value, SetError>,
    ) {
        for (id, patch) in updates {
            let resolved = cx.resolved(&id).to_owned();
            let stays = args.stays(cx, &resolved);
            let outcome = stays.and_then(|()| update(cx, &resolved, &patch));
            self.update(&resolved, outcome);
        }
    }

    /// Destroys the objects that a call names.
    pub(crate) fn destroy_each(
        &mut self,
        cx: &mut Context<'_>,
        args: &SetArgs,
        mut destroy: impl FnMut(&mut Context<'_>, &str) -> Result<(), SetError>,
    ) {
        let mut known = HashSet::new();
        for id in args.destroy.iter().flatten() {
            let resolved = cx.resolved(id).to_owned();
            // What is named twice is destroyed once.
            if !known.insert(resolved.clone()) {
                continue;
            }
            let outcome = destroy(cx, &resolved);
            self.destroy(&resolved, outcome);
        }
    }

    /// An object was destroyed, or not.
    pub(crate) fn destroy(&mut self, id: &str, outcome: Result<(), SetError>) {
        match outcome {
            Ok(()) => self.destroyed.push(id.to_owned()),
            Err(error) => drop(self.not_destroyed.insert(id.to_owned(), error.into_json())),
        }
    }

    /// The ids of what was made, changed or destroyed.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &str> {
        let made = self.created.values().filter_map(|made| made["id"].as_str());
        made.chain(self.updated.keys().map(String::as_str))
            .chain(self.destroyed.iter().map(String::as_str))
    }

    /// The response.
    pub(crate) fn response(self, account: &str, old_state: &str, new_state: &str) -> Value {
        let mut all = json!({
            "accountId": account, "oldState": old_state, "newState": new_state,
        });
        if let Some(all) = all.as_object_mut() {
            all.extend(self.told());
        }
        all
    }

    /// What of the response is there for types that belong to no account and have no state, too.
    pub(crate) fn told(self) -> Map<String, Value> {
        let map = |map: Map<String, Value>| match map.is_empty() {
            true => Value::Null,
            false => Value::Object(map),
        };
        let destroyed = (!self.destroyed.is_empty()).then_some(self.destroyed);
        let all = [
            ("created", map(self.created)),
            ("updated", map(self.updated)),
            ("destroyed", json!(destroyed)),
            ("notCreated", map(self.not_created)),
            ("notUpdated", map(self.not_updated)),
            ("notDestroyed", map(self.not_destroyed)),
        ];
        all.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_no_change() {
        let object = json!({"id": "M1", "a/b": 1, "list": [1], "set": {"x": true, "y/z": {}}});
        for (path, value) in [
            ("id", json!("M1")),
            ("a~1b", json!(1)),
            ("list", json!([1])),
            ("set", json!({"x": true, "y/z": {}})),
            ("set/x", json!(true)),
            ("set/y~1z", json!({})),
            ("set/other", json!(null)),
        ] {
            assert!(is_as_it_is(&object, path, &value), "{path} {value}");
        }
        for (path, value) in [
            ("id", json!("M2")),
            ("id", json!(null)),
            ("other", json!(null)),
            ("list/0", json!(1)),
            ("id/x", json!(null)),
            ("set/x", json!(null)),
            ("set/x/y", json!(null)),
            ("other/x", json!(null)),
        ] {
            assert!(!is_as_it_is(&object, path, &value), "{path} {value}");
        }
    }
}
