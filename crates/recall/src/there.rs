//! Whoever has a message taken back is there: an operator at the server, or an account that is not
//! being removed.
//!
//! Invariant: a seal that an account asked for falls before the account's removal begins, or not at
//! all; and while roles, groups and delegates are those by which it was judged, or not at all. So it is with
//! whatever frees, ends or undoes a recall.
//!
//! Refuses to compare policies: a question that was decided stays decided by the set that was in force then.

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

/// Whether whoever asks is there, and the roles are those by which they were judged, when they had changed so
/// often: in the transaction that does what they ask for.
pub(crate) fn is_as_judged_in(
    txn: &mut Transaction<'_>,
    requester: &Requester,
    role_changes: u64,
) -> Result<bool, StoreError> {
    if tern_directory::role_changes_in(txn)? != role_changes {
        return Ok(false);
    }
    match requester.account {
        Some(account) => tern_directory::has_account_in(txn, account),
        None => Ok(true),
    }
}
