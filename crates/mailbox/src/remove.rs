//! Removing an account with everything that is its own.
//!
//! Invariant: from the first transaction on the account is in no verb's sight and nothing more
//! comes in; what is left of it is on the list of what is still to go until nothing is.
//!
//! Refuses to touch the vault: a copy there is kept on behalf of its tag, not of the account. What
//! was served of messages that are gone stays on record too, as after any deletion.

use tern_base::{AccountId, MailboxId, MessageId, Modseq, Timestamp};
use tern_store::{Transaction, Verdict, limits as store_limits};

use crate::rows::{MessageRow, PlacementRow, VaultPlacementRow};
use crate::{Grantee, MailboxError, Mailboxes, Upkeep, blob, keep, limits, record, tables};

/// Stands for the whole account on the list of mailboxes that are to go.
pub(crate) const EVERYTHING: MailboxId = MailboxId(0);

/// Tables whose keys begin with the account, once its messages are gone. The list itself is last.
const TABLES: [u8; 12] = [
    tables::PLACEMENT,
    tables::COUNTERS,
    tables::CHANGE,
    tables::THREAD_KEY,
    tables::THREAD,
    tables::MARKED,
    tables::BROUGHT,
    tables::DEVICE,
    tables::SUBSCRIBED,
    tables::SUBSCRIBED_NAME,
    tables::SHARE_NOTICE,
    tables::WORDS,
];

impl Upkeep {
    /// Removes an account's mailboxes and messages for good. Doing it again changes nothing. Copies
    /// in the vault stay there.
    ///
    /// The account is gone in one transaction; its rows are then removed in chunks, after a crash
    /// by [`Upkeep::finish_deletions`]. Its id must never be given out again.
    pub fn remove_account(&self, account: AccountId, now: Timestamp) -> Result<(), MailboxError> {
        self.0.transact(&[account], |txn| {
            let key = tables::account(account);
            if txn.get(&key)?.is_none() {
                return Ok::<_, MailboxError>(Verdict::Abandon(()));
            }
            txn.delete(key);
            // Covered by the head that was read, as every scan of the account.
            let mailboxes = tables::whole_of(tables::MAILBOX, account);
            for (key, _) in txn.scan(&mailboxes, store_limits::MAX_PAGE)?.rows {
                txn.delete(key);
            }
            txn.put(tables::doomed(account, EVERYTHING), Vec::new());
            Ok(Verdict::Commit(()))
        })?;
        self.0.erase_account(account, now)
    }
}

impl Mailboxes {
    /// Whether an account is there, within a transaction: not from the moment on that its removal begins.
    pub fn has_account_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
    ) -> Result<bool, MailboxError> {
        Ok(txn.get(&tables::account(account))?.is_some())
    }

    /// Removes what is left of an account whose removal was begun.
    pub(crate) fn erase_account(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        self.drop_grants(Grantee::Account(account))?;
        while self.transact(&[account], |txn| self.erase_some(txn, account, now))? {}
        Ok(())
    }
}

impl Mailboxes {
    /// Removes some rows of an account that is to go. Answers whether there may be more.
    fn erase_some(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Verdict<bool>, MailboxError> {
        if txn.get(&tables::doomed(account, EVERYTHING))?.is_none() {
            return Ok(Verdict::Abandon(false));
        }
        let messages = txn.scan(&tables::whole_of(tables::MESSAGE, account), limits::CHUNK)?;
        if !messages.rows.is_empty() {
            for (key, _) in &messages.rows {
                let id = key.last_chunk().ok_or(tern_store::StoreError::Damaged)?;
                self.erase(txn, account, MessageId(u64::from_be_bytes(*id)), now)?;
                if txn.size() >= limits::VAULT_CHUNK_BYTES {
                    break;
                }
            }
            return Ok(Verdict::Commit(true));
        }
        if Self::drop_grants_by_in(txn, account)? || crate::upload::erase_in(txn, account, now)? {
            return Ok(Verdict::Commit(true));
        }
        for table in TABLES {
            let page = txn.scan(&tables::whole_of(table, account), store_limits::MAX_PAGE)?;
            if !page.rows.is_empty() {
                page.rows.into_iter().for_each(|(key, _)| txn.delete(key));
                return Ok(Verdict::Commit(true));
            }
        }
        // No more of them than there may be mailboxes.
        let doomed = txn.scan(
            &tables::whole_of(tables::DOOMED, account),
            store_limits::MAX_PAGE,
        )?;
        doomed.rows.into_iter().for_each(|(key, _)| txn.delete(key));
        Ok(Verdict::Commit(false))
    }

    /// Removes a message of an account that is to go; what must be kept goes to the vault.
    pub(crate) fn erase(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        let key = tables::message(account, message);
        let Some(row) = txn.get(&key)? else {
            return Ok(());
        };
        let row = MessageRow::decode(&row)?;
        let mut last = Vec::with_capacity(row.placements.len());
        for (mailbox, uid) in &row.placements {
            let key = tables::placement(account, *mailbox, *uid);
            let placement = txn.get(&key)?.ok_or(tern_store::StoreError::Damaged)?;
            last.push(VaultPlacementRow::of(&PlacementRow::decode(&placement)?));
            txn.delete(key);
        }
        record::leave_for_good(txn, (row.digest, account, message), row.origin)?;
        txn.delete(key);
        txn.delete(tables::thread(account, row.thread, message));
        txn.delete(tables::copy(row.digest, account, message));
        crate::carried::forget(txn, account, message, &row);
        // The head is gone that would say whether there are any.
        crate::words::drop_in(txn, account, message);
        if self.keeps(txn, account, &row, now)? {
            // The account is gone, and its change log with it.
            keep::keep_in(txn, account, message, row, last, (Modseq(0), now));
            return Ok(());
        }
        blob::unlink(txn, row.blob, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_keys_fits_a_batch() {
        let longest = tables::thread_key(AccountId(1), &[0; 16]).len();
        assert!(longest * store_limits::MAX_PAGE <= store_limits::MAX_BATCH);
    }
}
