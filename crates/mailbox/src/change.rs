//! Reading the change log: what changed in an account, or in one mailbox, since a modseq.

use std::collections::BTreeSet;

use tern_base::{AccountId, MailboxId, Modseq, Uid};
use tern_store::{Read, StoreError};

use crate::rows::{Change, ChangeRow};
use crate::{MailboxError, Mailboxes, tables};

/// One entry of an account's change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// When.
    pub modseq: Modseq,
    /// What.
    pub change: Change,
}

/// What changed in one mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxChanges {
    /// The newest modseq that was looked at: go on from here.
    pub modseq: Modseq,
    /// The newest at which this mailbox itself changed; none where it did not.
    pub own: Option<Modseq>,
    /// UIDs that left, in order (RFC 7162 3.2.10). A UID can be here that was never shown.
    pub vanished: BTreeSet<Uid>,
    /// UIDs that are there and were put in or changed flags, in order.
    pub touched: BTreeSet<Uid>,
}

impl MailboxChanges {
    fn add(&mut self, mailbox: MailboxId, modseq: Modseq, change: Change) {
        match change {
            Change::Placed {
                mailbox: of, uid, ..
            }
            | Change::Flagged {
                mailbox: of, uid, ..
            } if of == mailbox => {
                self.touched.insert(uid);
            }
            Change::Vanished {
                mailbox: of, uid, ..
            } if of == mailbox => {
                self.touched.remove(&uid);
                self.vanished.insert(uid);
            }
            _ => return,
        }
        self.own = Some(modseq);
    }
}

/// Rows of the change log that one read of the engine brings.
const PAGE: usize = 1_000;

/// Calls `each` for every change of an account after `since`, in order; answers the newest modseq.
pub(crate) fn each_after(
    reader: &dyn Read,
    account: AccountId,
    since: Modseq,
    mut each: impl FnMut(Modseq, Change),
) -> Result<Modseq, MailboxError> {
    let mut newest = since;
    let mut next = Some(tables::changes_after(account, since));
    while let Some(range) = next {
        let page = reader.scan(&range, PAGE)?;
        for (key, value) in &page.rows {
            let mut parts = tern_store::key::KeyReader::new(key);
            let _account = parts.u32();
            newest = Modseq(parts.u64().ok_or(StoreError::Damaged)?);
            for change in ChangeRow::decode(value)?.0 {
                each(newest, change);
            }
        }
        next = page.next;
    }
    Ok(newest)
}

impl Mailboxes {
    /// The newest modseq of an account.
    pub fn newest_modseq(&self, account: AccountId) -> Result<Modseq, MailboxError> {
        Ok(self.account_head(account)?.modseq)
    }

    /// What changed in a mailbox after `since`.
    pub fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: Modseq,
    ) -> Result<MailboxChanges, MailboxError> {
        let snapshot = self.engine.snapshot()?;
        let mut changes = MailboxChanges::default();
        changes.modseq = each_after(&*snapshot, account, since, |modseq, change| {
            changes.add(mailbox, modseq, change)
        })?;
        Ok(changes)
    }

    /// Every change of an account after `since`, at most about `limit`, in order. Changes of one
    /// modseq are never parted.
    pub fn account_changes(
        &self,
        account: AccountId,
        since: Modseq,
        limit: usize,
    ) -> Result<Vec<AccountChange>, MailboxError> {
        let mut out = Vec::new();
        let page = self
            .engine
            .scan(&tables::changes_after(account, since), limit)?;
        for (key, value) in &page.rows {
            let mut parts = tern_store::key::KeyReader::new(key);
            let _account = parts.u32();
            let modseq = Modseq(parts.u64().ok_or(StoreError::Damaged)?);
            let row = ChangeRow::decode(value)?;
            out.extend(
                row.0
                    .into_iter()
                    .map(|change| AccountChange { modseq, change }),
            );
            if out.len() >= limit {
                break;
            }
        }
        Ok(out)
    }
}
