//! The kill campaign: the verbs of the main job run at once against the real server, which is
//! killed at a random point, started again and held against what it had acknowledged.
//!
//! What must hold after every kill: a message answered with 250 is in the mailbox of every
//! recipient, whole, and one that was not is in all of them or in none; an APPEND, MOVE or COPY
//! answered with OK is done; a message whose recall was reported is nowhere, and stays so unless it
//! is restored; what was relayed is never said to have been stopped, and what was stopped never
//! leaves; a recall that was asked for and one that was half done finish by themselves; a UID
//! names one message for ever, and none that was expunged comes back; what a client has fetched whole is
//! told of as exposed; `tern check` and `tern audit verify` find nothing wrong.
//!
//! Refuses to know the server's insides: it sees sockets and the command line only.

// A harness reads clocks, starts threads and panics: the bans are for the crates of the house.
#![allow(clippy::disallowed_methods)]

mod campaign;
mod identity;
mod ledger;
mod load;
mod random;
mod session;
mod sink;
mod verify;

pub use campaign::{Options, Report, run};
