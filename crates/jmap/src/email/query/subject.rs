//! One message under search: what a condition needs of it is read when it is asked for.
//!
//! Invariants: content of a sealed message is never looked at; each text of a message is decoded at
//! most once, and every look at it counts as work.

use std::sync::Arc;

use tern_base::{AccountId, MessageId};
use tern_mailbox::{Finds, Held, MailboxError, Mailboxes, MessageRow, Outline, Texts, folded};
use tern_mime::Structure;
use tern_mime::limits::MAX_HEADER_BYTES;
use tern_store::StoreError;

use super::test::{Field, Test};
use super::text::{Hay, Word, Words};
use super::threads::Threads;
use crate::limits;

/// A message, as far as it is known.
pub(crate) struct Subject<'a> {
    held: &'a Held,
    threads: &'a Threads,
    /// What is known of where texts stand, without reading.
    finds: &'a Finds,
    outline: Option<&'a Outline>,
    content: Option<Content<'a>>,
    /// Octets of the outline that were looked through.
    shown_work: u64,
    /// A text was found in the body: whoever learns how the search came out knows words of it.
    pub(crate) found_in_body: bool,
}

/// Where the content is.
struct Content<'a> {
    mailboxes: &'a Mailboxes,
    account: AccountId,
    message: MessageId,
    row: &'a MessageRow,
    structure: Arc<Structure>,
    header: Option<Vec<u8>>,
    body: Option<Hay>,
    work: u64,
}

impl<'a> Subject<'a> {
    /// A message of which nothing is known but what the view says, and the words of the account.
    pub(crate) const fn new(held: &'a Held, threads: &'a Threads, finds: &'a Finds) -> Self {
        Self {
            held,
            threads,
            finds,
            outline: None,
            content: None,
            shown_work: 0,
            found_in_body: false,
        }
    }

    #[must_use]
    pub(crate) const fn with_outline(mut self, outline: &'a Outline) -> Self {
        self.outline = Some(outline);
        self
    }

    #[must_use]
    pub(crate) fn with_content(
        mut self,
        mailboxes: &'a Mailboxes,
        account: AccountId,
        row: &'a MessageRow,
        structure: Arc<Structure>,
    ) -> Self {
        self.content = Some(Content {
            mailboxes,
            account,
            message: self.held.message,
            row,
            structure,
            header: None,
            body: None,
            work: 0,
        });
        self
    }

    /// Octets that were read, decoded and looked through; those of an outline, which are in memory as they
    /// are wanted, in part.
    pub(crate) fn work(&self) -> u64 {
        let of_content = self.content.as_ref().map_or(0, |content| {
            content.work + content.body.as_ref().map_or(0, |body| body.scanned)
        });
        of_content + self.shown_work / limits::SHOWN_PER_WORK
    }

    /// Whether the message passes; `None` where more of it must be known.
    pub(crate) fn passes(&mut self, test: &Test) -> Result<Option<bool>, MailboxError> {
        let held = self.held;
        Ok(Some(match test {
            Test::And(tests) => return self.joined(tests, false),
            Test::Or(tests) => return self.joined(tests, true),
            Test::Not(test) => return Ok(self.passes(test)?.map(|passes| !passes)),
            Test::InMailbox(mailbox) => mailbox.is_some_and(|mailbox| held.is_in(mailbox)),
            Test::InOtherThan(these) => held.mailboxes().any(|it| !these.contains(&it)),
            Test::Before(time) => held.received < *time,
            Test::From(time) => held.received >= *time,
            Test::AtLeast(size) => u64::from(held.size) >= *size,
            Test::Below(size) => u64::from(held.size) < *size,
            Test::Has(keyword) => keyword.is_on(held),
            Test::InThread(share, keyword) => self.threads.have(held.thread, *share, keyword),
            Test::HasAttachment(wanted) => {
                return Ok(self
                    .outline
                    .map(|outline| outline.has_attachment == *wanted));
            }
            // Each field is a part of what is shown.
            Test::Field(_, words) if self.is_certain_not_to_show(words) => false,
            Test::Field(field, words) => {
                let Some(outline) = self.outline else {
                    return Ok(None);
                };
                let mut hay = Hay::new(text_of(outline, *field));
                let found = words.all_in(&mut hay);
                self.shown_work += hay.work();
                return Ok(Some(found));
            }
            Test::Header(name, words) => match &mut self.content {
                Some(content) => content.header_has(name, words.as_ref())?,
                None => return Ok(None),
            },
            Test::Body(words) => return self.text_has(words, false),
            Test::Text(words) => return self.text_has(words, true),
        }))
    }

    /// Conditions of which one that is `decides` decides. One that does so without words of the body goes before
    /// all others, since it puts nothing on record; so the others wait until it is known that there is none, and
    /// words that are kept say no more than content would.
    fn joined(&mut self, tests: &[Test], decides: bool) -> Result<Option<bool>, MailboxError> {
        let before = self.found_in_body;
        let (mut is_open, mut is_decided, mut was_found) = (false, false, false);
        for test in tests {
            self.found_in_body = false;
            let passes = self.passes(test)?;
            if passes == Some(decides) && !self.found_in_body {
                self.found_in_body = before;
                return Ok(Some(decides));
            }
            is_open |= passes.is_none();
            is_decided |= passes == Some(decides);
            was_found |= self.found_in_body;
        }
        self.found_in_body = before || (was_found && !is_open);
        Ok((!is_open).then_some(is_decided == decides))
    }

    /// Whether all words are in the body, or in what is shown beside it where that counts too.
    fn text_has(&mut self, words: &Words, or_shown: bool) -> Result<Option<bool>, MailboxError> {
        if let Some(found) = self.is_known_to_have(words, or_shown) {
            return Ok(Some(found));
        }
        let shown = self.outline.filter(|_| or_shown);
        let mut shown = shown.map(|outline| Hay::new(&outline.whole()));
        let mut is_shown = |word: &Word| shown.as_mut().is_some_and(|shown| shown.has(word));
        let left: Vec<_> = words.iter().filter(|word| !is_shown(word)).collect();
        self.shown_work += shown.as_ref().map_or(0, Hay::work);
        if left.is_empty() {
            return Ok(Some(true));
        }
        let Some(content) = &mut self.content else {
            return Ok(None);
        };
        let body = content.body(self.outline)?;
        let found = left.iter().all(|word| body.has(word));
        self.found_in_body |= found;
        Ok(Some(found))
    }

    fn is_certain_not_to_show(&self, words: &Words) -> bool {
        let pieces = words.iter().flat_map(Word::pieces);
        let message = self.held.message;
        pieces
            .map(|piece| self.finds.place(message, piece))
            .any(|place| place.shown == Some(false))
    }

    /// The same, where it is known without reading.
    fn is_known_to_have(&mut self, words: &Words, or_shown: bool) -> Option<bool> {
        let (mut is_known, mut in_body) = (true, false);
        for word in words.iter() {
            // Of a phrase it is known only that it can't be there.
            is_known &= !word.is_phrase();
            for piece in word.pieces() {
                let place = self.finds.place(self.held.message, piece);
                match (place.shown.filter(|_| or_shown), place.body) {
                    (Some(true), _) => {}
                    (_, Some(true)) => in_body = true,
                    (None, _) if or_shown => is_known = false,
                    (_, Some(false)) => return Some(false),
                    (_, None) => is_known = false,
                }
            }
        }
        self.found_in_body |= is_known && in_body;
        is_known.then_some(true)
    }
}

fn text_of(outline: &Outline, field: Field) -> &str {
    match field {
        Field::From => &outline.from,
        Field::To => &outline.to,
        Field::Cc => &outline.cc,
        Field::Bcc => &outline.bcc,
        Field::Subject => &outline.subject,
    }
}

/// What lists show of a message, in the form in which words are looked for.
pub(crate) fn shown_words(outline: &Outline) -> String {
    folded(&outline.whole())
}

impl Content<'_> {
    fn read(&mut self, length: u64) -> Result<Vec<u8>, MailboxError> {
        let octets = self.mailboxes.read(self.account, self.row, 0..length)?.0;
        self.work += octets.len() as u64;
        Ok(octets)
    }

    /// RFC 8621 4.4.1 `header`: a field of that name, that has these words where any are asked for.
    fn header_has(&mut self, name: &str, words: Option<&Words>) -> Result<bool, MailboxError> {
        if self.header.is_none() {
            let structure = Arc::clone(&self.structure);
            let parsed = structure.view().ok_or(StoreError::Damaged)?;
            // Nothing behind that is taken for a field anywhere.
            let header = u64::from(parsed.header_size).min(MAX_HEADER_BYTES as u64);
            self.header = Some(self.read(self.row.prefix.len() as u64 + header)?);
        }
        let header = self.header.as_deref().unwrap_or_default();
        let mut work = header.len() as u64;
        let mut fields = tern_mime::headers(header).filter(|field| field.is(name));
        let found = fields.any(|field| {
            words.is_none_or(|words| {
                let text = tern_mime::decode_header_text(field.value);
                let mut hay = Hay::new(&text);
                let found = words.all_in(&mut hay);
                work += hay.work();
                found
            })
        });
        self.work += work;
        Ok(found)
    }

    fn body(&mut self, outline: Option<&Outline>) -> Result<&mut Hay, MailboxError> {
        let hay = match self.body.take() {
            Some(hay) => hay,
            None => {
                let hay = Hay::new(&self.decode_body()?);
                let shown = outline.map(shown_words);
                let texts = Texts {
                    shown: shown.as_deref(),
                    body: Some(hay.folded()),
                };
                let mailboxes = self.mailboxes;
                mailboxes.keep_words(self.account, [(self.message, texts)]);
                hay
            }
        };
        Ok(self.body.insert(hay))
    }

    fn decode_body(&mut self) -> Result<String, MailboxError> {
        let searched = self
            .mailboxes
            .searched_text(self.account, self.row, &self.structure)?;
        self.work += searched.work;
        Ok(searched.text)
    }
}
