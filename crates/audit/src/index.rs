//! Where entries are by what they name: who acted, on what, with what kind of action.
//!
//! Invariants:
//! - An entry has one row for each of its terms, written with it and swept away with it.
//! - A row says where to look and nothing more: whether an entry fits is asked of the entry.
//!
//! It proves nothing, and nothing that is proven rests on it.

use std::collections::BTreeSet;

use tern_base::AccountId;
use tern_store::{Read, ReadExt as _, StoreError, Transaction};

use crate::entry::{Actor, Draft};
use crate::read::{Filter, entries_of};
use crate::{json, limits, tables};

/// What entries are found by, shortened to one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term(pub(crate) [u8; 16]);

impl Term {
    fn new(kind: &str, text: &str) -> Self {
        let hash = json::hash(&format!("{kind} {text}"));
        let mut short = [0; 16];
        short.copy_from_slice(&hash.0[..16]);
        Self(short)
    }

    fn target(target: &str) -> Self {
        Self::new("target", target)
    }

    fn account(account: AccountId) -> Self {
        Self::new("account", &account.0.to_string())
    }

    fn actor(name: &str) -> Self {
        Self::new("actor", name)
    }

    /// By its first word: `account.create` is found by `account`, and so is whatever is below it.
    fn action(action: &str) -> Self {
        let first = action.split('.').next().unwrap_or(action);
        Self::new("action", first)
    }
}

/// The terms of an entry.
fn terms(draft: &Draft) -> BTreeSet<Term> {
    let account = match draft.actor {
        Actor::Account { account, .. } => Some(Term::account(account)),
        _ => None,
    };
    let target = draft.target.as_deref().map(Term::target);
    let actor = draft.actor.name().map(Term::actor);
    let action = Some(Term::action(&draft.action));
    let all = [account, target, actor, action];
    all.into_iter().flatten().collect()
}

/// The term that fewest entries are thought to have of those that a filter names.
pub(crate) fn term_of(filter: &Filter) -> Option<Term> {
    let target = filter.target.as_deref().map(Term::target);
    let account = filter.account.map(Term::account);
    let actor = filter.actor.as_deref().map(Term::actor);
    let action = filter.action.as_deref().map(Term::action);
    target.or(account).or(actor).or(action)
}

pub(crate) fn put_in(txn: &mut Transaction<'_>, sequence: u64, draft: &Draft) {
    for term in terms(draft) {
        txn.put(tables::term_key(term, sequence), Vec::new());
    }
}

pub(crate) fn delete_in(txn: &mut Transaction<'_>, sequence: u64, draft: &Draft) {
    for term in terms(draft) {
        txn.delete(tables::term_key(term, sequence));
    }
}

/// Whether every row leads to an entry that has its term, and every entry has as many rows as terms:
/// the first thing that is not so.
pub(crate) fn check(reader: &dyn Read) -> Result<Option<String>, StoreError> {
    let (mut rows, mut next) = (0u64, Some(tables::all_terms()));
    while let Some(range) = next {
        let page = reader.scan(&range, limits::INDEX_PAGE)?;
        let mut named = Vec::with_capacity(page.rows.len());
        for (key, _) in &page.rows {
            named.push(tables::read_term_key(key).ok_or(StoreError::Damaged)?);
        }
        let places: Vec<u64> = named.iter().map(|(_, sequence)| *sequence).collect();
        let entries = entries_of(reader, &places)?;
        for ((term, sequence), entry) in named.into_iter().zip(entries) {
            if !entry.is_some_and(|entry| terms(&entry.draft).contains(&term)) {
                return Ok(Some(format!(
                    "the index of the log leads to entry {sequence}, which it does not fit"
                )));
            }
            rows += 1;
        }
        next = page.next;
    }
    let mut expected = 0u64;
    reader.each(&tables::entries(1, u64::MAX), |key, value| {
        let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
        let entry = tables::decode_entry(sequence, value)?;
        expected += terms(&entry.draft).len() as u64;
        Ok::<_, StoreError>(())
    })?;
    let differ = format!("the index of the log has {rows} rows, not {expected}");
    Ok((rows != expected).then_some(differ))
}
