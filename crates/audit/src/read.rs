//! Reading the log: its head, one entry, and pages of entries that fit a filter.
//!
//! Who may read is the caller's question, and reading is an act that the caller records.

use tern_base::{AccountId, Timestamp};
use tern_store::{Engine, Read, StoreError};

use crate::entry::{Actor, Entry, Hash};
use crate::index::{self, Term};
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
        Some(row) => Ok(tables::decode_head(&row)?),
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
/// actor, an action or a target is found by the index; otherwise the log is read.
pub fn read(
    engine: &dyn Engine,
    filter: &Filter,
    until: Option<u64>,
    limit: usize,
) -> Result<ReadPage, StoreError> {
    let last = match until {
        Some(until) => until,
        None => head(engine)?.sequence,
    };
    match index::term_of(filter) {
        Some(term) => read_index(engine, filter, term, last, limit),
        None => read_log(engine, filter, last, limit),
    }
}

fn read_log(
    engine: &dyn Engine,
    filter: &Filter,
    last: u64,
    limit: usize,
) -> Result<ReadPage, StoreError> {
    let range = tables::entries(1, last).reversed();
    let mut page = ReadPage::default();
    for (key, value) in engine.scan(&range, limits::MAX_READ_SCAN)?.rows {
        let sequence = tables::entry_key_sequence(&key).ok_or(StoreError::Damaged)?;
        let entry = tables::decode_entry(sequence, &value)?;
        page.next = sequence.checked_sub(1).filter(|next| *next > 0);
        if filter.fits(&entry) {
            page.entries.push(entry);
        }
        if page.entries.len() >= limit {
            break;
        }
    }
    Ok(page)
}

fn read_index(
    engine: &dyn Engine,
    filter: &Filter,
    term: Term,
    last: u64,
    limit: usize,
) -> Result<ReadPage, StoreError> {
    let range = tables::entries_with(term, last).reversed();
    let found = engine.scan(&range, limits::MAX_READ_SCAN)?;
    let mut places = Vec::with_capacity(found.rows.len());
    for (key, _) in &found.rows {
        let (_, sequence) = tables::read_term_key(key).ok_or(StoreError::Damaged)?;
        places.push(sequence);
    }
    let mut page = ReadPage::default();
    for some in places.chunks(limits::INDEX_PAGE.min(limit.max(1))) {
        for entry in entries_of(engine, some)?.into_iter().flatten() {
            if page.entries.len() < limit && filter.fits(&entry) {
                page.entries.push(entry);
            }
        }
        if page.entries.len() >= limit {
            let oldest = page.entries.last().map_or(1, |entry| entry.sequence);
            page.next = Some(oldest - 1).filter(|next| *next > 0);
            return Ok(page);
        }
    }
    let read_to = places.last().filter(|_| found.next.is_some());
    page.next = read_to.map(|end| end - 1);
    Ok(page)
}
