//! Reading the log: its head, one entry, and pages of entries that fit a filter.
//!
//! Who may read is the caller's question, and reading is an act that the caller records.

use tern_base::{AccountId, Timestamp};
use tern_store::{Engine, Read, StoreError};

use crate::entry::{Actor, Entry, Hash};
use crate::index::{self, Term};
use crate::span::{Next, Search, Stretch};
use crate::{limits, tables};

/// The end of the chain: what a signed checkpoint signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The place of the last entry; 0 for an empty log.
    pub sequence: u64,
    /// The hash of the last entry; [`Hash::ZERO`] for an empty log.
    pub hash: Hash,
}

impl Head {
    /// The head of a log without entries.
    pub const EMPTY: Self = Self {
        sequence: 0,
        hash: Hash::ZERO,
    };
}

/// The head as it is now.
pub fn head(reader: &dyn Read) -> Result<Head, StoreError> {
    match reader.get(&tables::head_key())? {
        None => Ok(Head::EMPTY),
        Some(row) => Ok(tables::decode_head(&row)?.0),
    }
}

/// One entry.
pub fn entry(reader: &dyn Read, sequence: u64) -> Result<Option<Entry>, StoreError> {
    match reader.get(&tables::entry_key(sequence))? {
        None => Ok(None),
        Some(row) => Ok(Some(tables::decode_entry(sequence, &row)?)),
    }
}

/// Entries from a place on, the first one first, at most so many.
pub fn entries_from(reader: &dyn Read, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
    // Rows of removed entries that are not swept away yet are no entries any more.
    let from = from.max(crate::trunk::trunk(reader)?.removed() + 1);
    let page = reader.scan(&tables::entries(from, u64::MAX), limit)?;
    let decode = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
        Ok(tables::decode_entry(sequence, value)?)
    };
    page.rows.iter().map(decode).collect()
}

/// Which entries to read: all that fit every field that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By the actor of this name: an operator, an address, a claimed name, or `server`.
    pub actor: Option<String>,
    /// By this account.
    pub account: Option<AccountId>,
    /// With this action, or with one below it: `account` fits `account.create`.
    pub action: Option<String>,
    /// On this target.
    pub target: Option<String>,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub before: Option<Timestamp>,
}

impl Filter {
    /// Whether an entry fits.
    pub fn fits(&self, entry: &Entry) -> bool {
        let draft = &entry.draft;
        let by = |wanted: &AccountId| matches!(&draft.actor, Actor::Account { account, .. } if account == wanted);
        let does = |wanted: &String| {
            let rest = draft.action.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let is_called = |wanted: &String| draft.actor.name() == Some(wanted.as_str());
        self.actor.as_ref().is_none_or(is_called)
            && self.account.as_ref().is_none_or(by)
            && self.action.as_ref().is_none_or(does)
            && self
                .target
                .as_ref()
                .is_none_or(|t| draft.target.as_ref() == Some(t))
            && self.since.is_none_or(|since| draft.time >= since)
            && self.before.is_none_or(|before| draft.time < before)
    }
}

/// Some entries, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPage {
    /// Entries that fit, newest first.
    pub entries: Vec<Entry>,
    /// The `until` of the next call; `None` when the log has been read to its start. A page may be
    /// empty and yet have one: a call looks at a bounded number of rows.
    pub next: Option<u64>,
}

/// The entries of some places, in their order; `None` for one that is not there.
pub(crate) fn entries_of(
    reader: &dyn Read,
    places: &[u64],
) -> Result<Vec<Option<Entry>>, StoreError> {
    let keys: Vec<Vec<u8>> = places.iter().map(|n| tables::entry_key(*n)).collect();
    let rows = reader.get_many(&keys)?.into_iter().zip(places);
    let decode = |(row, sequence): (Option<Vec<u8>>, &u64)| {
        let entry = row.map(|row| tables::decode_entry(*sequence, &row));
        Ok(entry.transpose()?)
    };
    rows.map(decode).collect()
}

/// Entries that fit, newest first, from entry `until` (the head when `None`) backwards. What names an
/// actor, an action or a target is found by the index, and what names a time is looked for where the log
/// has such times; only what names nothing of these reads the log through.
pub fn read(
    engine: &dyn Engine,
    filter: &Filter,
    until: Option<u64>,
    limit: usize,
) -> Result<ReadPage, StoreError> {
    let newest = head(engine)?.sequence;
    let mut last = until.map_or(newest, |until| until.min(newest));
    let term = index::term_of(filter);
    let mut search = Search::new(engine, filter)?;
    let mut page = ReadPage::default();
    loop {
        let Stretch { from, to } = match search.next(last)? {
            Next::Look(stretch) => stretch,
            Next::Enough(place) => {
                page.next = Some(place);
                return Ok(page);
            }
            Next::Nothing => return Ok(page),
        };
        last = to;
        while last >= from {
            let count = limits::INDEX_PAGE.min(search.room().max(1));
            let (entries, rows, rest) = some_of(engine, term, Stretch { from, to: last }, count)?;
            search.looked_at(rows);
            for entry in entries {
                let sequence = entry.sequence;
                if filter.fits(&entry) {
                    page.entries.push(entry);
                }
                if page.entries.len() >= limit.max(1) {
                    page.next = search.next(sequence - 1)?.place();
                    return Ok(page);
                }
            }
            last = rest;
            if search.room() == 0 {
                page.next = Some(last).filter(|next| *next > 0);
                return Ok(page);
            }
        }
    }
}

/// The newest entries of a stretch, of those that have a term where there is one, from so many rows; how
/// many rows there were, and where to go on.
fn some_of(
    reader: &dyn Read,
    term: Option<Term>,
    stretch: Stretch,
    count: usize,
) -> Result<(Vec<Entry>, usize, u64), StoreError> {
    let Stretch { from, to } = stretch;
    let mut entries = Vec::new();
    let (rows, oldest, more) = match term {
        None => {
            let found = reader.scan(&tables::entries(from, to).reversed(), count)?;
            for (key, value) in &found.rows {
                let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
                entries.push(tables::decode_entry(sequence, value)?);
            }
            let oldest = entries.last().map(|entry| entry.sequence);
            (found.rows.len(), oldest, found.next.is_some())
        }
        Some(term) => {
            let found = reader.scan(&tables::entries_with(term, from, to).reversed(), count)?;
            let place = |(key, _): &(Vec<u8>, Vec<u8>)| {
                let (_, sequence) = tables::read_term_key(key).ok_or(StoreError::Damaged)?;
                Ok::<u64, StoreError>(sequence)
            };
            let places = found
                .rows
                .iter()
                .map(place)
                .collect::<Result<Vec<_>, _>>()?;
            entries.extend(entries_of(reader, &places)?.into_iter().flatten());
            (places.len(), places.last().copied(), found.next.is_some())
        }
    };
    let go_on = oldest.filter(|_| more).unwrap_or(from) - 1;
    Ok((entries, rows, go_on))
}
