//! Taking a message over.

use tern_base::{Entropy, Timestamp};

use crate::{Accepted, Delivery, DeliveryError, Incoming};

impl Delivery {
    /// Takes a message over: on return it is durable, and every recipient has it, will have it,
    /// or is reported to the sender.
    pub fn accept(
        &self,
        incoming: Incoming,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, DeliveryError> {
        let _ = (incoming, now, entropy);
        Err(DeliveryError::NoRecipients)
    }

    /// Goes on with fan-outs that were cut off: at start, and now and then. Answers those that it
    /// finished.
    pub fn resume(
        &self,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Accepted>, DeliveryError> {
        let _ = (now, entropy);
        Ok(Vec::new())
    }
}
