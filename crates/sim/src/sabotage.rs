//! Defects on purpose: each breaks one promise below the server, and the oracle must see it.

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
}

/// The table of what arrivals ask before they look at seals.
const SEAL: u8 = 0x1d;
/// The table of messages.
const MESSAGE: u8 = 0x14;
/// The table of what each client was served of a block of messages.
const SHEET: u8 = 0x7a;
/// The table of the vault.
const VAULT: u8 = 0x1c;

pub(crate) fn is_seal(key: &[u8]) -> bool {
    is_of(key, SEAL)
}

fn is_of(key: &[u8], table: u8) -> bool {
    key.first() == Some(&table)
}

impl Sabotage {
    pub(crate) fn swallows(self, batch: &Batch) -> bool {
        let puts = |table| {
            let put = |one: &Operation| matches!(one, Operation::Put(key, _) if is_of(key, table));
            batch.operations().iter().any(put)
        };
        let deletes = |table| {
            let delete =
                |one: &Operation| matches!(one, Operation::Delete(key) if is_of(key, table));
            batch.operations().iter().any(delete)
        };
        match self {
            Self::None | Self::ForgetSeals | Self::HideTombstones => false,
            Self::LoseArrivals => puts(MESSAGE),
            // What a client brings, or what is made of another, has its record with it.
            Self::LoseExposures => puts(SHEET) && !puts(MESSAGE),
            // What is stopped on arrival goes to the vault too, and was in no mailbox.
            Self::LoseWithdrawals => puts(VAULT) && deletes(MESSAGE),
        }
    }
}
