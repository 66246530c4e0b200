//! Sockets: listeners, the limits at the door, and the task of one connection.
//!
//! Invariant: nothing here blocks a worker thread: whatever touches the store runs on the blocking
//! pool, and a slow client is waited for by its own task alone.

mod connect;
mod connection;
mod gate;
mod holder;
mod listener;
mod prefix;
mod reach;
mod stream;
mod turned_away;
mod turns;

pub(crate) use connect::connect;
pub(crate) use connection::{Served, Service, Shared, serve};
pub(crate) use gate::{Bounds, Gate, KINDS, Ticket};
pub(crate) use holder::Holder;
pub(crate) use listener::{bind, raise_file_limit};
pub(crate) use prefix::Network;
pub(crate) use reach::{Reach, is_public};
pub(crate) use stream::Stream;
pub(crate) use turned_away::TurnedAway;
pub(crate) use turns::{MIN_THREADS, SPARE_THREADS, Threads, Turn, Turns};
