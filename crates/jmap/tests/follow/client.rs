//! A client that remembers what a query found, and follows what changed since.

use serde_json::{Value, json};

use crate::house::House;

/// What a client remembers of a query.
pub(crate) struct Client {
    /// `Type` of `Type/query`.
    kind: &'static str,
    args: Value,
    pub(crate) state: Value,
    pub(crate) ids: Vec<Value>,
    /// How often it was told what changed, and did not have to ask anew.
    pub(crate) told: usize,
}

impl Client {
    pub(crate) fn fresh(house: &mut House, kind: &'static str, args: &Value) -> Self {
        let answer = house.call(&format!("{kind}/query"), args.clone());
        Self {
            kind,
            args: args.clone(),
            state: answer["queryState"].clone(),
            ids: answer["ids"].as_array().unwrap().clone(),
            told: 0,
        }
    }

    /// RFC 8620 5.6: out with what was removed, then in with what was added, from the lowest index.
    /// Then it has what a fresh query finds.
    pub(crate) fn follow(&mut self, house: &mut House) {
        let mut args = self.args.clone();
        args["sinceQueryState"] = self.state.clone();
        args["calculateTotal"] = true.into();
        let fresh = Self::fresh(house, self.kind, &self.args);
        let (name, answer) = house.try_call(&format!("{}/queryChanges", self.kind), args);
        if name == "error" {
            assert_eq!(answer["type"], "cannotCalculateChanges");
            let told = self.told;
            *self = Self { told, ..fresh };
            return;
        }
        let removed = answer["removed"].as_array().unwrap();
        self.ids.retain(|id| !removed.contains(id));
        for added in answer["added"].as_array().unwrap() {
            let index = usize::try_from(added["index"].as_u64().unwrap()).unwrap();
            assert!(!self.ids.contains(&added["id"]), "it is there already");
            self.ids.insert(index, added["id"].clone());
        }
        assert_eq!(answer["total"], self.ids.len());
        self.state = answer["newQueryState"].clone();
        self.told += 1;
        assert_eq!(self.ids, fresh.ids, "{}", self.args);
        assert_eq!(self.state, fresh.state);
    }
}

/// The ids that a query finds.
pub(crate) fn found(house: &mut House, kind: &str, filter: Value, sort: Value) -> Vec<Value> {
    let args = json!({"filter": filter, "sort": sort});
    let answer = house.call(&format!("{kind}/query"), args);
    answer["ids"].as_array().unwrap().clone()
}
