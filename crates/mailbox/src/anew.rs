//! A store that was put back from a backup begins anew: what it gave out after the backup was made, and knows
//! nothing of, it must not give out again for something else.
//!
//! A client that knows UID 101 as one message would find another there, and delete that (RFC 9051 2.3.1.1).
//! So every mailbox gets a UIDVALIDITY that is greater than any it had, and that no other mailbox of its account
//! has: they may take each other's names later. Modseqs go on far behind those that
//! were told, and so do the ids of messages and mailboxes, which JMAP and OBJECTID never use again.
//!
//! Invariant: from the moment on that it is done for an account, nothing is given out for it that it may have
//! given out before. Doing it again is doing no harm. To be done before anybody is served.

use tern_base::{AccountId, Modseq, Timestamp};
use tern_store::{StoreError, Verdict, limits as store_limits};

use crate::rows::{AccountHead, MailboxRow};
use crate::{MailboxError, Upkeep, limits, share_notice, tables};

impl Upkeep {
    /// Has every account begin anew. Answers how many there are.
    pub fn begin_anew(&self, now: Timestamp) -> Result<usize, MailboxError> {
        let mut accounts = 0;
        let mut next = Some(tables::whole(tables::ACCOUNT));
        while let Some(range) = next {
            let page = self.0.engine.scan(&range, store_limits::MAX_PAGE)?;
            for (key, _) in &page.rows {
                let account = u32::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
                self.begin_account_anew(AccountId(account), now)?;
                accounts += 1;
            }
            next = page.next;
        }
        Ok(accounts)
    }

    fn begin_account_anew(&self, account: AccountId, now: Timestamp) -> Result<(), MailboxError> {
        // Nobody's state is one that this log leads on from.
        self.0.trim_log_to(account, 0)?;
        let Some(mut uid_validity) = self.skip_numbers(account, now)? else {
            return Ok(());
        };
        let mut next = Some(tables::whole_of(tables::MAILBOX, account));
        while let Some(range) = next {
            (next, uid_validity) =
                self.0
                    .in_lanes(&[account], |txn| -> Result<_, MailboxError> {
                        // Covered by the head, as every scan of the account.
                        txn.get(&tables::account(account))?;
                        let page = txn.scan(&range, limits::CHUNK)?;
                        let mut uid_validity = uid_validity;
                        for (key, row) in page.rows {
                            let row = MailboxRow {
                                uid_validity,
                                ..MailboxRow::decode(&row)?
                            };
                            txn.put(key, row.encode());
                            uid_validity = uid_validity.saturating_add(1);
                        }
                        Ok(Verdict::Commit((page.next, uid_validity)))
                    })?;
        }
        Ok(())
    }

    /// Goes on behind every number that may have been given out. Answers the first UIDVALIDITY of as many as
    /// there are mailboxes.
    fn skip_numbers(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<u32>, MailboxError> {
        self.0.in_lanes(&[account], |txn| {
            let key = tables::account(account);
            let Some(row) = txn.get(&key)? else {
                return Ok(Verdict::Abandon(None));
            };
            let head = AccountHead::decode(&row)?;
            let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
            let uid_validity = seconds.max(head.uid_validity.saturating_add(1));
            // Covered by the head that was read.
            let mailboxes = txn.scan(
                &tables::whole_of(tables::MAILBOX, account),
                store_limits::MAX_PAGE,
            )?;
            let mailboxes = u32::try_from(mailboxes.rows.len()).unwrap_or(u32::MAX);
            let modseq = Modseq(head.modseq.0.saturating_add(limits::SKIPPED_MODSEQS));
            let head = AccountHead {
                modseq,
                log_from: modseq,
                uid_validity: uid_validity.saturating_add(mailboxes),
                next_message: head.next_message.saturating_add(limits::SKIPPED_MESSAGES),
                next_mailbox: head.next_mailbox.saturating_add(limits::SKIPPED_MAILBOXES),
                ..head
            };
            txn.put(key, head.encode());
            share_notice::skip_numbers(txn, account)?;
            Ok(Verdict::Commit(Some(uid_validity)))
        })
    }
}
