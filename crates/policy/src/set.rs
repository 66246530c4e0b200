//! A set of policies that was loaded, and what can be asked about it besides a verdict.

use std::collections::BTreeMap;

use cedar_policy::Authorizer;

use crate::facts::Vocabulary;
use crate::rule::Effect;

/// One policy of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// What it does when it applies.
    pub effect: Effect,
    /// The sentence for people, if it has one.
    pub description: Option<String>,
    /// The file that it is written in.
    pub file: String,
    /// The line that it begins at.
    pub line: usize,
}

/// A set of policies. Made by [`PolicySet::load`] only, so that one that exists is sound.
pub struct PolicySet {
    /// The permits. Cedar knows one set; these are two so that what is permitted is known before
    /// any condition is told.
    pub(crate) permits: cedar_policy::PolicySet,
    /// The forbids.
    pub(crate) forbids: cedar_policy::PolicySet,
    pub(crate) rules: BTreeMap<String, Rule>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) authorizer: Authorizer,
    pub(crate) digest: String,
    /// Whether some policy looks at `resource.unread`.
    pub(crate) looks_at_unread: bool,
}

impl std::fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PolicySet({}, {} policies)",
            self.digest,
            self.rules.len()
        )
    }
}

impl PolicySet {
    /// Its policies, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// One policy.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// What identifies the set: a SHA-256 over its files' names and texts, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}
