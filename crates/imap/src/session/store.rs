//! STORE and UID STORE (RFC 9051 6.4.6, RFC 7162 3.1.3).
//!
//! Invariant: what is told of a message's flags here is not told again when the changes are; so a
//! client that asks not to be told is told all the same where its own change is not the only one.

use std::sync::Arc;

use roaring::RoaringBitmap;
use tern_base::{Modseq, Uid};
use tern_mailbox::{FlagChange, FlagOutcome, FlagRequest};

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::flags::flags_of;
use super::run::{Progress, Task};
use super::{Context, Here, Session};
use crate::command::{Store, StoreAction};
use crate::limits::MESSAGES_PER_PIECE;
use crate::respond::status::CodeName;

/// A STORE of which a part is done.
pub(super) struct StoreTask {
    uid: bool,
    silent: bool,
    change: Arc<FlagChange>,
    unchanged_since: Option<Modseq>,
    target: RoaringBitmap,
    modified: RoaringBitmap,
    missing: bool,
}

impl Session {
    pub(super) fn store(&mut self, store: Store) -> Result<Task, Failure> {
        self.here()?;
        // RFC 7162 3.1.3 makes this a CONDSTORE enabling command.
        if store.unchanged_since.is_some() {
            self.enable_condstore();
        }
        let here = self.here()?;
        let target = here.selected.resolve(&store.set, store.uid)?;
        if here.selected.read_only {
            return Err(Answer::no(CodeName::ReadOnly, "The mailbox is selected read-only").into());
        }
        let flags = flags_of(&store.flags)?;
        let change = match store.action {
            StoreAction::Replace => FlagChange::Set(flags),
            StoreAction::Add => FlagChange::Add(flags),
            StoreAction::Remove => FlagChange::Remove(flags),
        };
        Ok(Task::Store(StoreTask {
            uid: store.uid,
            silent: store.silent,
            change: Arc::new(change),
            unchanged_since: store.unchanged_since.map(Modseq),
            target,
            modified: RoaringBitmap::new(),
            missing: false,
        }))
    }
}

impl StoreTask {
    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        let connection = session.connection();
        let mut here = session.here()?;
        let uids: Vec<Uid> = self
            .target
            .iter()
            .take(MESSAGES_PER_PIECE)
            .map(Uid)
            .collect();
        let Some(last) = uids.last() else {
            return Ok(Progress::Done(self.answer(&here)));
        };
        self.target.remove_range(..=last.0);
        cx.budget.changes(uids.len());
        let request = FlagRequest {
            access: here.selected.access.clone(),
            uids: &uids,
            change: &self.change,
            unchanged_since: self.unchanged_since,
            by: connection.as_ref(),
        };
        let outcomes = cx.mailboxes.change_flags(&request)?;
        self.missing |= outcomes.len() < uids.len();
        for outcome in outcomes {
            self.tell(outcome, &mut here);
        }
        Ok(if self.target.is_empty() {
            Progress::Done(self.answer(&here))
        } else {
            Progress::More
        })
    }

    fn tell(&mut self, outcome: FlagOutcome, here: &mut Here<'_>) {
        let (uid, flags, modseq, before) = match outcome {
            FlagOutcome::Flags {
                uid,
                flags,
                modseq,
                before,
            } => (uid, flags, modseq, before),
            FlagOutcome::Modified(uid) => {
                self.modified.insert(uid.0);
                return;
            }
        };
        // RFC 9051 6.4.6: what somebody else changed is told, silent or not.
        let silent = self.silent && here.selected.was_told(uid, before);
        here.selected.note_told(uid, modseq);
        // RFC 7162 3.1.3: the new mod-sequence is told even where the flags are not.
        if silent && !here.enabled.condstore {
            return;
        }
        here.selected.announce(&flags, here.out);
        let mut response = here.out.fetch(here.selected.number(uid.0));
        if self.uid || here.enabled.qresync || here.enabled.rev2 {
            response.uid(uid.0);
        }
        if !silent {
            response.flags(flags.system_bits(), flags.keywords());
        }
        if here.enabled.condstore {
            response.modseq(modseq.0);
        }
        response.end();
    }

    fn answer(&self, here: &Here<'_>) -> Answer {
        let sync = if self.uid {
            Sync::Full
        } else {
            Sync::KeepNumbers
        };
        if !self.modified.is_empty() {
            // RFC 7162 3.1.3
            let modified = here.selected.ranges(&self.modified, self.uid);
            return Answer::ok("Conditional store failed for some", sync)
                .with_code(AnswerCode::Modified(modified));
        }
        // RFC 9051 6.4.9: a UID that is not there is ignored. RFC 2180 4.2 for numbers.
        if self.missing && !self.uid {
            return Answer::no(CodeName::ExpungeIssued, "Some messages are gone").with_sync(sync);
        }
        Answer::ok("Store completed", sync)
    }
}
