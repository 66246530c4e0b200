//! Setting a keyword for the first time: what a client does once only for a message (its disposition
//! notification, RFC 8098 2.1) is claimed by that, whoever else is about to do the same.
//!
//! Invariant: of any number of callers, by either protocol, one is the first.

use tern_base::{AccountId, MessageId};
use tern_store::{StoreError, Verdict};

use crate::edit::Edit;
use crate::flag::TOO_MANY_KEYWORDS;
use crate::{MailboxError, Mailboxes};

impl Mailboxes {
    /// Sets a keyword wherever a message is shown. False where one of those places has it already.
    pub fn flag_once(
        &self,
        account: AccountId,
        message: MessageId,
        keyword: &str,
    ) -> Result<bool, MailboxError> {
        self.transact(&[account], |txn| {
            let mut edit = Edit::begin(txn, account)?;
            let row = edit.message(message)?;
            let row = row.filter(|row| !row.placements.is_empty());
            let row = row.ok_or(MailboxError::NoMessage)?;
            if self.is_sealed(account, &row) {
                return Err(MailboxError::Sealed);
            }
            for (mailbox, uid) in &row.placements {
                let old = edit.placement(*mailbox, *uid)?;
                let old = old.ok_or(StoreError::Damaged)?;
                if old.flags.has_keyword(keyword) {
                    return Ok(Verdict::Abandon(false));
                }
                let mut flags = old.flags.clone();
                if !flags.add_keyword(keyword) {
                    return Err(TOO_MANY_KEYWORDS);
                }
                edit.reflag(*mailbox, *uid, old, flags)?;
            }
            edit.finish();
            Ok(Verdict::Commit(true))
        })
    }
}
