//! Forgetting the oldest changes of an account, so that its change log is bounded.
//!
//! The log tells what changed since a moment, and its oldest part is of use to nobody but a client that
//! was away for long. Such a client is told that the changes are not known any more: JMAP has
//! `cannotCalculateChanges` for that (RFC 8620 5.2), and QRESYNC tells what of all UIDs is not there
//! (RFC 7162 3.2.5.2). What is there, with which flags and modseqs, is in the placements. No seal,
//! withdrawal or record of what was served depends on the log.
//!
//! Invariant: the log has every change after [`AccountHead::log_from`], and how many they are is in the head;
//! whoever asks for those after an older moment is refused, never answered in part.

use std::sync::atomic::Ordering;

use tern_base::{AccountId, Modseq};
use tern_store::{StoreError, Transaction, Verdict, limits as store_limits};

use crate::error::PassedOver;
use crate::rows::{AccountHead, ChangeRow};
use crate::{MailboxError, Mailboxes, Upkeep, limits, tables};

impl Upkeep {
    /// Trims the change logs of the next accounts, a page of them: those behind the ones of the last call,
    /// and after the last account the first ones. To be called now and then. Answers how many were
    /// trimmed.
    pub fn trim_logs(&self) -> Result<usize, MailboxError> {
        let mut range = tables::whole(tables::ACCOUNT);
        let from = AccountId(self.0.trim_from.load(Ordering::Relaxed));
        range.start = range.start.max(tables::account(from));
        let page = self.0.engine.scan(&range, store_limits::MAX_PAGE)?;
        let (mut trimmed, mut next) = (0, 0);
        let mut damaged = PassedOver::default();
        for (key, row) in &page.rows {
            let account = u32::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
            next = account.saturating_add(1);
            let has_too_many = || -> Result<bool, MailboxError> {
                Ok(AccountHead::decode(row)?.logged > self.0.logged_changes
                    && self.0.trim_log(AccountId(account))?)
            };
            trimmed += usize::from(damaged.pass_over(has_too_many())?.unwrap_or(false));
        }
        let behind = if page.next.is_some() { next } else { 0 };
        self.0.trim_from.store(behind, Ordering::Relaxed);
        damaged.answer(trimmed)
    }
}

impl Mailboxes {
    /// The same with another bound on the changes of an account that are remembered, for tests.
    #[must_use]
    pub const fn remembering(mut self, changes: u64) -> Self {
        self.logged_changes = changes;
        self
    }

    /// Forgets the oldest changes of an account that has too many, in as many transactions as it takes.
    /// Answers whether it had.
    pub fn trim_log(&self, account: AccountId) -> Result<bool, MailboxError> {
        self.trim_log_to(account, self.logged_changes)
    }

    /// The same until it has so many at the most.
    pub(crate) fn trim_log_to(&self, account: AccountId, most: u64) -> Result<bool, MailboxError> {
        let mut any = false;
        while self.in_lanes(&[account], |txn| trim_some(txn, account, most))? {
            any = true;
        }
        Ok(any)
    }
}

/// Answers whether it forgot any.
fn trim_some(
    txn: &mut Transaction<'_>,
    account: AccountId,
    most: u64,
) -> Result<Verdict<bool>, MailboxError> {
    let key = tables::account(account);
    let Some(row) = txn.get(&key)? else {
        // It is on its way out, and its log with it.
        return Ok(Verdict::Abandon(false));
    };
    let mut head = AccountHead::decode(&row)?;
    let (before, oldest) = (head.logged, tables::changes_after(account, Modseq(0)));
    // Covered by the head that was read, as every scan of the account.
    for (key, row) in txn.scan(&oldest, limits::TRIMMED_ROWS)?.rows {
        if head.logged <= most {
            break;
        }
        let modseq = u64::from_be_bytes(*key.last_chunk().ok_or(StoreError::Damaged)?);
        let changes = ChangeRow::decode(&row)?.0.len() as u64;
        head.logged = head.logged.saturating_sub(changes);
        head.log_from = Modseq(modseq);
        txn.delete(key);
    }
    if head.logged == before {
        return Ok(Verdict::Abandon(false));
    }
    txn.put(key, head.encode());
    Ok(Verdict::Commit(true))
}
