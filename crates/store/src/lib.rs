//! The one typed door to durable state: four verbs (`get`, `scan`, `snapshot`, `commit`), blob
//! verbs for large content, and an in-memory engine that obeys the same contract.
//!
//! The contract is drawn to the intersection of the engines this house may stand on: ordered
//! bytes, snapshot reads, an optimistic commit that carries what was read, and small keys, values
//! and batches ([`limits`]).
//!
//! Invariants:
//! - `commit` returns `Ok` only when the batch is durable (the write-ahead log is synced), and
//!   nobody reads a row of it before that.
//! - A batch is applied whole or not at all, and only if every row it was computed from still
//!   holds the value that was read.
//!
//! Refuses to know what rows mean: tables belong to the crates above.

pub mod batch;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod each;
pub mod engine;
pub mod error;
mod finding;
pub mod key;
pub mod limits;
pub mod mem;
pub mod transaction;

pub use batch::{Batch, Expectation, Operation};
pub use each::ReadExt;
pub use engine::{Engine, Page, Range, Read, Snapshot};
pub use error::{Bound, CommitError, StoreError};
pub use finding::Finding;
pub use mem::MemEngine;
pub use transaction::{Transaction, Verdict, transact};
