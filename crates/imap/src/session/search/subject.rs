//! One message under search: what a condition needs of it is read when it is asked for.
//!
//! Invariants: content of a sealed message is never looked at; the message then matches nothing.
//! Each text of a message is decoded at most once, and every look at it counts as work. What is known of the words
//! of a body is as good as a look at it, and puts the same on record.

use std::fmt::Write as _;
use std::sync::Arc;

use tern_base::Timestamp;
use tern_mailbox::{Entry, Finds, MailboxError, MessageRow, body_text, searched_weight};
use tern_mime::limits::MAX_HEADER_BYTES;
use tern_mime::{Address, MessageView, Structure, decode_header_text, headers};
use tern_session::Reservation;
use tern_store::StoreError;

use super::super::reading::Reading;
use super::fields::Fields;
use super::test::{Cost, DAY_MS, Test, holds};
use super::text::{Hay, Needle};
use crate::limits::{CONTENT_PIECE, SEARCHED_FREE};
use crate::search::TextOf;
use tern_session::ids::{write_email_id, write_thread_id};

/// A message under search.
pub(super) struct Subject<'a> {
    by: Reading<'a>,
    entry: &'a Entry,
    /// What is known of where texts stand, without reading.
    finds: &'a Finds,
    /// `None` where no condition needs it.
    row: Option<&'a MessageRow>,
    structure: Option<Arc<Structure>>,
    octets: Option<Vec<u8>>,
    /// The memory for its text.
    reserved: Option<Reservation>,
    header: Option<Vec<u8>>,
    /// The fields of the header, once a condition asked for one.
    fields: Option<Fields>,
    /// What was decoded of the message; [`TextOf::Text`] is its whole header.
    texts: Vec<(TextOf, Hay)>,
    found_in_body: bool,
    /// What is known of words was asked: what is told of that waits until it is certain that no seal is over the
    /// message.
    pub(super) is_by_words: bool,
    pub(super) work: Work,
    scratch: &'a mut String,
}

/// What looking at messages took, in octets. It grows with every condition that looks at a text
/// again, so that a step ends in time however many conditions there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Octets of content that were read.
    pub(super) read: u64,
    /// Octets that were decoded to text.
    pub(super) decoded: u64,
    /// Octets of text that were looked through.
    pub(super) scanned: u64,
    /// Octets that structures were made of which were not read ahead.
    pub(super) parsed: u64,
}

impl Work {
    pub(super) const fn total(self) -> u64 {
        self.read + self.decoded + self.scanned + self.parsed
    }
}

impl<'a> Subject<'a> {
    /// A message of which nothing but the entry is known.
    pub(super) fn new(
        by: Reading<'a>,
        entry: &'a Entry,
        (finds, scratch): (&'a Finds, &'a mut String),
    ) -> Self {
        Self {
            finds,
            by,
            entry,
            row: None,
            structure: None,
            octets: None,
            reserved: None,
            header: None,
            fields: None,
            texts: Vec::new(),
            found_in_body: false,
            is_by_words: false,
            work: Work::default(),
            scratch,
        }
    }

    /// The same with its row and, where it was read ahead, its structure.
    pub(super) fn with_row(
        mut self,
        row: &'a MessageRow,
        structure: Option<Arc<Structure>>,
    ) -> Self {
        self.row = Some(row);
        self.structure = structure;
        self
    }

    /// Whether the message passes, as far as its entry and the words of the account tell; `None` where more
    /// must be read, or where what is told has to be on record first.
    pub(super) fn passes_so_far(&mut self, test: &Test) -> Option<bool> {
        if test.cost() == Cost::Entry {
            // The entry's own conditions read nothing that could fail.
            return self.passes(test).ok();
        }
        match test {
            Test::And(tests) => self.joined(tests, false),
            Test::Or(tests) => self.joined(tests, true),
            Test::Not(test) => self.passes_so_far(test).map(|passes| !passes),
            Test::Body(needle) if !needle.is_empty() => {
                let known = needle.is_known_in_body(self.entry.message, self.finds);
                self.is_by_words |= known.is_some();
                known.filter(|found| !found)
            }
            _ => None,
        }
    }

    /// Conditions of which one that is `decides` decides. One that may look into a body comes to
    /// nothing before it is decided: what it finds there is put on record, whatever the others say.
    fn joined(&mut self, tests: &[Test], decides: bool) -> Option<bool> {
        let mut is_known = true;
        for test in tests {
            match self.passes_so_far(test) {
                Some(passes) if passes == decides => return Some(decides),
                None if test.cost() == Cost::Message => return None,
                known => is_known &= known.is_some(),
            }
        }
        is_known.then_some(!decides)
    }

    /// Whether the message passes.
    pub(super) fn passes(&mut self, test: &Test) -> Result<bool, MailboxError> {
        let entry = self.entry;
        Ok(match test {
            Test::Always => true,
            Test::Never => false,
            Test::And(tests) => {
                for test in tests {
                    if !self.passes(test)? {
                        return Ok(false);
                    }
                }
                true
            }
            Test::Or(tests) => {
                for test in tests {
                    if self.passes(test)? {
                        return Ok(true);
                    }
                }
                false
            }
            Test::Not(test) => !self.passes(test)?,
            Test::Uids(uids) => uids.contains(entry.uid.0),
            Test::Among(uids) => uids.contains(entry.uid.0),
            Test::System(flag) => entry.flags.has(*flag),
            Test::Keyword(keyword) => entry.flags.has_keyword(keyword),
            Test::Received(when, day) => holds(*when, day_of(entry.received), *day),
            Test::Saved(when, day) => holds(*when, day_of(entry.saved), *day),
            Test::Sent(when, day) => self
                .sent_day()?
                .is_some_and(|sent| holds(*when, sent, *day)),
            Test::Larger(size) => u64::from(entry.size) > *size,
            Test::Smaller(size) => u64::from(entry.size) < *size,
            Test::ReceivedBy(time) => entry.received <= *time,
            Test::ReceivedFrom(time) => entry.received >= *time,
            Test::Modseq(modseq) => entry.modseq.0 >= *modseq,
            Test::EmailId(id) => {
                write_email_id(self.scratch, self.by.owner, entry.message);
                **id == **self.scratch
            }
            Test::ThreadId(id) => {
                let thread = self.row()?.thread;
                write_thread_id(self.scratch, self.by.owner, thread);
                **id == **self.scratch
            }
            Test::Envelope(of, needle) => self.has(*of, needle)?,
            Test::Header(name, needle) => self.header_has(name, needle)?,
            Test::Body(needle) => needle.is_empty() || self.body_has(needle)?,
            Test::Text(needle) => needle.is_empty() || self.text_has(needle)?,
        })
    }

    /// Whether the body has the needle.
    fn body_has(&mut self, needle: &Needle) -> Result<bool, MailboxError> {
        match needle.is_known_in_body(self.entry.message, self.finds) {
            Some(found) => {
                self.found_in_body |= found;
                Ok(found)
            }
            None => self.has(TextOf::Body, needle),
        }
    }

    /// Whether the header has the needle, or the body.
    fn text_has(&mut self, needle: &Needle) -> Result<bool, MailboxError> {
        if needle
            .is_known_in_body(self.entry.message, self.finds)
            .is_none()
        {
            // The body is looked at next, so all is read at once.
            self.short()?;
        }
        Ok(self.has(TextOf::Text, needle)? || self.body_has(needle)?)
    }

    /// Whether a condition found its text in the body. Whoever learns how that came out then knows
    /// words of it, whether the message passes or, as under NOT, does not.
    pub(super) const fn was_found_in_body(&self) -> bool {
        self.found_in_body
    }

    fn row(&self) -> Result<&'a MessageRow, MailboxError> {
        self.row.ok_or(MailboxError::NoMessage)
    }

    fn structure(&mut self) -> Result<Arc<Structure>, MailboxError> {
        if let Some(structure) = &self.structure {
            return Ok(Arc::clone(structure));
        }
        let (structure, octets) = self.by.mailboxes.structure_and_work(self.row()?)?;
        self.work.parsed += octets;
        self.structure = Some(Arc::clone(&structure));
        Ok(structure)
    }

    /// RFC 9051 6.4.4: the day in the Date field, whatever its time and zone.
    fn sent_day(&mut self) -> Result<Option<u64>, MailboxError> {
        let structure = self.structure()?;
        let parsed = view(&structure)?;
        let written = parsed.envelope.date.and_then(written_day);
        Ok(written.or_else(|| parsed.sent_at.map(day_of)))
    }

    /// Whether a text of the message has the needle. It is decoded for the first needle only.
    fn has(&mut self, of: TextOf, needle: &Needle) -> Result<bool, MailboxError> {
        let known = self.texts.iter().position(|(known, _)| *known == of);
        let at = match known {
            Some(at) => at,
            None => {
                let text = self.decode(of)?;
                self.texts.push((of, Hay::new(&text)));
                self.texts.len() - 1
            }
        };
        let Some((_, hay)) = self.texts.get_mut(at) else {
            return Ok(false);
        };
        self.work.scanned += hay.len();
        let found = hay.has(needle);
        self.found_in_body |= found && of == TextOf::Body;
        Ok(found)
    }

    fn decode(&mut self, of: TextOf) -> Result<String, MailboxError> {
        match of {
            TextOf::Text => self.decode_header(),
            TextOf::Body => self.decode_body(),
            of => self.decode_envelope(of),
        }
    }

    /// The text of an envelope field, from the stored structure.
    fn decode_envelope(&mut self, of: TextOf) -> Result<String, MailboxError> {
        let structure = self.structure()?;
        let envelope = || structure.envelope().ok_or(StoreError::Damaged);
        let mut out = String::new();
        let list = match of {
            TextOf::From => envelope()?.from,
            TextOf::To => envelope()?.to,
            TextOf::Cc => envelope()?.cc,
            TextOf::Bcc => envelope()?.bcc,
            _ => {
                let subject = structure.subject().ok_or(StoreError::Damaged)?;
                push_decoded(&mut out, subject.unwrap_or_default());
                None
            }
        };
        for address in list.iter().flatten() {
            push_address(&mut out, address);
        }
        self.work.decoded += out.len() as u64;
        Ok(out)
    }

    /// The whole header, a line for each field.
    fn decode_header(&mut self) -> Result<String, MailboxError> {
        let header = self.header_octets()?;
        let mut out = String::with_capacity(header.len());
        for field in headers(header) {
            out.push_str(&String::from_utf8_lossy(field.name));
            out.push_str(": ");
            push_decoded(&mut out, field.value);
            out.push('\n');
        }
        self.work.decoded += header.len() as u64;
        Ok(out)
    }

    fn decode_body(&mut self) -> Result<String, MailboxError> {
        let (structure, by, row) = (self.structure()?, self.by, self.row()?);
        let prefix = row.prefix.len();
        let text = match self.short()? {
            Some(octets) => {
                let content = octets.get(prefix..).unwrap_or_default();
                let (text, decoded) = (body_text(&structure, content)?, content.len() as u64);
                self.work.decoded += decoded;
                text
            }
            None => {
                self.reserved = by.reserve(searched_weight(&structure)?, SEARCHED_FREE)?;
                let searched = by.mailboxes.searched_text(by.owner, row, &structure)?;
                self.work.read += searched.work;
                searched.text
            }
        };
        // The next search need not.
        by.mailboxes.want_words(by.owner, self.entry.message);
        Ok(text)
    }

    /// All octets of the message, where it is short enough to be read at once.
    fn short(&mut self) -> Result<Option<&[u8]>, MailboxError> {
        let size = u64::from(self.row()?.size);
        if self.octets.is_none() && size <= CONTENT_PIECE {
            self.octets = Some(self.read(size)?);
        }
        Ok(self.octets.as_deref())
    }

    fn read(&mut self, length: u64) -> Result<Vec<u8>, MailboxError> {
        let row = self.row()?;
        let octets = self.by.mailboxes.read(self.by.owner, row, 0..length)?.0;
        self.work.read += octets.len() as u64;
        Ok(octets)
    }

    /// The header, prefix included.
    fn header_octets(&mut self) -> Result<&[u8], MailboxError> {
        let structure = self.structure()?;
        let size = view(&structure)?.header_size;
        // What stands behind the limit is no field of the header anywhere else.
        let size = u64::from(size).min(MAX_HEADER_BYTES as u64);
        let length = self.row()?.prefix.len() as u64 + size;
        if self.octets.is_none() && self.header.is_none() {
            self.header = Some(self.read(length)?);
        }
        let octets = self.octets.as_ref().or(self.header.as_ref());
        let octets = octets.map(Vec::as_slice).unwrap_or_default();
        let end = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(octets.get(..end).unwrap_or(octets))
    }

    /// RFC 9051 6.4.4 HEADER: a field of that name that has the text; any for an empty text.
    fn header_has(&mut self, name: &str, needle: &Needle) -> Result<bool, MailboxError> {
        if self.fields.is_none() {
            let fields = Fields::of(self.header_octets()?);
            self.fields = Some(fields);
        }
        let Some(fields) = &mut self.fields else {
            return Ok(false);
        };
        let (found, look) = fields.has(name, needle);
        self.work.decoded += look.decoded;
        // A name that is not there is looked for as well.
        self.work.scanned += look.scanned + name.len() as u64;
        Ok(found)
    }
}

/// The structure's content; a row that was looked through reads back.
fn view(structure: &Structure) -> Result<MessageView<'_>, MailboxError> {
    Ok(structure.view().ok_or(StoreError::Damaged)?)
}

const fn day_of(time: Timestamp) -> u64 {
    time.0 / DAY_MS
}

/// RFC 5322 3.3: the day of a Date field in the zone in which it was written.
fn written_day(date: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(date).ok()?;
    // The weekday is optional.
    let text = text.split_once(',').map_or(text, |(_, rest)| rest);
    let mut words = text.split_ascii_whitespace();
    let day = words.next()?.parse().ok()?;
    let name = words.next()?;
    let year: i64 = words.next()?.parse().ok()?;
    let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let is_it = |month: &&str| name.eq_ignore_ascii_case(month);
    let month = (1..).zip(months).find(|(_, month)| is_it(month))?.0;
    // RFC 5322 4.3: years of two or three digits.
    let year = match year {
        0..50 => year + 2000,
        50..1000 => year + 1900,
        year => year,
    };
    Timestamp::from_civil(year, month, day, 0, 0, 0).map(day_of)
}

/// A header value as a person reads it.
pub(in crate::session) fn decoded(raw: &[u8]) -> String {
    let mut out = String::new();
    push_decoded(&mut out, raw);
    out
}

/// Appends a header value, encoded words decoded and folds undone.
pub(super) fn push_decoded(out: &mut String, raw: &[u8]) {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let value = raw.trim_ascii();
    let is_encoded = value.windows(2).any(|pair| pair == b"=?");
    match std::str::from_utf8(value) {
        Ok(text) if !is_encoded && value.iter().all(plain) => out.push_str(text),
        _ => out.push_str(&decode_header_text(raw)),
    }
}

/// Appends an address as a header shows it.
fn push_address(out: &mut String, address: &Address<&[u8]>) {
    if let Some(name) = address.name {
        push_decoded(out, name);
        out.push(' ');
    }
    if let Some(mailbox) = address.mailbox {
        // Writing to a String can't fail.
        let _ = write!(out, "<{}", String::from_utf8_lossy(mailbox));
        if let Some(host) = address.host {
            let _ = write!(out, "@{}", String::from_utf8_lossy(host));
        }
        out.push('>');
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use tern_base::{AccountId, OriginId};
    use tern_mailbox::{AppendRequest, Flags, Hooks, INBOX, Mailboxes, NoListener, Viewer};
    use tern_store::MemEngine;

    use super::*;

    #[test]
    fn days_as_written() {
        let check = |date: &str, expect: Option<(i64, u32, u32)>| {
            let expect = expect
                .and_then(|(year, month, day)| Timestamp::from_civil(year, month, day, 0, 0, 0))
                .map(day_of);
            assert_eq!(written_day(date.as_bytes()), expect, "{date}");
        };
        check("Mon, 7 Feb 1994 23:52:25 -0800 (PST)", Some((1994, 2, 7)));
        check("7 feb 94 23:52 EST", Some((1994, 2, 7)));
        check("1 Jan 03 00:00 GMT", Some((2003, 1, 1)));
        check("31 Feb 2003 00:00 GMT", None);
        check("yesterday", None);
        check("", None);
    }

    const BOB: AccountId = AccountId(1);
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// What it takes to ask one message for as many texts as `needles`.
    fn work_of(content: &str, needles: usize, of: TextOf) -> (bool, Work) {
        let test = |number: usize| {
            let needle = Needle::new(&format!("needle {number}"));
            match of {
                TextOf::Body => Test::Body(needle),
                TextOf::Text => Test::Text(needle),
                of => Test::Envelope(of, needle),
            }
        };
        work_of_tests(content, (0..needles).map(test).collect())
    }

    fn work_of_tests(content: &str, tests: Vec<Test>) -> (bool, Work) {
        let engine = Arc::new(MemEngine::new());
        let mailboxes =
            Mailboxes::open(engine, [1; 32], Arc::new(NoListener), Hooks::none()).unwrap();
        mailboxes.create_account(BOB, 0, &[], NOW).unwrap();
        let append = AppendRequest {
            account: BOB,
            mailbox: INBOX,
            content: content.as_bytes().to_vec(),
            flags: Flags::empty(),
            received: None,
            origin: OriginId([1; 16]),
            by: Viewer::default().into(),
        };
        mailboxes.append(append, NOW).unwrap();
        let view = mailboxes.view(BOB, INBOX).unwrap();
        let entry = view.iter().next().unwrap();
        let row = mailboxes.message(BOB, entry.message).unwrap();
        let mut scratch = String::new();
        let finds = Finds::default();
        let by = Reading {
            mailboxes: &mailboxes,
            memory: &tern_session::Unlimited,
            owner: BOB,
            holder: BOB,
        };
        let subject = Subject::new(by, entry, (&finds, &mut scratch));
        let mut subject = subject.with_row(&row, None);
        let passes = subject.passes(&Test::Or(tests)).unwrap();
        (passes, subject.work)
    }

    #[test]
    fn a_message_that_is_all_header_is_read_to_the_limit_and_decoded_once() {
        let filler = "X-Filler: =?utf-8?q?x?= and more\r\n".repeat(100_000);
        let content = format!("{filler}X-Last: needle\r\n\r\nbody\r\n");
        assert!(content.len() > 3 * MAX_HEADER_BYTES);
        let header = |name: &str| Test::Header(name.into(), Needle::new("needle"));
        let (found, one) = work_of_tests(&content, vec![header("X-Filler")]);
        assert!(!found);
        assert_eq!(one.read, MAX_HEADER_BYTES as u64);
        assert!(one.decoded <= one.read, "{one:?}");
        let names = ["X-Filler", "x-filler", "X-Last", "X-Other"];
        let tests = names.into_iter().cycle().take(400).map(header).collect();
        let (found, many) = work_of_tests(&content, tests);
        assert!(!found, "behind the limit nothing is a field");
        assert_eq!((many.read, many.decoded), (one.read, one.decoded));
        assert!(many.scanned >= 200 * (one.scanned - 8) && many.scanned < 202 * one.scanned);
    }

    #[test]
    fn a_text_is_decoded_once_and_every_look_counts() {
        let body = "line of text\r\n".repeat(1_000);
        let header = "Subject: hay\r\nFrom: a@example.org\r\n\r\n";
        let content = format!("{header}{body}");
        let size = content.len() as u64;
        let (found, one) = work_of(&content, 1, TextOf::Body);
        assert!(!found);
        assert_eq!((one.read, one.decoded), (size, size));
        let (_, hundred) = work_of(&content, 100, TextOf::Body);
        assert_eq!((hundred.read, hundred.decoded), (size, size));
        assert_eq!(hundred.scanned, 100 * one.scanned);
        assert!(one.scanned >= body.len() as u64 - 1);
        // The header counts too, and is decoded once beside the body.
        let (_, texts) = work_of(&content, 100, TextOf::Text);
        assert_eq!(texts.read, size);
        assert_eq!(texts.decoded, size + header.len() as u64);
        assert!(texts.scanned > hundred.scanned);
        // What the stored structure answers reads no content.
        let (_, subjects) = work_of(&content, 100, TextOf::Subject);
        assert_eq!((subjects.read, subjects.decoded), (0, 3));
        assert_eq!(subjects.scanned, 300);
        let (found, _) = work_of(&content.replace("hay", "NEEDLE 7"), 8, TextOf::Subject);
        assert!(found);
    }
}
