//! Which messages of an account are under a seal: what a list must not show.
//!
//! Invariant: says of each message what [`Mailboxes::is_sealed`] does, without a look at every row:
//! the letters under seal name their copies. Where nothing is sealed, nothing is read.

use std::collections::BTreeSet;

use tern_base::{AccountId, MessageId};

use crate::rows::CopyRow;
use crate::{MailboxError, Mailboxes, tables};

impl Mailboxes {
    /// The messages of an account that are under a seal, or carry a letter that is.
    pub fn hidden(&self, account: AccountId) -> Result<BTreeSet<MessageId>, MailboxError> {
        let mut suspects = BTreeSet::new();
        for digest in self.seals.active_over(account) {
            let ranges = [
                tables::copies_of(digest, account),
                tables::carriers_of(digest, account),
            ];
            for range in ranges {
                let mut next = Some(range);
                while let Some(range) = next {
                    let page = self.engine.scan(&range, 1_000)?;
                    for (key, value) in &page.rows {
                        suspects.insert(CopyRow::decode(key, value)?.message);
                    }
                    next = page.next;
                }
            }
        }
        if suspects.is_empty() {
            return Ok(suspects);
        }
        let ids: Vec<MessageId> = suspects.into_iter().collect();
        let rows = self.messages(account, &ids)?;
        let of = ids.into_iter().zip(rows);
        Ok(of
            .filter(|(_, row)| matches!(row, Some(Err(MailboxError::Sealed))))
            .map(|(id, _)| id)
            .collect())
    }
}
