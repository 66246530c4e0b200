//! All results of a query at one moment, in order.
//!
//! Invariant: what is hidden under a seal is no result, from the view down to the last look into a body.
//! Where a text was found in a body, that is on record before the answer is told, whichever way it goes.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use tern_base::{AccountId, MessageId, Modseq};
use tern_mailbox::{
    AccountView, ExposureLevel, Finds, Held, MailboxError, Mailboxes, MessageRow, Outline, Served,
    Share as Part, Texts, searched_weight,
};

use super::order::{self, By, Step};
use super::subject::{Subject, shown_words};
use super::test::{Keyword, Test};
use super::text::Word;
use super::threads::Threads;
use crate::context::Context;
use crate::error::MethodError;
use crate::limits;
use crate::scope::{Of, Scope};

/// What is asked.
pub(crate) struct Query {
    pub(crate) test: Test,
    pub(crate) order: Vec<Step>,
    pub(crate) collapse_threads: bool,
}

impl Query {
    /// What is looked for in texts, as far as no white space is in it.
    fn words(&self) -> Vec<&[u8]> {
        let mut all = Vec::new();
        self.test.each(&mut |test| {
            if let Test::Text(words) | Test::Body(words) | Test::Field(_, words) = test {
                all.extend(words.iter().flat_map(Word::pieces));
            }
        });
        all
    }

    /// Whether it looks for texts in bodies: others cost less to read than all words do.
    fn looks_into_bodies(&self) -> bool {
        let mut looks = false;
        self.test
            .each(&mut |test| looks |= matches!(test, Test::Text(_) | Test::Body(_)));
        looks
    }

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
    /// How new it is at least.
    pub(crate) modseq: Modseq,
    pub(crate) hidden: BTreeSet<MessageId>,
    /// The results in order, as many as were wanted, one of each conversation where that is asked for.
    pub(crate) ids: Vec<MessageId>,
    /// Those of which the answer serves the body, where a text was found.
    in_body: HashSet<MessageId>,
    /// The same of those that are no results because of it.
    left_out: Vec<MessageId>,
}

/// Which results the answer tells of.
pub(crate) enum Told {
    /// These, and not how many there are.
    Some(Range<usize>),
    /// All, if only by their number.
    All,
}

impl Results {
    /// Runs a query, and puts on record what the answer serves. Of the results, the first `most` are
    /// wanted, or more. `told` says of which the answer tells, once they are known.
    pub(crate) fn find(
        cx: &mut Context<'_>,
        scope: &Scope,
        query: &Query,
        most: usize,
        told: impl Fn(&Self) -> Result<Told, MethodError>,
    ) -> Result<Self, MethodError> {
        let (mailboxes, account) = (cx.verbs.mailboxes, scope.account);
        for _ in 0..limits::RECORD_ATTEMPTS {
            cx.answer.let_go();
            let results = Self::look(cx, scope, query, most)?;
            let told = match told(&results)? {
                Told::Some(range) => results.ids.get(range).unwrap_or_default(),
                Told::All => &results.ids,
            };
            let found = told.iter().filter(|id| results.in_body.contains(id));
            let mut found: Vec<MessageId> = found.chain(&results.left_out).copied().collect();
            found.sort_unstable();
            // Sealed or gone meanwhile: it is no result in the next round.
            let Some(served) = served(mailboxes, account, &found)? else {
                continue;
            };
            match mailboxes.record_served(&served, &cx.caller.viewer_in(account), cx.now) {
                Ok(()) => {}
                // Sealed meanwhile: it is hidden in the next round.
                Err(MailboxError::Sealed) => continue,
                Err(error) => return Err(error.into()),
            }
            // Asked last, so that a seal that fell meanwhile counts.
            if scope.hidden(mailboxes, &results.view)? == results.hidden {
                return Ok(results);
            }
        }
        Err(MethodError::SERVER_UNAVAILABLE)
    }

    /// What the results are told to be of: the state, and what is hidden, which no change tells.
    pub(crate) fn query_state(&self, scope: &Scope) -> String {
        let state = scope.state(Of::Messages, self.modseq);
        format!("{state}{}", mark_of(&self.hidden))
    }

    fn look(
        cx: &mut Context<'_>,
        scope: &Scope,
        query: &Query,
        most: usize,
    ) -> Result<Self, MethodError> {
        let account = scope.account;
        let (view, modseq) = scope.view(cx.verbs.mailboxes)?;
        let hidden = scope.hidden(cx.verbs.mailboxes, &view)?;
        cx.search(query.test.size().work(view.len()))?;
        let threads = Threads::of(cx, &view, &hidden, query.thread_keywords())?;
        // What is known of words is known of all messages at once; what must not be there is better
        // looked for in those that are wanted.
        let shown = || view.iter().filter(|held| !hidden.contains(&held.message));
        let finds = match most == usize::MAX || !query.test.negates_content() {
            true => finds(cx, account, query, &threads, shown())?,
            false => Finds::default(),
        };
        let mut search = Search::new(account, query, &threads, &finds);
        let mut candidates = search.candidates(cx, shown())?;
        if most == usize::MAX {
            // All are wanted: those are read first that lie side by side.
            let all: Vec<&Candidate<'_>> = candidates.iter().collect();
            let passing = search.by_content(cx, &all)?;
            candidates.retain(|one| one.is_found || passing.contains(&one.held.message));
            candidates.iter_mut().for_each(|one| one.is_found = true);
        }
        let candidates = search.in_order(cx, candidates, most)?;
        let ids = search.first(cx, &candidates, most)?;
        let (in_body, left_out) = (search.in_body, search.left_out);
        Ok(Self {
            view,
            modseq,
            hidden,
            ids,
            in_body,
            left_out,
        })
    }
}

/// What is known of where the words of a query stand. Those that outlasted a restart are read before, where
/// many of the messages that are `shown` may have to be read instead.
fn finds<'a>(
    cx: &mut Context<'_>,
    account: AccountId,
    query: &Query,
    threads: &Threads,
    shown: impl Iterator<Item = &'a Held>,
) -> Result<Finds, MethodError> {
    let mailboxes = cx.verbs.mailboxes;
    let (words, texts) = (mailboxes.words(account), query.words());
    if words.is_unread() && query.looks_into_bodies() {
        let nothing = Finds::default();
        let is_open = |held: &&Held| {
            let mut subject = Subject::new(held, threads, &nothing);
            matches!(subject.passes(&query.test), Ok(None))
        };
        let is_much = shown.filter(is_open).nth(limits::FEW_TEXTS).is_some();
        let mut is_more = is_much;
        while is_more {
            let loaded = mailboxes.load_words(account)?;
            cx.search(loaded.octets)?;
            is_more = loaded.more;
        }
    }
    Ok(mailboxes.words(account).find(texts))
}

/// What the answer serves of messages in whose bodies a text was found; `None` where one is there no
/// more.
fn served(
    mailboxes: &Mailboxes,
    account: AccountId,
    ids: &[MessageId],
) -> Result<Option<Vec<Served>>, MailboxError> {
    let rows = mailboxes.messages(account, ids)?;
    let mut all = Vec::with_capacity(ids.len());
    for (message, row) in ids.iter().zip(rows) {
        let row = match row {
            Some(Ok(row)) => row,
            None | Some(Err(MailboxError::Sealed)) => return Ok(None),
            Some(Err(error)) => return Err(error),
        };
        all.push(Served::of(
            (account, *message),
            &row,
            ExposureLevel::Preview,
            Part::NONE,
        ));
    }
    Ok(Some(all))
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

/// A message that passes, or may.
struct Candidate<'a> {
    held: &'a Held,
    outline: Option<Arc<Outline>>,
    /// It passes; else that takes its content.
    is_found: bool,
}

impl<'a> Candidate<'a> {
    const fn new(held: &'a Held, is_found: bool) -> Self {
        Self {
            held,
            outline: None,
            is_found,
        }
    }
}

/// A search under way.
struct Search<'a> {
    account: AccountId,
    query: &'a Query,
    threads: &'a Threads,
    finds: &'a Finds,
    in_body: HashSet<MessageId>,
    left_out: Vec<MessageId>,
    /// Octets of outlines for which no memory is set aside yet.
    kept: u64,
}

impl<'a> Search<'a> {
    fn new(account: AccountId, query: &'a Query, threads: &'a Threads, finds: &'a Finds) -> Self {
        Self {
            account,
            query,
            threads,
            finds,
            in_body: HashSet::new(),
            left_out: Vec::new(),
            kept: 0,
        }
    }

    /// What the view and the words of the account answer, then the outlines.
    fn candidates(
        &mut self,
        cx: &mut Context<'_>,
        shown: impl Iterator<Item = &'a Held>,
    ) -> Result<Vec<Candidate<'a>>, MethodError> {
        let test = &self.query.test;
        let (mut candidates, mut pending) = (Vec::new(), Vec::new());
        let without = test.fails_without(self.finds);
        for held in shown.filter(|held| !without.has(held.message)) {
            let mut subject = Subject::new(held, self.threads, self.finds);
            let passes = subject.passes(test)?;
            let in_body = subject.found_in_body;
            match passes {
                Some(passes) => {
                    self.settle(held.message, passes, in_body);
                    if passes {
                        candidates.push(Candidate::new(held, true));
                    }
                }
                None => pending.push(held),
            }
        }
        if pending.is_empty() {
            return Ok(candidates);
        }
        cx.search(pending.len() as u64 * limits::WORK_PER_OUTLINE)?;
        for some in pending.chunks(limits::MESSAGES_PER_READ) {
            self.outlined(cx, some, &mut candidates)?;
        }
        Ok(candidates)
    }

    /// Those that pass, or may, by what a list shows of them. The outlines of others are let go.
    fn outlined(
        &mut self,
        cx: &mut Context<'_>,
        some: &[&'a Held],
        candidates: &mut Vec<Candidate<'a>>,
    ) -> Result<(), MethodError> {
        let (test, mailboxes) = (&self.query.test, cx.verbs.mailboxes);
        let ids: Vec<MessageId> = some.iter().map(|held| held.message).collect();
        let outlines = mailboxes.outlines(self.account, &ids)?;
        self.keep_shown(mailboxes, &ids, &outlines);
        let needed = self.query.order.iter().any(Step::needs_outline);
        for (held, outline) in some.iter().zip(outlines) {
            // Gone or sealed by now.
            let Some(outline) = outline else { continue };
            let mut subject = Subject::new(held, self.threads, self.finds).with_outline(&outline);
            let passes = subject.passes(test)?;
            let in_body = subject.found_in_body;
            cx.searched(subject.work())?;
            if let Some(passes) = passes {
                self.settle(held.message, passes, in_body);
            }
            if passes != Some(false) {
                let mut candidate = Candidate::new(held, passes == Some(true));
                if needed || !candidate.is_found {
                    self.keeps(cx, &outline)?;
                    candidate.outline = Some(outline);
                }
                candidates.push(candidate);
            }
        }
        Ok(())
    }

    /// Counts an outline that is kept until the search ends.
    fn keeps(&mut self, cx: &mut Context<'_>, outline: &Outline) -> Result<(), MethodError> {
        let step = limits::ANSWER_STEP as u64;
        self.kept += outline.weight();
        while self.kept >= step {
            cx.answer.hold(step)?;
            self.kept -= step;
        }
        Ok(())
    }

    /// Keeps the words of outlines, where words are looked for.
    fn keep_shown(
        &self,
        mailboxes: &Mailboxes,
        ids: &[MessageId],
        outlines: &[Option<Arc<Outline>>],
    ) {
        if self.query.words().is_empty() {
            return;
        }
        let there = ids.iter().zip(outlines);
        let there = there.filter_map(|(id, outline)| Some((*id, outline.as_deref()?)));
        let shown: Vec<(MessageId, String)> = there
            .map(|(id, outline)| (id, shown_words(outline)))
            .collect();
        let texts = shown.iter().map(|(id, shown)| {
            let texts = Texts {
                shown: Some(shown),
                body: None,
            };
            (*id, texts)
        });
        mailboxes.keep_words(self.account, texts);
    }

    /// Candidates in the order that is asked for: all, or where all pass the first `most`.
    fn in_order(
        &mut self,
        cx: &mut Context<'_>,
        mut candidates: Vec<Candidate<'a>>,
        most: usize,
    ) -> Result<Vec<Candidate<'a>>, MethodError> {
        let order = &self.query.order;
        if order.iter().any(Step::needs_outline) {
            let is_bare = |one: &&mut Candidate<'_>| one.outline.is_none();
            let mut bare: Vec<_> = candidates.iter_mut().filter(is_bare).collect();
            cx.search(bare.len() as u64 * limits::WORK_PER_OUTLINE)?;
            for some in bare.chunks_mut(limits::MESSAGES_PER_READ) {
                let ids: Vec<MessageId> = some.iter().map(|one| one.held.message).collect();
                let outlines = cx.verbs.mailboxes.outlines(self.account, &ids)?;
                for (one, outline) in some.iter_mut().zip(outlines) {
                    if let Some(outline) = &outline {
                        self.keeps(cx, outline)?;
                    }
                    one.outline = outline;
                }
            }
            // Gone or sealed by now: nothing of it shows, not even where it would stand.
            candidates.retain(|one| one.outline.is_some());
        }
        let key = |one: Candidate<'a>| {
            let outline = one.outline.as_deref();
            (order::packed(order, one.held, outline, self.threads), one)
        };
        let mut keyed: Vec<(order::Key, Candidate<'a>)> = candidates.into_iter().map(key).collect();
        let compare = |(a, first): &(order::Key, Candidate<'_>),
                       (b, second): &(order::Key, Candidate<'_>)| {
            (a, first.held.message).cmp(&(b, second.held.message))
        };
        let all_pass = keyed.iter().all(|(_, one)| one.is_found);
        if most < keyed.len() && all_pass && !self.query.collapse_threads {
            keyed.select_nth_unstable_by(most, compare);
            keyed.truncate(most);
        }
        keyed.sort_unstable_by(compare);
        Ok(keyed.into_iter().map(|(_, one)| one).collect())
    }

    /// The first so many results, one of each conversation where that is asked for. What has to be
    /// read for them is read as far as it takes.
    fn first(
        &mut self,
        cx: &mut Context<'_>,
        mut candidates: &[Candidate<'a>],
        most: usize,
    ) -> Result<Vec<MessageId>, MethodError> {
        let (mut ids, mut shown) = (Vec::new(), HashSet::new());
        let mut step = limits::MESSAGES_PER_READ;
        while ids.len() < most && !candidates.is_empty() {
            let (some, rest) = candidates.split_at(step.min(candidates.len()));
            let is_open = |one: &&Candidate<'_>| !one.is_found && !shown.contains(&one.held.thread);
            let mut open: Vec<&Candidate<'_>> = some.iter().filter(is_open).collect();
            open.sort_unstable_by_key(|one| one.held.message);
            let passing = self.by_content(cx, &open)?;
            for one in some {
                let passes = one.is_found || passing.contains(&one.held.message);
                if passes && (!self.query.collapse_threads || shown.insert(one.held.thread)) {
                    ids.push(one.held.message);
                }
            }
            candidates = rest;
            step = limits::MAX_MESSAGES_PER_STEP.min(step * 2);
        }
        Ok(ids)
    }

    /// Reads the content of candidates; answers those that pass.
    fn by_content(
        &mut self,
        cx: &mut Context<'_>,
        candidates: &[&Candidate<'a>],
    ) -> Result<HashSet<MessageId>, MethodError> {
        let mailboxes = cx.verbs.mailboxes;
        let mut passing = HashSet::new();
        let open: Vec<_> = candidates.iter().filter(|one| !one.is_found).collect();
        for open in open.chunks(limits::MESSAGES_PER_READ) {
            let ids: Vec<MessageId> = open.iter().map(|one| one.held.message).collect();
            let rows = mailboxes.messages(self.account, &ids)?;
            // Gone or sealed: not found.
            let there = open.iter().zip(rows);
            let there = there.filter_map(|(one, row)| Some((one, row?.ok()?)));
            let there: Vec<(_, MessageRow)> = there.collect();
            let rows: Vec<&MessageRow> = there.iter().map(|(_, row)| row).collect();
            let structures = mailboxes.structures(&rows)?;
            for ((one, row), structure) in there.iter().zip(structures) {
                let Some(outline) = &one.outline else {
                    continue;
                };
                let structure = match structure {
                    Some(structure) => structure,
                    None => mailboxes.structure(row)?,
                };
                // Held as long as the subject is.
                let _held = cx.answer.reserve(searched_weight(&structure)?)?;
                let mut subject = Subject::new(one.held, self.threads, self.finds)
                    .with_outline(outline)
                    .with_content(mailboxes, self.account, row, structure);
                let passes = subject.passes(&self.query.test);
                cx.searched(subject.work())?;
                match passes {
                    Ok(passes) => {
                        let passes = passes == Some(true);
                        let in_body = subject.found_in_body;
                        self.settle(one.held.message, passes, in_body);
                        if passes {
                            passing.insert(one.held.message);
                        }
                    }
                    Err(MailboxError::Sealed | MailboxError::NoMessage) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(passing)
    }

    /// Keeps of which messages the answer serves the body, since a text was found there.
    fn settle(&mut self, message: MessageId, passes: bool, in_body: bool) {
        match (passes, in_body) {
            (true, true) => drop(self.in_body.insert(message)),
            // Left out by NOT, which says as much of its text.
            (false, true) => self.left_out.push(message),
            (_, false) => {}
        }
    }
}
