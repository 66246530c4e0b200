//! Keeping rows of words up to date in accounts whose words are in memory, so where somebody searches: blocks that have lost
//! theirs with a message, or have become complete, are wanted.
//!
//! Invariant: it asks the change log what came and went since it looked last, and no mailbox; what the log does not tell
//! any more is wanted by the next search that has to read it.

use std::sync::PoisonError;

use tern_base::{AccountId, MessageId, Modseq};
use tern_store::limits as store_limits;

use super::AccountWords;
use crate::error::PassedOver;
use crate::rows::{Change, ChangeRow};
use crate::slots::block_of;
use crate::{MailboxError, Upkeep, limits, tables};

impl AccountWords {
    /// Up to which modseq the change log was followed, and that it is up to `modseq` now; nothing the first time.
    fn follow(&self, modseq: Modseq) -> Option<Modseq> {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.followed.replace(modseq)
    }
}

impl Upkeep {
    /// Wants the words of blocks that came to be without a row lately. To be called now and then, before
    /// [`Upkeep::make_words`].
    pub fn follow_words(&self) -> Result<(), MailboxError> {
        let mut damaged = PassedOver::default();
        for (account, weighed) in self.0.words.iter() {
            damaged.pass_over(self.follow(account, &weighed.words))?;
        }
        damaged.answer(())
    }

    fn follow(&self, account: AccountId, words: &AccountWords) -> Result<(), MailboxError> {
        let head = match self.0.account_head(account) {
            Err(MailboxError::NoAccount) => return Ok(()),
            head => head?,
        };
        let since = words.follow(head.modseq);
        match since.filter(|since| head.has_words && *since < head.modseq) {
            Some(since) => self.want_changed(account, since),
            None => Ok(()),
        }
    }

    fn want_changed(&self, account: AccountId, since: Modseq) -> Result<(), MailboxError> {
        let mut next = Some(tables::changes_after(account, since));
        let mut left = limits::FOLLOWED_CHANGES;
        while let Some(range) = next.filter(|_| left > 0) {
            let page = self
                .0
                .engine
                .scan(&range, left.min(store_limits::MAX_PAGE))?;
            left -= page.rows.len();
            for (_, row) in &page.rows {
                for message in ChangeRow::decode(row)?.0.iter().filter_map(came_or_went) {
                    self.0.want_words(account, message);
                    // The one before may have become complete by it.
                    if let Some(before) = block_of(message).checked_sub(1) {
                        self.0.wanted.add(account, before);
                    }
                }
            }
            next = page.next;
        }
        Ok(())
    }
}

/// The message that an account has had since a change, or has no more.
const fn came_or_went(change: &Change) -> Option<MessageId> {
    match change {
        Change::Placed {
            message,
            created: Some(_),
            ..
        }
        | Change::Vanished {
            message,
            destroyed: Some(_),
            ..
        } => Some(*message),
        _ => None,
    }
}
