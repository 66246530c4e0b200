//! Names that an account subscribed to and under which there is no mailbox any more: nobody but the client takes
//! a name off the list (RFC 9051 6.3.7). While there is a mailbox, its row says whether it is subscribed to.
//!
//! Invariant: a name comes here in the transaction that deletes the mailbox, and goes in the one that makes a
//! mailbox of that name. Refuses to keep names without end: past [`limits::MAX_SUBSCRIBED_NAMES`], or
//! [`limits::MAX_SUBSCRIBED_NAME`] octets, a subscription goes with its mailbox.

use tern_base::AccountId;
use tern_store::{StoreError, Verdict, limits as store_limits};

use crate::edit::Edit;
use crate::{MailboxError, Mailboxes, limits, tables};

impl Mailboxes {
    /// The names without a mailbox that an account is subscribed to.
    pub fn subscribed_names(&self, account: AccountId) -> Result<Vec<String>, MailboxError> {
        let range = tables::whole_of(tables::SUBSCRIBED_NAME, account);
        let page = self.engine.scan(&range, store_limits::MAX_PAGE)?;
        let name = |(key, _): (Vec<u8>, Vec<u8>)| {
            let name = tables::subscribed_name_of(&key).ok_or(StoreError::Damaged)?;
            Ok(name.to_owned())
        };
        page.rows.into_iter().map(name).collect()
    }

    /// Takes a name without a mailbox off the list.
    pub fn unsubscribe_name(&self, account: AccountId, path: &str) -> Result<(), MailboxError> {
        if path.len() > limits::MAX_SUBSCRIBED_NAME {
            return Ok(());
        }
        let key = tables::subscribed_name(account, path);
        self.transact(&[account], |txn| {
            if txn.get(&key)?.is_none() {
                return Ok(Verdict::Abandon(()));
            }
            txn.delete(key.clone());
            Ok(Verdict::Commit(()))
        })
    }
}

/// Keeps the name of a mailbox that is being deleted on the list.
pub(crate) fn keep(edit: &mut Edit<'_, '_>, path: &str) -> Result<(), MailboxError> {
    let range = tables::whole_of(tables::SUBSCRIBED_NAME, edit.account);
    let kept = edit.txn.scan(&range, limits::MAX_SUBSCRIBED_NAMES)?.rows;
    if path.len() <= limits::MAX_SUBSCRIBED_NAME && kept.len() < limits::MAX_SUBSCRIBED_NAMES {
        let key = tables::subscribed_name(edit.account, path);
        edit.txn.put(key, Vec::new());
    }
    Ok(())
}

/// Takes the name of a mailbox that is being made off the list. Whether it was on it.
pub(crate) fn take(edit: &mut Edit<'_, '_>, path: &str) -> Result<bool, MailboxError> {
    if path.len() > limits::MAX_SUBSCRIBED_NAME {
        return Ok(false);
    }
    let key = tables::subscribed_name(edit.account, path);
    let was_there = edit.txn.get(&key)?.is_some();
    if was_there {
        edit.txn.delete(key);
    }
    Ok(was_there)
}
