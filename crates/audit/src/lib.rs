//! The tamper-evident log: an append-only chain of entries, each carrying the SHA-256 of the one
//! before it, so that a change, a removal or an insertion anywhere shows.
//!
//! What is hashed is the canonical JSON of the entry, so an exported log can be verified by
//! anyone, without this program: see [`export`] for the format and the recipe.
//!
//! Invariants:
//! - An entry commits in the transaction of the act it records ([`append_in`]): no act without
//!   its entry, no entry without its act.
//! - Sequence numbers run from 1 without a gap; entry *n* carries the hash of entry *n - 1*.
//! - The head row names the last entry, so a log cut short shows.
//! - Checkpoints sign how many entries there are and the root of their Merkle tree ([`checkpoint`]).
//!
//! Refuses to change an entry, to remove one other than from the beginning and on record ([`trim`]), and to know what actions mean: they are the callers'
//! dotted texts. The head row is written by every append, which puts all appends in one order:
//! only acts that must be answered for belong here, never each delivery or each fetch.

pub mod append;
pub mod check;
pub mod checkpoint;
pub mod entry;
pub mod export;
pub mod forward;
pub mod include;
mod index;
mod json;
pub mod keys;
pub mod limits;
pub mod merkle;
pub mod note;
pub mod prove;
pub mod read;
mod span;
mod tables;
pub mod trim;
pub mod trunk;
pub mod verify;

pub use append::{Appended, AuditError, append, append_in};
pub use check::check;
pub use checkpoint::{Checkpoint, Signed};
pub use entry::{Actor, Authentication, Detail, Draft, Entry, EntryId, Hash, is_cut, numbered};
pub use export::{ExportPage, export_jsonl};
pub use forward::{Forwarded, forwarded, set_forwarded};
pub use include::{Inclusion, include};
pub use keys::{Key, attest, ensure_key, keys, rotate};
pub use note::{Note, SigningKey, VerifyingKey};
pub use prove::{Known, Proved, prove};
pub use read::{Filter, Head, ReadPage, entries_from, entry, head, read};
pub use trim::{Old, Trimmed, sweep, trim};
pub use trunk::{Trunk, trunk};
pub use verify::{Broken, Verified, verify};
