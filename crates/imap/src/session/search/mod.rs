//! SEARCH and UID SEARCH (RFC 9051 6.4.4, ESEARCH, SEARCHRES RFC 5182).
//!
//! Invariant: a step looks at a bounded number of messages, and ends once it has read, decoded and
//! scanned a bounded number of octets, beside the last message. A message that is gone or
//! sealed by the time its content is looked at is not found; what the view alone answers is.

mod subject;
mod test;
mod text;

use roaring::RoaringBitmap;
use tern_base::Modseq;
use tern_mailbox::{Entry, MailboxError, MessageRow};

use super::answer::{Answer, Failure, Sync};
use super::fetch::Walk;
use super::run::{Progress, Task};
use super::{Context, Here, Session};
use crate::command::Tag;
use crate::limits::{
    MAX_STEP_OUTPUT, MESSAGES_PER_STEP, SEARCH_WORK_PER_STEP, STRUCTURES_PER_READ, TESTS_PER_STEP,
};
use crate::respond::data::Esearch;
use crate::search::{Search, SearchReturn};

use subject::Subject;
use test::Test;

/// A SEARCH of which a part is done.
pub(super) struct SearchTask {
    uid: bool,
    tag: Tag,
    /// `None` for the old untagged SEARCH.
    returns: Option<SearchReturn>,
    test: Test,
    names_modseq: bool,
    walk: Walk,
    /// Candidates whose content is yet to be looked at.
    pending: std::vec::IntoIter<Entry>,
    found: RoaringBitmap,
    modseq: Modseq,
    /// Modseqs of the first and the last found.
    ends: Option<(Modseq, Modseq)>,
    /// The old SEARCH response that is being written goes on behind this UID.
    written: Option<u32>,
    scratch: String,
}

impl Session {
    pub(super) fn search(
        &mut self,
        search: Search,
        tag: &Tag,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        self.here()?;
        let names_modseq = Test::names_modseq(&search.key);
        if names_modseq {
            self.enable_condstore();
        }
        let rev2 = self.enabled.rev2;
        let here = self.here()?;
        // RFC 9051 6.4.4: a client that enabled rev2 gets ESEARCH whether it asks or not.
        let mut returns = search.returns.or(rev2.then(SearchReturn::default));
        if let Some(returns) = &mut returns {
            let any = returns.min || returns.max || returns.count || returns.save;
            returns.all |= !any;
        }
        // The search may name `$` itself, so it is resolved before `$` is emptied.
        let test = Test::new(&search.key, here.selected, cx.now);
        if returns.is_some_and(|returns| returns.save) {
            // RFC 5182 2.1: a search that fails leaves nothing saved.
            here.selected.saved.clear();
        }
        Ok(Task::Search(SearchTask {
            uid: search.uid,
            tag: tag.clone(),
            returns,
            test,
            names_modseq,
            walk: Walk::new(here.selected.known.clone()),
            pending: Vec::new().into_iter(),
            found: RoaringBitmap::new(),
            modseq: Modseq(0),
            ends: None,
            written: None,
            scratch: String::new(),
        }))
    }
}

impl SearchTask {
    /// Whether a response line is open.
    pub(super) const fn is_mid_response(&self) -> bool {
        self.written.is_some()
    }

    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        let here = session.here()?;
        if self.written.is_some() {
            return Ok(self.write_old(here));
        }
        if self.pending.len() > 0 {
            self.look_into(&here, cx)?;
        } else if !self.walk.is_done() {
            self.look_at(&here, cx)?;
        }
        if self.pending.len() > 0 || !self.walk.is_done() {
            return Ok(Progress::More);
        }
        Ok(match self.returns {
            None => {
                here.out.raw(b"* SEARCH");
                self.written = Some(0);
                self.write_old(here)
            }
            Some(returns) => self.write_extended(here, returns),
        })
    }

    /// What the view answers; what it does not is left for [`Self::look_into`].
    fn look_at(&mut self, here: &Here<'_>, cx: &Context<'_>) -> Result<(), Failure> {
        let view = cx.mailboxes.view(here.account, here.selected.mailbox)?;
        let most = (TESTS_PER_STEP / self.test.count().max(1)).max(MESSAGES_PER_STEP);
        let mut looked_at = 0;
        let mut pending = Vec::new();
        let mut hits = Vec::new();
        let (test, scratch) = (&self.test, &mut self.scratch);
        self.walk.walk(&here.selected.known, &view, |_, _, entry| {
            looked_at += 1;
            let Some(entry) = entry else {
                return looked_at < most;
            };
            let mut subject = Subject::new(cx.mailboxes, here.account, entry, scratch);
            match subject.passes_so_far(test) {
                Some(true) => hits.push((entry.uid.0, entry.modseq)),
                Some(false) => {}
                None => pending.push(entry.clone()),
            }
            looked_at < most && pending.len() < MESSAGES_PER_STEP
        });
        for (uid, modseq) in hits {
            self.hit(uid, modseq);
        }
        self.pending = pending.into_iter();
        Ok(())
    }

    /// Reads rows and content of the candidates.
    fn look_into(&mut self, here: &Here<'_>, cx: &Context<'_>) -> Result<(), Failure> {
        let ids: Vec<_> = self
            .pending
            .as_slice()
            .iter()
            .map(|entry| entry.message)
            .collect();
        let rows = cx.mailboxes.messages(here.account, &ids)?;
        let mut work = 0;
        for rows in rows.chunks(STRUCTURES_PER_READ) {
            // Gone or sealed: not found.
            let rows: Vec<Option<&MessageRow>> = rows
                .iter()
                .map(|row| row.as_ref().and_then(|row| row.as_ref().ok()))
                .collect();
            let there: Vec<&MessageRow> = rows.iter().copied().flatten().collect();
            let mut structures = cx.mailboxes.structures(&there)?.into_iter();
            for row in rows {
                let Some(entry) = self.pending.next() else {
                    return Ok(());
                };
                let Some(row) = row else { continue };
                let structure = structures.next().flatten();
                let subject = Subject::new(cx.mailboxes, here.account, &entry, &mut self.scratch);
                let mut subject = subject.with_row(row, structure);
                let passes = subject.passes(&self.test);
                work += subject.work.total();
                match passes {
                    Ok(true) if !cx.mailboxes.is_sealed(row.digest, here.account, row.origin) => {
                        self.hit(entry.uid.0, entry.modseq);
                    }
                    Ok(_) | Err(MailboxError::Sealed | MailboxError::NoMessage) => {}
                    Err(error) => return Err(error.into()),
                }
                if work >= SEARCH_WORK_PER_STEP {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hit(&mut self, uid: u32, modseq: Modseq) {
        // Candidates come behind hits of the same step, so not in order.
        let first = self.found.min().is_none_or(|least| uid < least);
        let last = self.found.max().is_none_or(|most| uid > most);
        let (low, high) = self.ends.unwrap_or((modseq, modseq));
        self.ends = Some((
            if first { modseq } else { low },
            if last { modseq } else { high },
        ));
        self.found.insert(uid);
        self.modseq = self.modseq.max(modseq);
    }

    fn answer(&self) -> Answer {
        let sync = if self.uid {
            Sync::Full
        } else {
            Sync::KeepNumbers
        };
        Answer::ok("Search completed", sync)
    }

    /// A piece of the untagged SEARCH (RFC 3501 7.2.5).
    fn write_old(&mut self, here: Here<'_>) -> Progress {
        let out = here.out;
        let start = self.written.unwrap_or(0);
        let mut uids = self.found.range(start..);
        let mut piece = RoaringBitmap::new();
        let room = MAX_STEP_OUTPUT.saturating_sub(out.len()) / 8;
        piece.extend(uids.by_ref().take(room.max(1)));
        if self.uid {
            for uid in &piece {
                out.byte(b' ').number(uid);
            }
        } else {
            for number in here.selected.numbers(&piece) {
                out.byte(b' ').number(number);
            }
        }
        if let Some(next) = uids.next() {
            self.written = Some(next);
            return Progress::More;
        }
        self.written = None;
        if self.names_modseq && !self.found.is_empty() {
            out.raw(b" (MODSEQ ").number(self.modseq.0).byte(b')');
        }
        out.end_line();
        Progress::Done(self.answer())
    }

    /// RFC 9051 7.3.4, RFC 5182 2.1 for what is saved.
    fn write_extended(&mut self, here: Here<'_>, returns: SearchReturn) -> Progress {
        let selected = here.selected;
        let number = |uid: u32| {
            if self.uid { uid } else { selected.number(uid) }
        };
        let ends = (self.found.min(), self.found.max());
        let ends_only = !returns.all && !returns.count && (returns.min || returns.max);
        let ranges = returns.all.then(|| selected.ranges(&self.found, self.uid));
        let result = Esearch {
            uid: self.uid,
            min: ends.0.filter(|_| returns.min).map(number),
            max: ends.1.filter(|_| returns.max).map(number),
            all: ranges.as_deref(),
            count: returns
                .count
                .then(|| u32::try_from(self.found.len()).unwrap_or(u32::MAX)),
            modseq: self.told_modseq(returns, ends_only),
        };
        let asks = returns.all || returns.count || returns.min || returns.max;
        if asks {
            here.out.esearch(&self.tag, &result);
        }
        if returns.save {
            selected.saved = if ends_only {
                let min = ends.0.filter(|_| returns.min);
                let max = ends.1.filter(|_| returns.max);
                min.into_iter().chain(max).collect()
            } else {
                std::mem::take(&mut self.found)
            };
        }
        Progress::Done(self.answer())
    }

    /// RFC 7162 3.1.10: of the messages that are returned.
    fn told_modseq(&self, returns: SearchReturn, ends_only: bool) -> Option<u64> {
        let (low, high) = self.ends.filter(|_| self.names_modseq)?;
        Some(match (ends_only, returns.min, returns.max) {
            (true, true, false) => low.0,
            (true, false, true) => high.0,
            (true, ..) => low.max(high).0,
            (false, ..) => self.modseq.0,
        })
    }
}
