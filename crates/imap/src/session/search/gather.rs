//! Reading what SORT and THREAD compare of the messages that were found.
//!
//! Invariant: a piece is at most [`MESSAGES_PER_PIECE`] rows, and their structures. A message that
//! is gone or sealed by then is left out: nothing of it shows, not even where it would stand.

use roaring::RoaringBitmap;
use tern_mailbox::{Entry, MessageRow};
use tern_mime::MessageView;
use tern_store::StoreError;

use super::super::answer::{Answer, Failure};
use super::super::fetch::Walk;
use super::super::{Context, Here};
use crate::limits::{MAX_ORDERED_MESSAGES, MESSAGES_PER_PIECE, STRUCTURES_PER_READ};
use crate::respond::status::CodeName;

/// Messages of which a part was read.
pub(in crate::session) struct Gather {
    walk: Walk,
}

impl Gather {
    /// Reads these messages; refuses more than may be held at once.
    pub(in crate::session) fn new(found: RoaringBitmap) -> Result<Self, Failure> {
        if found.len() > MAX_ORDERED_MESSAGES {
            return Err(Answer::no(CodeName::Limit, "Too many messages to put in order").into());
        }
        Ok(Self {
            walk: Walk::new(found),
        })
    }

    /// Whether all were read.
    pub(in crate::session) const fn is_done(&self) -> bool {
        self.walk.is_done()
    }

    /// Hands on the entries of some more messages, which the view has.
    pub(in crate::session) fn entries(
        &mut self,
        here: &Here<'_>,
        cx: &Context<'_>,
        mut each: impl FnMut(&Entry),
    ) -> Result<(), Failure> {
        let view = cx
            .mailboxes
            .view(here.account, here.selected.access.mailbox)?;
        let mut left = MESSAGES_PER_PIECE;
        cx.budget.tests(left, 1);
        self.walk.walk(&here.selected.known, &view, |_, _, entry| {
            if let Some(entry) = entry {
                each(entry);
            }
            left -= 1;
            left > 0
        });
        Ok(())
    }

    /// Hands on some more messages with what was parsed of them.
    pub(in crate::session) fn messages(
        &mut self,
        here: &Here<'_>,
        cx: &Context<'_>,
        mut each: impl FnMut(&Entry, &MessageView<'_>),
    ) -> Result<(), Failure> {
        let mut entries = Vec::new();
        self.entries(here, cx, |entry| entries.push(entry.clone()))?;
        let ids: Vec<_> = entries.iter().map(|entry| entry.message).collect();
        cx.budget.rows(ids.len());
        let rows = cx.mailboxes.messages(here.account, &ids)?;
        let there = entries.iter().zip(rows);
        let there: Vec<(&Entry, MessageRow)> = there
            .filter_map(|(entry, row)| Some((entry, row?.ok()?)))
            .collect();
        for there in there.chunks(STRUCTURES_PER_READ) {
            let rows: Vec<&MessageRow> = there.iter().map(|(_, row)| row).collect();
            let structures = cx.mailboxes.structures(&rows)?;
            for ((entry, row), structure) in there.iter().zip(structures) {
                let structure = match structure {
                    Some(structure) => structure,
                    None => cx.mailboxes.structure(row)?,
                };
                cx.budget.octets(structure.row_len() as u64);
                // Asked last, so that a seal that fell meanwhile counts.
                if cx.mailboxes.is_sealed(here.account, row) {
                    continue;
                }
                each(
                    entry,
                    &structure
                        .view()
                        .ok_or(StoreError::Damaged)
                        .map_err(tern_mailbox::MailboxError::from)?,
                );
            }
        }
        Ok(())
    }
}
