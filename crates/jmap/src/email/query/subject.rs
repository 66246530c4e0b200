//! One message under search: what a condition needs of it is read when it is asked for.
//!
//! Invariants: content of a sealed message is never looked at; each text of a message is decoded at
//! most once, and every look at it counts as work.

use std::sync::Arc;

use tern_base::{AccountId, MessageId};
use tern_mailbox::{Held, MailboxError, Mailboxes, MessageRow, Outline, Trigrams};
use tern_mime::Structure;
use tern_store::StoreError;

use super::test::{Field, Test};
use super::text::{Hay, Words};
use super::threads::Threads;
use crate::limits;

/// A message, as far as it is known.
pub(crate) struct Subject<'a> {
    held: &'a Held,
    threads: &'a Threads,
    outline: Option<&'a Outline>,
    /// Of its text, where they are known.
    trigrams: Option<Arc<Trigrams>>,
    content: Option<Content<'a>>,
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
    /// A message of which nothing but what the view says is known.
    pub(crate) const fn new(held: &'a Held, threads: &'a Threads) -> Self {
        Self {
            held,
            threads,
            outline: None,
            trigrams: None,
            content: None,
            found_in_body: false,
        }
    }

    #[must_use]
    pub(crate) const fn with_outline(mut self, outline: &'a Outline) -> Self {
        self.outline = Some(outline);
        self
    }

    #[must_use]
    pub(crate) fn with_trigrams(mut self, trigrams: Option<Arc<Trigrams>>) -> Self {
        self.trigrams = trigrams;
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

    /// Octets that were read, decoded and looked through.
    pub(crate) fn work(&self) -> u64 {
        self.content.as_ref().map_or(0, |content| {
            content.work + content.body.as_ref().map_or(0, |body| body.scanned)
        })
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
            Test::Field(field, words) => {
                let text = self.outline.map(|outline| text_of(outline, *field));
                return Ok(text.map(|text| words.all_in(&mut Hay::new(text))));
            }
            Test::Header(name, words) => match &mut self.content {
                Some(content) => content.header_has(name, words.as_ref())?,
                None => return Ok(None),
            },
            Test::Body(words) => return self.body_has(words, None),
            Test::Text(words) => {
                let mut shown = self.outline.map(|outline| Hay::new(&whole_of(outline)));
                return self.body_has(words, shown.as_mut());
            }
        }))
    }

    /// Conditions of which one that is `decides` decides.
    fn joined(&mut self, tests: &[Test], decides: bool) -> Result<Option<bool>, MailboxError> {
        let mut is_known = true;
        for test in tests {
            match self.passes(test)? {
                Some(passes) if passes == decides => return Ok(Some(decides)),
                Some(_) => {}
                None => is_known = false,
            }
        }
        Ok(is_known.then_some(!decides))
    }

    /// Whether all words are in the body, or in what is shown beside it.
    fn body_has(
        &mut self,
        words: &Words,
        shown: Option<&mut Hay>,
    ) -> Result<Option<bool>, MailboxError> {
        let left: Vec<_> = match shown {
            Some(shown) => words.iter().filter(|word| !shown.has(word)).collect(),
            None => words.iter().collect(),
        };
        if left.is_empty() {
            return Ok(Some(true));
        }
        let is_out = |trigrams: &Arc<Trigrams>| left.iter().any(|it| !trigrams.may_have(it.text()));
        if self.trigrams.as_ref().is_some_and(is_out) {
            return Ok(Some(false));
        }
        let Some(content) = &mut self.content else {
            return Ok(None);
        };
        let body = content.body()?;
        let found = left.iter().all(|word| body.has(word));
        self.found_in_body |= found;
        Ok(Some(found))
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

/// RFC 8621 4.4.1 `text`: From, To, Cc, Bcc and Subject.
fn whole_of(outline: &Outline) -> String {
    let Outline {
        from,
        to,
        cc,
        bcc,
        subject,
        ..
    } = outline;
    format!("{subject}\n{from}{to}{cc}{bcc}")
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
            let length = self.row.prefix.len() as u64 + u64::from(parsed.header_size);
            self.header = Some(self.read(length)?);
        }
        let header = self.header.as_deref().unwrap_or_default();
        self.work += header.len() as u64;
        let mut fields = tern_mime::headers(header).filter(|field| field.is(name));
        Ok(fields.any(|field| {
            words.is_none_or(|words| {
                let text = tern_mime::decode_header_text(field.value);
                words.all_in(&mut Hay::new(&text))
            })
        }))
    }

    fn body(&mut self) -> Result<&mut Hay, MailboxError> {
        let hay = match self.body.take() {
            Some(hay) => hay,
            None => {
                let mut hay = Hay::new(&self.decode_body()?);
                let trigrams = Trigrams::of(hay.spaced());
                let mailboxes = self.mailboxes;
                mailboxes.keep_trigrams(self.account, self.message, trigrams);
                hay
            }
        };
        Ok(self.body.insert(hay))
    }

    fn decode_body(&mut self) -> Result<String, MailboxError> {
        let octets = self.read(self.row.size.into())?;
        let structure = Arc::clone(&self.structure);
        let root = structure.body().ok_or(StoreError::Damaged)?;
        let content = octets.get(self.row.prefix.len()..).unwrap_or_default();
        self.work += content.len() as u64;
        let text = tern_mime::decoded_text(&root, content, limits::MAX_SEARCHED_TEXT);
        Ok(text)
    }
}
