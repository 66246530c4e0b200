//! The roll of a block of messages: which clients were served any of them, the most that was served of
//! each, and which of them are gone.
//!
//! Invariants: the most that was served of a message is the highest level that any client's
//! [`Sheet`](crate::sheet::Sheet) has of it. At most [`limits::MAX_BLOCK_CLIENTS`] clients have a sheet of
//! their own; what is served to further ones is on one that they share. A message that its owner
//! removed is gone here from the same commit on, and one whose letter came to many after it was there
//! ([`crate::wide`]) is said to be on record by letter, so that a record which is made at that moment is
//! a conflict.

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, MessageId, Timestamp};
use tern_store::Transaction;

use crate::slots::{BySlot, Slots, block_of};
use crate::{ExposureLevel, MailboxError, limits, tables};

const VERSION: u8 = 2;

/// The sheet that clients share which are too many to be told apart.
pub(crate) const OTHERS: u8 = u8::MAX;

/// A short name of a client with its version, protocol and address.
pub(crate) type ClientKey = [u8; 16];

/// The most that was served of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) level: ExposureLevel,
    /// When that level was first reached.
    pub(crate) at: Timestamp,
    /// By the client with this sheet.
    pub(crate) client: u8,
}

/// What is on record of a block, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roll {
    clients: Vec<ClientKey>,
    /// There is a sheet that clients share, though there may be room for more that have their own.
    is_shared: bool,
    pub(crate) most: BySlot<Most>,
    pub(crate) gone: Slots,
    pub(crate) by_letter: Slots,
}

impl Roll {
    /// The sheet of a client, if it has one.
    pub(crate) fn client(&self, key: &ClientKey) -> Option<u8> {
        let place = self.clients.iter().position(|known| known == key);
        let is_full = self.clients.len() >= limits::MAX_BLOCK_CLIENTS;
        place.map(|place| place as u8).or(is_full.then_some(OTHERS))
    }

    /// The same; it gets one where it has none, and the answer says so.
    pub(crate) fn enlist(&mut self, key: &ClientKey) -> (u8, bool) {
        match self.client(key) {
            Some(client) => (client, false),
            None => {
                self.clients.push(*key);
                ((self.clients.len() - 1) as u8, true)
            }
        }
    }

    /// What distinguishes a client that has a sheet of its own.
    pub(crate) fn key_of(&self, client: u8) -> Option<&ClientKey> {
        self.clients.get(usize::from(client))
    }

    /// Says that there is a sheet which clients share.
    pub(crate) const fn share(&mut self) {
        self.is_shared = true;
    }

    /// All sheets that there may be.
    pub(crate) fn sheets(&self) -> impl Iterator<Item = u8> {
        let is_shared = self.is_shared || self.clients.len() >= limits::MAX_BLOCK_CLIENTS;
        let apart = 0..self.clients.len() as u8;
        apart.chain(is_shared.then_some(OTHERS))
    }

    /// Notes the level of some messages where it is more than before. Answers whether it is.
    pub(crate) fn raise(&mut self, slots: Slots, to: Most) -> bool {
        self.most.change(slots, |old| {
            old.is_none_or(|old| old.level < to.level).then_some(to)
        })
    }

    /// Reads a row within a transaction, which depends on it.
    pub(crate) fn of(
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
    ) -> Result<Self, MailboxError> {
        let row = txn.get(&tables::roll(account, block_of(message)))?;
        Ok(Self::decoded(row.as_deref())?)
    }

    /// What a row says that may not be there.
    pub(crate) fn decoded(row: Option<&[u8]>) -> Result<Self, Damaged> {
        row.map_or_else(|| Ok(Self::default()), Self::decode)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::versioned(VERSION);
        w.byte(self.is_shared.into());
        w.list(&self.clients, |w, key| {
            w.array(key);
        });
        w.list(&self.most.0, |w, (slots, most)| {
            slots.write(w);
            w.byte(most.level as u8).number(most.at.0).byte(most.client);
        });
        // Most often there are none.
        for set in [self.gone, self.by_letter] {
            w.option((!set.is_empty()).then_some(set), |w, set| set.write(w));
        }
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(bytes, VERSION)?;
        let is_shared = r.byte()? != 0;
        let clients = r.list(Reader::array)?;
        let most = r.list(|r| {
            let slots = Slots::read(r)?;
            let level = ExposureLevel::from_number(r.byte()?)?;
            let at = Timestamp(r.number()?);
            let client = r.byte()?;
            Ok((slots, Most { level, at, client }))
        })?;
        let gone = r.option(Slots::read)?.unwrap_or_default();
        let by_letter = r.option(Slots::read)?.unwrap_or_default();
        Ok(Self {
            clients,
            is_shared,
            most: BySlot(most),
            gone,
            by_letter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_all_that_it_can_hold_is_read_as_it_was_written() {
        let mut roll = Roll::default();
        for n in 0..=u8::MAX {
            let (client, _) = roll.enlist(&[n; 16]);
            let apart = usize::from(n) < limits::MAX_BLOCK_CLIENTS;
            assert_eq!(client, if apart { n } else { OTHERS });
        }
        assert_eq!(roll.sheets().count(), limits::MAX_BLOCK_CLIENTS + 1);
        for id in 0..64 {
            let slot = Slots::of(MessageId(id));
            let most = |level| Most {
                level,
                at: Timestamp(u64::MAX - id),
                client: OTHERS,
            };
            assert!(roll.raise(slot, most(ExposureLevel::Body)));
            assert!(!roll.raise(slot, most(ExposureLevel::Body)), "not more");
            assert!(roll.raise(slot, most(ExposureLevel::Relayed)));
            roll.gone = roll.gone.with(slot);
            roll.by_letter = roll.by_letter.with(slot);
        }
        roll.share();
        let row = roll.encode();
        assert!(row.len() <= limits::MAX_ROLL_ROW, "{}", row.len());
        assert_eq!(Roll::decode(&row), Ok(roll));
    }
}
