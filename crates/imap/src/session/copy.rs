//! COPY and MOVE with their UID forms (RFC 9051 6.4.7, 6.4.8).
//!
//! Invariant: a COPY that fails leaves nothing behind in the target; each message of a MOVE is in
//! one of the two mailboxes at every moment, and what was moved is told even where the rest fails.

use roaring::RoaringBitmap;
use tern_base::{MailboxId, Uid};
use tern_mailbox::{CopiedPair, MailboxError, Transfer};

use super::answer::{Answer, AnswerCode, Failure, Sync, answer_to};
use super::append::no_target;
use super::run::{Progress, Task};
use super::{Context, Session};
use crate::command::CopyTo;
use crate::limits::MESSAGES_PER_STEP;
use crate::respond::status::{CodeName, Condition};
use crate::sequence::ranges_of;

/// A COPY or MOVE of which a part is done.
pub(super) struct CopyTask {
    uid: bool,
    take: bool,
    to: MailboxId,
    uid_validity: u32,
    target: RoaringBitmap,
    pairs: Vec<CopiedPair>,
    missing: bool,
}

impl Session {
    pub(super) fn copy(&mut self, copy: CopyTo, cx: &Context<'_>) -> Result<Task, Failure> {
        let here = self.here()?;
        let target = here.selected.resolve(&copy.set, copy.uid)?;
        if copy.take && here.selected.read_only {
            return Err(Answer::no(CodeName::ReadOnly, "The mailbox is selected read-only").into());
        }
        let folder = match cx.mailboxes.folder(here.account, copy.mailbox.as_str()) {
            Ok(folder) => folder,
            Err(MailboxError::NoMailbox) => return Err(no_target()),
            Err(error) => return Err(error.into()),
        };
        Ok(Task::Copy(CopyTask {
            uid: copy.uid,
            take: copy.take,
            to: folder.id,
            uid_validity: folder.uid_validity,
            target,
            pairs: Vec::new(),
            missing: false,
        }))
    }
}

impl CopyTask {
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        let connection = session.connection();
        let here = session.here()?;
        let (account, from) = (here.account, here.selected.mailbox);
        let uids: Vec<Uid> = self
            .target
            .iter()
            .take(MESSAGES_PER_STEP)
            .map(Uid)
            .collect();
        if let Some(last) = uids.last() {
            self.target.remove_range(..=last.0);
            let transfer = Transfer {
                account,
                from,
                uids: &uids,
                to: self.to,
                by: connection.as_ref(),
            };
            let pairs = if self.take {
                cx.mailboxes.move_messages(&transfer, cx.now)
            } else {
                cx.mailboxes.copy(&transfer, cx.now)
            };
            match pairs {
                Ok(pairs) => {
                    self.missing |= pairs.len() < uids.len();
                    self.pairs.extend(pairs);
                }
                Err(error) => return self.fail(error, session, cx),
            }
            if !self.target.is_empty() {
                return Ok(Progress::More);
            }
        }
        self.finish(session, cx)
    }

    fn finish(&mut self, session: &mut Session, cx: &Context<'_>) -> Result<Progress, Failure> {
        // RFC 2180 4.4: a number whose message is gone fails the command; UIDs are passed over.
        let gone = self.missing && !self.uid;
        if gone && !self.take {
            self.roll_back(session, cx)?;
        }
        let code = self.copy_uid();
        if self.take {
            // RFC 6851 4.3: COPYUID comes before the expunges.
            self.tell_moved(session, code);
            if gone {
                return Ok(Progress::Done(expunge_issued()));
            }
            return Ok(Progress::Done(Answer::ok("Move completed", Sync::Full)));
        }
        if gone {
            return Ok(Progress::Done(expunge_issued()));
        }
        let mut answer = Answer::ok("Copy completed", Sync::Full);
        answer.code = code;
        Ok(Progress::Done(answer))
    }

    fn fail(
        &mut self,
        error: MailboxError,
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<Progress, Failure> {
        if self.take {
            let code = self.copy_uid();
            self.tell_moved(session, code);
            session.failed("moving messages", &error);
            return Ok(Progress::Done(answer_to(&error).with_sync(Sync::Full)));
        }
        self.roll_back(session, cx)?;
        Err(error.into())
    }

    /// RFC 9051 6.4.7: a COPY that fails leaves the target as it was.
    fn roll_back(&mut self, session: &Session, cx: &Context<'_>) -> Result<(), Failure> {
        let copies: Vec<Uid> = self.pairs.drain(..).map(|pair| pair.to).collect();
        let account = session.account()?;
        cx.mailboxes
            .expunge(account, self.to, &copies, false, cx.now)?;
        Ok(())
    }

    /// RFC 9051 7.1 COPYUID; none where nothing was copied.
    fn copy_uid(&self) -> Option<AnswerCode> {
        if self.pairs.is_empty() {
            return None;
        }
        // Both ascend, so that the n-th of the one is the n-th of the other.
        let from = ranges_of(self.pairs.iter().map(|pair| pair.from.0));
        let to = ranges_of(self.pairs.iter().map(|pair| pair.to.0));
        Some(AnswerCode::CopyUid(self.uid_validity, from, to))
    }

    fn tell_moved(&self, session: &mut Session, code: Option<AnswerCode>) {
        if let Some(code) = code {
            let code = Some(code.borrowed());
            session.out.untagged(Condition::Ok, code, "Moved");
        }
    }
}

fn expunge_issued() -> Answer {
    Answer::no(CodeName::ExpungeIssued, "Some messages are gone").with_sync(Sync::Full)
}
