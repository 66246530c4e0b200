//! Going through tables whatever they are like: a row that can't be read is a fault like any other, and none keeps
//! the rest from being looked at.
//!
//! Invariant: what a check holds in memory does not grow with the rows of the store. What two tables say of each
//! other is asked of both sides, by point reads of some at a time.

use std::mem;

use tern_store::{Range, StoreError};

use super::Seen;
use crate::{MailboxError, Mailboxes};

/// Questions that are asked of the store together.
const TOGETHER: usize = 1_000;
/// Faults that are told one by one.
const MAX_FINDINGS: usize = 10_000;

/// What an index and its rows say of each other.
#[derive(Default)]
pub(super) struct Questions {
    /// Keys that a row says are there, and what it says if they are not.
    entries: Vec<(Vec<u8>, &'static str)>,
    /// Keys that are there, the row that is to say so, and what it says if that one does not.
    rows: Vec<(Vec<u8>, Vec<u8>, &'static str)>,
}

impl Seen {
    /// A fault; of very many no more is told than that there are.
    pub(super) fn fault(&mut self, what: String) {
        match self.findings.len() {
            MAX_FINDINGS => {
                let more = String::from("and more, which are not told");
                self.findings.push(tern_store::Finding(more));
            }
            told if told < MAX_FINDINGS => self.findings.push(tern_store::Finding(what)),
            _ => {}
        }
    }

    /// That something which can't be read is a fault.
    pub(super) fn readable<T>(
        &mut self,
        key: &[u8],
        read: Result<T, MailboxError>,
    ) -> Result<Option<T>, MailboxError> {
        match read {
            Err(MailboxError::Store(StoreError::Damaged)) => {
                self.fault(format!("a row can't be read: {key:02x?}"));
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// A row says that there is another.
    pub(super) fn expect(&mut self, key: Vec<u8>, or_else: &'static str) {
        self.questions.entries.push((key, or_else));
    }

    /// There is an entry of an index, which a row is to say.
    pub(super) fn belongs(&mut self, key: &[u8], row: Vec<u8>, or_else: &'static str) {
        self.questions.rows.push((key.to_vec(), row, or_else));
    }
}

impl Mailboxes {
    /// Shows each row of a range.
    pub(super) fn look_at_each(
        &self,
        range: Range,
        seen: &mut Seen,
        mut look: impl FnMut(&mut Seen, &[u8], &[u8]) -> Result<(), MailboxError>,
    ) -> Result<(), MailboxError> {
        let (mut next, mut step) = (Some(range), 1);
        while let Some(range) = next.take() {
            let (mut last, mut outcome) = (None, Ok(()));
            let walked = self.engine.visit(&range, &mut |key, value| {
                let looked = look(seen, key, value);
                outcome = seen.readable(key, looked).map(drop);
                last = Some(key.to_vec());
                outcome.is_ok()
            });
            outcome?;
            match walked {
                Err(StoreError::Damaged) => {
                    step = if last.is_some() { 1 } else { step * 2 };
                    let at = last.unwrap_or(range.start);
                    seen.fault(format!("what follows {at:02x?} can't be read"));
                    let start = behind(&at, step).filter(|start| *start < range.end);
                    next = start.map(|start| Range { start, ..range });
                }
                walked => walked?,
            }
            self.ask(seen)?;
        }
        Ok(())
    }

    /// Asks what was noted, where it is much.
    pub(super) fn ask_some(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        let Questions { entries, rows } = &seen.questions;
        match entries.len() + rows.len() >= TOGETHER {
            true => self.ask(seen),
            false => Ok(()),
        }
    }

    fn ask(&self, seen: &mut Seen) -> Result<(), MailboxError> {
        let Questions { entries, rows } = mem::take(&mut seen.questions);
        let keys: Vec<Vec<u8>> = entries.iter().map(|(key, _)| key.clone()).collect();
        for ((key, or_else), found) in entries.iter().zip(self.engine.get_many(&keys)?) {
            if found.is_none() {
                seen.fault(format!("{or_else}: {key:02x?}"));
            }
        }
        let keys: Vec<Vec<u8>> = rows.iter().map(|(_, row, _)| row.clone()).collect();
        for ((key, row, or_else), found) in rows.iter().zip(self.engine.get_many(&keys)?) {
            let says = match found {
                None => Ok(false),
                Some(value) => super::index::says(row, &value, key),
            };
            // One that can't be read is told of where it stands.
            if matches!(says, Ok(false)) {
                seen.fault(format!("{or_else}: {key:02x?}"));
            }
        }
        Ok(())
    }
}

/// Where to go on behind a part of a table that can't be read: at the next account, or the next letters.
fn behind(key: &[u8], step: u32) -> Option<Vec<u8>> {
    let (table, rest) = key.split_first()?;
    let mut place = [0; 4];
    for (octet, known) in place.iter_mut().zip(rest) {
        *octet = *known;
    }
    let place = u32::from_be_bytes(place).checked_add(step)?;
    Some([&[*table][..], &place.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_what_can_not_be_read_is_the_next_account() {
        assert_eq!(
            behind(&[0x13, 0, 0, 0, 255, 7], 1),
            Some(vec![0x13, 0, 0, 1, 0])
        );
        assert_eq!(behind(&[0x13], 4), Some(vec![0x13, 0, 0, 0, 4]));
        assert_eq!(behind(&[0x13, 255, 255, 255, 255], 1), None);
        assert_eq!(behind(&[], 1), None);
    }
}
