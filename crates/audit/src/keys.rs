//! The keys that sign checkpoints: the one in force with its seed, and the public parts of all
//! before it.
//!
//! Invariants:
//! - Each key but the first is signed by the one before it, and each is in an entry of the log, by
//!   which it is found if its row is changed.
//! - The row of a seed is overwritten when its key is replaced; what the engine keeps of an old row, and backups,
//!   are the caller's to see to. No text of this crate shows one.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tern_base::{Entropy, Timestamp};
use tern_store::{Engine, Read, StoreError, Transaction, Verdict, transact};

use crate::append::{AuditError, append_in};
use crate::checkpoint::Checkpoint;
use crate::entry::{Actor, Draft, EntryId};
use crate::note::{SigningKey, VerifyingKey};
use crate::{limits, tables};

/// The action of the entry that names a key.
pub(crate) const ACTION: &str = "audit.key";

/// A key of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// 1 for the first.
    pub number: u32,
    /// Its public part.
    pub verifying: VerifyingKey,
    /// When it was made.
    pub made: Timestamp,
    /// The entry that names it: checkpoints from there on are signed by it.
    pub sequence: u64,
    /// The signature of the key before it over [`Key::endorsed_text`]; empty for the first.
    pub endorsement: Vec<u8>,
}

impl Key {
    /// What the key before it signs.
    pub fn endorsed_text(&self) -> String {
        format!("{}\nkey {}\n", self.verifying, self.number)
    }
}

/// Every key, the first one first.
pub fn keys(reader: &dyn Read) -> Result<Vec<Key>, StoreError> {
    let page = reader.scan(&tables::all_log_keys(), limits::MAX_KEYS)?;
    let numbered = (1u32..).zip(page.rows);
    numbered
        .map(
            |(number, (key, value))| match key == tables::log_key(number) {
                true => Ok(tables::decode_log_key(number, &value)?),
                false => Err(StoreError::Damaged),
            },
        )
        .collect()
}

/// Makes the first key of a log that has none.
pub fn ensure_key(
    engine: &dyn Engine,
    name: &str,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Result<(), AuditError> {
    if engine.get(&tables::seed_key())?.is_some() {
        return Ok(());
    }
    let seed = fresh(entropy);
    let entry = Draft::new(EntryId::new(now, entropy), now, Actor::Server, ACTION);
    transact(engine, |txn| {
        if txn.get(&tables::seed_key())?.is_some() {
            return Ok(Verdict::Abandon(()));
        }
        let key = SigningKey::new(name, &seed)?;
        put(txn, 1, &key, None, entry.clone())?;
        txn.put(tables::seed_key(), tables::encode_seed(1, &seed));
        Ok(Verdict::Commit(()))
    })
}

/// Replaces the key in force. `entry` says who did so; what it is about is added here.
pub fn rotate(
    engine: &dyn Engine,
    entry: &Draft,
    entropy: &mut dyn Entropy,
) -> Result<Key, AuditError> {
    let seed = fresh(entropy);
    transact(engine, |txn| {
        let (number, old) = in_force(txn)?;
        if number as usize >= limits::MAX_KEYS {
            return Err(AuditError::Form("too many keys"));
        }
        let new = SigningKey::new(old.verifying().name(), &seed)?;
        let key = put(txn, number + 1, &new, Some(&old), entry.clone())?;
        txn.put(tables::seed_key(), tables::encode_seed(number + 1, &seed));
        Ok(Verdict::Commit(key))
    })
}

fn fresh(entropy: &mut dyn Entropy) -> [u8; 32] {
    let mut seed = [0; 32];
    entropy.fill(&mut seed);
    seed
}

/// The key in force, and its number.
pub(crate) fn in_force(txn: &mut Transaction<'_>) -> Result<(u32, SigningKey), AuditError> {
    let row = txn.get(&tables::seed_key())?.ok_or(AuditError::NoKey)?;
    let (number, seed) = tables::decode_seed(&row).map_err(StoreError::from)?;
    let row = txn.get(&tables::log_key(number))?;
    let row = row.ok_or(AuditError::NoKey)?;
    let key = tables::decode_log_key(number, &row).map_err(StoreError::from)?;
    let signing = SigningKey::new(key.verifying.name(), &seed)?;
    // Nothing is signed with a key that nobody could verify with.
    match *signing.verifying() == key.verifying {
        true => Ok((number, signing)),
        false => Err(AuditError::Broken),
    }
}

/// Signs a text of the caller's with the key in force.
///
/// # Errors
/// The text could be taken for a checkpoint.
pub fn attest(engine: &dyn Engine, text: &str) -> Result<String, AuditError> {
    if Checkpoint::parse(text).is_some() || !text.ends_with('\n') {
        return Err(AuditError::Form("a text that could be a checkpoint"));
    }
    transact(engine, |txn| {
        let (_, key) = in_force(txn)?;
        Ok(Verdict::Abandon(key.note(text)))
    })
}

fn put(
    txn: &mut Transaction<'_>,
    number: u32,
    new: &SigningKey,
    old: Option<&SigningKey>,
    entry: Draft,
) -> Result<Key, AuditError> {
    let mut key = Key {
        number,
        verifying: new.verifying().clone(),
        made: entry.time,
        sequence: 0,
        endorsement: Vec::new(),
    };
    let mut entry = entry;
    ACTION.clone_into(&mut entry.action);
    let mut entry = entry
        .detail("number", u64::from(number))
        .detail("key", key.verifying.to_string());
    if let Some(old) = old {
        key.endorsement = old.sign(&key.endorsed_text());
        entry = entry
            .detail("signed-by", old.verifying().to_string())
            .detail("signature", BASE64.encode(&key.endorsement));
    }
    key.sequence = append_in(txn, entry)?.sequence;
    txn.put(tables::log_key(number), tables::encode_log_key(&key));
    Ok(key)
}

/// Why the keys can't be right, if they can't.
pub(crate) fn fault(keys: &[Key]) -> Option<String> {
    let pairs = keys.iter().zip(keys.iter().skip(1));
    for (old, new) in pairs {
        let number = new.number;
        if new.verifying.name() != old.verifying.name() || new.sequence <= old.sequence {
            return Some(format!("key {number} is not one of this log"));
        }
        if !old
            .verifying
            .has_signed(&new.endorsed_text(), &new.endorsement)
        {
            return Some(format!("key {number} is not signed by the one before it"));
        }
    }
    None
}

/// The key that signs a checkpoint of so many entries.
pub(crate) fn signer(keys: &[Key], entries: u64) -> Option<&Key> {
    keys.iter().rfind(|key| key.sequence <= entries)
}

/// What a person compares a key by.
pub fn fingerprint(key: &VerifyingKey) -> String {
    let digest = digest::digest(&digest::SHA256, key.public());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
