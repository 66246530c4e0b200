//! The trigger of any IMAP client that can set a keyword: `$Recall` on the message that was sent.
//!
//! The mailbox leaves a mark in the transaction that sets the keyword; the mark stays until the
//! request that it stands for is on record, so it is found after a crash, and asked for once. The
//! keyword stays on the message and clearing it does nothing: a recall is undone by a restore. To
//! clear it and set it again asks again.

use tern_base::{AccountId, Timestamp};
use tern_store::Verdict;

use crate::{RecallError, RecallId, Recalls, Requested, limits};

/// The keyword that asks for the recall of the message on which it is set.
pub const RECALL_KEYWORD: &str = "$Recall";

impl Recalls {
    /// Asks for the recall of messages on which the keyword was set since the last look. Of many a
    /// page at a time, so that other accounts have their turn in between.
    pub(crate) fn keyword_triggers(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Vec<Requested>, RecallError> {
        let mut answers = Vec::new();
        let marks = self.sealing().marked(account, limits::TRIGGER_PAGE)?;
        let full = marks.len() == limits::TRIGGER_PAGE;
        for mark in marks {
            let named = format!("imap keyword {} {}", mark.modseq, mark.message);
            let id = RecallId::of_text(Some(account), &named);
            let by = mark.connection.as_ref();
            answers.extend(self.trigger_one((account, mark.message), id, by, now)?);
            tern_store::transact(&*self.engine, |txn| {
                self.sealing().unmark_in(txn, account, &mark);
                Ok::<_, RecallError>(Verdict::Commit(()))
            })?;
        }
        if full {
            self.mailboxes().wake(account);
        }
        Ok(answers)
    }
}
