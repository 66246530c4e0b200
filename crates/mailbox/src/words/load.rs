//! Reading rows of words into memory, so that the first search after a start reads no content for what an earlier one
//! has read.
//!
//! Invariant: what is read says of a message what its content says, or nothing: a row that is damaged, or was
//! made in another way, is passed over and made anew. Refuses to read further once memory is full.

use std::sync::{Arc, PoisonError};

use tern_base::AccountId;

use super::{AccountWords, Row, Within, Words, id_of};
use crate::slots::first_of;
use crate::{MailboxError, Mailboxes, limits, tables};

/// What a call to [`Mailboxes::load_words`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Octets of rows that were read.
    pub octets: u64,
    /// There are more.
    pub more: bool,
}

impl AccountWords {
    /// Nothing of an account yet, and all of its rows to be read.
    pub(super) fn of(account: AccountId) -> Self {
        let words = Words {
            unread: Some(tables::whole_of(tables::WORDS, account)),
            ..Words::default()
        };
        Self(words.into())
    }

    /// Whether there may be rows that were not read.
    pub fn is_unread(&self) -> bool {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.unread.is_some()
    }

    /// Notes what a row says of a block.
    pub(super) fn absorb(&self, block: u64, row: &Row) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.absorb(block, row);
    }
}

impl Mailboxes {
    /// Reads the next rows of an account's words into memory; those that are there already are not read again.
    pub fn load_words(&self, account: AccountId) -> Result<Loaded, MailboxError> {
        let words = self.words(account);
        let loaded = self.load_some(&words)?;
        if loaded.octets > 0 {
            self.weigh(account, words);
        }
        Ok(loaded)
    }

    fn load_some(&self, words: &Arc<AccountWords>) -> Result<Loaded, MailboxError> {
        // Held meanwhile: who asks for the same waits for it instead of reading it, too.
        let mut words = words.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(range) = words.unread.take() else {
            return Ok(Loaded::default());
        };
        // What can't be read now is tried again.
        words.unread = Some(range.clone());
        let page = self.engine.scan(&range, limits::WORDS_ROWS_PER_READ)?;
        words.unread = page.next;
        let mut octets = 0;
        for (key, row) in &page.rows {
            octets += row.len() as u64;
            if words.weight() > limits::MAX_WORDS_BYTES {
                words.unread = None;
                break;
            }
            if let (Some(block), Ok(row)) = (tables::block_of_words(key), Row::decode(row)) {
                words.absorb(block, &row);
            }
        }
        let more = words.unread.is_some();
        Ok(Loaded { octets, more })
    }
}

impl Words {
    fn absorb(&mut self, block: u64, row: &Row) {
        let first = first_of(block).and_then(id_of);
        let Some(first) = first else { return };
        let mut fresh = [false; 128];
        for (place, fresh) in (0_u8..).zip(&mut fresh) {
            let within = match place & 1 {
                0 => Within::Shown,
                _ => Within::Body,
            };
            // What is known already is not noted twice.
            *fresh = row.covered.known(within).has(place >> 1)
                && self.known.of(within).insert(first + u32::from(place >> 1));
        }
        if !fresh.contains(&true) {
            return;
        }
        let mut places = Vec::with_capacity(fresh.len());
        for (word, at) in row.each() {
            let at = at.iter().copied();
            let at = at.filter(|at| fresh.get(usize::from(*at)).is_some_and(|fresh| *fresh));
            places.extend(at.map(|at| (first << 1) + u32::from(at)));
            if !places.is_empty() {
                self.note(word, &places);
                places.clear();
            }
        }
    }
}
