//! EXPUNGE and UID EXPUNGE (RFC 9051 6.4.3, 6.4.9), and the expunge that CLOSE does.
//!
//! Invariant: what is gone is told by the changes, like any other expunge.

use tern_base::Uid;
use tern_mailbox::{Access, MailboxError, Rights};

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::run::{Progress, Task};
use super::select::deleted_in;
use super::selected::Selected;
use super::{Context, Session};
use crate::limits::MESSAGES_PER_PIECE;
use crate::respond::status::CodeName;
use crate::sequence::MessageSet;

/// Messages that are to be expunged where they have `\Deleted`.
pub(super) struct ExpungeTask {
    access: Access,
    /// All of the client's messages that have `\Deleted`, or of this set; found by the first piece.
    set: Option<roaring::RoaringBitmap>,
    /// The rest, the first one last.
    uids: Option<Vec<Uid>>,
    any: bool,
    answer: Answer,
}

impl Session {
    pub(super) fn expunge(&mut self, set: Option<&MessageSet>) -> Result<Task, Failure> {
        let here = self.here()?;
        let set = match set {
            Some(set) => here.selected.resolve(set, true)?,
            None => here.selected.known.clone(),
        };
        if here.selected.read_only {
            return Err(Answer::no(CodeName::ReadOnly, "The mailbox is selected read-only").into());
        }
        here.selected.rights.require(Rights::EXPUNGE)?;
        Ok(Task::Expunge(ExpungeTask {
            access: here.selected.access.clone(),
            set: Some(set),
            uids: None,
            any: false,
            answer: Answer::ok("Expunge completed", Sync::Full),
        }))
    }
}

impl ExpungeTask {
    /// The expunge of a mailbox that is selected no more.
    pub(super) fn closing(selected: Selected, answer: Answer) -> Self {
        Self {
            access: selected.access,
            set: Some(selected.known),
            uids: None,
            any: false,
            answer,
        }
    }

    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        let (account, mailbox) = self.access.place();
        let uids = match &mut self.uids {
            Some(uids) => uids,
            None => {
                let view = match cx.mailboxes.view(account, mailbox) {
                    Err(MailboxError::NoMailbox) if self.answer.sync == Sync::Nothing => {
                        return Ok(Progress::Done(self.answer.clone()));
                    }
                    view => view?,
                };
                let set = self.set.take().unwrap_or_default();
                cx.budget.tests(view.len(), 1);
                let mut uids = deleted_in(&view, &set);
                uids.reverse();
                self.uids.insert(uids)
            }
        };
        let rest = uids.len().saturating_sub(MESSAGES_PER_PIECE);
        let mut piece = uids.split_off(rest);
        piece.reverse();
        cx.budget.changes(piece.len());
        if !piece.is_empty() {
            match cx.mailboxes.expunge(&self.access, &piece, true, cx.now) {
                Ok(gone) => self.any |= !gone.is_empty(),
                // RFC 4314 4: CLOSE goes through whatever may be expunged.
                Err(MailboxError::NotPermitted | MailboxError::NoMailbox)
                    if self.answer.sync == Sync::Nothing => {}
                Err(error) => return Err(error.into()),
            }
        }
        if rest > 0 {
            return Ok(Progress::More);
        }
        let mut answer = self.answer.clone();
        // RFC 7162 3.2.9; not for CLOSE, whose expunges are not told.
        if answer.sync == Sync::Full && self.any && session.enabled.condstore {
            let counters = cx.mailboxes.counters(account, mailbox)?;
            answer = answer.with_code(AnswerCode::HighestModseq(counters.highest_modseq.0));
        }
        Ok(Progress::Done(answer))
    }
}
