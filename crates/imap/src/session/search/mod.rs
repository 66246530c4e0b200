//! SEARCH and UID SEARCH (RFC 9051 6.4.4, ESEARCH, SEARCHRES RFC 5182, PARTIAL RFC 9394).
//!
//! Invariant: what is found is found by [`Find`]; here is how it is told.

mod fields;
mod find;
mod gather;
mod rows;
mod subject;
mod test;
mod text;

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::answer::{Answer, Failure, Sync};
use super::budget::StepBudget;
use super::run::{Progress, Task};
use super::{Context, Here, Session};
use crate::command::Tag;
use crate::respond::data::Esearch;
use crate::search::{Search, SearchKey, SearchReturn};

pub(super) use find::Find;
pub(super) use gather::Gather;
pub(super) use subject::decoded;

/// A SEARCH of which a part is done.
pub(super) struct SearchTask {
    uid: bool,
    tag: Tag,
    /// `None` for the old untagged SEARCH.
    returns: Option<SearchReturn>,
    names_modseq: bool,
    find: Find,
    /// The old SEARCH response that is being written goes on behind this UID.
    written: Option<u32>,
}

impl Session {
    pub(super) fn search(
        &mut self,
        search: Search,
        tag: &Tag,
        cx: &Context<'_>,
    ) -> Result<Task, Failure> {
        self.here()?;
        let names_modseq = names_modseq(&search.key);
        if names_modseq {
            self.enable_condstore();
        }
        let rev2 = self.enabled.rev2;
        let viewer = self.viewer();
        let here = self.here()?;
        // RFC 9051 6.4.4: a client that enabled rev2 gets ESEARCH whether it asks or not.
        let returns = search.returns.or(rev2.then(SearchReturn::default));
        let returns = returns.map(SearchReturn::or_all);
        // The search may name `$` itself, so it is resolved before `$` is emptied.
        let find = Find::new(&search.key, here.selected, viewer, cx.now);
        if returns.is_some_and(|returns| returns.save) {
            // RFC 5182 2.1: a search that fails leaves nothing saved.
            here.selected.saved = Arc::default();
        }
        Ok(Task::Search(SearchTask {
            uid: search.uid,
            tag: tag.clone(),
            returns,
            names_modseq,
            find,
            written: None,
        }))
    }
}

/// Whether a search names mod-sequences, so that its result tells one (RFC 7162 3.1.5).
pub(super) fn names_modseq(key: &SearchKey) -> bool {
    match key {
        SearchKey::Modseq(_) => true,
        SearchKey::And(keys) | SearchKey::Or(keys) => keys.iter().any(names_modseq),
        SearchKey::Not(key) => names_modseq(key),
        _ => false,
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
            return Ok(self.write_old(here, &cx.budget));
        }
        if !self.find.is_done() {
            self.find.advance(&here, cx)?;
        }
        if !self.find.is_done() {
            return Ok(Progress::More);
        }
        Ok(match self.returns {
            None => {
                here.out.raw(b"* SEARCH");
                self.written = Some(0);
                self.write_old(here, &cx.budget)
            }
            Some(returns) => self.write_extended(here, returns),
        })
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
    fn write_old(&mut self, here: Here<'_>, budget: &StepBudget) -> Progress {
        let out = here.out;
        let start = self.written.unwrap_or(0);
        let mut uids = self.find.found.range(start..);
        let mut piece = RoaringBitmap::new();
        let room = budget.room(out) / 8;
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
        if self.names_modseq && !self.find.found.is_empty() {
            out.raw(b" (MODSEQ ").number(self.find.modseq.0).byte(b')');
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
        let ends = self.find.found.min().zip(self.find.found.max());
        let part = returns.partial.map(|partial| partial.of(&self.find.found));
        let told = part.as_ref().map(|part| selected.ranges(part, self.uid));
        let ranges = returns
            .all
            .then(|| selected.ranges(&self.find.found, self.uid));
        let modseqs = self.find.ends.filter(|_| self.names_modseq);
        let result = Esearch {
            uid: self.uid,
            min: ends.filter(|_| returns.min).map(|(first, _)| number(first)),
            max: ends.filter(|_| returns.max).map(|(_, last)| number(last)),
            all: ranges.as_deref(),
            partial: returns.partial.zip(told.as_deref()),
            count: returns
                .count
                .then(|| u32::try_from(self.find.found.len()).unwrap_or(u32::MAX)),
            modseq: modseqs.map(|ends| returns.told_modseq(ends, self.find.modseq).0),
        };
        if returns.tells() {
            here.out.esearch(&self.tag, &result);
        }
        if returns.save {
            let saved = returns.saved_part(ends, part);
            let all = || std::mem::take(&mut self.find.found);
            selected.saved = Arc::new(saved.unwrap_or_else(all));
        }
        Progress::Done(self.answer())
    }
}
