//! What a method call is run with.

use std::collections::HashSet;

use serde_json::{Map, Value};
use tern_base::{AccountId, Entropy, Timestamp};
use tern_session::ids;

use crate::error::MethodError;
use crate::{Caller, Verbs, limits};

/// The request under way.
pub(crate) struct Context<'a> {
    pub(crate) verbs: &'a Verbs<'a>,
    pub(crate) caller: &'a Caller,
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'a mut dyn Entropy,
    /// Ids by creation id.
    pub(crate) created: Map<String, Value>,
    /// Calls that follow from the one that is run, with their own responses (RFC 8620 5.4).
    pub(crate) implied: Vec<(&'static str, Value)>,
    /// Octets of content in the responses so far.
    pub(crate) content: usize,
    /// Octets of content that searches looked through so far.
    pub(crate) searched: u64,
}

impl Context<'_> {
    /// The account that an id names, where the caller has it.
    pub(crate) fn account(&self, id: &str) -> Result<AccountId, MethodError> {
        let account = ids::parse_account_id(id);
        let own = account.filter(|account| *account == self.caller.account);
        own.ok_or(MethodError::ACCOUNT_NOT_FOUND)
    }

    /// Why nothing is copied into the caller's account from another one: there is none.
    pub(crate) fn not_from(&self, account: AccountId, from: &str) -> MethodError {
        match self.account(from) {
            // RFC 8620 5.4: "fromAccountId" must not be "accountId".
            Ok(from) if from == account => {
                MethodError::invalid_arguments("fromAccountId is accountId")
            }
            _ => MethodError::FROM_ACCOUNT_NOT_FOUND,
        }
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

    /// Counts content that goes into the response.
    pub(crate) fn spend(&mut self, octets: usize) -> Result<(), MethodError> {
        self.content = self.content.saturating_add(octets);
        match self.content <= limits::MAX_CONTENT {
            true => Ok(()),
            false => Err(MethodError::REQUEST_TOO_LARGE),
        }
    }

    /// How much content may still go into the response.
    pub(crate) const fn left(&self) -> usize {
        limits::MAX_CONTENT.saturating_sub(self.content)
    }

    /// Counts content that a search looks through.
    pub(crate) fn search(&mut self, octets: u64) -> Result<(), MethodError> {
        self.searched = self.searched.saturating_add(octets);
        match self.searched <= limits::MAX_SEARCH_WORK {
            true => Ok(()),
            false => Err(MethodError::unsupported_filter(
                "there is too much text to look through: add a condition on mailbox, date or sender",
            )),
        }
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
