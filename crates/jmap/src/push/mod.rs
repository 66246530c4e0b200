//! What clients are told without asking (RFC 8620 7): which types changed, and their states.
//!
//! The shell wakes for an account that committed something and calls [`look`] with where a listener
//! stands; the answer is where it stands now, and the StateChange to send, if it has one to hear of.
//!
//! Invariants:
//! - From one position to the next no change is passed over: many changes are one StateChange.
//! - A position is told to clients as an opaque text and taken back: one that was never given out tells
//!   everything.

mod look;
mod others;
mod parts;
mod wanted;

pub use look::{Position, look};
pub(crate) use look::{Told, is_apart};
pub use parts::parts;
pub use wanted::Wanted;

pub use crate::subscription::verification;
