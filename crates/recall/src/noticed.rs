//! Who got a notice of a recall: one row for each account that was to, written in the transaction that
//! lands it.
//!
//! Refuses to say it where exposure is not told: who gets one by default is who had opened the message.

use std::collections::HashMap;

use tern_base::codec::{Damaged, Reader, Writer};
use tern_base::{AccountId, Timestamp};
use tern_store::Transaction;

use crate::status::each_row;
use crate::{RecallError, RecallId, Recalls, tables};

/// What came of the notice to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// When it was written.
    pub at: Timestamp,
    /// Whether it is in the inbox; else the mailbox was full, or the account gone.
    pub landed: bool,
}

impl Noticed {
    /// The name that reports and the API use.
    pub const fn code(self) -> &'static str {
        code(self.landed)
    }

    pub(crate) fn put_in(self, txn: &mut Transaction<'_>, id: RecallId, account: AccountId) {
        let mut w = Writer::versioned(1);
        w.number(self.at.0).byte(self.landed.into());
        txn.put(tables::noticed(id, account), w.finish());
    }

    fn decode(row: &[u8]) -> Result<Self, Damaged> {
        let mut r = Reader::of_version(row, 1)?;
        Ok(Self {
            at: Timestamp(r.number()?),
            landed: r.byte()? != 0,
        })
    }
}

/// The name of what came of a notice.
pub(crate) const fn code(landed: bool) -> &'static str {
    match landed {
        true => "sent",
        false => "not-accepted",
    }
}

/// The sentence for people.
pub(crate) const fn sentence(landed: bool) -> &'static str {
    match landed {
        true => "A notice was sent.",
        false => "A notice was not accepted: the mailbox is full, or gone.",
    }
}

impl Recalls {
    /// What came of the notices of a recall, by account.
    pub fn noticed(&self, id: RecallId) -> Result<HashMap<AccountId, Noticed>, RecallError> {
        let mut all = HashMap::new();
        each_row(&*self.engine, tables::noticed_of(id), |key, row| {
            all.insert(tables::read_noticed(key)?, Noticed::decode(row)?);
            Ok(())
        })?;
        Ok(all)
    }
}
