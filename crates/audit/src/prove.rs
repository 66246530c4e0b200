//! Proving the whole log in one pass: the chain, every checkpoint and its signature, every key, and
//! checkpoints that were kept elsewhere.
//!
//! What it can't see by itself is a store replaced whole, keys included: for that the caller gives a
//! key, or a checkpoint, that was kept elsewhere. Trust begins at that key: that a log names it proves nothing,
//! since whoever makes a log up can have a key of their own endorse any other; what it has signed does.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tern_store::{Engine, Read, ReadExt as _, StoreError};

use crate::checkpoint::Checkpoint;
use crate::entry::{Detail, Entry};
use crate::keys::{self, Key};
use crate::merkle::Tree;
use crate::note::{Note, VerifyingKey};
use crate::read::{Head, head};
use crate::tables;
use crate::trunk::{Trunk, trunk};
use crate::verify::{Broken, verify_entry};

/// How many rows are read at a time.
const PAGE: usize = 500;

/// What the caller knows from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// A key that the log must have, and by which, or by one behind it, it must be signed.
    pub key: Option<VerifyingKey>,
    /// Notes of checkpoints that the log must continue.
    pub checkpoints: Vec<String>,
}

/// What was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// How many entries were verified.
    pub entries: u64,
    /// How many before them were removed, on record.
    pub removed: u64,
    /// The end of the chain.
    pub head: Head,
    /// How many checkpoints were verified.
    pub checkpoints: u64,
    /// How many entries are under one: where a key was given, under one by that key or one behind it.
    pub signed: u64,
    /// How many of the first entries were there before the key that was given: whether they are what the keys
    /// of their time signed it does not prove. 0 where it is the first, or none was given.
    pub before_key: u64,
    /// The keys, the first one first.
    pub keys: Vec<Key>,
    /// How many of the checkpoints that were given nothing is left to compare with: their entries were
    /// removed, on record, and the log has no checkpoint of just so many.
    pub past_proof: u64,
}

/// Proves the log, or says where it breaks first.
pub fn prove(engine: &dyn Engine, known: &Known) -> Result<Result<Proved, Broken>, StoreError> {
    let snapshot = engine.snapshot()?;
    let proof = Proof::begin(&*snapshot, known)?;
    let mut proof = match proof {
        Ok(proof) => proof,
        Err(broken) => return Ok(Err(broken)),
    };
    let first = proof.trunk.removed() + 1;
    if first <= proof.end.sequence {
        let range = tables::entries(first, u64::MAX);
        let broken = snapshot.each_until(&range, |key, value| {
            Ok::<_, StoreError>(match proof.entry(key, value)? {
                Ok(()) => ControlFlow::Continue(()),
                Err(broken) => ControlFlow::Break(broken),
            })
        })?;
        if let Some(broken) = broken {
            return Ok(Err(broken));
        }
    }
    Ok(proof.finish())
}

/// A proof under way.
struct Proof<'a> {
    keys: Vec<Key>,
    /// The place of the key that was given.
    given: Option<usize>,
    trunk: Trunk,
    end: Head,
    at: Head,
    tree: Tree,
    stored: Checkpoints<'a>,
    verified: u64,
    signed: u64,
    /// What the caller has, by the number of entries.
    outside: BTreeMap<u64, Vec<Checkpoint>>,
    /// Those of removed entries that were compared.
    compared: u64,
}

impl<'a> Proof<'a> {
    fn begin(reader: &'a dyn Read, known: &Known) -> Result<Result<Self, Broken>, StoreError> {
        let damaged = |what: &str| Ok(Err(Broken::new(0, what)));
        let (end, trunk, keys) = (head(reader), trunk(reader), keys::keys(reader));
        let (end, trunk, keys) = match (end, trunk, keys) {
            (Err(StoreError::Damaged), ..) => return damaged("the head row is damaged"),
            (_, Err(StoreError::Damaged), _) => return damaged("the trunk row is damaged"),
            (.., Err(StoreError::Damaged)) => return damaged("a row of a key is damaged"),
            (end, trunk, keys) => (end?, trunk?, keys?),
        };
        if let Some(why) = keys::fault(&keys) {
            return Ok(Err(Broken::new(0, why)));
        }
        let place = |key: &VerifyingKey| keys.iter().position(|one| one.verifying == *key);
        let given = known.key.as_ref().map(place);
        if given == Some(None) {
            return damaged("none of the log's keys is the one that was given");
        }
        let mut proof = Self {
            at: Head {
                sequence: trunk.removed(),
                hash: trunk.hash,
            },
            tree: trunk.tree.clone(),
            stored: Checkpoints::new(reader),
            given: given.flatten(),
            keys,
            trunk,
            end,
            verified: 0,
            signed: 0,
            outside: BTreeMap::new(),
            compared: 0,
        };
        if let Err(broken) = proof.trunk_is_signed() {
            return Ok(Err(broken));
        }
        for note in &known.checkpoints {
            if let Err(broken) = proof.keep(note) {
                return Ok(Err(broken));
            }
        }
        Ok(proof.reached()?.map(|()| proof))
    }

    /// Where entries were removed, a signed note says so.
    fn trunk_is_signed(&self) -> Result<(), Broken> {
        let removed = self.trunk.removed();
        if removed == 0 {
            return Ok(());
        }
        let note = Note::parse(&self.trunk.note);
        let by = |note: &Note| {
            self.keys
                .iter()
                .any(|key| note.is_signed_by(&key.verifying))
        };
        let checkpoint = note
            .filter(by)
            .and_then(|note| Checkpoint::parse(&note.text));
        let fits = checkpoint.is_some_and(|one| {
            one.removed && one.entries == removed && one.root == self.trunk.tree.root()
        });
        match fits {
            true => Ok(()),
            false => Err(Broken::new(
                removed,
                "the entries up to this one are gone, and nothing signed says that they were removed",
            )),
        }
    }

    /// Takes a checkpoint of the caller's.
    fn keep(&mut self, note: &str) -> Result<(), Broken> {
        let wrong = |why: &str| Broken::new(0, format!("the checkpoint that was given {why}"));
        let parsed = Note::parse(note).ok_or_else(|| wrong("is none"))?;
        let checkpoint = Checkpoint::parse(&parsed.text).ok_or_else(|| wrong("is none"))?;
        if !self
            .keys
            .iter()
            .any(|key| parsed.is_signed_by(&key.verifying))
        {
            return Err(wrong("is not signed by a key of this log"));
        }
        let entries = checkpoint.entries;
        if entries > self.end.sequence {
            let why = format!(
                "the log ends here, but the checkpoint that was given has {entries} entries: it was \
                 cut short or rolled back"
            );
            return Err(Broken::new(self.end.sequence, why));
        }
        self.outside.entry(entries).or_default().push(checkpoint);
        Ok(())
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<Result<(), Broken>, StoreError> {
        let sequence = self.at.sequence + 1;
        if sequence > self.end.sequence {
            return Ok(Err(Broken::new(
                sequence,
                "an entry stands behind the head",
            )));
        }
        let entry = match verify_entry(sequence, self.at.hash, key, value) {
            Ok(entry) => entry,
            Err(broken) => return Ok(Err(broken)),
        };
        if let Err(broken) = self.names_key(&entry) {
            return Ok(Err(broken));
        }
        self.tree.push(entry.leaf());
        self.at = Head {
            sequence,
            hash: entry.hash,
        };
        self.reached()
    }

    /// A key and the entry that names it say the same.
    fn names_key(&self, entry: &Entry) -> Result<(), Broken> {
        let key = self.keys.iter().find(|key| key.sequence == entry.sequence);
        let named = match entry.draft.details.get("key") {
            Some(Detail::Text(text)) if entry.draft.action == keys::ACTION => Some(text),
            _ => None,
        };
        match key.map(|key| key.verifying.to_string()).as_ref() == named {
            true => Ok(()),
            false => {
                let why = "the key that it names and the keys of the log differ: one was replaced";
                Err(Broken::new(entry.sequence, why))
            }
        }
    }

    /// Compares the tree with the checkpoints of just so many entries.
    fn reached(&mut self) -> Result<Result<(), Broken>, StoreError> {
        let entries = self.at.sequence;
        while let Some((of, row)) = self.stored.next_up_to(entries)? {
            if let Err(broken) = self.checkpoint(of, &row) {
                return Ok(Err(broken));
            }
        }
        for given in self.outside.get(&entries).into_iter().flatten() {
            if given.root != self.tree.root() {
                let why = format!(
                    "the entries up to this one are not the {entries} of the checkpoint that was given"
                );
                return Ok(Err(Broken::new(entries, why)));
            }
        }
        Ok(Ok(()))
    }

    fn checkpoint(&mut self, entries: u64, row: &[u8]) -> Result<(), Broken> {
        let wrong = |why: &str| Broken::new(entries, format!("its checkpoint {why}"));
        let note = tables::decode_note(row).ok();
        let note = note.and_then(|note| Note::parse(&note));
        let note = note.ok_or_else(|| wrong("is damaged"))?;
        let checkpoint = Checkpoint::parse(&note.text).ok_or_else(|| wrong("is damaged"))?;
        let signer = keys::signer(&self.keys, entries);
        if !signer.is_some_and(|key| note.is_signed_by(&key.verifying)) {
            return Err(wrong("is not signed by the key of that time"));
        }
        if checkpoint.entries != entries {
            return Err(wrong("was put in the place of another"));
        }
        // What was removed can't be added up again: what the log has signed of it then is left, and what was
        // given must say the same.
        if entries < self.trunk.removed() {
            for given in self.outside.get(&entries).into_iter().flatten() {
                if given.root != checkpoint.root {
                    return Err(wrong("and the one that was given are of other entries"));
                }
                self.compared += 1;
            }
        }
        if entries == self.tree.size() && checkpoint.root != self.tree.root() {
            return Err(wrong("was signed over other entries up to here"));
        }
        self.verified += 1;
        if self.given.is_none() || self.is_trusted(entries) {
            self.signed = entries;
        }
        Ok(())
    }

    /// Whether a checkpoint of so many entries is by the key that was given or one behind it, and was compared
    /// with the entries.
    fn is_trusted(&self, entries: u64) -> bool {
        let given = self.given.and_then(|place| self.keys.get(place));
        given.is_some_and(|given| entries >= given.sequence && entries >= self.trunk.removed())
    }

    fn finish(mut self) -> Result<Proved, Broken> {
        let sequence = self.at.sequence;
        if sequence < self.end.sequence {
            return Err(Broken::new(sequence + 1, "the log ends before its head"));
        }
        if self.at.hash != self.end.hash {
            return Err(Broken::new(sequence, "the head names another hash"));
        }
        match self.stored.next_up_to(u64::MAX) {
            Ok(None) => {}
            Ok(Some((entries, _))) => {
                let why = format!(
                    "the log ends here, but a checkpoint has {entries} entries: its end was cut off"
                );
                return Err(Broken::new(sequence, why));
            }
            Err(_) => return Err(Broken::new(sequence, "a row of a checkpoint is damaged")),
        }
        if let Some(key) = self.keys.iter().find(|key| key.sequence > sequence) {
            let why = format!("key {} is named by an entry that is not there", key.number);
            return Err(Broken::new(sequence, why));
        }
        if self.given.is_some() && self.signed == 0 {
            let why = "the log names the key that was given, but nothing is signed by it or by one behind it";
            return Err(Broken::new(sequence, why));
        }
        let given = self.given.filter(|place| *place > 0);
        let given = given.and_then(|place| self.keys.get(place));
        let before_key = given.map_or(0, |given| given.sequence - 1);
        let removed = self.trunk.removed();
        let of_removed = self.outside.range(..removed);
        let of_removed: usize = of_removed.map(|(_, given)| given.len()).sum();
        Ok(Proved {
            entries: sequence - removed,
            removed,
            past_proof: (of_removed as u64).saturating_sub(self.compared),
            head: self.end,
            checkpoints: self.verified,
            signed: self.signed,
            before_key,
            keys: self.keys,
        })
    }
}

/// The stored checkpoints, one after the other.
struct Checkpoints<'a> {
    reader: &'a dyn Read,
    rows: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    next: Option<tern_store::Range>,
}

impl<'a> Checkpoints<'a> {
    fn new(reader: &'a dyn Read) -> Self {
        Self {
            reader,
            rows: Vec::new().into_iter(),
            next: Some(tables::checkpoints(0)),
        }
    }

    /// The next one, where it has no more than so many entries.
    fn next_up_to(&mut self, entries: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        while self.rows.as_slice().is_empty() {
            let Some(range) = self.next.take() else {
                return Ok(None);
            };
            let page = self.reader.scan(&range, PAGE)?;
            (self.rows, self.next) = (page.rows.into_iter(), page.next);
        }
        let Some((key, _)) = self.rows.as_slice().first() else {
            return Ok(None);
        };
        let of = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
        if of > entries {
            return Ok(None);
        }
        Ok(self.rows.next().map(|(_, row)| (of, row)))
    }
}
