//! How much of what arrives under a seal an account keeps in the vault.
//!
//! A letter can be brought again and again, and nobody's quota counts the vault: so of the letter
//! itself a few copies are enough. What carries it is a message of its own with words of its own, and
//! is kept up to a bound in octets.
//!
//! Invariant: what is counted is what arrived under the tag, and is still there: never what was
//! withdrawn under it. The index of the vault says which is which.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MessageId};
use tern_store::Transaction;

use crate::{Carriage, MailboxError, SealTag, limits, tables};

/// One copy in the vault that arrived under its tag's seal, as the index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// It carries the letter, and is not the letter.
    carries: bool,
    octets: u32,
}

impl Arrived {
    pub(crate) fn new(carriage: Option<Carriage>, octets: u32) -> Self {
        let carries = carriage.is_some();
        Self { carries, octets }
    }

    fn encode(self) -> Vec<u8> {
        let mut w = Writer::versioned(1);
        w.byte(self.carries.into()).number(self.octets.into());
        w.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, 1)?;
        Ok(Self {
            carries: r.byte()? != 0,
            octets: r.number32()?,
        })
    }

    /// What it counts for: the shortest messages cost rows, too.
    fn charge(self) -> u64 {
        u64::from(self.octets).max(limits::LEAST_KEPT_CARRIER)
    }

    /// Whether there is room for it beside what arrived before. The account's head, which every
    /// arrival changes, covers the rows that are counted.
    pub(crate) fn has_room(
        self,
        txn: &mut Transaction<'_>,
        tag: SealTag,
        account: AccountId,
    ) -> Result<bool, MailboxError> {
        let range = tables::vaulted_of(tag, account);
        // Several messages may arrive in one transaction.
        let written: Vec<Vec<u8>> = txn.written(&range).map(<[u8]>::to_vec).collect();
        let (mut letters, mut carriers) = (0, 0);
        let mut count = |row: &[u8]| {
            if row.is_empty() {
                return Ok(());
            }
            let arrived = Self::decode(row)?;
            match arrived.carries {
                true => carriers += arrived.charge(),
                false => letters += 1,
            }
            Ok::<_, Damaged>(())
        };
        for key in written {
            count(&txn.get(&key)?.unwrap_or_default())?;
        }
        let mut next = Some(range);
        while let Some(range) = next {
            let page = txn.scan(&range, tern_store::limits::MAX_PAGE)?;
            for (_, row) in &page.rows {
                count(row)?;
            }
            next = page.next;
        }
        Ok(match self.carries {
            true => carriers + self.charge() <= limits::MAX_KEPT_CARRIERS,
            false => letters < limits::MAX_KEPT_ARRIVALS,
        })
    }

    /// Says of a copy that was put into the vault that it arrived.
    pub(crate) fn note(
        self,
        txn: &mut Transaction<'_>,
        tag: SealTag,
        account: AccountId,
        message: MessageId,
    ) {
        txn.put(tables::vaulted(tag, account, message), self.encode());
    }
}
