//! Proving single entries to somebody who has nothing of the rest: each with the few hashes that lead
//! from it to the root of a signed checkpoint.

use tern_store::{Engine, ReadExt as _, StoreError};

use crate::append::AuditError;
use crate::checkpoint::{self, Signed};
use crate::entry::Hash;
use crate::merkle::Prover;
use crate::trunk::trunk;
use crate::{limits, tables};

/// The proofs that entries are under the newest checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The checkpoint.
    pub signed: Signed,
    /// For each entry the hashes of the neighbours that lead from it to the root, the lowest first.
    pub proofs: Vec<Vec<Hash>>,
}

/// Proves entries by their sequences; the newest checkpoint must cover all of them.
///
/// Reads the log once, up to that checkpoint.
pub fn include(engine: &dyn Engine, sequences: &[u64]) -> Result<Inclusion, AuditError> {
    let snapshot = engine.snapshot()?;
    let signed = checkpoint::newest(&*snapshot)?.ok_or(AuditError::NoKey)?;
    let (start, end) = (trunk(&*snapshot)?.tree, signed.checkpoint.entries);
    let removed = start.size();
    let outside = |sequence: &&u64| **sequence <= removed || **sequence > end;
    if sequences.len() > limits::MAX_PROVEN || sequences.iter().any(|one| outside(&one)) {
        return Err(AuditError::Form("a place that can't be proven"));
    }
    let indexes: Vec<u64> = sequences.iter().map(|sequence| sequence - 1).collect();
    let mut prover = Prover::new(start, end, &indexes);
    if removed < end {
        snapshot.each(&tables::entries(removed + 1, end), |key, value| {
            let sequence = tables::entry_key_sequence(key).ok_or(StoreError::Damaged)?;
            let entry = tables::decode_entry(sequence, value).map_err(StoreError::from)?;
            prover.push(entry.leaf());
            Ok::<_, AuditError>(())
        })?;
    }
    match prover.finish() {
        Some((proofs, tree)) if tree.root() == signed.checkpoint.root => {
            Ok(Inclusion { signed, proofs })
        }
        _ => Err(AuditError::Broken),
    }
}
