//! What takes the place of a message in the vault: another one of the same account, shown where that one
//! was, with its flags, its received date and its conversation.
//!
//! Invariant: it is a message of its own, with an id and a content of its own. What was served of the
//! one counts as served of the other, since it was. The one in the vault stays there as it was.
//!
//! Refuses to show what a seal covers: that goes to the vault, as whatever arrives under one does.

use tern_base::{AccountId, MessageId, Timestamp};
use tern_store::Transaction;

use crate::edit::Edit;
use crate::ingest::{INBOX, pass_by};
use crate::inherit::inherit;
use crate::restore::show_again;
use crate::rows::{MessageRow, VaultRow};
use crate::sealing::seals_in;
use crate::{
    KEPT, MailboxError, Prepared, Purged, SealTag, Sealing, blob, keep, record, tables, vault,
};

/// A message that has taken the place of one in the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// The message.
    pub message: MessageId,
    /// Set when a seal covers it: it went to the vault under this tag, and was never shown.
    pub sealed: Option<SealTag>,
}

impl Sealing {
    /// A message in the vault, within a transaction that then depends on it.
    pub fn vaulted_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<VaultRow>, MailboxError> {
        vault::get(txn, account, message)
    }

    /// A message in the vault, if it is there.
    pub fn in_vault(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<VaultRow>, MailboxError> {
        let row = self.0.engine.get(&tables::vault(account, message))?;
        Ok(row.map(|row| VaultRow::decode(&row)).transpose()?)
    }

    /// Puts a prepared message in the place of one that is in the vault, within a transaction and
    /// whatever the quota says. `None` when that one is not in the vault, or its account is gone.
    ///
    /// It writes about as much as a restore of that one would, for which its content has to be in the store
    /// already ([`crate::Mailboxes::prepare_ahead`]).
    pub fn stand_in_for_in(
        &self,
        txn: &mut Transaction<'_>,
        (account, message): (AccountId, MessageId),
        prepared: &Prepared,
        now: Timestamp,
    ) -> Result<Option<StandIn>, MailboxError> {
        let Some(vaulted) = vault::get(txn, account, message)? else {
            return Ok(None);
        };
        let was = &vaulted.message;
        let mut sealed = None;
        for letter in prepared.letters() {
            let seals = seals_in(txn, letter.digest, now)?;
            let mut covering = seals
                .iter()
                .filter(|seal| seal.covers(account, was.origin, letter.carriage));
            sealed = sealed.or_else(|| covering.next().map(|seal| seal.tag));
        }
        let mut edit = match Edit::begin(txn, account) {
            Err(MailboxError::NoAccount) => return Ok(None),
            other => other?,
        };
        let id = MessageId(edit.next_id());
        let row = MessageRow {
            blob: prepared.blob,
            size: prepared.size().saturating_add(was.prefix.len() as u32),
            digest: prepared.digest,
            carried: prepared.carried.clone(),
            ..was.clone()
        };
        inherit(edit.txn, account, message, (id, &row))?;
        match sealed {
            None => drop(show_again(&mut edit, (message, &vaulted), (id, row))?),
            Some(tag) => shut_away(&mut edit, message, (id, row), tag, now)?,
        }
        edit.finish();
        blob::link(txn, prepared, 1)?;
        let message = id;
        Ok(Some(StandIn { message, sealed }))
    }

    /// Takes a message away wherever it is, within a transaction: out of its mailboxes, or out of the
    /// vault. What must be kept is kept there.
    pub fn take_away_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<(), MailboxError> {
        match self.purge_in(txn, account, message, now)? {
            Purged::Gone => Ok(()),
            Purged::Kept => self.keep_on_in(txn, account, message),
            Purged::NotThere => match self.0.remove_in(txn, account, message, now) {
                Ok(_) | Err(MailboxError::NoAccount) => Ok(()),
                Err(error) => Err(error),
            },
        }
    }

    /// Keeps a message that is in the vault on behalf of holds alone from now on, and counts it so.
    fn keep_on_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
    ) -> Result<(), MailboxError> {
        let row = vault::get(txn, account, message)?;
        if let Some(row) = row.filter(|row| row.tag != KEPT) {
            keep::kept_from_now_on(txn, account, row.message.size)?;
            self.retag_in(txn, account, message, KEPT)?;
        }
        Ok(())
    }
}

/// Puts a message that a seal covers into the vault, as one that arrived late.
fn shut_away(
    edit: &mut Edit<'_, '_>,
    was: MessageId,
    (message, row): (MessageId, MessageRow),
    tag: SealTag,
    now: Timestamp,
) -> Result<(), MailboxError> {
    let mut placements = Vec::with_capacity(row.placements.len());
    for (mailbox, _) in &row.placements {
        placements.push(vault::placement(edit.txn, edit.account, was, *mailbox)?);
    }
    // Its id is spent, which the head says once something is on the change log.
    pass_by(edit, INBOX, message)?;
    record::leave(edit.txn, (row.digest, edit.account, message), row.origin)?;
    let row = VaultRow {
        tag,
        withdrawn: now,
        modseq: edit.modseq,
        message: row,
        late: true,
    };
    vault::put(edit.txn, edit.account, message, &row, placements);
    Ok(())
}
