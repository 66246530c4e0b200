//! Whoever has a message taken back is there: an operator at the server, or an account that is not
//! being removed.
//!
//! Invariant: a seal that an account asked for falls before the account's removal begins, or not at
//! all; and who has approved it is there as well.

use tern_store::{StoreError, Transaction};

use crate::{Approval, RecallError, Recalls, Requester};

impl Recalls {
    /// Whether whoever asks is there.
    pub(crate) fn is_there(&self, requester: &Requester) -> Result<bool, RecallError> {
        Ok(match requester.account {
            Some(account) => tern_directory::has_account(&*self.engine, account)?,
            None => true,
        })
    }

    /// How many approvals count: an account that is gone or disabled by now may be so because it was
    /// somebody else's hand.
    pub(crate) fn counted(&self, approvals: &[Approval]) -> Result<u32, RecallError> {
        let mut counted = 0;
        for approval in approvals {
            let counts = match approval.account {
                Some(account) => {
                    let known = tern_directory::account(&*self.engine, account)?;
                    known.is_some_and(|known| !known.removing && !known.disabled)
                }
                None => true,
            };
            counted += u32::from(counts);
        }
        Ok(counted)
    }
}

/// Whether whoever asks is there, in the transaction that does what they ask for.
pub(crate) fn is_there_in(
    txn: &mut Transaction<'_>,
    requester: &Requester,
) -> Result<bool, StoreError> {
    match requester.account {
        Some(account) => tern_directory::has_account_in(txn, account),
        None => Ok(true),
    }
}
