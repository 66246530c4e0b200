//! A message sent by mistake is taken back.
//!
//! The way of a recall: request → facts → [`plan`] (pure) → verdict → **seal** (one durable write:
//! from here on no covered copy is served) → withdraw in chunks, resumable after a kill → report.
//!
//! Invariants:
//! - Every copy that the server knows of ends in exactly one [`Outcome`].
//! - Only the submitting account, or whoever the policy lets, takes a message back.
//! - What is decided, sealed, withdrawn and restored is in the audit log in the transaction that
//!   does it.
//!
//! Refuses to touch copies by other senders, whatever Message-ID they carry.

pub mod submission;
mod tables;
pub mod token;

pub use submission::{Destination, Submission, Target};

/// The id of one recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecallId(pub [u8; 16]);
