//! `/query` and `/queryChanges` through whole requests.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod email;
mod history;
mod house;
mod mailbox;
mod served;
mod words;
