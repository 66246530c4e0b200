//! What somebody may not remove for good, though it is theirs: it leaves its mailbox as they ask and
//! goes to the vault instead.
//!
//! Invariant: every verb that would let go of a message for good asks the keeper first, in the
//! transaction that does it, so that an order to keep and a removal at the same moment are a
//! conflict and not a loss. What is kept of an account is counted in its head, beside what its
//! mailboxes hold: a quota that is given back by removing would otherwise bound nothing.
//!
//! Refuses to know who orders something to be kept, and why: the floors above do.

use std::sync::Arc;

use tern_base::{AccountId, MailboxId, MessageId, Modseq, Timestamp, Uid};
use tern_mime::{ParsedMessage, Structure};
use tern_store::Transaction;

use crate::edit::Edit;
use crate::rows::{AccountHead, MessageRow, VaultPlacementRow, VaultRow};
use crate::{MailboxError, Mailboxes, SealTag, Sealing, tables, vault};

/// The tag of copies in the vault that their owners removed, and that must be kept all the same.
pub const KEPT: SealTag = SealTag([0; 16]);

/// A message that would go for good.
pub struct Leaving<'a> {
    /// The account that it belongs to, or did.
    pub account: AccountId,
    /// The message.
    pub message: &'a MessageRow,
    structure: &'a dyn Fn() -> Result<Arc<Structure>, MailboxError>,
}

impl std::fmt::Debug for Leaving<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Leaving").field(&self.account).finish()
    }
}

impl Leaving<'_> {
    /// Its structure, which costs a look into the store.
    pub fn structure(&self) -> Result<Arc<Structure>, MailboxError> {
        (self.structure)()
    }
}

/// Asked before a message goes for good.
pub trait Keeper: Send + Sync {
    /// Whether it must be kept now. The transaction depends on the answer.
    fn keeps(
        &self,
        txn: &mut Transaction<'_>,
        leaving: &Leaving<'_>,
        now: Timestamp,
    ) -> Result<bool, MailboxError>;
}

/// A placement that goes, and what it was.
pub(crate) type Last = ((MailboxId, Uid), VaultPlacementRow);

impl Sealing {
    /// Looks at a message as a keeper does that is asked for it.
    pub fn as_leaving<T>(
        &self,
        account: AccountId,
        message: &MessageRow,
        look: impl FnOnce(&Leaving<'_>) -> T,
    ) -> T {
        self.0.as_leaving(account, message, look)
    }
}

impl Mailboxes {
    /// Whether more can come to an account: what its mailboxes hold, and what is kept of it, is below
    /// the bounds.
    pub fn is_full(&self, head: &AccountHead) -> bool {
        head.room_for(1, self.hooks.kept_quotas).is_err() || head.room_for_placement().is_err()
    }

    /// Whether a message must be kept; the transaction depends on the answer.
    pub(crate) fn keeps(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: &MessageRow,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        let Some(keeper) = &self.hooks.keeper else {
            return Ok(false);
        };
        self.as_leaving(account, message, |leaving| keeper.keeps(txn, leaving, now))
    }

    /// The same for a message that has just arrived, and of which the store has nothing yet.
    pub(crate) fn keeps_new(
        &self,
        txn: &mut Transaction<'_>,
        (account, message): (AccountId, &MessageRow),
        parsed: &ParsedMessage,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        let Some(keeper) = &self.hooks.keeper else {
            return Ok(false);
        };
        let structure = || Ok(Arc::new(Structure::of(parsed)));
        let leaving = Leaving {
            account,
            message,
            structure: &structure,
        };
        keeper.keeps(txn, &leaving, now)
    }

    /// Looks at a message as a keeper does that is asked for it.
    fn as_leaving<T>(
        &self,
        account: AccountId,
        message: &MessageRow,
        look: impl FnOnce(&Leaving<'_>) -> T,
    ) -> T {
        let structure = || self.structure(message);
        look(&Leaving {
            account,
            message,
            structure: &structure,
        })
    }

    /// Lets go of a message whose last placements are taken away: for good, or into the vault.
    pub(crate) fn let_go(
        &self,
        edit: &mut Edit<'_, '_>,
        id: MessageId,
        mut row: MessageRow,
        last: Vec<Last>,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        if !self.keeps(edit.txn, edit.account, &row, now)? {
            return edit.destroy(id, &row, now);
        }
        edit.use_bytes(row.size, false);
        edit.head.kept_bytes += u64::from(row.size);
        edit.forget_for_good(id, &row)?;
        let rows;
        (row.placements, rows) = last.into_iter().unzip();
        let at = (edit.modseq, now);
        keep_in(edit.txn, edit.account, id, row, rows, at);
        Ok(())
    }
}

/// Something of an account is kept from now on that was in the vault before. It may be gone meanwhile.
pub(crate) fn kept_from_now_on(
    txn: &mut Transaction<'_>,
    account: AccountId,
    size: u32,
) -> Result<(), MailboxError> {
    count_kept(txn, account, |kept| kept.saturating_add(size.into()))
}

/// What was kept of an account is not any more. It may be gone meanwhile.
pub(crate) fn kept_no_longer(
    txn: &mut Transaction<'_>,
    account: AccountId,
    size: u32,
) -> Result<(), MailboxError> {
    count_kept(txn, account, |kept| kept.saturating_sub(size.into()))
}

fn count_kept(
    txn: &mut Transaction<'_>,
    account: AccountId,
    count: impl Fn(u64) -> u64,
) -> Result<(), MailboxError> {
    let key = tables::account(account);
    if let Some(row) = txn.get(&key)? {
        let head = AccountHead::decode(&row)?;
        let kept_bytes = count(head.kept_bytes);
        txn.put(key, AccountHead { kept_bytes, ..head }.encode());
    }
    Ok(())
}

/// Puts a message into the vault that must be kept. `rows` are those of its placements, in order.
pub(crate) fn keep_in(
    txn: &mut Transaction<'_>,
    account: AccountId,
    id: MessageId,
    message: MessageRow,
    rows: Vec<VaultPlacementRow>,
    (modseq, now): (Modseq, Timestamp),
) {
    let row = VaultRow {
        tag: KEPT,
        withdrawn: now,
        modseq,
        message,
        late: false,
    };
    vault::put(txn, account, id, &row, rows);
}
