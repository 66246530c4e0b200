//! Indexes and the rows that they are of: each says what the other does.

use tern_base::codec::Damaged;
use tern_base::{AccountId, MessageId};
use tern_store::StoreError;
use tern_store::key::KeyReader;

use super::Seen;
use crate::rows::{CopyRow, MessageRow, VaultPlacementRow, VaultRow};
use crate::withdraw::read_vaulted_key;
use crate::{KEPT, MailboxError, Mailboxes, tables};

/// The entries by which a message in mailboxes is found.
fn of_message(account: AccountId, id: MessageId, row: &MessageRow) -> Vec<(Vec<u8>, &'static str)> {
    let mut entries = vec![
        (
            tables::copy(row.digest, account, id),
            "message without copy index entry",
        ),
        (
            tables::thread(account, row.thread, id),
            "message without thread index entry",
        ),
    ];
    let carried = row.carried.iter();
    entries.extend(carried.map(|letter| {
        let key = tables::carrier(letter.digest, account, id);
        (key, "message without carrier index entry")
    }));
    entries
}

/// Those of a message in the vault.
fn of_vaulted(account: AccountId, id: MessageId, row: &VaultRow) -> Vec<(Vec<u8>, &'static str)> {
    let placed = row.message.placements.iter();
    let placed = placed.map(|(mailbox, _)| {
        let key = tables::vault_placement(account, id, *mailbox);
        (key, "message in the vault without placement")
    });
    let under = tables::vaulted(row.tag, account, id);
    let tagged = (under, "message in the vault without vault index entry");
    placed.chain([tagged]).collect()
}

/// Whether a row says that there is an entry of an index.
pub(super) fn says(key: &[u8], row: &[u8], entry: &[u8]) -> Result<bool, Damaged> {
    let mut parts = KeyReader::new(key);
    let at = (parts.u32().map(AccountId), parts.u64().map(MessageId));
    let entries = match (key.first(), at) {
        (Some(&tables::MESSAGE), (Some(account), Some(id))) => {
            of_message(account, id, &MessageRow::decode(row)?)
        }
        (Some(&tables::VAULT), (Some(account), Some(id))) => {
            of_vaulted(account, id, &VaultRow::decode(row)?)
        }
        // That it is there is all that the entry says.
        _ => return Ok(true),
    };
    Ok(entries.iter().any(|(key, _)| key == entry))
}

impl Seen {
    /// What a message's row says of other tables.
    pub(super) fn message(&mut self, account: AccountId, id: MessageId, row: &MessageRow) {
        *self.references.entry(row.blob).or_default() += 1;
        for (key, or_else) in of_message(account, id, row) {
            self.expect(key, or_else);
        }
    }
}

impl Mailboxes {
    /// The vault, whose rows outlive their accounts.
    pub(super) fn check_vault(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        self.look_at_each(tables::whole(tables::VAULT), seen, |seen, key, value| {
            let mut parts = KeyReader::new(key);
            let (Some(account), Some(id)) = (parts.u32(), parts.u64()) else {
                return Err(StoreError::Damaged.into());
            };
            let (account, id) = (AccountId(account), MessageId(id));
            let row = VaultRow::decode(value)?;
            if row.tag == KEPT {
                *seen.kept.entry(account).or_default() += u64::from(row.message.size);
            }
            *seen.references.entry(row.message.blob).or_default() += 1;
            for (key, or_else) in of_vaulted(account, id, &row) {
                seen.expect(key, or_else);
            }
            self.ask_some(seen)
        })?;
        for (account, counted) in &std::mem::take(&mut seen.kept_by_head) {
            let kept = seen.kept.remove(account).unwrap_or(0);
            if *counted != kept {
                seen.fault(format!(
                    "account {account}: counts {counted} octets that are kept of it, not {kept}"
                ));
            }
        }
        Ok(())
    }

    /// Every entry of an index is of a row that says so.
    pub(super) fn check_indexes(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        for (table, or_else) in [
            (tables::COPY, "copy index entry of no message"),
            (tables::CARRIER, "carrier index entry of no message"),
        ] {
            self.look_at_each(tables::whole(table), seen, |seen, key, value| {
                let copy = CopyRow::decode(key, value)?;
                let row = tables::message(copy.account, copy.message);
                seen.belongs(key, row, or_else);
                self.ask_some(seen)
            })?;
        }
        self.look_at_each(tables::whole(tables::THREAD), seen, |seen, key, _| {
            let mut parts = KeyReader::new(key);
            let account = parts.u32().ok_or(StoreError::Damaged)?;
            let _thread = parts.u64();
            let id = parts.u64().ok_or(StoreError::Damaged)?;
            let row = tables::message(AccountId(account), MessageId(id));
            seen.belongs(key, row, "thread index entry of no message");
            self.ask_some(seen)
        })?;
        self.look_at_each(tables::whole(tables::VAULTED), seen, |seen, key, _| {
            let (account, id) = read_vaulted_key(key)?;
            let row = tables::vault(account, id);
            seen.belongs(key, row, "vault index entry of no message");
            self.ask_some(seen)
        })?;
        let placements = tables::whole(tables::VAULT_PLACEMENT);
        self.look_at_each(placements, seen, |seen, key, value| {
            VaultPlacementRow::decode(value)?;
            let mut parts = KeyReader::new(key);
            let account = parts.u32().ok_or(StoreError::Damaged)?;
            let id = parts.u64().ok_or(StoreError::Damaged)?;
            let row = tables::vault(AccountId(account), MessageId(id));
            seen.belongs(key, row, "vaulted placement of no message");
            self.ask_some(seen)
        })
    }
}
