//! What waits to leave this server: one item for each outside recipient of a message.
//!
//! An item is ready, held, or in flight under a lease. The shell asks what is [`due`], takes a
//! [`lease()`] before it talks to the network, and records what came of it. A lease that ends
//! without a record (a crash) makes the item due again, and says for good that a copy may have left.
//! Finished items stay as small history rows for a while, so that it can be said how each ended and
//! what the remote server answered.
//!
//! Invariants:
//! - Every verb is idempotent by id (and by lease), so that it can be repeated after a lost answer.
//! - An item in flight is never cancelled silently: the caller is told, and what it asked for
//!   happens once the attempt has ended.
//! - A finished item never becomes live again.
//!
//! Refuses to count references to content: `enqueue_in`, `record_in` and `cancel_in` work inside
//! the caller's transaction and hand out the item, so that the caller links and unlinks its blob
//! (and files a bounce) in the same commit.

pub mod cancel;
pub mod check;
pub mod due_now;
pub mod enqueue;
pub mod hold;
pub mod item;
pub mod lease;
pub mod limits;
pub mod list;
pub mod prune;
pub mod record;
pub mod schedule;
mod tables;
mod together;

pub use cancel::{Cancelled, cancel, cancel_in};
pub use check::check;
pub use due_now::due_now_in;
pub use enqueue::{NewItem, QueueError, enqueue, enqueue_in};
pub use hold::{Held, Released, hold, hold_in, release, release_in};
pub use item::{
    AfterFlight, Dsn, DsnReturn, Ending, Finished, Item, LeaseId, Notify, QueueId, Reply, State,
};
pub use lease::{DuePlace, Leased, due, each_due, each_due_from, end_leases, lease, lease_in};
pub use list::{ListPage, Status, by_origin, by_origin_in, list, next_due_after, status};
pub use prune::prune;
pub use record::{Outcome, Recorded, record, record_in};
pub use schedule::Schedule;
