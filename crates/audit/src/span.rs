//! When entries were made, by whole blocks of them: the first and the last time of each block, so that a
//! search by time passes over what is too old or too new.
//!
//! The clock may be set back, so the times of a log do not rise with its numbers, and no search by halves
//! finds a time in it. What a block says is true whatever the clock did.
//!
//! Invariants:
//! - A block of every size has a row from the commit of its last entry on, until that entry is swept away.
//! - A row covers the time of each entry of its block. What it rules out is not in the block; what it does
//!   not rule out is asked of the entries.
//!
//! It proves nothing, and nothing that is proven rests on it.

use tern_base::Timestamp;
use tern_store::{Read, ReadExt as _, StoreError, Transaction};

use crate::read::Filter;
use crate::trunk::trunk;
use crate::{limits, tables};

/// Entries of a block of each size. A block is made of whole blocks of the size before it, and begins
/// after a multiple of its size.
pub(crate) const SIZES: [u64; 4] = [1 << 6, 1 << 12, 1 << 18, 1 << 24];

/// The first and the last time of some entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

impl Span {
    /// Of no entry.
    const EMPTY: Self = Self {
        first: Timestamp(u64::MAX),
        last: Timestamp(0),
    };

    fn with(self, time: Timestamp) -> Self {
        Self {
            first: self.first.min(time),
            last: self.last.max(time),
        }
    }
}

/// The spans of the blocks that the newest entry is in, as far as they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open(pub(crate) [Span; SIZES.len()]);

impl Open {
    pub(crate) const EMPTY: Self = Self([Span::EMPTY; SIZES.len()]);
}

/// An entry is appended: what is open after it.
pub(crate) fn put_in(
    txn: &mut Transaction<'_>,
    sequence: u64,
    time: Timestamp,
    open: Open,
) -> Open {
    let mut open = open;
    for (size, span) in open.0.iter_mut().enumerate() {
        *span = span.with(time);
        if sequence.is_multiple_of(SIZES[size]) {
            let key = tables::span_key(size as u8, sequence);
            txn.put(key, tables::encode_span(span));
            *span = Span::EMPTY;
        }
    }
    open
}

/// An entry is swept away.
pub(crate) fn delete_in(txn: &mut Transaction<'_>, sequence: u64) {
    for (size, entries) in SIZES.iter().enumerate() {
        if sequence.is_multiple_of(*entries) {
            txn.delete(tables::span_key(size as u8, sequence));
        }
    }
}

/// Neighbouring entries, from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Where a search goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Here may be entries of its time.
    Look(Stretch),
    /// From here backwards nobody knows yet: so many rows were looked at already.
    Enough(u64),
    /// No older one is of its time.
    Nothing,
}

impl Next {
    /// The newest entry that is still to be looked at.
    pub(crate) fn place(self) -> Option<u64> {
        match self {
            Self::Look(Stretch { to, .. }) => Some(to),
            Self::Enough(place) => Some(place),
            Self::Nothing => None,
        }
    }
}

/// A search that goes backwards through the log by the time of its filter.
pub(crate) struct Search<'a> {
    reader: &'a dyn Read,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
    /// The oldest entry that is not removed.
    oldest: u64,
    /// How many more rows it may look at.
    room: usize,
}

impl<'a> Search<'a> {
    pub(crate) fn new(reader: &'a dyn Read, filter: &Filter) -> Result<Self, StoreError> {
        Ok(Self {
            reader,
            since: filter.since,
            before: filter.before,
            oldest: trunk(reader)?.removed() + 1,
            room: limits::MAX_READ_SCAN,
        })
    }

    pub(crate) const fn room(&self) -> usize {
        self.room
    }

    pub(crate) const fn looked_at(&mut self, rows: usize) {
        self.room = self.room.saturating_sub(rows);
    }

    /// The newest entries from `last` backwards that may be of its time, as many in one as there are.
    pub(crate) fn next(&mut self, last: u64) -> Result<Next, StoreError> {
        let (mut place, mut found) = (last, None);
        while place >= self.oldest {
            if found.is_none() && self.room == 0 {
                return Ok(Next::Enough(place));
            }
            let (from, may) = self.block(place)?;
            match (may, found) {
                (true, None) => found = Some(place),
                (false, Some(to)) => {
                    return Ok(Next::Look(Stretch {
                        from: place + 1,
                        to,
                    }));
                }
                _ => {}
            }
            place = from - 1;
            if found.is_some() && self.room == 0 {
                break;
            }
        }
        let from = self.oldest.max(place + 1);
        Ok(found.map_or(Next::Nothing, |to| Next::Look(Stretch { from, to })))
    }

    /// The largest block that ends with an entry, or what the smallest has up to it, of which is known
    /// whether it may have entries of the time: where it begins, and whether it may.
    fn block(&mut self, last: u64) -> Result<(u64, bool), StoreError> {
        if self.since.is_none() && self.before.is_none() {
            return Ok((self.oldest, true));
        }
        for (size, entries) in SIZES.iter().enumerate().rev() {
            let end = last.next_multiple_of(*entries);
            // Of a block that goes on beyond, only what the smallest says is near enough.
            if end != last && size > 0 {
                continue;
            }
            self.looked_at(1);
            let Some(row) = self.reader.get(&tables::span_key(size as u8, end))? else {
                continue;
            };
            let span = tables::decode_span(&row)?;
            let outside = self.since.is_some_and(|since| span.last < since)
                || self.before.is_some_and(|before| span.first >= before);
            let inside = self.since.is_none_or(|since| span.first >= since)
                && self.before.is_none_or(|before| span.last < before);
            if outside || inside || size == 0 {
                return Ok((end - entries + 1, !outside));
            }
        }
        // The newest block of the smallest size is not whole.
        Ok(((last - 1) / SIZES[0] * SIZES[0] + 1, true))
    }
}

/// Whether every whole block has a row that covers its entries, and every row has a block: the first
/// thing that is not so.
pub(crate) fn check(reader: &dyn Read) -> Result<Option<String>, StoreError> {
    let removed = trunk(reader)?.removed();
    let mut open = Open::EMPTY;
    let (mut blocks, mut next) = (0u64, Some(tables::entries(removed + 1, u64::MAX)));
    while let Some(range) = next {
        let page = reader.scan(&range, limits::INDEX_PAGE)?;
        for (key, value) in &page.rows {
            let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
            let time = tables::decode_entry(sequence, value)?.draft.time;
            for (size, span) in open.0.iter_mut().enumerate() {
                *span = span.with(time);
                if !sequence.is_multiple_of(SIZES[size]) {
                    continue;
                }
                let row = reader.get(&tables::span_key(size as u8, sequence))?;
                let row = row.map(|row| tables::decode_span(&row)).transpose()?;
                // Of what was removed of a block nothing is known any more.
                let whole = sequence - SIZES[size] >= removed;
                let fits = |row: Span| match whole {
                    true => row == *span,
                    false => row.first <= span.first && row.last >= span.last,
                };
                if !row.is_some_and(fits) {
                    return Ok(Some(format!(
                        "the times of the {} entries up to {sequence} are not as the log says",
                        SIZES[size]
                    )));
                }
                blocks += 1;
                *span = Span::EMPTY;
            }
        }
        next = page.next;
    }
    let mut rows = 0u64;
    reader.each(&tables::all_spans(), |key, _| {
        let stands = tables::span_key_end(key).is_none_or(|end| end > removed);
        rows += u64::from(stands);
        Ok::<_, StoreError>(())
    })?;
    let differ = format!("the times of the log have {rows} rows, not {blocks}");
    Ok((rows != blocks).then_some(differ))
}
