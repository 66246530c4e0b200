//! Reading the change log: what changed in an account, or in one mailbox, since a modseq.

use roaring::RoaringBitmap;
use tern_base::{AccountId, MailboxId, Modseq};
use tern_store::{Read, StoreError};

use crate::rows::{AccountHead, Change, ChangeRow};
use crate::{MailboxError, Mailboxes, View, tables};

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
    /// UIDs that left (RFC 7162 3.2.10). A UID can be here that was never shown, and where the log
    /// does not reach back so far every one that is not there is.
    pub vanished: RoaringBitmap,
    /// UIDs that are there and were put in or changed flags.
    pub touched: RoaringBitmap,
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
                self.touched.insert(uid.0);
            }
            Change::Vanished {
                mailbox: of, uid, ..
            } if of == mailbox => {
                self.touched.remove(uid.0);
                self.vanished.insert(uid.0);
            }
            _ => return,
        }
        self.own = Some(modseq);
    }

    /// What may have changed in a mailbox, told from what it holds now: RFC 7162 3.2.5.2.
    fn told_from(view: &View, since: Modseq, modseq: Modseq) -> Self {
        let there = view.uids();
        let mut vanished = RoaringBitmap::new();
        vanished.insert_range(1..view.counters.uid_next.0);
        vanished -= &there;
        let newer = view.iter().filter(|entry| entry.modseq > since);
        let own = view.counters.highest_modseq;
        Self {
            modseq,
            own: (own > since).then_some(own),
            vanished,
            touched: newer.map(|entry| entry.uid.0).collect(),
        }
    }
}

/// Rows of the change log that one read of the engine brings.
const PAGE: usize = 1_000;

/// Whether the change log has every change of an account after `since`.
fn reaches_back(
    reader: &dyn Read,
    account: AccountId,
    since: Modseq,
) -> Result<bool, MailboxError> {
    let head = reader.get(&tables::account(account))?;
    let head = head.map(|head| AccountHead::decode(&head)).transpose()?;
    Ok(head.is_none_or(|head| since >= head.log_from))
}

/// Calls `each` for every change of an account after `since`, in order; answers the newest modseq. The log
/// must reach back to there.
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

    /// What changed in a mailbox after `since`, or at least that.
    pub fn changes(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: Modseq,
    ) -> Result<MailboxChanges, MailboxError> {
        let snapshot = self.engine.snapshot()?;
        if !reaches_back(&*snapshot, account, since)? {
            // The view is read later, and has all of them.
            let newest = self.newest_modseq(account)?;
            let view = self.view(account, mailbox)?;
            if view.counters.highest_modseq <= since {
                // Whatever was forgotten was of other mailboxes.
                return Ok(MailboxChanges {
                    modseq: newest,
                    ..MailboxChanges::default()
                });
            }
            return Ok(MailboxChanges::told_from(&view, since, newest));
        }
        let mut changes = MailboxChanges::default();
        changes.modseq = each_after(&*snapshot, account, since, |modseq, change| {
            changes.add(mailbox, modseq, change)
        })?;
        Ok(changes)
    }

    /// Every change of an account after `since`, at most about `limit`, in order. Changes of one
    /// modseq are never parted. [`MailboxError::NoHistory`] where the log does not reach back so far.
    pub fn account_changes(
        &self,
        account: AccountId,
        since: Modseq,
        limit: usize,
    ) -> Result<Vec<AccountChange>, MailboxError> {
        let snapshot = self.engine.snapshot()?;
        if !reaches_back(&*snapshot, account, since)? {
            return Err(MailboxError::NoHistory);
        }
        let mut out = Vec::new();
        let page = snapshot.scan(&tables::changes_after(account, since), limit)?;
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
