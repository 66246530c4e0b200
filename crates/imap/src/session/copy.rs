//! COPY and MOVE with their UID forms (RFC 9051 6.4.7, 6.4.8).
//!
//! Invariant: of a COPY that fails nothing is left in the target: what was copied, a transaction at a time, is
//! taken back before the answer. Where a crash of the server or the end of the connection cuts it off, or its
//! store can't take it back, that stays. Each message of a MOVE is in
//! one of the two mailboxes at every moment, and what was moved is told even where the rest fails. What
//! goes to another account is read within the memory that all sessions share.

use roaring::RoaringBitmap;
use tern_base::{AccountId, MailboxId, Uid};
use tern_mailbox::{Access, Across, CopiedPair, Rights, Transfer};
use tern_session::Reservation;

use super::answer::{Answer, AnswerCode, Failure, Sync, answer_to};
use super::place::store;
use super::run::{Progress, Task};
use super::{Context, Session};
use crate::command::CopyTo;
use crate::event::{Event, Limit};
use crate::limits::MESSAGES_PER_PIECE;
use crate::respond::status::{CodeName, Condition};
use crate::sequence::ranges_of;

/// A COPY or MOVE of which a part is done.
pub(super) struct CopyTask {
    uid: bool,
    take: bool,
    /// Where they go.
    to: Access,
    /// Whoever copies may see what is there, and is told where it is.
    tells: bool,
    uid_validity: u32,
    target: RoaringBitmap,
    pairs: Vec<CopiedPair>,
    missing: bool,
    /// Why what was copied is being taken back.
    failed: Option<Failure>,
}

impl Session {
    pub(super) fn copy(&mut self, copy: CopyTo, cx: &Context<'_>) -> Result<Task, Failure> {
        let here = self.here()?;
        let target = here.selected.resolve(&copy.set, copy.uid)?;
        if copy.take && here.selected.read_only {
            return Err(Answer::no(CodeName::ReadOnly, "The mailbox is selected read-only").into());
        }
        // RFC 6851 4.4: what it takes to copy, to mark as deleted and to expunge.
        if copy.take {
            let takes = Rights::DELETE_MESSAGES.with(Rights::EXPUNGE);
            here.selected.rights.require(takes)?;
        }
        let place = self.target(&copy.mailbox, cx)?;
        Ok(Task::Copy(CopyTask {
            uid: copy.uid,
            take: copy.take,
            tells: place.rights.has(Rights::READ),
            uid_validity: place.folder.uid_validity,
            to: place.access,
            target,
            pairs: Vec::new(),
            missing: false,
            failed: None,
        }))
    }
}

impl CopyTask {
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        if let Some(failure) = self.failed.take() {
            return self.take_back(failure, session, cx);
        }
        // To another account one by one: each is read whole.
        let most = match session.here()?.account == self.to.account {
            true => MESSAGES_PER_PIECE,
            false => 1,
        };
        let uids: Vec<Uid> = self.target.iter().take(most).map(Uid).collect();
        if !uids.is_empty() {
            let (pairs, taken) = match self.transfer(&uids, session, cx) {
                Ok(done) => done,
                Err(failure) => return self.fail(failure, session, cx),
            };
            cx.budget.changes(taken);
            self.missing |= pairs.len() < taken;
            self.pairs.extend(pairs);
            if let Some(last) = taken.checked_sub(1).and_then(|last| uids.get(last)) {
                self.target.remove_range(..=last.0);
            }
            if !self.target.is_empty() {
                return Ok(Progress::More);
            }
        }
        self.finish(session, cx)
    }

    /// Copies or moves the first of some in one transaction, within an account or from one to another. Answers
    /// how many of them that was.
    fn transfer(
        &self,
        uids: &[Uid],
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<(Vec<CopiedPair>, usize), Failure> {
        let connection = session.connection();
        let own = session.account()?;
        let here = session.here()?;
        let from = here.selected.access.clone();
        let account = from.account;
        if let ([uid], true) = (uids, account != self.to.account) {
            let _held = hold_content(session, from.place(), *uid, cx)?;
            let across = Across {
                from: from.place(),
                uid: *uid,
                to: self.to.place(),
                actor: &cx.sharing.actor(own).map_err(store)?,
                viewer: &session.viewer_in(account),
                bringer: &session.bringer(self.to.account),
                moving: self.take,
            };
            let crossed = cx.mailboxes.copy_across(&across, cx.now)?;
            if let Some(tag) = crossed.and_then(|one| one.sealed) {
                session.event(Event::Sealed(tag));
            }
            return Ok((crossed.map(|one| one.pair).into_iter().collect(), 1));
        }
        let transfer = Transfer {
            from,
            uids,
            to: self.to.mailbox,
            // In somebody else's mailboxes nothing is asked for by that.
            by: connection.as_ref().filter(|_| account == own),
        };
        Ok(cx.mailboxes.transfer_some(&transfer, cx.now, self.take)?)
    }

    fn finish(&mut self, session: &mut Session, cx: &Context<'_>) -> Result<Progress, Failure> {
        // RFC 2180 4.4: a number whose message is gone fails the command; UIDs are passed over.
        let gone = self.missing && !self.uid;
        if gone && !self.take {
            return self.take_back(expunge_issued().into(), session, cx);
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
        let mut answer = Answer::ok("Copy completed", Sync::Full);
        answer.code = code;
        Ok(Progress::Done(answer))
    }

    fn fail(
        &mut self,
        failure: Failure,
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<Progress, Failure> {
        if !self.take {
            return self.take_back(failure, session, cx);
        }
        let code = self.copy_uid();
        self.tell_moved(session, code);
        let answer = match failure {
            Failure::Mailbox(error) => {
                session.failed("moving messages", &error);
                answer_to(&error)
            }
            Failure::Answer(answer) => answer,
            torn @ Failure::Torn => return Err(torn),
        };
        Ok(Progress::Done(answer.with_sync(Sync::Full)))
    }

    /// RFC 9051 6.4.7: a COPY that fails leaves the target as it was. Takes a piece of what was copied back.
    fn take_back(
        &mut self,
        failure: Failure,
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<Progress, Failure> {
        let rest = self.pairs.len().saturating_sub(MESSAGES_PER_PIECE);
        let copies: Vec<Uid> = self.pairs.drain(rest..).map(|pair| pair.to).collect();
        cx.budget.changes(copies.len());
        // What was put there is taken back, with the right to expunge there or without.
        let to = Access::owner(self.to.account, self.to.mailbox);
        if let Err(error) = cx.mailboxes.expunge(&to, &copies, false, cx.now) {
            session.failed("taking back what was copied", &error);
            return Err(failure);
        }
        if self.pairs.is_empty() {
            return Err(failure);
        }
        self.failed = Some(failure);
        Ok(Progress::More)
    }

    /// RFC 9051 7.1 COPYUID; none where nothing was copied.
    fn copy_uid(&self) -> Option<AnswerCode> {
        // RFC 4315 3: nothing of a mailbox is told to whoever can't select it.
        if self.pairs.is_empty() || !self.tells {
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

/// Sets memory for a message aside that is read to be copied to another account.
fn hold_content(
    session: &mut Session,
    (account, mailbox): (AccountId, MailboxId),
    uid: Uid,
    cx: &Context<'_>,
) -> Result<Reservation, Failure> {
    let view = cx.mailboxes.view(account, mailbox)?;
    let octets = view.get(uid).map_or(0, |entry| u64::from(entry.size));
    cx.budget.octets(octets);
    let held = cx.memory.reserve(Some(session.account()?), octets);
    held.ok_or_else(|| {
        session.event(Event::LimitHit(Limit::Memory));
        let text = "Not enough memory for the message now, try again later";
        Answer::no(CodeName::Unavailable, text).into()
    })
}

fn expunge_issued() -> Answer {
    Answer::no(CodeName::ExpungeIssued, "Some messages are gone").with_sync(Sync::Full)
}
