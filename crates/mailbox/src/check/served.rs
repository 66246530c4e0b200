//! What is on record as served: in short, by client, and of copies that are gone.

use std::collections::{BTreeMap, BTreeSet};

use tern_base::{AccountId, ContentDigest, MessageId};
use tern_store::StoreError;
use tern_store::key::KeyReader;

use super::Seen;
use crate::expose::Exposure;
use crate::roll::Roll;
use crate::sheet::Sheet;
use crate::slots::{Slots, block_of};
use crate::{MailboxError, Mailboxes, tables};

type Block = (AccountId, u64);

impl Mailboxes {
    /// The most that was served of a message is the most that was served of it to any client, every client
    /// is on the roll, and what is told of a copy that is gone is on record. All of it stays when
    /// the copy is gone.
    pub(super) fn check_served(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        let rolls = self.rolls()?;
        let mut in_sheets = BTreeSet::new();
        for (key, value) in self.rows(tables::whole(tables::SHEET))? {
            let (block, mut parts) = block_in(&key)?;
            let [client] = parts.array().ok_or(StoreError::Damaged)?;
            let sheet = Sheet::decode(&value)?;
            let roll = rolls.get(&block);
            if !roll.is_some_and(|roll| roll.sheets().any(|known| known == client)) {
                seen.fault(format!("served to nobody on the roll: {key:02x?}"));
                continue;
            }
            for (slots, entry) in &sheet.entries.0 {
                let level = entry.moments.iter().map(|moment| moment.level).max();
                for slot in slots.each() {
                    let most = roll.and_then(|roll| roll.most.get(slot));
                    if most.map(|most| most.level) < level {
                        seen.fault(format!("more was served than the roll says: {key:02x?}"));
                    }
                    if most.is_some_and(|most| most.client == client && Some(most.level) == level) {
                        in_sheets.insert((block, slot.number()));
                    }
                }
            }
        }
        for (block, roll) in &rolls {
            for slot in roll.most.0.iter().flat_map(|(slots, _)| slots.each()) {
                if !in_sheets.contains(&(*block, slot.number())) {
                    seen.fault(format!(
                        "the roll of {block:?} says more than was served of {}",
                        slot.number()
                    ));
                }
            }
        }
        self.check_wide(&rolls, seen)?;
        self.check_gone(&rolls, seen)
    }

    fn rolls(&self) -> Result<BTreeMap<Block, Roll>, MailboxError> {
        let mut rolls = BTreeMap::new();
        for (key, value) in self.rows(tables::whole(tables::ROLL))? {
            rolls.insert(block_in(&key)?.0, Roll::decode(&value)?);
        }
        Ok(rolls)
    }

    /// Of the letters of which every copy that was served has a row by letter, every one does.
    fn check_wide(
        &self,
        rolls: &BTreeMap<Block, Roll>,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        for (key, _) in self.rows(tables::whole(tables::WIDE))? {
            let digest = KeyReader::new(&key).array().ok_or(StoreError::Damaged)?;
            for copy in self.copies(ContentDigest(digest))? {
                let roll = rolls.get(&(copy.account, block_of(copy.message)));
                let most = roll.and_then(|roll| roll.most.get(Slots::of(copy.message)));
                let key = tables::exposure(ContentDigest(digest), copy.account, copy.message);
                let row = self.engine.get(&key)?;
                let told = row.map(|row| Exposure::decode(&row)).transpose()?;
                if told.map(|told| told.level) != most.map(|most| most.level) {
                    seen.fault(format!("not on record by letter: {key:02x?}"));
                }
            }
        }
        Ok(())
    }

    fn check_gone(
        &self,
        rolls: &BTreeMap<Block, Roll>,
        seen: &mut Seen,
    ) -> Result<(), MailboxError> {
        for (key, value) in self.rows(tables::whole(tables::EXPOSURE))? {
            let mut parts = KeyReader::new(&key);
            let _digest: Option<[u8; 16]> = parts.array();
            let (Some(account), Some(message)) = (parts.u32(), parts.u64()) else {
                return Err(StoreError::Damaged.into());
            };
            let message = MessageId(message);
            let roll = rolls.get(&(AccountId(account), block_of(message)));
            let most = roll.and_then(|roll| roll.most.get(Slots::of(message)));
            let level = Exposure::decode(&value)?.level;
            if most.is_none_or(|most| most.level < level) {
                seen.fault(format!("exposure that no roll has: {key:02x?}"));
            }
        }
        Ok(())
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
