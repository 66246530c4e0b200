//! What leaves: handing an item to the network, and what came of it.

use tern_base::{Entropy, Timestamp};
use tern_queue::{Ending, Item, LeaseId, Outcome, QueueId};

use crate::{Delivery, DeliveryError};

/// What the octets of a message ask of the server that takes it (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// Lines of ASCII.
    SevenBit,
    /// Lines with octets above 127.
    EightBitMime,
    /// NUL, a bare CR or LF, or lines over 998 octets.
    BinaryMime,
}

/// An item under lease, ready to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The item.
    pub item: Item,
    /// The message to send, its prefix included.
    pub content: Vec<u8>,
    /// What its octets ask of the next server.
    pub body: BodyType,
}

/// What was made of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Concluded {
    /// It is finished.
    Finished(Ending),
    /// It waits for another attempt, at this time.
    Retry(Timestamp),
    /// It is held.
    Held,
    /// The outcome changes nothing: the lease is another's, or the item is gone.
    Ignored,
}

impl Delivery {
    /// Items whose time has come, the longest waiting first.
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Item>, DeliveryError> {
        Ok(tern_queue::due(self.reader(), now, limit)?)
    }

    /// When the next item is due; `None` for an empty queue.
    pub fn next_due(&self) -> Result<Option<Timestamp>, DeliveryError> {
        Ok(tern_queue::next_due(self.reader())?)
    }

    /// Takes an item for one attempt of at most `lease_ms` milliseconds. `None` when there is
    /// nothing to send: it is another's, held, finished, or sealed for the outside.
    pub fn take(
        &self,
        id: QueueId,
        lease: LeaseId,
        now: Timestamp,
        lease_ms: u64,
    ) -> Result<Option<Outgoing>, DeliveryError> {
        let _ = (id, lease, now, lease_ms);
        Ok(None)
    }

    /// Records what came of an attempt, and in the same transaction tells the sender where that is
    /// due. `dsn_passed_on`: the remote server took the DSN parameters over (RFC 3461 5.2.1), so
    /// success is its to report.
    pub fn conclude(
        &self,
        id: QueueId,
        lease: LeaseId,
        outcome: &Outcome,
        dsn_passed_on: bool,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Concluded, DeliveryError> {
        let _ = (id, lease, outcome, dsn_passed_on, now, entropy);
        Ok(Concluded::Ignored)
    }
}
