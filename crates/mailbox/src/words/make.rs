//! Making rows of words: from content, off everybody's path, for blocks in which somebody's search had to read.
//!
//! Invariants: a row speaks of messages of the account alone: whoever takes one away takes the row of its
//! block away in the same transaction (blindly, where the account's head says that it has any), and a
//! row is written only if the account is as it was read, which its head tells. So after a removal, a
//! withdrawal or a purge nothing of a message's words is left in any row.
//!
//! Refuses to make a row of a block whose ids are not all given out, since deliveries would change it, or of
//! content that is sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use tern_base::{AccountId, MessageId};
use tern_store::{Range, StoreError, Transaction, Verdict, limits as store_limits};

use super::row::{Covered, Making, Row};
use super::{Within, folded};
use crate::rows::{AccountHead, MessageRow};
use crate::slots::{Slots, block_of, first_of};
use crate::{MailboxError, Mailboxes, Outline, Upkeep, limits, tables};

/// Blocks of messages in which a search had to read.
#[derive(Default)]
pub(crate) struct Wanted(Mutex<BTreeMap<AccountId, BTreeSet<u64>>>);

impl Wanted {
    pub(super) fn add(&self, account: AccountId, block: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = all.len() < limits::WANTED_WORDS_ACCOUNTS;
        if has_room || all.contains_key(&account) {
            let blocks = all.entry(account).or_default();
            if blocks.len() < limits::WANTED_WORDS_BLOCKS {
                blocks.insert(block);
            }
        }
    }

    /// The next one, which is not wanted any more then.
    fn take(&self) -> Option<(AccountId, u64)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = all.first_entry()?;
        let (account, block) = (*first.key(), first.get_mut().pop_first());
        if first.get().is_empty() {
            first.remove();
        }
        block.map(|block| (account, block))
    }
}

/// Takes the row of words away that may speak of a message.
pub(crate) fn drop_in(txn: &mut Transaction<'_>, account: AccountId, message: MessageId) {
    txn.delete(tables::words(account, block_of(message)));
}

impl Upkeep {
    /// Makes words durable that are wanted, of so many blocks at the most. Answers whether there was less to do. To
    /// be called now and then.
    ///
    /// Nothing is made while the disk has no room for content: nobody needs what is made, and everybody the room
    /// that is left. It stays wanted.
    pub fn make_words(&self, most: usize) -> Result<bool, MailboxError> {
        for _ in 0..most {
            if !self.0.engine.has_room_for_content() {
                return Ok(true);
            }
            let Some((account, block)) = self.0.wanted.take() else {
                return Ok(true);
            };
            self.0.make_row(account, block)?;
        }
        Ok(false)
    }
}

impl Mailboxes {
    /// Says that a search had to read a message: words of its block will be made durable, unless they are.
    pub fn want_words(&self, account: AccountId, message: MessageId) {
        self.wanted.add(account, block_of(message));
    }

    fn make_row(&self, account: AccountId, block: u64) -> Result<(), MailboxError> {
        let is_complete = match self.account_head(account) {
            Ok(head) => head.next_message >= first_id(block.saturating_add(1))?,
            Err(MailboxError::NoAccount) => false,
            Err(error) => return Err(error),
        };
        // Wanted again by whoever reads what comes next.
        if !is_complete {
            return Ok(());
        }
        let page = self
            .engine
            .scan(&messages(account, block)?, store_limits::MAX_PAGE)?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for (key, row) in &page.rows {
            let id = tables::message_of(key).ok_or(StoreError::Damaged)?;
            rows.push((id, MessageRow::decode(row)?));
        }
        let there = together(rows.iter().map(|(id, _)| *id));
        let made = self.engine.get(&tables::words(account, block))?;
        let made = made.and_then(|row| Row::decode(&row).ok());
        if let Some(row) = made.filter(|row| row.covered.there == there) {
            self.absorb(account, block, &row);
            return Ok(());
        }
        if rows.is_empty() {
            return Ok(());
        }
        let row = match self.words_of(account, &rows) {
            // Wanted again by whoever reads what is left of the block.
            Err(MailboxError::Sealed) => return Ok(()),
            row => row?,
        };
        if self.put_row(account, block, &row)?
            && let Ok(row) = Row::decode(&row)
        {
            self.absorb(account, block, &row);
        }
        Ok(())
    }

    /// Brings a row into memory, where words of the account are.
    fn absorb(&self, account: AccountId, block: u64, row: &Row) {
        if let Some(weighed) = self.words.get(&account)
            && weighed.weight <= limits::MAX_WORDS_BYTES as u64
        {
            weighed.words.absorb(block, row);
            self.weigh(account, weighed.words);
        }
    }

    /// The row of a block, of the content of its messages.
    fn words_of(
        &self,
        account: AccountId,
        rows: &[(MessageId, MessageRow)],
    ) -> Result<Vec<u8>, MailboxError> {
        let each: Vec<&MessageRow> = rows.iter().map(|(_, row)| row).collect();
        let structures = self.structures(&each)?;
        let mut making = Making::default();
        for ((id, row), structure) in rows.iter().zip(structures) {
            let structure = match structure {
                Some(structure) => structure,
                None => self.structure(row)?,
            };
            let slot = Slots::of(*id);
            making.cover(slot);
            let parsed = structure.view().ok_or(StoreError::Damaged)?;
            let shown = folded(&Outline::of(&parsed).whole());
            making.add(slot, Within::Shown, &shown);
            let body = self.searched_text(account, row, &structure)?.text;
            making.add(slot, Within::Body, &folded(&body));
        }
        Ok(making.finish())
    }

    /// Writes the row of a block, if its messages are still those. Answers whether it did.
    fn put_row(&self, account: AccountId, block: u64, row: &[u8]) -> Result<bool, MailboxError> {
        let covered = Covered::of(row)?;
        let range = messages(account, block)?;
        self.in_lanes(&[account], |txn| {
            let key = tables::account(account);
            let Some(head) = txn.get(&key)? else {
                return Ok(Verdict::Abandon(false));
            };
            // Covered by the head that was read, as every scan of the account.
            let page = txn.scan(&range, store_limits::MAX_PAGE)?;
            let ids = page
                .rows
                .iter()
                .filter_map(|(key, _)| tables::message_of(key));
            if together(ids) != covered.there {
                return Ok(Verdict::Abandon(false));
            }
            let head = AccountHead::decode(&head)?;
            if !head.has_words {
                let head = AccountHead {
                    has_words: true,
                    ..head
                };
                txn.put(key, head.encode());
            }
            txn.put(tables::words(account, block), row.to_vec());
            Ok(Verdict::Commit(true))
        })
    }
}

fn first_id(block: u64) -> Result<u64, MailboxError> {
    let first = first_of(block).ok_or(StoreError::Damaged)?;
    Ok(first.0)
}

fn together(ids: impl Iterator<Item = MessageId>) -> Slots {
    ids.map(Slots::of).fold(Slots::default(), Slots::with)
}

/// The rows of the messages of a block.
fn messages(account: AccountId, block: u64) -> Result<Range, MailboxError> {
    let id = |block| first_id(block).map(MessageId);
    Ok(Range {
        start: tables::message(account, id(block)?),
        end: tables::message(account, id(block.saturating_add(1))?),
        reverse: false,
    })
}
