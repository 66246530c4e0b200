//! Verifying a file of evidence, with nothing else at hand than a key that was kept elsewhere.

use serde_json::Value;
use tern_audit::{Checkpoint, Hash, Note, VerifyingKey, merkle};

use super::{SCHEMA, hashed, signed_text};

/// What was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The recall.
    pub(crate) recall: String,
    /// How many entries of the log it carries, each proven.
    pub(crate) entries: usize,
    /// The checkpoint that they are under.
    pub(crate) checkpoint: Checkpoint,
    /// The key that the file leads back to: the one that was given, or the first that it names.
    pub(crate) key: VerifyingKey,
    /// Whether that key was given.
    pub(crate) key_was_given: bool,
}

type Result<T> = std::result::Result<T, String>;

/// Verifies a file; the error says what does not hold.
pub(crate) fn verify(text: &str, given: Option<&VerifyingKey>) -> Result<Verified> {
    let file: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let evidence = &file["evidence"];
    if evidence["schema"] != SCHEMA {
        return Err(format!("its format is not {SCHEMA}"));
    }
    let log = &evidence["log"];
    let keys = trusted(&log["keys"], given)?;
    let name = text_of(&log["name"])?;
    let note = note(&file["signature"], &keys, "the evidence")?;
    if note.text != signed_text(name, evidence) {
        return Err(String::from("it was changed after it was signed"));
    }
    let signed = self::note(&log["checkpoint"], &keys, "the checkpoint")?;
    let checkpoint = Checkpoint::parse(&signed.text).ok_or("its checkpoint is none")?;
    if checkpoint.name != name {
        return Err(String::from("its checkpoint is of another log"));
    }
    let entries = log["entries"].as_array().ok_or("it has no entries")?;
    for entry in entries {
        proven(entry, &checkpoint)?;
    }
    let recall = text_of(&evidence["recall"]["id"])?.to_owned();
    let target = format!("recall {recall}");
    if entries
        .iter()
        .any(|entry| entry["entry"]["target"] != target)
    {
        return Err(String::from("it has an entry about something else"));
    }
    let key = keys.into_iter().next().ok_or("it names no key")?;
    Ok(Verified {
        recall,
        entries: entries.len(),
        checkpoint,
        key,
        key_was_given: given.is_some(),
    })
}

fn text_of(value: &Value) -> Result<&str> {
    value
        .as_str()
        .ok_or_else(|| String::from("a text is missing"))
}

/// The keys from the given one on, each signed by the one before it; from the first on where none
/// was given.
fn trusted(keys: &Value, given: Option<&VerifyingKey>) -> Result<Vec<VerifyingKey>> {
    let mut trusted: Vec<VerifyingKey> = Vec::new();
    for key in keys.as_array().ok_or("it names no key")? {
        let text = text_of(&key["key"])?;
        let verifying = VerifyingKey::parse(text).ok_or("it names something that is no key")?;
        match trusted.last() {
            None if given.is_some_and(|given| *given != verifying) => continue,
            None => {}
            Some(before) => {
                let signed = format!("{text}\nkey {}\n", key["number"]);
                let signature = bytes(text_of(&key["signature"])?).ok_or("a signature is none")?;
                if !before.has_signed(&signed, &signature) {
                    return Err(format!(
                        "key {} is not signed by the one before",
                        key["number"]
                    ));
                }
            }
        }
        trusted.push(verifying);
    }
    match trusted.is_empty() {
        true => Err(String::from("the key that was given is none of its log's")),
        false => Ok(trusted),
    }
}

fn note(value: &Value, keys: &[VerifyingKey], what: &str) -> Result<Note> {
    let note = Note::parse(text_of(value)?).ok_or_else(|| format!("{what} is not signed"))?;
    match keys.iter().any(|key| note.is_signed_by(key)) {
        true => Ok(note),
        false => Err(format!("{what} is not signed by a key of this log")),
    }
}

/// An entry is what its hash says, and under the checkpoint.
fn proven(entry: &Value, checkpoint: &Checkpoint) -> Result<()> {
    let sequence = entry["entry"]["sequence"].as_u64().unwrap_or(0);
    let wrong = |why: &str| format!("entry {sequence} {why}");
    let line = hashed(entry).ok_or_else(|| wrong("is not what its hash says"))?;
    let proof = entry["proof"]
        .as_array()
        .ok_or_else(|| wrong("has no proof"))?;
    let hashes = proof.iter().map(|hash| {
        let hash = bytes(hash.as_str()?)?;
        Some(Hash(hash.try_into().ok()?))
    });
    let hashes: Option<Vec<Hash>> = hashes.collect();
    let hashes = hashes.ok_or_else(|| wrong("has no proof"))?;
    let index = sequence
        .checked_sub(1)
        .ok_or_else(|| wrong("has no place"))?;
    let root = merkle::root_of(
        index,
        checkpoint.entries,
        merkle::leaf(line.as_bytes()),
        &hashes,
    );
    match root == Some(checkpoint.root) {
        true => Ok(()),
        false => Err(wrong("is not under the checkpoint")),
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || hex.len() % 2 == 1 {
        return None;
    }
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(pair).collect()
}
