//! What others share with a caller, without a server (RFC 8620 1.6.2, RFC 8621 2, RFC 9670).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../house/mod.rs"]
mod house;

mod follow;
mod mailbox;
mod push;
mod read;
mod rename;
mod share;
mod wish;
mod write;
