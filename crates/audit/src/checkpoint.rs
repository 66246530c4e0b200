//! Checkpoints: how many entries the log had, and the root of their Merkle tree, signed. One that is
//! kept elsewhere shows any later change of what it covers, the log's being rolled back included.
//!
//! The text is that of C2SP's `tlog-checkpoint`: the log's name, the number of entries, the root in
//! base64, then a line with the time.
//!
//! Invariant: nothing is signed that does not continue what was signed before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tern_base::Timestamp;
use tern_store::{Engine, Read, ReadExt as _, StoreError, Transaction, Verdict, transact};

use crate::append::AuditError;
use crate::entry::Hash;
use crate::merkle::Tree;
use crate::note::Note;
use crate::read::head;
use crate::trunk::trunk;
use crate::{keys, limits, tables};

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub name: String,
    /// How many entries it had.
    pub entries: u64,
    /// The root of their tree.
    pub root: Hash,
    /// When, as the text has it.
    pub time: Option<String>,
    /// Whether it says that these entries were removed.
    pub removed: bool,
}

impl Checkpoint {
    /// The text that is signed.
    pub(crate) fn text(&self) -> String {
        let root = BASE64.encode(self.root.0);
        let mut text = format!("{}\n{}\n{root}\n", self.name, self.entries);
        if let Some(time) = &self.time {
            text.push_str("time ");
            text.push_str(time);
            text.push('\n');
        }
        if self.removed {
            text.push_str("removed\n");
        }
        text
    }

    /// Reads the text of a note; lines of other programs are passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let name = lines.next()?.to_owned();
        let entries = lines.next()?;
        let canonical = entries == "0" || !entries.starts_with(['0', '+']);
        let entries = entries.parse().ok().filter(|_| canonical)?;
        let root = BASE64.decode(lines.next()?).ok()?;
        let rest: Vec<&str> = lines.collect();
        let time = rest.iter().find_map(|line| line.strip_prefix("time "));
        Some(Self {
            name,
            entries,
            root: Hash(root.try_into().ok()?),
            time: time.map(str::to_owned),
            removed: rest.contains(&"removed"),
        })
    }
}

/// A checkpoint with its signed note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note.
    pub note: String,
}

impl Signed {
    /// Reads a note; `None` where it is no checkpoint.
    pub fn parse(note: &str) -> Option<Self> {
        let checkpoint = Checkpoint::parse(&Note::parse(note)?.text)?;
        let note = note.to_owned();
        Some(Self { checkpoint, note })
    }
}

/// How often the tree is added up again because somebody else has signed meanwhile.
const ATTEMPTS: usize = 10;

/// Signs the log as it is now; the newest checkpoint where there is nothing new.
pub fn sign(engine: &dyn Engine, now: Timestamp) -> Result<Signed, AuditError> {
    for _ in 0..ATTEMPTS {
        let signed = signed_tree(engine)?;
        let end = head(engine)?.sequence;
        if end == signed.size()
            && let Some(newest) = newest(engine)?
        {
            return Ok(newest);
        }
        let tree = extend(engine, signed.clone(), end)?;
        let put = |txn: &mut Transaction<'_>| put(txn, &signed, &tree, now);
        if let Some(signed) = transact(engine, put)? {
            return Ok(signed);
        }
    }
    Err(StoreError::Busy.into())
}

/// The tree that was signed last.
fn signed_tree(reader: &dyn Read) -> Result<Tree, StoreError> {
    match reader.get(&tables::tree_key())? {
        Some(row) => Ok(tables::decode_tree(&row)?),
        None => Ok(trunk(reader)?.tree),
    }
}

/// Adds the entries up to `end` to a tree.
pub(crate) fn extend(engine: &dyn Engine, mut tree: Tree, end: u64) -> Result<Tree, AuditError> {
    let snapshot = engine.snapshot()?;
    let first = tree.size() + 1;
    if first <= end {
        snapshot.each(&tables::entries(first, end), |key, value| {
            let sequence = tree.size() + 1;
            if tables::entry_key_sequence(key) != Some(sequence) {
                return Err(AuditError::Broken);
            }
            let entry = tables::decode_entry(sequence, value).map_err(StoreError::from)?;
            tree.push(entry.leaf());
            Ok(())
        })?;
    }
    match tree.size() == end {
        true => Ok(tree),
        false => Err(AuditError::Broken),
    }
}

/// Writes a checkpoint, unless another was written or a key replaced meanwhile.
fn put(
    txn: &mut Transaction<'_>,
    before: &Tree,
    tree: &Tree,
    now: Timestamp,
) -> Result<Verdict<Option<Signed>>, AuditError> {
    let row = txn.get(&tables::tree_key())?;
    let known = row.map(|row| tables::decode_tree(&row)).transpose();
    let known = known.map_err(StoreError::from)?;
    if known.is_some_and(|known| known != *before) {
        return Ok(Verdict::Abandon(None));
    }
    let (number, key) = keys::in_force(txn)?;
    let row = txn
        .get(&tables::log_key(number))?
        .ok_or(AuditError::NoKey)?;
    let made = tables::decode_log_key(number, &row).map_err(StoreError::from)?;
    if made.sequence > tree.size() {
        return Ok(Verdict::Abandon(None));
    }
    let checkpoint = Checkpoint {
        name: key.verifying().name().to_owned(),
        entries: tree.size(),
        root: tree.root(),
        time: Some(now.to_string()),
        removed: false,
    };
    let note = key.note(&checkpoint.text());
    txn.put(
        tables::checkpoint_key(tree.size()),
        tables::encode_note(&note),
    );
    txn.put(tables::tree_key(), tables::encode_tree(tree));
    Ok(Verdict::Commit(Some(Signed { checkpoint, note })))
}

/// The newest checkpoint.
pub fn newest(reader: &dyn Read) -> Result<Option<Signed>, StoreError> {
    let page = reader.scan(&tables::checkpoints(0).reversed(), 1)?;
    let row = page.rows.first();
    let note = row.map(|(_, row)| tables::decode_note(row)).transpose()?;
    let read = |note: String| Signed::parse(&note).ok_or(StoreError::Damaged);
    note.map(read).transpose()
}

/// Some checkpoints, the oldest first, of `from` entries or more; and where to go on.
pub fn checkpoints(reader: &dyn Read, from: u64) -> Result<(Vec<Signed>, Option<u64>), StoreError> {
    let page = reader.scan(&tables::checkpoints(from), limits::MAX_CHECKPOINT_PAGE)?;
    let read = |(_, row): &(Vec<u8>, Vec<u8>)| {
        Signed::parse(&tables::decode_note(row)?).ok_or(StoreError::Damaged)
    };
    let signed = page.rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let last = signed.last().filter(|_| page.next.is_some());
    let next = last.map(|last| last.checkpoint.entries + 1);
    Ok((signed, next))
}

/// Whether a checkpoint is due: there are `entries` new ones, or the oldest of them is as old as
/// `millis`.
pub fn is_due(
    reader: &dyn Read,
    entries: u64,
    millis: u64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let end = head(reader)?.sequence;
    let signed = signed_tree(reader)?.size();
    if end <= signed {
        return Ok(false);
    }
    let oldest = crate::read::entry(reader, signed + 1)?;
    let age = oldest.map_or(0, |oldest| now.millis_since(oldest.draft.time));
    Ok(end - signed >= entries || age >= millis)
}
