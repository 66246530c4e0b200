//! What changed between where a listener stood and now.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use tern_base::{AccountId, Modseq};
use tern_session::ids;

use super::{Wanted, others};
use crate::error::MethodError;
use crate::limits::MAX_PUSH_ACCOUNTS;
use crate::state::{self, Types, changed_types};
use crate::{Verbs, identity, principal, quota, recall, share_notification, submission, vacation};

/// A type whose changes are not in the account's change log.
struct Apart {
    name: &'static str,
    told: fn(&Verbs<'_>, AccountId) -> Result<Told, MethodError>,
}

/// What is told of such a type.
pub(crate) struct Told {
    /// Changes when the type does; compared, never shown.
    pub(crate) mark: String,
    /// Its state, as its `/get` says.
    pub(crate) state: String,
}

/// The types apart. A new one goes to the end, where older positions have no mark: its first state is
/// told then.
const APART: &[Apart] = &[
    Apart {
        name: "Quota",
        told: quota::told,
    },
    Apart {
        name: "Recall",
        told: recall::told,
    },
    Apart {
        name: "Identity",
        told: identity::told,
    },
    Apart {
        name: "VacationResponse",
        told: vacation::told,
    },
    Apart {
        name: "Principal",
        told: principal::told,
    },
    Apart {
        name: "EmailSubmission",
        told: submission::told,
    },
    Apart {
        name: "ShareNotification",
        told: share_notification::told,
    },
];

/// Whether a type's changes are not in the change log, so that nobody hears of one by itself.
pub(crate) fn is_apart(name: &str) -> bool {
    APART.iter().any(|apart| apart.name == name)
}

/// Where a listener stands: "the entire server state visible to the user" (RFC 8620 7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    modseq: Modseq,
    marks: Vec<u64>,
    /// The state of what others share, by their account.
    others: BTreeMap<AccountId, String>,
}

impl Position {
    /// As it is now.
    ///
    /// # Errors
    /// The store.
    pub fn now(verbs: &Verbs<'_>, account: AccountId) -> Result<Self, MethodError> {
        let modseq = verbs.mailboxes.newest_modseq(account)?;
        let mark = |apart: &Apart| Ok::<_, MethodError>(mark(&(apart.told)(verbs, account)?));
        let marks = APART.iter().map(mark).collect::<Result<_, _>>()?;
        let mut others = BTreeMap::new();
        for scope in others::of(verbs, account)? {
            others.insert(scope.account, others::state(verbs, &scope)?);
        }
        Ok(Self {
            modseq,
            marks,
            others,
        })
    }

    /// The accounts of others of which it says something: when they change, there may be something to tell.
    pub fn others(&self) -> impl Iterator<Item = AccountId> {
        self.others.keys().copied()
    }

    /// From its text; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = text.split('~');
        let mut parts = all.next()?.split('.');
        let modseq = Modseq(parts.next()?.parse().ok()?);
        let marks = parts.map(|mark| u64::from_str_radix(mark, 16).ok());
        let marks: Vec<u64> = marks.take(APART.len() + 1).collect::<Option<_>>()?;
        let others = all.map(|other| {
            let (account, state) = other.split_once('-')?;
            Some((AccountId(account.parse().ok()?), state.to_owned()))
        });
        let others = others.take(MAX_PUSH_ACCOUNTS + 1);
        let others: BTreeMap<_, _> = others.collect::<Option<_>>()?;
        let fits = marks.len() <= APART.len() && others.len() <= MAX_PUSH_ACCOUNTS;
        fits.then_some(Self {
            modseq,
            marks,
            others,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.modseq)?;
        self.marks
            .iter()
            .try_for_each(|mark| write!(f, ".{mark:x}"))?;
        let mut others = self.others.iter();
        others.try_for_each(|(account, state)| write!(f, "~{account}-{state}"))
    }
}

fn mark(told: &Told) -> u64 {
    let digest = blake3::hash(told.mark.as_bytes());
    let first = digest.as_bytes().first_chunk().copied();
    u64::from_le_bytes(first.unwrap_or_default())
}

/// What of the wanted types changed since `at`: where the listener stands from now on, and the
/// StateChange (RFC 8620 7.1). One who stands nowhere is told the state of every wanted type.
///
/// # Errors
/// The store: the listener stands where it stood.
pub fn look(
    verbs: &Verbs<'_>,
    account: AccountId,
    wanted: &Wanted,
    at: Option<&Position>,
) -> Result<(Position, Option<Value>), MethodError> {
    let newest = verbs.mailboxes.newest_modseq(account)?;
    // A position from a time that this store knows nothing of (it was put back) is nowhere.
    let at = at.filter(|at| at.modseq <= newest);
    let (types, modseq) = match at {
        Some(at) => changed_types(verbs.mailboxes, account, at.modseq)?,
        None => (Types::ALL, newest),
    };
    let mut changed = Map::new();
    let mut tell = |name: &str, is_changed: bool, state: String| {
        if is_changed && wanted.has(name) {
            changed.insert(name.to_owned(), state.into());
        }
    };
    for (name, is_changed) in types.by_name() {
        tell(name, is_changed, state::of(modseq));
    }
    let mut marks = Vec::with_capacity(APART.len());
    for (index, apart) in APART.iter().enumerate() {
        let told = (apart.told)(verbs, account)?;
        let now = mark(&told);
        let before = at.and_then(|at| at.marks.get(index));
        tell(apart.name, before != Some(&now), told.state);
        marks.push(now);
    }
    let mut all = Map::new();
    if !changed.is_empty() {
        all.insert(ids::account_id(account), changed.into());
    }
    let mut others = BTreeMap::new();
    for scope in others::of(verbs, account)? {
        let before = at.map(|at| at.others.get(&scope.account).map(String::as_str));
        let (state, changed) = others::look(verbs, &scope, wanted, before)?;
        if !changed.is_empty() {
            all.insert(ids::account_id(scope.account), changed.into());
        }
        others.insert(scope.account, state);
    }
    let change = (!all.is_empty()).then(|| json!({"@type": "StateChange", "changed": all}));
    let position = Position {
        modseq,
        marks,
        others,
    };
    Ok((position, change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_and_nothing_else_is() {
        let position = Position {
            modseq: Modseq(42),
            marks: vec![0xfeed, 0xa],
            others: BTreeMap::from([(AccountId(7), "5eed".to_owned())]),
        };
        assert_eq!(position.to_string(), "42.feed.a~7-5eed");
        assert_eq!(Position::parse("42.feed.a~7-5eed"), Some(position));
        // From before a type came.
        assert!(Position::parse("42").is_some());
        let long = format!("1{}", ".1".repeat(APART.len() + 1));
        let many: Vec<String> = (0..=MAX_PUSH_ACCOUNTS).map(|n| format!("~{n}-a")).collect();
        let many = format!("1{}", many.concat());
        for text in ["", "x", "1.x", "-1", ".", "1~", "1~x-a", &long, &many] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
