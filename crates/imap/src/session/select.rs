//! SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3) with CONDSTORE and QRESYNC (RFC 7162), CLOSE and
//! UNSELECT (RFC 9051 6.4.1, 6.4.2).
//!
//! Invariant: after a SELECT that failed no mailbox is selected.

use roaring::RoaringBitmap;
use tern_base::{AccountId, Modseq, Uid};
use tern_mailbox::{Rights, SystemFlag, View};

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::expunge::ExpungeTask;
use super::fetch::FetchTask;
use super::run::Task;
use super::selected::Selected;
use super::{Context, Session, State};
use crate::command::{Qresync, Select};
use crate::respond::status::{Code, CodeName, Condition};
use crate::sequence::{Numbers, ranges_of};
use tern_session::ids::mailbox_id;

/// RFC 4314 5.2: the rights of which one makes a mailbox more than something to read.
const CHANGES: Rights = Rights::INSERT
    .with(Rights::EXPUNGE)
    .with(Rights::SEEN)
    .with(Rights::WRITE)
    .with(Rights::DELETE_MESSAGES);

impl Session {
    pub(super) fn select(&mut self, select: Select, cx: &mut Context<'_>) -> Result<Task, Failure> {
        // RFC 7162 3.2.5
        if select.qresync.is_some() && !self.enabled.qresync {
            return Err(Answer::bad("ENABLE QRESYNC first").into());
        }
        self.account()?;
        self.leave_mailbox();
        if select.condstore || select.qresync.is_some() {
            self.enable_condstore();
        }
        let place = self.place(&select.mailbox, Rights::READ, cx)?;
        let account = place.access.account;
        let view = cx.mailboxes.view(account, place.folder.id)?;
        let selected = Selected::new(&place, select.read_only, &view);
        self.write_selected(account, &selected, &view);
        if self.enabled.rev2 {
            let listed = self.listed(&place, cx)?;
            self.out.list(&listed);
        }
        let (code, text) = match select.read_only {
            true => (CodeName::ReadOnly, "Examine completed"),
            // RFC 4314 5.2
            false if !place.rights.has_any(CHANGES) => (CodeName::ReadOnly, "Select completed"),
            false => (CodeName::ReadWrite, "Select completed"),
        };
        let answer = Answer::ok(text, Sync::Nothing).with_code(AnswerCode::Name(code));
        let task = match select.qresync {
            Some(known) if known.uid_validity == view.uid_validity => {
                self.resync(account, &selected, &known, answer, cx)?
            }
            _ => answer.into(),
        };
        if let State::Authenticated { selected: slot, .. } = &mut self.state {
            *slot = Some(Box::new(selected));
        }
        Ok(task)
    }

    /// RFC 9051 6.3.2: whatever comes of a SELECT, the mailbox before it is selected no more.
    pub(super) fn leave_mailbox(&mut self) {
        if self.take_selected().is_some() {
            // RFC 9051 7.1, CLOSED; RFC 7162 3.2.11
            let code = Some(CodeName::Closed.into());
            self.out
                .untagged(Condition::Ok, code, "Previous mailbox closed");
        }
    }

    /// The untagged part of the answer.
    fn write_selected(&mut self, account: AccountId, selected: &Selected, view: &View) {
        let out = &mut self.out;
        let ok = Condition::Ok;
        selected.write_flags(out);
        out.exists(selected.count());
        if !self.enabled.rev2 {
            // RFC 3501 6.3.1; RFC 9051 dropped both.
            out.recent(0);
            if let Some(entry) = view.first_unseen() {
                let code = Code::Unseen(selected.number(entry.uid.0));
                out.untagged(ok, Some(code), "First unseen");
            }
        }
        let code = Code::UidValidity(view.uid_validity);
        out.untagged(ok, Some(code), "UIDs valid");
        let code = Code::UidNext(view.counters.uid_next.0);
        out.untagged(ok, Some(code), "Next UID");
        // RFC 7162 3.1.2.1
        let code = Code::HighestModseq(view.counters.highest_modseq.0);
        out.untagged(ok, Some(code), "Newest change");
        let id = mailbox_id(account, selected.access.mailbox);
        out.untagged(ok, Some(Code::MailboxId(&id)), "Mailbox id");
    }

    /// RFC 7162 3.2.5: what vanished and what changed since the client was last here.
    fn resync(
        &mut self,
        account: AccountId,
        selected: &Selected,
        known: &Qresync,
        answer: Answer,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        let since = Modseq(known.modseq);
        let changes = cx
            .mailboxes
            .changes(account, selected.access.mailbox, since)?;
        let mut vanished = changes.vanished;
        let mut changed = selected.known.clone();
        if let Some(uids) = &known.known_uids {
            let uids = uids.numbers(0);
            vanished = uids.among(&vanished);
            changed = uids.among(&changed);
        }
        if let Some((numbers, uids)) = &known.sequence_match {
            let matched = matched_up_to(&selected.known, &numbers.numbers(0), &uids.numbers(0));
            vanished.remove_range(..=matched);
        }
        // The view is newer than the changes at worst: what it shows has not vanished.
        vanished -= &selected.known;
        self.out.vanished(true, &ranges_of(vanished.iter()));
        Ok(Task::Fetch(FetchTask::resync(changed, since, answer)))
    }

    pub(super) fn take_selected(&mut self) -> Option<Box<Selected>> {
        match &mut self.state {
            State::Authenticated { selected, .. } => selected.take(),
            State::NotAuthenticated => None,
        }
    }

    /// RFC 9051 6.4.2.
    pub(super) fn unselect(&mut self) -> Result<Task, Failure> {
        self.here()?;
        self.take_selected();
        Ok(Answer::ok("Unselect completed", Sync::Nothing).into())
    }

    /// RFC 9051 6.4.1: expunges without telling.
    pub(super) fn close_mailbox(&mut self) -> Result<Task, Failure> {
        let here = self.here()?;
        let answer = Answer::ok("Close completed", Sync::Nothing);
        // RFC 4314 4: whoever may not expunge closes the mailbox all the same.
        let may = !here.selected.read_only && here.selected.rights.has(Rights::EXPUNGE);
        Ok(match self.take_selected().filter(|_| may) {
            Some(selected) => Task::Expunge(ExpungeTask::closing(*selected, answer)),
            None => answer.into(),
        })
    }
}

/// The messages among `of` that have `\Deleted`.
pub(super) fn deleted_in(view: &View, of: &RoaringBitmap) -> Vec<Uid> {
    let is_deleted = |entry: &&tern_mailbox::Entry| {
        entry.flags.has(SystemFlag::Deleted) && of.contains(entry.uid.0)
    };
    view.iter()
        .filter(is_deleted)
        .map(|entry| entry.uid)
        .collect()
}

/// RFC 7162 3.2.5.2: the largest UID up to which the client's numbers are ours. As many messages
/// as it knows up to there are there, so none of them has vanished. What the client says is asked
/// for the messages that are there, however many it names.
fn matched_up_to(known: &RoaringBitmap, numbers: &Numbers, uids: &Numbers) -> u32 {
    let numbered = (1..=known.len()).rev().zip(known.iter().rev());
    let is_ours = |(number, uid): &(u64, u32)| {
        let said = uids.place_of(*uid).and_then(|place| numbers.at(place));
        said.is_some_and(|said| u64::from(said) == *number)
    };
    let mut numbered = numbered.filter(is_ours);
    numbered.next().map_or(0, |(_, uid)| uid)
}
