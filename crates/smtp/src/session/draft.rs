//! An envelope in the making: each recipient once, within the server's memory for mail.
//!
//! Invariant: what it holds beyond its first piece of memory is set aside, for as long as it, or the
//! message that it becomes, is held.

use std::collections::HashSet;

use tern_base::{AccountId, EmailAddress};
use tern_session::{ContentMemory, Reservation};

use crate::envelope::{Envelope, Recipient};
use crate::limits::RESERVATION_STEP;

/// About what a recipient takes beyond its texts, in octets.
const OVERHEAD: usize = 256;

/// Between MAIL and the content.
pub(super) struct Draft {
    pub(super) envelope: Envelope,
    named: HashSet<String>,
    octets: usize,
    reservations: Vec<Reservation>,
}

impl Draft {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self {
            envelope,
            named: HashSet::new(),
            octets: 0,
            reservations: Vec::new(),
        }
    }

    /// Whether this recipient is in it.
    pub(super) fn names(&self, address: &EmailAddress) -> bool {
        self.named.contains(&address.to_string())
    }

    /// Adds a recipient. Answers whether there was memory for it.
    pub(super) fn add(
        &mut self,
        recipient: Recipient,
        account: Option<AccountId>,
        memory: &dyn ContentMemory,
    ) -> bool {
        let name = recipient.address.to_string();
        let original = recipient.orcpt.as_ref();
        let original = original.map_or(0, |original| original.kind.len() + original.address.len());
        let octets = self.octets + OVERHEAD + 2 * name.len() + original;
        if octets / RESERVATION_STEP > self.reservations.len() {
            match memory.reserve(account, RESERVATION_STEP as u64) {
                Some(reservation) => self.reservations.push(reservation),
                None => return false,
            }
        }
        self.octets = octets;
        self.named.insert(name);
        self.envelope.recipients.push(recipient);
        true
    }

    /// The envelope, and the memory that is set aside for it.
    pub(super) fn finish(self) -> (Envelope, Vec<Reservation>) {
        (self.envelope, self.reservations)
    }
}
