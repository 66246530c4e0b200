//! APPEND (RFC 9051 6.3.12) of one or more messages (RFC 3502), and REPLACE (RFC 8508).
//!
//! Invariant: all messages of one APPEND are placed in one transaction, or none is; what REPLACE
//! takes away goes in the same. A message
//! under a seal is accepted like any other and is gone at once, so that a client which tries to
//! put it back settles. The client has what it brings, and that is on record with the copy.

use tern_base::{AccountId, OriginId, Uid};
use tern_mailbox::{Access, Landing, Limit, Lineage, MailboxError, Placed, Prepared, Rights};
use tern_store::Verdict;

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::flags::flags_of;
use super::place::Place;
use super::run::{Progress, Task};
use super::{Context, Session};
use crate::command::{Append, AppendMessage, Replace};
use crate::event::Event;
use crate::limits::MAX_MULTIAPPEND;
use crate::name::MailboxName;
use crate::respond::status::{CodeName, Condition};
use crate::sequence::ranges_of;

/// Messages of which some are prepared.
pub(super) struct AppendTask {
    /// Where they go.
    to: Access,
    /// Whoever appends may see what is there, and is told where it is.
    tells: bool,
    messages: std::vec::IntoIter<AppendMessage>,
    prepared: Vec<(Prepared, Landing)>,
    /// What goes as they come, by REPLACE.
    replaces: Option<Replaced>,
}

/// The message that REPLACE takes away.
struct Replaced {
    from: Access,
    uid: Uid,
    octets: u64,
}

impl Replaced {
    /// What its going frees in an account, at the most.
    fn frees(&self, account: AccountId) -> u64 {
        if self.from.account == account {
            self.octets
        } else {
            0
        }
    }
}

/// RFC 8508 3: to mark it as deleted and to expunge it.
const REPLACE: Rights = Rights::DELETE_MESSAGES.with(Rights::EXPUNGE);

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
        here.selected.rights.require(REPLACE)?;
        let view = cx
            .mailboxes
            .view(here.account, here.selected.access.mailbox)?;
        let entry = view.get(Uid(uid)).ok_or(MailboxError::NoMessage)?;
        let replaces = Replaced {
            octets: entry.size.into(),
            from: here.selected.access.clone(),
            uid: Uid(uid),
        };
        let task = self.append_task(replace.by, Some(replaces), cx)?;
        Ok(Task::Append(task))
    }

    fn append_task(
        &self,
        append: Append,
        replaces: Option<Replaced>,
        cx: &Context<'_>,
    ) -> Result<AppendTask, Failure> {
        let place = self.target(&append.mailbox, cx)?;
        // Refused before any work is done.
        for message in &append.messages {
            flags_of(&message.flags)?;
            // RFC 3502 6.3.11: so a client takes all messages of the command back.
            if message.content.is_empty() {
                return Err(Answer::no(CodeName::Cannot, "A message of no octets").into());
            }
        }
        Ok(AppendTask {
            tells: place.rights.has(Rights::READ),
            to: place.access,
            messages: append.messages.into_iter(),
            prepared: Vec::new(),
            replaces,
        })
    }
}

impl Session {
    /// The mailbox into which messages are to go.
    pub(super) fn target(&self, name: &MailboxName, cx: &Context<'_>) -> Result<Place, Failure> {
        let is_own = self.whose(name, cx)?.acting.is_owner();
        match self.place(name, Rights::INSERT, cx) {
            Err(Failure::Mailbox(MailboxError::NoMailbox)) if is_own => Err(no_target()),
            place => place,
        }
    }
}

/// RFC 9051 7.1 TRYCREATE: the mailbox is not there, and CREATE may help.
fn no_target() -> Failure {
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
                account: self.to.account,
                mailbox: self.to.mailbox,
                flags: flags_of(&message.flags)?,
                received: message.date.unwrap_or(cx.now),
                prefix: Vec::new(),
                origin: OriginId::new(cx.now, cx.entropy),
                lineage: Lineage::Copied,
                brought_by: Some(session.bringer(self.to.account)),
            };
            let frees = self
                .replaces
                .as_ref()
                .map_or(0, |one| one.frees(self.to.account));
            cx.budget.octets(message.content.len() as u64);
            let content = message.content.to_vec();
            let prepared = cx
                .mailboxes
                .prepare_brought(self.to.account, content, frees, cx.now)?;
            self.prepared.push((prepared, landing));
            if self.messages.len() > 0 {
                return Ok(Progress::More);
            }
        }
        let placed = match self.place(cx) {
            Ok(placed) => placed,
            Err(MailboxError::NoMailbox) if self.to.is_owners() => return Err(no_target()),
            Err(error) => return Err(error.into()),
        };
        for tag in placed.iter().filter_map(|one| one.sealed) {
            session.event(Event::Sealed(tag));
        }
        let validity = placed.first().map_or(0, |one| one.uid_validity);
        let uids = ranges_of(placed.iter().map(|one| one.uid.0));
        // RFC 4315 3: nothing of a mailbox is told to whoever can't select it.
        let code = self.tells.then_some(AnswerCode::AppendUid(validity, uids));
        if self.replaces.is_none() {
            let mut answer = Answer::ok("Append completed", Sync::Full);
            answer.code = code;
            return Ok(Progress::Done(answer));
        }
        // RFC 8508 3.2: before the expunge of what was replaced.
        let text = "In the place of the other";
        let code = code.as_ref().map(AnswerCode::borrowed);
        session.out.untagged(Condition::Ok, code, text);
        let answer = Answer::ok("Replace completed", Sync::Full);
        Ok(Progress::Done(answer))
    }

    fn place(&self, cx: &Context<'_>) -> Result<Vec<Placed>, MailboxError> {
        let mailboxes = cx.mailboxes;
        let mut accounts = vec![self.to.account];
        accounts.extend(self.replaces.iter().map(|replaced| replaced.from.account));
        mailboxes.transact(&accounts, |txn| {
            // It goes first, so that there is room for what comes.
            if let Some(replaced) = &self.replaces {
                mailboxes.allow_in(txn, &replaced.from, REPLACE)?;
                let (account, mailbox) = replaced.from.place();
                if !mailboxes.expunge_in(txn, account, mailbox, replaced.uid, cx.now)? {
                    return Err(MailboxError::NoMessage);
                }
            }
            let rights = mailboxes.allow_in(txn, &self.to, Rights::INSERT)?;
            let mut placed = Vec::with_capacity(self.prepared.len());
            for (prepared, landing) in &self.prepared {
                // RFC 4314 4: flags without the right to set them are left out.
                let mut landing = landing.clone();
                landing.flags = rights.flags(landing.flags);
                let landing = std::slice::from_ref(&landing);
                let outcomes = mailboxes.land_in(txn, prepared, landing, cx.now)?;
                for outcome in outcomes {
                    placed.push(outcome?);
                }
                if self.prepared.len() > 1 && txn.size() > MAX_MULTIAPPEND {
                    return Err(MailboxError::Limit(Limit::AppendOctets));
                }
            }
            Ok(Verdict::Commit(placed))
        })
    }
}
