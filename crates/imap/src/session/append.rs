//! APPEND (RFC 9051 6.3.12) of one or more messages (RFC 3502), and REPLACE (RFC 8508).
//!
//! Invariant: all messages of one APPEND are placed in one transaction, or none is; what REPLACE
//! takes away goes in the same. A message
//! under a seal is accepted like any other and is gone at once, so that a client which tries to
//! put it back settles. The client has what it brings, and that is on record with the copy.

use tern_base::{AccountId, MailboxId, OriginId, Uid};
use tern_mailbox::{Landing, Lineage, MailboxError, Placed, Prepared};
use tern_store::Verdict;

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::flags::flags_of;
use super::run::{Progress, Task};
use super::{Context, Session};
use crate::command::{Append, AppendMessage, Replace};
use crate::event::Event;
use crate::limits::MAX_MULTIAPPEND;
use crate::respond::status::{CodeName, Condition};
use crate::sequence::ranges_of;

/// Messages of which some are prepared.
pub(super) struct AppendTask {
    account: AccountId,
    mailbox: MailboxId,
    messages: std::vec::IntoIter<AppendMessage>,
    prepared: Vec<(Prepared, Landing)>,
    /// What goes as they come, by REPLACE.
    replaces: Option<(MailboxId, Uid)>,
}

impl Session {
    pub(super) fn append(&mut self, append: Append, cx: &Context<'_>) -> Result<Task, Failure> {
        Ok(Task::Append(self.append_task(append, None, cx)?))
    }

    /// RFC 8508 3.
    pub(super) fn replace(&mut self, replace: Replace, cx: &Context<'_>) -> Result<Task, Failure> {
        let here = self.here()?;
        let named = here.selected.resolve(&replace.set, replace.uid)?;
        if named.len() > 1 {
            return Err(Answer::bad("REPLACE takes one message").into());
        }
        if here.selected.read_only {
            return Err(Answer::no(CodeName::ReadOnly, "The mailbox is selected read-only").into());
        }
        let Some(uid) = named.min() else {
            return Err(MailboxError::NoMessage.into());
        };
        let replaces = Some((here.selected.mailbox, Uid(uid)));
        Ok(Task::Append(self.append_task(replace.by, replaces, cx)?))
    }

    fn append_task(
        &self,
        append: Append,
        replaces: Option<(MailboxId, Uid)>,
        cx: &Context<'_>,
    ) -> Result<AppendTask, Failure> {
        let account = self.account()?;
        let folder = match cx.mailboxes.folder(account, append.mailbox.as_str()) {
            Ok(folder) => folder,
            Err(MailboxError::NoMailbox) => return Err(no_target()),
            Err(error) => return Err(error.into()),
        };
        // Refused before any work is done.
        for message in &append.messages {
            flags_of(&message.flags)?;
        }
        Ok(AppendTask {
            account,
            mailbox: folder.id,
            messages: append.messages.into_iter(),
            prepared: Vec::new(),
            replaces,
        })
    }
}

/// RFC 9051 7.1 TRYCREATE: the mailbox is not there, and CREATE may help.
pub(super) fn no_target() -> Failure {
    Answer::no(CodeName::TryCreate, "No such mailbox").into()
}

impl AppendTask {
    /// Prepares one message, or places all.
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        if let Some(message) = self.messages.next() {
            let landing = Landing {
                account: self.account,
                mailbox: self.mailbox,
                flags: flags_of(&message.flags)?,
                received: message.date.unwrap_or(cx.now),
                prefix: Vec::new(),
                origin: OriginId::new(cx.now, cx.entropy),
                lineage: Lineage::Copied,
                brought_by: Some(session.bringer()),
            };
            let prepared = cx.mailboxes.prepare(message.content.to_vec(), cx.now)?;
            self.prepared.push((prepared, landing));
            if self.messages.len() > 0 {
                return Ok(Progress::More);
            }
        }
        let placed = match self.place(cx) {
            Ok(placed) => placed,
            Err(MailboxError::NoMailbox) => return Err(no_target()),
            Err(error) => return Err(error.into()),
        };
        for tag in placed.iter().filter_map(|one| one.sealed) {
            session.event(Event::Sealed(tag));
        }
        let validity = placed.first().map_or(0, |one| one.uid_validity);
        let uids = ranges_of(placed.iter().map(|one| one.uid.0));
        let code = AnswerCode::AppendUid(validity, uids);
        if self.replaces.is_none() {
            let answer = Answer::ok("Append completed", Sync::Full);
            return Ok(Progress::Done(answer.with_code(code)));
        }
        // RFC 8508 3.2: before the expunge of what was replaced.
        let text = "In the place of the other";
        let code = Some(code.borrowed());
        session.out.untagged(Condition::Ok, code, text);
        let answer = Answer::ok("Replace completed", Sync::Full);
        Ok(Progress::Done(answer))
    }

    fn place(&self, cx: &Context<'_>) -> Result<Vec<Placed>, MailboxError> {
        let mailboxes = cx.mailboxes;
        mailboxes.transact(&[self.account], |txn| {
            // It goes first, so that there is room for what comes.
            if let Some((mailbox, uid)) = self.replaces
                && !mailboxes.expunge_in(txn, self.account, mailbox, uid, cx.now)?
            {
                return Err(MailboxError::NoMessage);
            }
            let mut placed = Vec::with_capacity(self.prepared.len());
            for (prepared, landing) in &self.prepared {
                let landing = std::slice::from_ref(landing);
                let outcomes = mailboxes.land_in(txn, prepared, landing, cx.now)?;
                for outcome in outcomes {
                    placed.push(outcome?);
                }
                if self.prepared.len() > 1 && txn.size() > MAX_MULTIAPPEND {
                    return Err(MailboxError::Limit("octets of one APPEND of many messages"));
                }
            }
            Ok(Verdict::Commit(placed))
        })
    }
}
