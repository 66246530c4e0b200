//! Whoever has a message taken back is there: an operator at the server, or an account that is not
//! being removed.
//!
//! Invariant: a seal that an account asked for falls before the account's removal begins, or not at
//! all; and with the roles by which it was judged, or not at all.

use tern_store::{StoreError, Transaction};

use crate::{RecallError, Recalls, Requester};

impl Recalls {
    /// Whether whoever asks is there.
    pub(crate) fn is_there(&self, requester: &Requester) -> Result<bool, RecallError> {
        Ok(match requester.account {
            Some(account) => tern_directory::has_account(&*self.engine, account)?,
            None => true,
        })
    }
}

/// Whether whoever asks is there, and the roles are those by which they were judged, when there were so many
/// grants: in the transaction that does what they ask for.
pub(crate) fn is_as_judged_in(
    txn: &mut Transaction<'_>,
    requester: &Requester,
    grants: u64,
) -> Result<bool, StoreError> {
    if tern_directory::grant_count_in(txn)? != grants {
        return Ok(false);
    }
    match requester.account {
        Some(account) => tern_directory::has_account_in(txn, account),
        None => Ok(true),
    }
}
