//! Removing an account: from the directory's mark to its last row.
//!
//! Invariant: once an account is marked it will be gone. Nobody logs in to it and nothing is
//! delivered to it any more; whatever cuts the removal off, the next start goes on with it. Its id
//! is never given out again.
//!
//! Refuses to touch evidence: copies of it in the vault, what was served of its mail, and what it
//! sent, stay on record.

use tern_base::{AccountId, Fault, Timestamp};
use tern_directory::DirectoryError;
use tern_mailbox::{MailboxError, Upkeep};
use tern_recall::{RecallError, Recalls};
use tern_store::StoreError;

use crate::{Delivery, DeliveryError};

/// Why a removal was not finished; it is gone on with.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// What it had to be sent later, or its answers of being away.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// Its mailboxes.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// What it had asked for.
    #[error(transparent)]
    Recall(#[from] RecallError),
    /// Its row and what leads to it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The list of accounts can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RemovalError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Delivery(error) => error.fault(),
            Self::Mailbox(error) => error.fault(),
            Self::Recall(error) => error.fault(),
            Self::Directory(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

/// Removes accounts, from everywhere that has anything of them.
#[derive(Clone, Copy, Debug)]
pub struct Removals<'a> {
    /// What they had to be sent, and the list of accounts.
    pub delivery: &'a Delivery,
    /// Their mailboxes.
    pub upkeep: &'a Upkeep,
    /// What they had asked for.
    pub recalls: &'a Recalls,
}

impl Removals<'_> {
    /// Removes an account that was marked ([`tern_directory::begin_removal_in`]).
    pub fn finish(&self, account: AccountId, now: Timestamp) -> Result<(), RemovalError> {
        self.delivery.remove_outbox(account, now)?;
        self.delivery.remove_vacation(account)?;
        self.upkeep.remove_account(account, now)?;
        self.recalls.forget_triggers(account)?;
        // Last: while the account is in the directory, its removal can be found.
        tern_directory::remove_account(&*self.delivery.engine, account)?;
        Ok(())
    }

    /// Goes on with every removal that was cut off. Answers how many there were.
    pub fn resume(&self, now: Timestamp) -> Result<usize, RemovalError> {
        let (mut finished, mut from) = (0, Some(AccountId(0)));
        while let Some(next) = from {
            let page = tern_directory::list_accounts(self.delivery.reader(), next, 500)?;
            for account in page.accounts.iter().filter(|account| account.removing) {
                self.finish(account.id, now)?;
                finished += 1;
            }
            from = page.next;
        }
        Ok(finished)
    }
}
