//! The default engine: RocksDB behind the four verbs.
//!
//! Invariants:
//! - `commit` answers `Ok` only when the write-ahead log holds the batch and is synced, and no
//!   reader sees a row of it before that (RocksDB publishes a write group after its sync).
//! - A batch is validated and written under [`claims`] on every row that it expects or writes, so
//!   between the comparison and the write nobody changes what was compared. Conflicts are exact.
//! - One process has the store open; the lock of the directory sees to it.
//!
//! Refuses to open a store that a newer release wrote, one that another process holds, and a
//! backup that was not finished ([`OpenError`]).
//!
//! # Why claims and not RocksDB's own optimistic transactions
//! Both satisfy the contract. `OptimisticTransactionDB` validates by sequence number: it conflicts
//! where a row was rewritten with the same value, it needs memtable history kept for as long as the
//! longest transaction (`TryAgain` otherwise), and its batches have no range deletion. This engine
//! is the only writer, so a table of rows in flight and a comparison by value are enough, exact,
//! and leave RocksDB's write group free to share one sync between all committers.

mod codec;
mod commit;
mod engine;
mod format;
mod group;
mod options;
mod read;
mod settings;
mod status;

pub use engine::RocksEngine;
pub use format::{FORMAT_VERSION, OpenError};
pub use settings::Settings;
pub use status::Statistics;
