//! Proving the chain, or a part of it, or naming the first entry that breaks it.
//!
//! Works from the stored rows alone: every entry is rendered again and its hash computed again.
//! What it can't see by itself is a log rewritten whole, head included: [`crate::prove()`] asks the
//! signed checkpoints, too.

use tern_store::{Engine, Read, StoreError};

use crate::entry::{Entry, Hash};
use crate::read::{Head, head};
use crate::tables;
use crate::trunk::{Trunk, trunk};

/// How many entries are read at a time.
const PAGE: usize = 500;

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The chain holds.
    Intact {
        /// How many entries were verified.
        entries: u64,
        /// The head that the chain leads to.
        head: Head,
    },
    /// The chain breaks.
    Broken(Broken),
}

/// Where the log breaks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The first entry that can't be right.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Broken {
    pub(crate) fn new(sequence: u64, why: impl Into<String>) -> Self {
        Self {
            sequence,
            why: why.into(),
        }
    }
}

/// Verifies the entries from `from` (1 is the first) to `to` (the head when `None`).
///
/// A range that ends at the head also proves that nothing stands behind the head.
pub fn verify(engine: &dyn Engine, from: u64, to: Option<u64>) -> Result<Verified, StoreError> {
    let snapshot = engine.snapshot()?;
    let end = match head(&*snapshot) {
        Ok(end) => end,
        Err(StoreError::Damaged) => return Ok(broken_at(0, "the head row is damaged")),
        Err(error) => return Err(error),
    };
    let trunk = trunk(&*snapshot)?;
    let from = from.max(trunk.removed() + 1);
    let to = to.map_or(end.sequence, |to| to.min(end.sequence));
    let mut expected = match previous_hash(&*snapshot, &trunk, from)? {
        Ok(hash) => hash,
        Err(broken) => return Ok(Verified::Broken(broken)),
    };
    let mut sequence = from;
    let mut range = (from <= to).then(|| tables::entries(from, to));
    while let Some(next) = range {
        let page = snapshot.scan(&next, PAGE)?;
        for (key, value) in page.rows {
            match verify_entry(sequence, expected, &key, &value) {
                Ok(entry) => expected = entry.hash,
                Err(broken) => return Ok(Verified::Broken(broken)),
            }
            sequence += 1;
        }
        range = page.next;
    }
    if from <= to && sequence <= to {
        return Ok(broken_at(sequence, "the log ends before its head"));
    }
    if to == end.sequence {
        if from <= to && expected != end.hash {
            return Ok(broken_at(to, "the head names another hash"));
        }
        let behind = tables::entries(end.sequence + 1, u64::MAX);
        if !snapshot.scan(&behind, 1)?.rows.is_empty() {
            return Ok(broken_at(
                end.sequence + 1,
                "an entry stands behind the head",
            ));
        }
    }
    Ok(Verified::Intact {
        entries: sequence - from,
        head: end,
    })
}

fn broken_at(sequence: u64, why: &str) -> Verified {
    Verified::Broken(Broken::new(sequence, why))
}

/// The hash that entry `from` must carry as its previous one.
fn previous_hash(
    reader: &dyn Read,
    trunk: &Trunk,
    from: u64,
) -> Result<Result<Hash, Broken>, StoreError> {
    if from == trunk.removed() + 1 {
        return Ok(Ok(trunk.hash));
    }
    match crate::read::entry(reader, from - 1) {
        Ok(Some(entry)) => Ok(Ok(entry.hash)),
        Ok(None) => Ok(Err(Broken::new(from - 1, "the entry is missing"))),
        Err(StoreError::Damaged) => Ok(Err(Broken::new(from - 1, "the row is damaged"))),
        Err(error) => Err(error),
    }
}

/// The entry of a row, which must follow the hash `expected`.
pub(crate) fn verify_entry(
    sequence: u64,
    expected: Hash,
    key: &[u8],
    value: &[u8],
) -> Result<Entry, Broken> {
    if tables::entry_key_sequence(key) != Some(sequence) {
        return Err(Broken::new(sequence, "the entry is missing"));
    }
    let Ok(entry) = tables::decode_entry(sequence, value) else {
        return Err(Broken::new(sequence, "the row is damaged"));
    };
    if entry.previous != expected {
        return Err(Broken::new(
            sequence,
            "it does not follow the entry before it",
        ));
    }
    if entry.computed_hash() != entry.hash {
        return Err(Broken::new(
            sequence,
            "its hash is not that of what it says",
        ));
    }
    Ok(entry)
}
