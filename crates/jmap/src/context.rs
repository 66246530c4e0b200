//! What a method call is run with.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tern_base::{AccountId, Entropy, Timestamp};

use crate::budget::{Answer, TooMuch, Work};
use crate::error::MethodError;
use crate::scope::Scope;
use crate::{Caller, Capability, Verbs, limits, session};

/// The request under way.
pub(crate) struct Context<'a> {
    pub(crate) verbs: &'a Verbs<'a>,
    pub(crate) caller: &'a Caller,
    /// The capabilities that the request uses.
    pub(crate) using: &'a [Capability],
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'a mut dyn Entropy,
    /// Ids by creation id.
    pub(crate) created: Map<String, Value>,
    /// Calls that follow from the one that is run, with their own responses (RFC 8620 5.4).
    pub(crate) implied: Vec<(&'static str, Value)>,
    /// Memory for the responses.
    pub(crate) answer: Answer<'a>,
    /// What was read and looked through for them.
    pub(crate) work: Work,
}

impl Context<'_> {
    /// The account that an id names, where it is the caller's own: what only its owner is told of, or
    /// does.
    pub(crate) fn account(&self, id: &str) -> Result<AccountId, MethodError> {
        let scope = self.scope(id)?;
        match scope.is_foreign() {
            // RFC 8620 3.6.2: it is in the session, without this method's capability.
            true => Err(MethodError::ACCOUNT_NOT_SUPPORTED),
            false => Ok(scope.account),
        }
    }

    /// The account that an id names, as far as the caller sees it.
    pub(crate) fn scope(&self, id: &str) -> Result<Scope, MethodError> {
        let scope = Scope::by_id(self.verbs, self.caller, id)?;
        scope.ok_or(MethodError::ACCOUNT_NOT_FOUND)
    }

    /// The same where something is to be changed (RFC 8620 3.6.2).
    pub(crate) fn scope_to_change(&self, id: &str) -> Result<Scope, MethodError> {
        let scope = self.scope(id)?;
        match session::is_read_only(&scope) {
            true => Err(MethodError::ACCOUNT_READ_ONLY),
            false => Ok(scope),
        }
    }

    /// The accounts that something is copied from and to.
    pub(crate) fn both(&self, from: &str, to: &str) -> Result<(Scope, Scope), MethodError> {
        let to = self.scope_to_change(to)?;
        let from = Scope::by_id(self.verbs, self.caller, from)?;
        let from = from.ok_or(MethodError::FROM_ACCOUNT_NOT_FOUND)?;
        // RFC 8620 5.4: "fromAccountId" must not be "accountId".
        match from.account == to.account {
            true => Err(MethodError::invalid_arguments("fromAccountId is accountId")),
            false => Ok((from, to)),
        }
    }

    /// Whether the request uses a capability: what a type has by it is not there else.
    pub(crate) fn uses(&self, capability: Capability) -> bool {
        self.using.contains(&capability)
    }

    /// An id as it is meant: `#` refers to what was created (RFC 8620 5.3). What refers to nothing
    /// is the id of nothing.
    pub(crate) fn resolved<'t>(&'t self, id: &'t str) -> &'t str {
        match id.strip_prefix('#') {
            Some(creation) => self
                .created
                .get(creation)
                .and_then(Value::as_str)
                .unwrap_or(id),
            None => id,
        }
    }

    /// Remembers what became of a creation id.
    pub(crate) fn was_created(&mut self, creation: &str, id: &str) {
        if self.created.len() < 2 * limits::MAX_CREATED_IDS {
            self.created.insert(creation.to_owned(), id.into());
        }
    }

    /// Takes the work that a search is about to make.
    pub(crate) fn search(&mut self, octets: u64) -> Result<(), MethodError> {
        self.work.search(octets).map_err(too_much_text)
    }

    /// Takes the work that a search has made.
    pub(crate) fn searched(&mut self, octets: u64) -> Result<(), MethodError> {
        self.work.searched(octets).map_err(too_much_text)
    }

    /// The ids of a `/get`, each once, in order.
    pub(crate) fn each_once(&self, ids: &[String]) -> Result<Vec<String>, MethodError> {
        if ids.len() > limits::MAX_OBJECTS_IN_GET {
            return Err(MethodError::REQUEST_TOO_LARGE);
        }
        let mut known = HashSet::new();
        let resolved = ids.iter().map(|id| self.resolved(id));
        Ok(resolved
            .filter(|id| known.insert(*id))
            .map(str::to_owned)
            .collect())
    }
}

fn too_much_text(_: TooMuch) -> MethodError {
    MethodError::unsupported_filter(
        "there is too much text to look through: add a condition on mailbox, date or sender",
    )
}
