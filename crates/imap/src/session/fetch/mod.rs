//! FETCH and UID FETCH (RFC 9051 6.4.5).
//!
//! Messages are gathered in batches: rows, exposure record and `\Seen` for a whole batch at once,
//! then each is written, item by item. What needs no row goes straight from the view.
//!
//! Invariants: exposure is on record before any octet of content is written, and content passes
//! [`tern_mailbox::Mailboxes::read`], which asks for seals last. Content that is sealed is left
//! out and the command ends in `NO [EXPUNGEISSUED]`; a literal that was begun and can't be
//! finished ends the connection. Body structures, sizes, dates and flags are no exposure.

mod binary;
mod content;
mod exposure;
mod walk;
mod write;

use std::collections::VecDeque;
use std::sync::Arc;

use roaring::RoaringBitmap;
use tern_base::{AccountId, Modseq, Uid};
use tern_mailbox::{
    Ahead, Entry, FlagChange, FlagOutcome, FlagRequest, Flags, MailboxError, MessageRow, Rights,
    SystemFlag,
};
use tern_mime::Structure;

use super::answer::{Answer, Failure, Sync};
use super::reading::Reading;
use super::run::{Progress, Task};
use super::{Context, Here, Session};
use crate::fetch::{Fetch, FetchItem, SectionText};
use crate::limits::{MESSAGES_PER_FETCH, OCTETS_PER_FETCH, OCTETS_READ_AHEAD, STRUCTURES_PER_READ};
use crate::respond::status::CodeName;
use crate::sequence::{MessageSet, ranges_of};

pub(super) use binary::Marks;
use content::Reader;
use exposure::drop_missing;
pub(super) use walk::Walk;
use write::Open;

/// A FETCH of which a part is done.
pub(super) struct FetchTask {
    items: Vec<FetchItem>,
    changed_since: Option<Modseq>,
    /// Some item needs the message's row.
    rows: bool,
    /// Some item needs the message's structure.
    structures: bool,
    /// Some item needs the message's octets.
    contents: bool,
    sets_seen: bool,
    /// Messages are named by UID: one that is gone is passed over.
    by_uid: bool,
    walk: Walk,
    batch: VecDeque<Message>,
    /// The account's newest modseq when the batch was known to be there.
    as_of: Modseq,
    open: Option<Open>,
    /// A message was not there any more, or its content was sealed.
    missing: bool,
    sealed: bool,
    unknown_encoding: bool,
    answer: Answer,
}

/// One message of a batch.
struct Message {
    number: u32,
    entry: Entry,
    /// `None` where the content is sealed, or gone.
    row: Option<MessageRow>,
    /// The structure of its content, where it was read ahead.
    structure: Option<Arc<Structure>>,
    /// Its octets, likewise.
    ahead: Option<Ahead>,
    /// They were asked for.
    was_read_ahead: bool,
    /// The command itself set `\Seen`, which is to be told.
    seen_now: bool,
    /// Its owner removed it since the row was read.
    removed: bool,
}

impl Session {
    pub(super) fn fetch(&mut self, fetch: Fetch, cx: &Context<'_>) -> Result<Task, Failure> {
        self.here()?;
        // RFC 7162 3.2.6
        if fetch.vanished && !self.enabled.qresync {
            return Err(Answer::bad("ENABLE QRESYNC first").into());
        }
        // RFC 7162 3.1.4: both are CONDSTORE enabling.
        if fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::Modseq) {
            self.enable_condstore();
        }
        let here = self.here()?;
        let mut target = here.selected.resolve(&fetch.set, fetch.uid)?;
        // RFC 9394 3.3, 3.4: before anything else leaves messages out.
        if let Some(partial) = fetch.partial {
            target = partial.of(&target);
        }
        if let (true, Some(since)) = (fetch.vanished, fetch.changed_since) {
            tell_vanished(here, &fetch.set, Modseq(since), cx)?;
        }
        let selected = self.here()?.selected;
        // RFC 4314 4: it is not set by whoever may not.
        let read_only = selected.read_only || !selected.rights.has(Rights::SEEN);
        let mut items = fetch.items;
        // RFC 9051 6.4.9: the response to UID FETCH has the UID.
        if fetch.uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        // RFC 7162 3.1.4.1
        if fetch.changed_since.is_some() && !items.contains(&FetchItem::Modseq) {
            items.push(FetchItem::Modseq);
        }
        let sync = if fetch.uid {
            Sync::Full
        } else {
            Sync::KeepNumbers
        };
        let sets_seen = !read_only && items.iter().any(FetchItem::sets_seen);
        Ok(Task::Fetch(FetchTask {
            changed_since: fetch.changed_since.map(Modseq),
            rows: items.iter().any(needs_row),
            structures: items.iter().any(needs_structure),
            contents: items.iter().any(needs_content),
            sets_seen,
            items,
            by_uid: fetch.uid,
            walk: Walk::new(target),
            batch: VecDeque::new(),
            as_of: Modseq(0),
            open: None,
            missing: false,
            sealed: false,
            unknown_encoding: false,
            answer: Answer::ok("Fetch completed", sync),
        }))
    }
}

/// Whether the view alone does not answer an item.
const fn needs_row(item: &FetchItem) -> bool {
    !matches!(
        item,
        FetchItem::Flags
            | FetchItem::Uid
            | FetchItem::InternalDate
            | FetchItem::Size
            | FetchItem::Modseq
            | FetchItem::EmailId
            | FetchItem::SaveDate
    )
}

/// Whether an item needs the structure of the message.
fn needs_structure(item: &FetchItem) -> bool {
    match item {
        FetchItem::Section(section) => section.text != SectionText::All || !section.path.is_empty(),
        FetchItem::Binary { path, .. } | FetchItem::BinarySize(path) => !path.is_empty(),
        FetchItem::Rfc822 | FetchItem::ThreadId => false,
        item => needs_row(item),
    }
}

/// Whether an item is made of the message's octets.
const fn needs_content(item: &FetchItem) -> bool {
    matches!(
        item,
        FetchItem::Section(_)
            | FetchItem::Rfc822
            | FetchItem::Rfc822Header
            | FetchItem::Rfc822Text
            | FetchItem::Binary { .. }
    )
}

/// RFC 7162 3.2.6: what of the set vanished since then.
fn tell_vanished(
    here: Here<'_>,
    set: &MessageSet,
    since: Modseq,
    cx: &Context<'_>,
) -> Result<(), Failure> {
    let changes = cx
        .mailboxes
        .changes(here.account, here.selected.access.mailbox, since)?;
    let MessageSet::Ranges(set) = set else {
        return Ok(());
    };
    // Of what is gone, `*` is the largest UID that there ever was: the last of what is left stands before
    // it where the newest are gone.
    let view = cx
        .mailboxes
        .view(here.account, here.selected.access.mailbox)?;
    let named = set.numbers(view.counters.uid_next.0.saturating_sub(1));
    let vanished = named.among(&changes.vanished);
    here.out.vanished(true, &ranges_of(vanished.iter()));
    Ok(())
}

impl FetchTask {
    /// The FETCH that a SELECT with QRESYNC ends in (RFC 7162 3.2.5.1).
    pub(super) fn resync(target: RoaringBitmap, since: Modseq, answer: Answer) -> Self {
        Self {
            items: vec![FetchItem::Uid, FetchItem::Flags, FetchItem::Modseq],
            changed_since: Some(since),
            rows: false,
            structures: false,
            contents: false,
            sets_seen: false,
            by_uid: true,
            walk: Walk::new(target),
            batch: VecDeque::new(),
            as_of: Modseq(0),
            open: None,
            missing: false,
            sealed: false,
            unknown_encoding: false,
            answer,
        }
    }

    /// Whether a response line is open.
    pub(super) const fn is_mid_response(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn advance(
        &mut self,
        session: &mut Session,
        cx: &mut Context<'_>,
    ) -> Result<Progress, Failure> {
        if !self.rows {
            return self.advance_by_view(session, cx);
        }
        let (account, holder) = (session.here()?.account, session.account()?);
        if let Err(error) = self.revalidate(account, cx) {
            let Some(open) = &mut self.open else {
                return Err(error.into());
            };
            let failure = open.fail(error.clone(), &mut session.out);
            if matches!(failure, Failure::Torn) {
                session.failed("reading a message", &error);
            }
            return Err(failure);
        }
        loop {
            let out = &mut session.out;
            if cx.budget.is_spent(out) {
                return Ok(Progress::More);
            }
            if let Some(open) = &mut self.open {
                let by = Reader {
                    stored: Reading {
                        mailboxes: cx.mailboxes,
                        memory: cx.memory,
                        owner: account,
                        holder,
                    },
                    budget: &cx.budget,
                    marks: &cx.marks,
                };
                let written = open.advance(&self.items, by, out)?;
                if let Some(noted) = written {
                    self.sealed |= noted.sealed;
                    self.unknown_encoding |= noted.unknown_encoding;
                    self.open = None;
                }
                continue;
            }
            self.read_structures_ahead(cx)?;
            self.read_contents_ahead(cx);
            match self.batch.pop_front() {
                // RFC 2180 4.1: as if it had been gone before.
                Some(message) if message.removed => self.missing = true,
                Some(message) => self.open_message(message, session)?,
                None if self.walk.is_done() => return Ok(Progress::Done(self.end())),
                None => self.gather(session, cx)?,
            }
        }
    }

    /// Asks for the batch again where the account changed since: what was withdrawn meanwhile has
    /// no seal any more, and must not be served from rows that were read before. A message that its owner
    /// removed while it is being written is asked for at each step, since nothing in the account tells of a
    /// seal over it any more.
    fn revalidate(&mut self, account: AccountId, cx: &Context<'_>) -> Result<(), MailboxError> {
        if self.batch.is_empty() && self.open.is_none() {
            return Ok(());
        }
        let newest = cx.mailboxes.newest_modseq(account)?;
        let mut open = self.open.as_mut().map(Open::message);
        let removed = open.as_ref().is_some_and(|message| message.removed);
        if newest == self.as_of && !removed {
            return Ok(());
        }
        let messages = self.batch.iter_mut().chain(open.take());
        drop_missing(messages, account, cx)?;
        self.as_of = newest;
        Ok(())
    }

    /// Reads the structures of the next messages together.
    fn read_structures_ahead(&mut self, cx: &Context<'_>) -> Result<(), MailboxError> {
        let lacks = |message: &Message| message.row.is_some() && message.structure.is_none();
        if !self.structures || !self.batch.front().is_some_and(lacks) {
            return Ok(());
        }
        let next = self.batch.iter().take(STRUCTURES_PER_READ);
        let rows: Vec<&MessageRow> = next.filter_map(|message| message.row.as_ref()).collect();
        let found = cx.mailboxes.structures(&rows)?;
        let next = self.batch.iter_mut().take(STRUCTURES_PER_READ);
        let next = next.filter(|message| message.row.is_some());
        for (message, structure) in next.zip(found) {
            let octets = structure.as_ref().map_or(0, |one| one.row_len() as u64);
            cx.budget.octets(octets);
            message.structure = structure;
        }
        Ok(())
    }

    /// Reads the octets of the next messages together.
    fn read_contents_ahead(&mut self, cx: &Context<'_>) {
        let lacks = |message: &Message| message.row.is_some() && !message.was_read_ahead;
        if !self.contents || !self.batch.front().is_some_and(lacks) {
            return;
        }
        let mut octets = 0;
        let few = |message: &&Message| {
            let before = octets;
            octets += u64::from(message.entry.size);
            before < OCTETS_READ_AHEAD
        };
        let next = self.batch.iter().take_while(few);
        let rows: Vec<Option<&MessageRow>> = next.map(|message| message.row.as_ref()).collect();
        let there: Vec<&MessageRow> = rows.iter().copied().flatten().collect();
        let count = rows.len();
        let mut found = cx.mailboxes.read_ahead(&there).into_iter();
        for message in self.batch.iter_mut().take(count) {
            message.was_read_ahead = true;
            if message.row.is_some() {
                message.ahead = found.next().flatten();
            }
        }
    }

    fn open_message(&mut self, message: Message, session: &mut Session) -> Result<(), Failure> {
        let here = session.here()?;
        let flags = &message.entry.flags;
        if message.seen_now || self.items.contains(&FetchItem::Flags) {
            here.selected.announce(flags, here.out);
        }
        self.open = Some(Open::new(message, here.enabled.condstore));
        Ok(())
    }

    fn end(&mut self) -> Answer {
        let answer = self.answer.clone();
        // RFC 9051 6.4.9: a UID without a message is ignored, without an error.
        if self.sealed || (self.missing && !self.by_uid) {
            let text = if self.sealed {
                "Some messages are being removed"
            } else {
                "Some messages are gone"
            };
            return Answer::no(CodeName::ExpungeIssued, text).with_sync(answer.sync);
        }
        if self.unknown_encoding {
            // RFC 3516 4.3
            return Answer::no(CodeName::UnknownCte, "Unknown transfer encoding")
                .with_sync(answer.sync);
        }
        answer
    }

    /// The items that the view answers.
    fn advance_by_view(
        &mut self,
        session: &mut Session,
        cx: &Context<'_>,
    ) -> Result<Progress, Failure> {
        let here = session.here()?;
        let view = cx
            .mailboxes
            .view(here.account, here.selected.access.mailbox)?;
        let (selected, out) = (here.selected, here.out);
        let with_flags = self.items.contains(&FetchItem::Flags);
        let mut id = String::new();
        let known = std::mem::take(&mut selected.known);
        let (items, since, missing) = (&self.items, self.changed_since, &mut self.missing);
        // What a number stands for is known until its expunge is told.
        let numbers_only = !self.by_uid && items.iter().all(|item| matches!(item, FetchItem::Uid));
        self.walk.walk(&known, &view, |number, uid, entry| {
            cx.budget.tests(1, 1);
            let Some(entry) = entry else {
                if numbers_only {
                    let mut response = out.fetch(number);
                    response.uid(uid);
                    response.end();
                } else {
                    *missing = true;
                }
                return !cx.budget.is_spent(out);
            };
            if since.is_some_and(|since| entry.modseq <= since) {
                return !cx.budget.is_spent(out);
            }
            if with_flags {
                selected.announce(&entry.flags, out);
            }
            let mut response = out.fetch(number);
            for item in items {
                write::entry_item(&mut response, item, entry, here.account, &mut id);
            }
            response.end();
            !cx.budget.is_spent(out)
        });
        selected.known = known;
        Ok(if self.walk.is_done() {
            Progress::Done(self.end())
        } else {
            Progress::More
        })
    }

    /// Gathers the next batch: rows, then exposure, then `\Seen`.
    fn gather(&mut self, session: &mut Session, cx: &Context<'_>) -> Result<(), Failure> {
        let viewer = session.viewer();
        let here = session.here()?;
        self.as_of = cx.mailboxes.newest_modseq(here.account)?;
        let view = cx
            .mailboxes
            .view(here.account, here.selected.access.mailbox)?;
        let mut found = Vec::with_capacity(MESSAGES_PER_FETCH.min(self.walk.left()));
        let (since, missing) = (self.changed_since, &mut self.missing);
        // What is on record of parts may take a look at the whole of a message.
        let by_octets =
            |item: &FetchItem| exposure::serves_body(item) || exposure::depends_on_parts(item);
        let by_octets = self.items.iter().any(by_octets);
        let mut octets = 0;
        self.walk
            .walk(&here.selected.known, &view, |number, _, entry| {
                cx.budget.tests(1, 1);
                match entry {
                    None => *missing = true,
                    Some(entry) if since.is_some_and(|since| entry.modseq <= since) => {}
                    Some(entry) => {
                        octets += u64::from(entry.size);
                        found.push((number, entry.clone()));
                    }
                }
                let is_much = by_octets && octets >= OCTETS_PER_FETCH;
                found.len() < MESSAGES_PER_FETCH && !is_much && !cx.budget.is_spent(here.out)
            });
        cx.budget.rows(found.len());
        let ids: Vec<_> = found.iter().map(|(_, entry)| entry.message).collect();
        let rows = cx.mailboxes.messages(here.account, &ids)?;
        let mut batch = Vec::with_capacity(found.len());
        for ((number, entry), row) in found.into_iter().zip(rows) {
            let row = match row {
                None => {
                    self.missing = true;
                    continue;
                }
                Some(Err(MailboxError::Sealed)) => None,
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(row)) => Some(row),
            };
            batch.push(Message {
                number,
                entry,
                row,
                structure: None,
                ahead: None,
                was_read_ahead: false,
                seen_now: false,
                removed: false,
            });
        }
        self.record(&mut batch, here.account, &viewer, cx)?;
        if self.sets_seen {
            set_seen(&mut batch, here, cx)?;
        }
        self.batch = batch.into();
        Ok(())
    }
}

/// RFC 9051 6.4.5: serving content sets `\Seen`, and tells so.
fn set_seen(batch: &mut [Message], here: Here<'_>, cx: &Context<'_>) -> Result<(), Failure> {
    let unseen = |message: &&mut Message| {
        message.row.is_some() && !message.entry.flags.has(SystemFlag::Seen)
    };
    let mut messages: Vec<&mut Message> = batch.iter_mut().filter(unseen).collect();
    if messages.is_empty() {
        return Ok(());
    }
    let uids: Vec<Uid> = messages.iter().map(|message| message.entry.uid).collect();
    let request = FlagRequest {
        access: here.selected.access.clone(),
        uids: &uids,
        change: &FlagChange::Add(Flags::of(&[SystemFlag::Seen])),
        unchanged_since: None,
        by: None,
    };
    let outcomes = match cx.mailboxes.change_flags(&request) {
        // The right to do so went meanwhile.
        Err(MailboxError::NotPermitted) => return Ok(()),
        outcomes => outcomes?,
    };
    let mut outcomes = outcomes.into_iter();
    let mut next = outcomes.next();
    for message in &mut messages {
        let Some(FlagOutcome::Flags {
            uid, flags, modseq, ..
        }) = &next
        else {
            break;
        };
        // Outcomes are in the order of the UIDs; one that is gone has none.
        if *uid == message.entry.uid {
            here.selected.note_told(*uid, *modseq);
            message.entry.flags = flags.clone();
            message.entry.modseq = *modseq;
            message.seen_now = true;
            next = outcomes.next();
        }
    }
    Ok(())
}
