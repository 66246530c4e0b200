//! Taking copies out of their mailboxes into the vault: not deleted, not visible.

use tern_base::{AccountId, ContentDigest, MailboxId, MessageId, Timestamp, Uid};
use tern_store::{Transaction, Verdict, transact};

use crate::edit::Edit;
use crate::rows::{MessageRow, VaultPlacementRow, VaultRow};
use crate::sealing::find_in;
use crate::slots::block_of;
use crate::{
    Exposure, Flags, KEPT, MailboxError, Mailboxes, Seal, SealTag, Sealing, keep, limits, record,
    tables, vault,
};

/// Copies that one page reads.
const PAGE: usize = 100;

/// A copy that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// The account.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// Where it was shown.
    pub placements: Vec<(MailboxId, Uid)>,
    /// What of it had been served by then.
    pub exposure: Option<Exposure>,
}

/// Where a copy in the vault was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultPlacement {
    /// The mailbox it was in.
    pub mailbox: MailboxId,
    /// The UID it had.
    pub uid: Uid,
    /// The flags it had.
    pub flags: Flags,
}

/// What a purge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purged {
    /// The copy is gone for good.
    Gone,
    /// It stays: it must be kept.
    Kept,
    /// It was not in the vault.
    NotThere,
}

/// A copy in the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vaulted {
    /// The account it belongs to.
    pub account: AccountId,
    /// The message.
    pub message: MessageId,
    /// The row.
    pub row: VaultRow,
}

impl Sealing {
    /// Withdraws copies within a transaction, which a seal is over: every placement is expunged, and the
    /// message goes to the vault under `tag`. `None` is a copy that is not there any more, or that
    /// its owner had deleted with the mailbox: such a one goes for good.
    ///
    /// The caller runs it through [`Mailboxes::transact`] with all the accounts, at most
    /// [`limits::CHUNK`] copies at once. No further copy is begun once the transaction writes
    /// [`limits::VAULT_CHUNK_BYTES`]: the answer then is shorter than `copies`, and the others
    /// are for another transaction. Running it again changes nothing.
    pub fn withdraw_in(
        &self,
        txn: &mut Transaction<'_>,
        copies: &[(AccountId, MessageId)],
        tag: SealTag,
        now: Timestamp,
    ) -> Result<Vec<Option<Withdrawn>>, MailboxError> {
        self.prefetch_copies(txn, copies)?;
        let mut outcomes = Vec::with_capacity(copies.len());
        for (account, message) in copies {
            if !outcomes.is_empty() && txn.size() >= limits::VAULT_CHUNK_BYTES {
                break;
            }
            outcomes.push(self.withdraw_one(txn, *account, *message, tag, now)?);
        }
        Ok(outcomes)
    }

    /// Where a copy in the vault was, and with which flags.
    pub fn vaulted_placements(&self, copy: &Vaulted) -> Result<Vec<VaultPlacement>, MailboxError> {
        let places = &copy.row.message.placements;
        let key = |(mailbox, _): &(MailboxId, Uid)| {
            tables::vault_placement(copy.account, copy.message, *mailbox)
        };
        let keys: Vec<Vec<u8>> = places.iter().map(key).collect();
        let mut out = Vec::with_capacity(places.len());
        for ((mailbox, uid), row) in places.iter().zip(self.0.engine.get_many(&keys)?) {
            let row = row.ok_or(tern_store::StoreError::Damaged)?;
            out.push(VaultPlacement {
                mailbox: *mailbox,
                uid: *uid,
                flags: VaultPlacementRow::decode(&row)?.flags,
            });
        }
        Ok(out)
    }

    /// A page of the copies that were withdrawn, or stopped on arrival, under a tag; `after` is
    /// the last copy of the page before.
    pub fn vaulted(
        &self,
        tag: SealTag,
        after: Option<(AccountId, MessageId)>,
        limit: usize,
    ) -> Result<Vec<Vaulted>, MailboxError> {
        let mut range = tables::vaulted_under(tag);
        if let Some((account, message)) = after {
            let mut start = tables::vaulted(tag, account, message);
            start.push(0);
            range.start = start;
        }
        let page = self.0.engine.scan(&range, limit)?;
        let mut copies = Vec::with_capacity(page.rows.len());
        for (key, _) in &page.rows {
            copies.push(read_vaulted_key(key)?);
        }
        let keys: Vec<Vec<u8>> = copies.iter().map(|(a, m)| tables::vault(*a, *m)).collect();
        let rows = self.0.engine.get_many(&keys)?;
        let mut out = Vec::with_capacity(rows.len());
        for ((account, message), row) in copies.into_iter().zip(rows) {
            if let Some(row) = row {
                out.push(Vaulted {
                    account,
                    message,
                    row: VaultRow::decode(&row)?,
                });
            }
        }
        Ok(out)
    }

    /// The copies of one account in the vault under a tag, as a transaction sees them, which does not
    /// depend on it.
    pub fn vaulted_of_in(
        &self,
        txn: &Transaction<'_>,
        tag: SealTag,
        account: AccountId,
    ) -> Result<Vec<Vaulted>, MailboxError> {
        let mut copies = Vec::new();
        let mut next = Some(tables::vaulted_of(tag, account));
        while let Some(range) = next {
            let page = txn.scan(&range, PAGE)?;
            for (key, _) in &page.rows {
                let (account, message) = read_vaulted_key(key)?;
                let row = txn.peek(&tables::vault(account, message))?;
                let row = VaultRow::decode(&row.ok_or(tern_store::StoreError::Damaged)?)?;
                copies.push(Vaulted {
                    account,
                    message,
                    row,
                });
            }
            next = page.next;
        }
        Ok(copies)
    }

    /// Tags under which copies were stopped on arrival that nobody has taken note of yet. Durable
    /// with the arrival itself, so that a kill or a lost answer leaves none unnoticed.
    pub fn late_tags(&self) -> Result<Vec<SealTag>, MailboxError> {
        let mut tags = Vec::new();
        let mut next = Some(tables::whole(tables::LATE));
        while let Some(range) = next {
            let Some((key, _)) = self.0.engine.scan(&range, 1)?.rows.pop() else {
                break;
            };
            let tag = key.get(1..17).and_then(|tag| tag.try_into().ok());
            let tag = SealTag(tag.ok_or(tern_store::StoreError::Damaged)?);
            tags.push(tag);
            next = Some(range.starting_at(tables::late_under(tag).end));
        }
        Ok(tags)
    }

    /// At most `limit` copies that were stopped under a tag and not taken note of.
    pub fn late_copies(
        &self,
        tag: SealTag,
        limit: usize,
    ) -> Result<Vec<(AccountId, MessageId)>, MailboxError> {
        let page = self.0.engine.scan(&tables::late_under(tag), limit)?;
        page.rows
            .iter()
            .map(|(key, _)| read_vaulted_key(key))
            .collect()
    }

    /// Takes note of a copy that was stopped, within a transaction: answers what is in the vault,
    /// if it is still there.
    pub fn note_late_in(
        &self,
        txn: &mut Transaction<'_>,
        tag: SealTag,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<VaultRow>, MailboxError> {
        txn.delete(tables::late(tag, account, message));
        vault::get(txn, account, message)
    }

    /// Hands a copy in the vault over to another tag, within a transaction: it stays there on
    /// behalf of that one.
    pub fn retag_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
        tag: SealTag,
    ) -> Result<(), MailboxError> {
        let Some(row) = vault::get(txn, account, message)? else {
            return Ok(());
        };
        let old = tables::vaulted(row.tag, account, message);
        let arrived = txn.get(&old)?.unwrap_or_default();
        txn.delete(old);
        txn.delete(tables::late(row.tag, account, message));
        txn.put(tables::vaulted(tag, account, message), arrived);
        let row = VaultRow { tag, ..row };
        txn.put(tables::vault(account, message), row.encode());
        Ok(())
    }

    /// Removes a copy from the vault for good, within a transaction, unless it must be kept.
    pub fn purge_in(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
        now: Timestamp,
    ) -> Result<Purged, MailboxError> {
        let Some(row) = vault::get(txn, account, message)? else {
            return Ok(Purged::NotThere);
        };
        if self.0.keeps(txn, account, &row.message, now)? {
            return Ok(Purged::Kept);
        }
        vault::remove(txn, account, message, &row);
        // What was served of it stays on record, as after any removal: whoever is asked later has had it.
        if row.tag == KEPT {
            keep::kept_no_longer(txn, account, row.message.size)?;
        }
        crate::blob::unlink(txn, row.message.blob, now)?;
        Ok(Purged::Gone)
    }

    /// Whether nothing is left of a copy of a letter: neither in a mailbox nor in the vault, and
    /// nothing that says that it was; or only what a hold keeps, which is not put back. For
    /// checks.
    pub fn is_gone(
        &self,
        digest: ContentDigest,
        account: AccountId,
        message: MessageId,
    ) -> Result<bool, MailboxError> {
        let row = self.0.engine.get(&tables::vault(account, message))?;
        let kept = row.map(|row| VaultRow::decode(&row)).transpose()?;
        if kept.is_some_and(|row| row.tag == KEPT) {
            return Ok(true);
        }
        let keys = [
            tables::message(account, message),
            tables::vault(account, message),
            tables::copy(digest, account, message),
            tables::carrier(digest, account, message),
        ];
        Ok(self.0.engine.get_many(&keys)?.iter().all(Option::is_none))
    }

    /// Reads what the withdrawal of a chunk needs in two calls to the engine instead of four for
    /// each copy.
    fn prefetch_copies(
        &self,
        txn: &mut Transaction<'_>,
        copies: &[(AccountId, MessageId)],
    ) -> Result<(), MailboxError> {
        let mut keys = Vec::with_capacity(copies.len() * 2);
        for (account, message) in copies {
            keys.push(tables::account(*account));
            keys.push(tables::message(*account, *message));
        }
        txn.prefetch(keys)?;
        let mut keys = Vec::with_capacity(copies.len() * 4);
        for (account, message) in copies {
            let Some(row) = txn.get(&tables::message(*account, *message))? else {
                continue;
            };
            let row = MessageRow::decode(&row)?;
            keys.push(match self.0.is_wide_in(txn, row.digest)? {
                true => tables::exposure(row.digest, *account, *message),
                false => tables::roll(*account, block_of(*message)),
            });
            for (mailbox, uid) in row.placements {
                keys.push(tables::mailbox(*account, mailbox));
                keys.push(tables::counters(*account, mailbox));
                keys.push(tables::placement(*account, mailbox, uid));
            }
        }
        Ok(txn.prefetch(keys)?)
    }

    fn withdraw_one(
        &self,
        txn: &mut Transaction<'_>,
        account: AccountId,
        message: MessageId,
        tag: SealTag,
        now: Timestamp,
    ) -> Result<Option<Withdrawn>, MailboxError> {
        let mut edit = match Edit::begin(txn, account) {
            // The account is being removed, and this with it.
            Err(MailboxError::NoAccount) => {
                self.0.erase(txn, account, message, now)?;
                return Ok(None);
            }
            other => other?,
        };
        let Some(mut row) = edit.message(message)? else {
            return Ok(None);
        };
        let placements = std::mem::take(&mut row.placements);
        let mut kept = Vec::with_capacity(placements.len());
        let mut deleted = Vec::new();
        for (n, (mailbox, uid)) in placements.iter().enumerate() {
            let placement = edit.placement(*mailbox, *uid)?;
            let placement = placement.ok_or(tern_store::StoreError::Damaged)?;
            let last = n + 1 == placements.len();
            edit.unplace(*mailbox, *uid, &placement, last.then_some(row.thread))?;
            // Where the mailbox is gone and its messages are still to go, the owner deleted it.
            if edit.has_mailbox(*mailbox)? {
                row.placements.push((*mailbox, *uid));
                kept.push(VaultPlacementRow::of(&placement));
            } else {
                deleted.push(((*mailbox, *uid), VaultPlacementRow::of(&placement)));
            }
        }
        if kept.is_empty() {
            self.0.let_go(&mut edit, message, row, deleted, now)?;
            edit.finish();
            return Ok(None);
        }
        edit.use_bytes(row.size, false);
        // Nothing more is: the seal is over it, and every record asks.
        let exposure = match self.0.is_wide_in(edit.txn, row.digest)? {
            true => record::by_letter(edit.txn, (row.digest, account, message))?,
            false => record::leave(edit.txn, (row.digest, account, message), row.origin)?,
        };
        edit.forget(message, &row);
        let (placements, modseq) = (row.placements.clone(), edit.modseq);
        let row = VaultRow {
            tag,
            withdrawn: now,
            modseq,
            message: row,
            late: false,
        };
        vault::put(edit.txn, account, message, &row, kept);
        edit.finish();
        Ok(Some(Withdrawn {
            account,
            message,
            placements,
            exposure,
        }))
    }
}

impl Mailboxes {
    /// Whether a message that was there, with this row, and is there no more was withdrawn, or would be: it is in
    /// the vault, or a letter that it has is under a seal that holds. Else its owner removed it.
    pub fn was_withdrawn(
        &self,
        account: AccountId,
        message: MessageId,
        row: &MessageRow,
        now: Timestamp,
    ) -> Result<bool, MailboxError> {
        transact(&*self.engine, |txn| {
            let vaulted = vault::get(txn, account, message)?;
            if vaulted.is_some_and(|vaulted| vaulted.tag != KEPT) {
                return Ok(Verdict::Abandon(true));
            }
            let covers = |seal: &Seal, carriage| seal.covers(account, row.origin, carriage);
            let seal = find_in(txn, row.letters(), now, covers)?;
            Ok(Verdict::Abandon(seal.is_some()))
        })
    }
}

pub(crate) fn read_vaulted_key(key: &[u8]) -> Result<(AccountId, MessageId), MailboxError> {
    let mut parts = tern_store::key::KeyReader::new(key);
    let tag: Option<[u8; 16]> = parts.array();
    match (tag, parts.u32(), parts.u64()) {
        (Some(_), Some(account), Some(message)) => Ok((AccountId(account), MessageId(message))),
        _ => Err(tern_store::StoreError::Damaged.into()),
    }
}
