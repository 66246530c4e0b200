//! Queries of submissions and recalls, and clients that follow them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod client;
#[path = "../house/mod.rs"]
mod house;
mod recall;
mod submission;
