//! Every copy that there is, of one account or of all, whoever may see it: in mailboxes, and in the
//! vault.
//!
//! Invariant: a copy that is there from the first step of a walk to the last is met, also where it
//! goes to the vault or comes back meanwhile: the vault is walked before the mailboxes and after
//! them. So a copy can be met twice.
//!
//! Refuses to read contents: who may have those is the caller's question.

use tern_base::{AccountId, MessageId, Timestamp};
use tern_store::key::KeyReader;
use tern_store::{Range, StoreError};

use crate::rows::{MessageRow, VaultRow};
use crate::{MailboxError, Mailboxes, SealTag, tables};

/// The tables in the order of a walk.
const STAGES: [u8; 3] = [tables::VAULT, tables::MESSAGE, tables::VAULT];

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Which table, counted from 0.
    pub stage: u8,
    /// The last copy of it that was met.
    pub last: Option<(AccountId, MessageId)>,
}

/// A copy that a walk has met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The account.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// Its row.
    pub row: MessageRow,
    /// Of one in the vault, on whose behalf it is there, and since when.
    pub vaulted: Option<(SealTag, Timestamp)>,
    /// Where the walk goes on after it.
    pub next: Walk,
}

impl Mailboxes {
    /// Some copies of an account, or of all, at most `limit` of them; and where to go on, `None` at
    /// the end. There may be none, and yet more to come.
    pub fn walk(
        &self,
        of: Option<AccountId>,
        from: Walk,
        limit: usize,
    ) -> Result<(Vec<Met>, Option<Walk>), MailboxError> {
        let Some(table) = STAGES.get(usize::from(from.stage)).copied() else {
            return Ok((Vec::new(), None));
        };
        let page = self.engine.scan(&rest(table, of, from.last), limit)?;
        let mut met = Vec::with_capacity(page.rows.len());
        for (key, value) in &page.rows {
            let mut parts = KeyReader::new(key);
            let (Some(account), Some(message)) = (parts.u32(), parts.u64()) else {
                return Err(StoreError::Damaged.into());
            };
            let (account, message) = (AccountId(account), MessageId(message));
            let (row, vaulted) = match table {
                tables::VAULT => {
                    let row = VaultRow::decode(value)?;
                    (row.message, Some((row.tag, row.withdrawn)))
                }
                _ => (MessageRow::decode(value)?, None),
            };
            let next = Walk {
                last: Some((account, message)),
                ..from
            };
            met.push(Met {
                account,
                message,
                row,
                vaulted,
                next,
            });
        }
        let next_stage = Walk {
            stage: from.stage + 1,
            last: None,
        };
        let next = match (&page.next, met.last()) {
            (Some(_), Some(last)) => last.next,
            _ => next_stage,
        };
        let over = usize::from(next.stage) >= STAGES.len();
        Ok((met, (!over).then_some(next)))
    }
}

/// What a walk has not met yet of a table.
fn rest(table: u8, of: Option<AccountId>, last: Option<(AccountId, MessageId)>) -> Range {
    let range = match of {
        Some(account) => tables::whole_of(table, account),
        None => tables::whole(table),
    };
    let Some((account, message)) = last else {
        return range;
    };
    let mut start = match table {
        tables::VAULT => tables::vault(account, message),
        _ => tables::message(account, message),
    };
    start.push(0);
    range.starting_at(start)
}
