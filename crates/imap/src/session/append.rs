//! APPEND (RFC 9051 6.3.12) of one or more messages (RFC 3502).
//!
//! Invariant: all messages of one APPEND are placed in one transaction, or none is. A message
//! under a seal is accepted like any other and is gone at once, so that a client which tries to
//! put it back settles. The client has what it brings, and that is on record with the copy.

use tern_base::{AccountId, OriginId};
use tern_mailbox::{Landing, Lineage, MailboxError, Mailboxes, Placed, Prepared};
use tern_store::Verdict;

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::flags::flags_of;
use super::run::{Progress, Task};
use super::{Context, Session};
use crate::command::{Append, AppendMessage};
use crate::event::Event;
use crate::limits::MAX_MULTIAPPEND;
use crate::respond::status::CodeName;
use crate::sequence::ranges_of;

/// Messages of which some are prepared.
pub(super) struct AppendTask {
    account: AccountId,
    mailbox: tern_base::MailboxId,
    messages: std::vec::IntoIter<AppendMessage>,
    prepared: Vec<(Prepared, Landing)>,
}

impl Session {
    pub(super) fn append(&mut self, append: Append, cx: &Context<'_>) -> Result<Task, Failure> {
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
        Ok(Task::Append(AppendTask {
            account,
            mailbox: folder.id,
            messages: append.messages.into_iter(),
            prepared: Vec::new(),
        }))
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
                brought_by: Some(session.viewer()),
            };
            let prepared = cx.mailboxes.prepare(message.content.to_vec(), cx.now)?;
            self.prepared.push((prepared, landing));
            if self.messages.len() > 0 {
                return Ok(Progress::More);
            }
        }
        let placed = match place(cx.mailboxes, self.account, &self.prepared, cx) {
            Ok(placed) => placed,
            Err(MailboxError::NoMailbox) => return Err(no_target()),
            Err(error) => return Err(error.into()),
        };
        for tag in placed.iter().filter_map(|one| one.sealed) {
            session.event(Event::Sealed(tag));
        }
        let validity = placed.first().map_or(0, |one| one.uid_validity);
        let uids = ranges_of(placed.iter().map(|one| one.uid.0));
        Ok(Progress::Done(
            Answer::ok("Append completed", Sync::Full)
                .with_code(AnswerCode::AppendUid(validity, uids)),
        ))
    }
}

fn place(
    mailboxes: &Mailboxes,
    account: AccountId,
    messages: &[(Prepared, Landing)],
    cx: &Context<'_>,
) -> Result<Vec<Placed>, MailboxError> {
    mailboxes.transact(&[account], |txn| {
        let mut placed = Vec::with_capacity(messages.len());
        for (prepared, landing) in messages {
            let landing = std::slice::from_ref(landing);
            let outcomes = mailboxes.land_in(txn, prepared, landing, cx.now)?;
            for outcome in outcomes {
                placed.push(outcome?);
            }
            if messages.len() > 1 && txn.size() > MAX_MULTIAPPEND {
                return Err(MailboxError::Limit("octets of one APPEND of many messages"));
            }
        }
        Ok(Verdict::Commit(placed))
    })
}
