//! How far the log has been sent on to a collector elsewhere.
//!
//! Invariant: only what the collector has taken counts, so after a kill it is sent again rather than
//! lost.

use tern_store::{Engine, Read, StoreError, Verdict, transact};

use crate::tables;

/// How far it has been sent on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The last entry.
    pub entry: u64,
    /// The entries of the last checkpoint.
    pub checkpoint: u64,
}

/// How far it has been sent on.
pub fn forwarded(reader: &dyn Read) -> Result<Forwarded, StoreError> {
    match reader.get(&tables::forwarded_key())? {
        Some(row) => Ok(tables::decode_forwarded(&row)?),
        None => Ok(Forwarded::default()),
    }
}

/// Takes note of what a collector has taken.
pub fn set_forwarded(engine: &dyn Engine, forwarded: Forwarded) -> Result<(), StoreError> {
    transact(engine, |txn| {
        txn.put(
            tables::forwarded_key(),
            tables::encode_forwarded(&forwarded),
        );
        Ok(Verdict::Commit(()))
    })
}
