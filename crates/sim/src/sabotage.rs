//! Defects on purpose: each breaks one promise below the server, and the oracle must see it.

use std::ops::Range;

use tern_store::{Batch, Operation};

/// A defect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    #[default]
    None,
    /// A seal is forgotten in memory whenever it is durable: reads are no longer refused.
    ForgetSeals,
    /// Arriving content does not see the tombstones.
    HideTombstones,
    /// Commits that bring a message are answered as done and lost.
    LoseArrivals,
    /// Records of what was served are answered as done and lost.
    LoseExposures,
    /// The withdrawal of copies is answered as done and lost.
    LoseWithdrawals,
    /// Holds are placed, and the purge does not know of them.
    LoseHolds,
    /// Outcomes are written without their entries in the audit log.
    LoseEntries,
    /// What is put back stays away, and its outcome says that it is back.
    LoseRestores,
}

/// The table of what arrivals ask before they look at seals.
const SEAL: u8 = 0x1d;
/// The table of messages.
const MESSAGE: u8 = 0x14;
/// The table of what each client was served of a block of messages.
const SHEET: u8 = 0x7a;
/// The table of the vault.
const VAULT: u8 = 0x1c;

/// The table of where messages are shown.
const PLACEMENT: u8 = 0x13;
/// The tables of the audit log.
const AUDIT: Range<u8> = 0x40..0x4b;
/// The table of outcomes.
const OUTCOME: u8 = 0x57;
/// The table of holds.
const HOLD: u8 = 0x91;

pub(crate) fn is_seal(key: &[u8]) -> bool {
    is_of(key, SEAL)
}

fn is_of(key: &[u8], table: u8) -> bool {
    key.first() == Some(&table)
}

impl Sabotage {
    pub(crate) fn swallows(self, batch: &Batch) -> bool {
        match self {
            Self::LoseArrivals => has(batch, puts, MESSAGE),
            // What a client brings, or what is made of another, has its record with it.
            Self::LoseExposures => has(batch, puts, SHEET) && !has(batch, puts, MESSAGE),
            // What is stopped on arrival goes to the vault too, and was in no mailbox.
            Self::LoseWithdrawals => has(batch, puts, VAULT) && has(batch, deletes, MESSAGE),
            _ => false,
        }
    }

    /// Whether a part of a batch that is written otherwise is lost.
    pub(crate) fn leaves_out(self, one: &Operation, batch: &Batch) -> bool {
        match self {
            Self::LoseHolds => puts(one, HOLD),
            Self::LoseEntries => is_entry(one) && has(batch, puts, OUTCOME),
            Self::LoseRestores => puts(one, PLACEMENT) && has(batch, deletes, VAULT),
            _ => false,
        }
    }
}

fn has(batch: &Batch, is: fn(&Operation, u8) -> bool, table: u8) -> bool {
    batch.operations().iter().any(|one| is(one, table))
}

/// Whether it is a part of what is appended to the audit log.
fn is_entry(one: &Operation) -> bool {
    AUDIT.into_iter().any(|table| puts(one, table))
}

fn puts(one: &Operation, table: u8) -> bool {
    matches!(one, Operation::Put(key, _) if is_of(key, table))
}

fn deletes(one: &Operation, table: u8) -> bool {
    matches!(one, Operation::Delete(key) if is_of(key, table))
}
