//! Rows of words: none speaks of a message that is not there.

use tern_base::{AccountId, MessageId};
use tern_store::StoreError;
use tern_store::key::KeyReader;

use super::Seen;
use crate::rows::AccountHead;
use crate::slots::{Slots, first_of};
use crate::words::{Covered, Row};
use crate::{MailboxError, Mailboxes, tables};

impl Mailboxes {
    /// Every row of words can be read, speaks of messages that are in its account, and stands in an account that
    /// says that there are such rows.
    pub(super) fn check_words(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        self.look_at_each(tables::whole(tables::WORDS), seen, |seen, key, row| {
            self.check_words_row(key, row, seen)
        })
    }

    fn check_words_row(&self, key: &[u8], row: &[u8], seen: &mut Seen) -> Result<(), MailboxError> {
        let mut parts = KeyReader::new(key);
        let (Some(account), Some(block)) = (parts.u32(), parts.u64()) else {
            return Err(StoreError::Damaged.into());
        };
        let (account, first) = (
            AccountId(account),
            first_of(block).ok_or(StoreError::Damaged)?,
        );
        let covered = Covered::of(row);
        // One of an earlier version can be read no further, and is made anew.
        let is_whole =
            covered.is_ok() && (Row::is_of_other_version(row) || Row::decode(row).is_ok());
        if !is_whole {
            seen.fault(format!(
                "account {account}: words of block {block} can't be read"
            ));
        }
        let head = self.engine.get(&tables::account(account))?;
        let head = head.map(|head| AccountHead::decode(&head)).transpose()?;
        if head.is_some_and(|head| !head.has_words) {
            seen.fault(format!("account {account}: has words and does not say so"));
        }
        for slot in covered.unwrap_or_default().there.each() {
            let message = MessageId(first.0 + u64::from(Slots::number(slot)));
            if self
                .engine
                .get(&tables::message(account, message))?
                .is_none()
            {
                seen.fault(format!("account {account}: words of no message {message}"));
            }
        }
        Ok(())
    }
}
