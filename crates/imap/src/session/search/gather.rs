//! Reading what SORT and THREAD compare of the messages that were found.
//!
//! Invariant: a piece is at most [`MESSAGES_PER_PIECE`] rows, and their structures as far as the step's budget
//! goes. A message that
//! is gone or sealed by then is left out: nothing of it shows, not even where it would stand.

use roaring::RoaringBitmap;
use tern_mailbox::{Entry, MailboxError};
use tern_mime::MessageView;
use tern_store::StoreError;

use super::super::answer::{Answer, Failure};
use super::super::fetch::Walk;
use super::super::{Context, Here};
use super::rows::with_structures;
use crate::limits::{MAX_ORDERED_MESSAGES, MESSAGES_PER_PIECE, STRUCTURES_PER_READ};
use crate::respond::status::CodeName;

/// Messages of which a part was read.
pub(in crate::session) struct Gather {
    walk: Walk,
    /// Messages whose rows are yet to be looked at.
    pending: std::vec::IntoIter<Entry>,
}

impl Gather {
    /// Reads these messages; refuses more than may be held at once.
    pub(in crate::session) fn new(found: RoaringBitmap) -> Result<Self, Failure> {
        if found.len() > MAX_ORDERED_MESSAGES {
            return Err(Answer::no(CodeName::Limit, "Too many messages to put in order").into());
        }
        Ok(Self {
            walk: Walk::new(found),
            pending: Vec::new().into_iter(),
        })
    }

    /// Whether all were read.
    pub(in crate::session) fn is_done(&self) -> bool {
        self.pending.len() == 0 && self.walk.is_done()
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
        if self.pending.len() == 0 {
            let mut entries = Vec::new();
            self.entries(here, cx, |entry| entries.push(entry.clone()))?;
            self.pending = entries.into_iter();
        }
        let ids: Vec<_> = self
            .pending
            .as_slice()
            .iter()
            .map(|entry| entry.message)
            .collect();
        cx.budget.rows(ids.len());
        let rows = cx.mailboxes.messages(here.account, &ids)?;
        for rows in rows.chunks(STRUCTURES_PER_READ) {
            for known in with_structures(cx.mailboxes, rows)? {
                let Some(entry) = self.pending.next() else {
                    return Ok(());
                };
                let Some((row, ahead)) = known else { continue };
                let octets = ahead.as_ref().map_or(0, |one| one.row_len() as u64);
                cx.budget.octets(octets);
                let structure = cx.budget.structure(cx.mailboxes, row, ahead)?;
                // Asked last, so that a seal that fell meanwhile counts.
                if cx.mailboxes.is_sealed(here.account, row) {
                    continue;
                }
                let view = structure.view().ok_or(StoreError::Damaged);
                each(&entry, &view.map_err(MailboxError::from)?);
                if cx.budget.is_spent(here.out) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
