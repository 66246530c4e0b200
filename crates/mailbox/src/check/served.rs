//! What is on record as served: in short, by client, and of copies that are gone.

use std::collections::BTreeSet;

use tern_base::{AccountId, ContentDigest, MessageId};
use tern_store::key::KeyReader;
use tern_store::{Range, StoreError};

use super::Seen;
use crate::expose::Exposure;
use crate::roll::{Most, Roll};
use crate::sheet::Sheet;
use crate::slots::{Slots, block_of};
use crate::{MailboxError, Mailboxes, tables};

type Block = (AccountId, u64);

impl Mailboxes {
    /// The most that was served of a message is the most that was served of it to any client, every client
    /// is on the roll, and what is told of a copy that is gone is on record. All of it stays when
    /// the copy is gone.
    pub(super) fn check_served(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        self.look_at_each(tables::whole(tables::ROLL), seen, |seen, key, value| {
            self.check_block(block_in(key)?.0, &Roll::decode(value)?, seen)
        })?;
        // The sheets of a block without a roll.
        let mut known: Option<(Block, bool)> = None;
        self.look_at_each(tables::whole(tables::SHEET), seen, |seen, key, _| {
            let ((account, block), _) = block_in(key)?;
            let has_roll = match known {
                Some((of, has_roll)) if of == (account, block) => has_roll,
                _ => self.engine.get(&tables::roll(account, block))?.is_some(),
            };
            known = Some(((account, block), has_roll));
            if !has_roll {
                seen.fault(format!("served to nobody on the roll: {key:02x?}"));
            }
            Ok(())
        })?;
        self.check_wide(seen)?;
        self.check_gone(seen)
    }

    /// A roll and the sheets of its block.
    fn check_block(&self, block: Block, roll: &Roll, seen: &mut Seen) -> Result<(), MailboxError> {
        let mut in_sheets = BTreeSet::new();
        // A sheet is named by its client behind what all of them begin with.
        let mut sheets = tables::sheet(block.0, block.1, 0);
        sheets.pop();
        self.look_at_each(Range::prefix(sheets), seen, |seen, key, value| {
            let (_, mut parts) = block_in(key)?;
            let [client] = parts.array().ok_or(StoreError::Damaged)?;
            if !roll.sheets().any(|known| known == client) {
                seen.fault(format!("served to nobody on the roll: {key:02x?}"));
                return Ok(());
            }
            let sheet = Sheet::decode(value)?;
            for (slots, entry) in &sheet.entries.0 {
                let level = entry.moments.iter().map(|moment| moment.level).max();
                for slot in slots.each() {
                    let most = roll.most.get(slot);
                    if most.map(|most| most.level) < level {
                        seen.fault(format!("more was served than the roll says: {key:02x?}"));
                    }
                    if most.is_some_and(|most| most.client == client && Some(most.level) == level) {
                        in_sheets.insert(slot.number());
                    }
                }
            }
            Ok(())
        })?;
        for slot in roll.most.0.iter().flat_map(|(slots, _)| slots.each()) {
            if !in_sheets.contains(&slot.number()) {
                seen.fault(format!(
                    "the roll of {block:?} says more than was served of {}",
                    slot.number()
                ));
            }
        }
        Ok(())
    }

    /// The most that was served of a message, as its roll has it.
    fn most_on_roll(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> Result<Option<Most>, MailboxError> {
        let row = self.engine.get(&tables::roll(account, block_of(message)))?;
        let roll = row.map(|row| Roll::decode(&row)).transpose()?;
        Ok(roll.and_then(|roll| roll.most.get(Slots::of(message)).copied()))
    }

    /// Of the letters of which every copy that was served has a row by letter, every one does.
    fn check_wide(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        self.look_at_each(tables::whole(tables::WIDE), seen, |seen, key, _| {
            let digest = KeyReader::new(key).array().ok_or(StoreError::Damaged)?;
            for copy in self.copies(ContentDigest(digest))? {
                let most = self.most_on_roll(copy.account, copy.message)?;
                let key = tables::exposure(ContentDigest(digest), copy.account, copy.message);
                let row = self.engine.get(&key)?;
                let told = row.map(|row| Exposure::decode(&row)).transpose()?;
                if told.map(|told| told.level) != most.map(|most| most.level) {
                    seen.fault(format!("not on record by letter: {key:02x?}"));
                }
            }
            Ok(())
        })
    }

    fn check_gone(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        self.look_at_each(tables::whole(tables::EXPOSURE), seen, |seen, key, value| {
            let mut parts = KeyReader::new(key);
            let _digest: Option<[u8; 16]> = parts.array();
            let (Some(account), Some(message)) = (parts.u32(), parts.u64()) else {
                return Err(StoreError::Damaged.into());
            };
            let most = self.most_on_roll(AccountId(account), MessageId(message))?;
            let level = Exposure::decode(value)?.level;
            if most.is_none_or(|most| most.level < level) {
                seen.fault(format!("exposure that no roll has: {key:02x?}"));
            }
            Ok(())
        })
    }
}

/// The block that a key is of, and what follows.
fn block_in(key: &[u8]) -> Result<(Block, KeyReader<'_>), MailboxError> {
    let mut parts = KeyReader::new(key);
    match (parts.u32(), parts.u64()) {
        (Some(account), Some(block)) => Ok(((AccountId(account), block), parts)),
        _ => Err(StoreError::Damaged.into()),
    }
}
