//! Where the log begins: behind the entries that were removed because they were old enough.
//!
//! Invariant: what was removed was under a checkpoint; its tree and the hash of its last entry stay,
//! signed, so that the rest still follows and is proven as before.

use tern_store::{Read, StoreError};

use crate::entry::Hash;
use crate::merkle::Tree;
use crate::tables;

/// What is left of removed entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Their tree.
    pub(crate) tree: Tree,
    /// The hash of the last of them.
    pub(crate) hash: Hash,
    /// The checkpoint that says that they were removed; empty where nothing was.
    pub(crate) note: String,
}

impl Trunk {
    /// How many entries were removed: the first that is there has the next number.
    pub const fn removed(&self) -> u64 {
        self.tree.size()
    }
}

/// Where the log begins.
pub fn trunk(reader: &dyn Read) -> Result<Trunk, StoreError> {
    match reader.get(&tables::trunk_key())? {
        Some(row) => Ok(tables::decode_trunk(&row)?),
        None => Ok(Trunk {
            tree: Tree::default(),
            hash: Hash::ZERO,
            note: String::new(),
        }),
    }
}
