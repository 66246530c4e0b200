//! All results of a query at one moment, in order.
//!
//! Invariant: what is hidden under a seal is no result, from the view down to the last look into a body.
//! Where a text was found in a body, that is on record before the answer is told, whichever way it goes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use tern_base::{AccountId, MessageId};
use tern_mailbox::{
    AccountView, ExposureLevel, Held, MailboxError, MessageRow, Served, Share as Part,
};

use super::order::{self, By, Step};
use super::subject::Subject;
use super::test::{Keyword, Test};
use super::threads::Threads;
use crate::context::Context;
use crate::error::MethodError;
use crate::{limits, state};

/// What is asked.
pub(crate) struct Query {
    pub(crate) test: Test,
    pub(crate) order: Vec<Step>,
    pub(crate) collapse_threads: bool,
}

impl Query {
    /// The keywords by which conversations are told apart.
    fn thread_keywords(&self) -> Vec<&Keyword> {
        let mut keywords = Vec::new();
        self.test.each(&mut |test| {
            if let Test::InThread(_, keyword) = test {
                keywords.push(keyword);
            }
        });
        for step in &self.order {
            if let By::InThread(_, keyword) = &step.by {
                keywords.push(keyword);
            }
        }
        keywords
    }
}

/// What was found.
pub(crate) struct Results {
    pub(crate) view: Arc<AccountView>,
    pub(crate) hidden: BTreeSet<MessageId>,
    /// The results in order, one of each conversation where that is asked for.
    pub(crate) ids: Vec<MessageId>,
    /// What the answer serves, where a body was found to have a text.
    by_body: HashMap<MessageId, Served>,
    /// The same of those that are no results because of it.
    left_out: Vec<Served>,
}

/// Which results the answer tells of.
pub(crate) enum Told {
    /// These, and not how many there are.
    Some(Range<usize>),
    /// All, if only by their number.
    All,
}

impl Results {
    /// Runs a query, and puts on record what the answer serves. `told` says which results it tells of,
    /// once they are known.
    pub(crate) fn find(
        cx: &mut Context<'_>,
        account: AccountId,
        query: &Query,
        told: impl Fn(&Self) -> Result<Told, MethodError>,
    ) -> Result<Self, MethodError> {
        let mailboxes = cx.verbs.mailboxes;
        for _ in 0..limits::RECORD_ATTEMPTS {
            let results = Self::look(cx, account, query)?;
            let told = match told(&results)? {
                Told::Some(range) => results.ids.get(range).unwrap_or_default(),
                Told::All => &results.ids,
            };
            let found = told.iter().filter_map(|id| results.by_body.get(id));
            let served: Vec<Served> = found.chain(&results.left_out).copied().collect();
            match mailboxes.record_served(&served, &cx.caller.viewer(), cx.now) {
                Ok(()) => {}
                // Sealed meanwhile: it is hidden in the next round.
                Err(MailboxError::Sealed) => continue,
                Err(error) => return Err(error.into()),
            }
            // Asked last, so that a seal that fell meanwhile counts.
            if mailboxes.hidden(account)? == results.hidden {
                return Ok(results);
            }
        }
        Err(MethodError::SERVER_UNAVAILABLE)
    }

    /// What the results are told to be of: the state, and what is hidden, which no change tells.
    pub(crate) fn query_state(&self) -> String {
        format!("{}{}", state::of(self.view.modseq), mark_of(&self.hidden))
    }

    fn look(cx: &mut Context<'_>, account: AccountId, query: &Query) -> Result<Self, MethodError> {
        let view = cx.verbs.mailboxes.account_view(account)?;
        let hidden = cx.verbs.mailboxes.hidden(account)?;
        let keywords = query.thread_keywords();
        let threads = Threads::of(&view, &hidden, keywords.into_iter());
        let mut search = Search {
            account,
            test: &query.test,
            threads: &threads,
            found: Vec::new(),
            by_body: HashMap::new(),
            left_out: Vec::new(),
        };
        let shown = view.iter().filter(|held| !hidden.contains(&held.message));
        let pending = search.by_view(shown)?;
        let pending = search.by_outline(cx, pending)?;
        search.by_content(cx, &pending)?;
        let (found, by_body, left_out) = (search.found, search.by_body, search.left_out);
        let ids = in_order(cx, account, query, found, &threads)?;
        Ok(Self {
            view,
            hidden,
            ids,
            by_body,
            left_out,
        })
    }
}

/// What tells one set of hidden messages from another; nothing where none are.
pub(crate) fn mark_of(hidden: &BTreeSet<MessageId>) -> String {
    if hidden.is_empty() {
        return String::new();
    }
    let mut hasher = blake3::Hasher::new();
    for message in hidden {
        hasher.update(&message.0.to_be_bytes());
    }
    let digest = hasher.finalize().to_hex();
    format!("-{}", digest.as_str().get(..16).unwrap_or_default())
}

/// Found messages in order, one of each conversation where that is asked for.
fn in_order(
    cx: &Context<'_>,
    account: AccountId,
    query: &Query,
    found: Vec<&Held>,
    threads: &Threads,
) -> Result<Vec<MessageId>, MethodError> {
    let order = &query.order;
    let mut keys = Vec::with_capacity(found.len());
    if order.iter().any(Step::needs_outline) {
        let ids: Vec<MessageId> = found.iter().map(|held| held.message).collect();
        let outlines = cx.verbs.mailboxes.outlines(account, &ids)?;
        for (held, outline) in found.into_iter().zip(outlines) {
            // Gone or sealed by now: nothing of it shows, not even where it would stand.
            if let Some(outline) = outline {
                keys.push((order::packed(order, held, Some(&outline), threads), held));
            }
        }
    } else {
        let packed = |held| (order::packed(order, held, None, threads), held);
        keys.extend(found.into_iter().map(packed));
    }
    keys.sort_unstable_by(|(a, first), (b, second)| (a, first.message).cmp(&(b, second.message)));
    let mut shown = HashSet::new();
    let first_of_thread = |held: &&Held| !query.collapse_threads || shown.insert(held.thread);
    let held = keys.into_iter().map(|(_, held)| held);
    Ok(held
        .filter(first_of_thread)
        .map(|held| held.message)
        .collect())
}

/// A search under way.
struct Search<'a> {
    account: AccountId,
    test: &'a Test,
    threads: &'a Threads,
    found: Vec<&'a Held>,
    by_body: HashMap<MessageId, Served>,
    left_out: Vec<Served>,
}

impl<'a> Search<'a> {
    /// What the view answers; what it does not is left.
    fn by_view(
        &mut self,
        shown: impl Iterator<Item = &'a Held>,
    ) -> Result<Vec<&'a Held>, MethodError> {
        let mut pending = Vec::new();
        for held in shown {
            match Subject::new(held, self.threads).passes(self.test)? {
                Some(true) => self.found.push(held),
                Some(false) => {}
                None => pending.push(held),
            }
        }
        Ok(pending)
    }

    /// What outlines answer.
    fn by_outline(
        &mut self,
        cx: &Context<'_>,
        candidates: Vec<&'a Held>,
    ) -> Result<Vec<&'a Held>, MethodError> {
        let mut pending = Vec::new();
        if candidates.is_empty() {
            return Ok(pending);
        }
        let ids: Vec<MessageId> = candidates.iter().map(|held| held.message).collect();
        let outlines = cx.verbs.mailboxes.outlines(self.account, &ids)?;
        for (held, outline) in candidates.into_iter().zip(outlines) {
            let Some(outline) = outline else { continue };
            let subject = Subject::new(held, self.threads);
            match subject.with_outline(&outline).passes(self.test)? {
                Some(true) => self.found.push(held),
                Some(false) => {}
                None => pending.push(held),
            }
        }
        Ok(pending)
    }

    /// Reads the content of the candidates.
    fn by_content(
        &mut self,
        cx: &mut Context<'_>,
        candidates: &[&'a Held],
    ) -> Result<(), MethodError> {
        let mailboxes = cx.verbs.mailboxes;
        for candidates in candidates.chunks(limits::MESSAGES_PER_READ) {
            let ids: Vec<MessageId> = candidates.iter().map(|held| held.message).collect();
            let outlines = mailboxes.outlines(self.account, &ids)?;
            let rows = mailboxes.messages(self.account, &ids)?;
            // Gone or sealed: not found.
            let rows: Vec<Option<MessageRow>> = rows
                .into_iter()
                .map(|row| row.and_then(Result::ok))
                .collect();
            let there: Vec<&MessageRow> = rows.iter().flatten().collect();
            let mut structures = mailboxes.structures(&there)?.into_iter();
            for ((held, row), outline) in candidates.iter().zip(&rows).zip(&outlines) {
                let Some(row) = row else { continue };
                let structure = structures.next().flatten();
                let Some(outline) = outline else { continue };
                let structure = match structure {
                    Some(structure) => structure,
                    None => mailboxes.structure(row)?,
                };
                let mut subject = Subject::new(held, self.threads)
                    .with_outline(outline)
                    .with_content(mailboxes, self.account, row, structure);
                let passes = subject.passes(self.test);
                cx.search(subject.work())?;
                match passes {
                    Ok(passes) => {
                        self.settle(held, row, passes == Some(true), subject.found_in_body);
                    }
                    Err(MailboxError::Sealed | MailboxError::NoMessage) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self, held: &'a Held, row: &MessageRow, passes: bool, in_body: bool) {
        let served = Served {
            account: self.account,
            message: held.message,
            digest: row.digest,
            origin: row.origin,
            carries: !row.carried.is_empty(),
            level: ExposureLevel::Preview,
            share: Part::NONE,
        };
        match (passes, in_body) {
            (true, true) => drop(self.by_body.insert(held.message, served)),
            // Left out by NOT, which says as much of its text.
            (false, true) => self.left_out.push(served),
            (_, false) => {}
        }
        if passes {
            self.found.push(held);
        }
    }
}
