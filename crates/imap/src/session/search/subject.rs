//! One message under search: what a condition needs of it is read when it is asked for.
//!
//! Invariant: content of a sealed message is never looked at; the message then matches nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use tern_base::{AccountId, Timestamp};
use tern_mailbox::{Entry, MailboxError, Mailboxes, MessageRow};
use tern_mime::{Address, ParsedMessage, decode_header_text, headers};

use super::super::ids::{email_id, thread_id};
use super::test::{Cost, DAY_MS, Test, holds};
use crate::limits::MAX_SEARCHED_TEXT;
use crate::search::TextOf;

/// A message under search.
pub(super) struct Subject<'a> {
    pub(super) mailboxes: &'a Mailboxes,
    pub(super) account: AccountId,
    pub(super) entry: &'a Entry,
    /// `None` where no condition needs it.
    pub(super) row: Option<&'a MessageRow>,
    pub(super) parsed: Option<Arc<ParsedMessage>>,
    pub(super) octets: Option<Vec<u8>>,
    /// Octets of content that were read.
    pub(super) read: u64,
    pub(super) scratch: &'a mut String,
}

impl Subject<'_> {
    /// Whether the message passes, as far as its entry tells; `None` where more must be read.
    pub(super) fn passes_so_far(&mut self, test: &Test) -> Option<bool> {
        if test.cost() == Cost::Entry {
            // The entry's own conditions read nothing that could fail.
            return self.passes(test).ok();
        }
        match test {
            Test::And(tests) => {
                let mut cheap = tests.iter().take_while(|test| test.cost() == Cost::Entry);
                let fails = cheap.any(|test| self.passes_so_far(test) == Some(false));
                fails.then_some(false)
            }
            Test::Or(tests) => {
                let mut cheap = tests.iter().take_while(|test| test.cost() == Cost::Entry);
                let passes = cheap.any(|test| self.passes_so_far(test) == Some(true));
                passes.then_some(true)
            }
            _ => None,
        }
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
                email_id(self.scratch, self.account, entry.message);
                **id == **self.scratch
            }
            Test::ThreadId(id) => {
                let thread = self.row()?.thread;
                thread_id(self.scratch, self.account, thread);
                **id == **self.scratch
            }
            Test::Envelope(of, needle) => {
                self.envelope_text(*of)?;
                needle.is_in(self.scratch)
            }
            Test::Header(name, needle) => self.header(name, needle)?,
            Test::Body(needle) => needle.is_empty() || self.body(needle)?,
            Test::Text(needle) => {
                needle.is_empty() || self.whole_header(needle)? || self.body(needle)?
            }
        })
    }

    fn row(&self) -> Result<&MessageRow, MailboxError> {
        self.row.ok_or(MailboxError::NoMessage)
    }

    fn parsed(&mut self) -> Result<Arc<ParsedMessage>, MailboxError> {
        if let Some(parsed) = &self.parsed {
            return Ok(Arc::clone(parsed));
        }
        let parsed = self.mailboxes.structure(self.row()?)?;
        self.parsed = Some(Arc::clone(&parsed));
        Ok(parsed)
    }

    /// RFC 9051 6.4.4: the day in the Date field, whatever its time and zone.
    fn sent_day(&mut self) -> Result<Option<u64>, MailboxError> {
        let parsed = self.parsed()?;
        let written = parsed.envelope.date.as_deref().and_then(written_day);
        Ok(written.or_else(|| parsed.sent_at.map(day_of)))
    }

    /// The decoded text of an envelope field, into the scratch.
    fn envelope_text(&mut self, of: TextOf) -> Result<(), MailboxError> {
        let parsed = self.parsed()?;
        let envelope = &parsed.envelope;
        self.scratch.clear();
        let list = match of {
            TextOf::Subject => {
                if let Some(subject) = &envelope.subject {
                    push_decoded(self.scratch, subject);
                }
                return Ok(());
            }
            TextOf::From => &envelope.from,
            TextOf::To => &envelope.to,
            TextOf::Cc => &envelope.cc,
            _ => &envelope.bcc,
        };
        for address in list.iter().flatten() {
            push_address(self.scratch, address);
        }
        Ok(())
    }

    /// All octets of the message.
    fn octets(&mut self) -> Result<&[u8], MailboxError> {
        if self.octets.is_none() {
            let row = self.row()?;
            let octets = self
                .mailboxes
                .read(self.account, row, 0..u64::from(row.size))?
                .0;
            self.read += octets.len() as u64;
            self.octets = Some(octets);
        }
        Ok(self.octets.as_deref().unwrap_or_default())
    }

    /// The header, prefix included.
    fn header_octets(&mut self) -> Result<Vec<u8>, MailboxError> {
        let parsed = self.parsed()?;
        let row = self.row()?;
        let length = row.prefix.len() as u64 + u64::from(parsed.header_size);
        if let Some(octets) = &self.octets {
            let end = usize::try_from(length).unwrap_or(usize::MAX);
            return Ok(octets.get(..end).unwrap_or(octets).to_vec());
        }
        let octets = self.mailboxes.read(self.account, row, 0..length)?.0;
        self.read += length;
        Ok(octets)
    }

    /// RFC 9051 6.4.4 HEADER: a field of that name that has the text; any for an empty text.
    fn header(&mut self, name: &str, needle: &super::text::Needle) -> Result<bool, MailboxError> {
        let header = self.header_octets()?;
        for field in headers(&header).filter(|field| field.is(name)) {
            self.scratch.clear();
            push_decoded(self.scratch, field.value);
            if needle.is_in(self.scratch) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn whole_header(&mut self, needle: &super::text::Needle) -> Result<bool, MailboxError> {
        self.octets()?;
        let header = self.header_octets()?;
        self.scratch.clear();
        for field in headers(&header) {
            self.scratch.push_str(&String::from_utf8_lossy(field.name));
            self.scratch.push_str(": ");
            push_decoded(self.scratch, field.value);
            self.scratch.push('\n');
        }
        Ok(needle.is_in(self.scratch))
    }

    fn body(&mut self, needle: &super::text::Needle) -> Result<bool, MailboxError> {
        let parsed = self.parsed()?;
        let prefix = self.row()?.prefix.len();
        let octets = self.octets()?;
        let content = octets.get(prefix..).unwrap_or_default();
        let mut text = tern_mime::decoded_text(&parsed, content, MAX_SEARCHED_TEXT);
        Ok(needle.is_in(&mut text))
    }
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

/// Appends a header value, encoded words decoded and folds undone.
fn push_decoded(out: &mut String, raw: &[u8]) {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let value = raw.trim_ascii();
    let is_encoded = value.windows(2).any(|pair| pair == b"=?");
    match std::str::from_utf8(value) {
        Ok(text) if !is_encoded && value.iter().all(plain) => out.push_str(text),
        _ => out.push_str(&decode_header_text(raw)),
    }
}

/// Appends an address as a header shows it.
fn push_address(out: &mut String, address: &Address) {
    if let Some(name) = &address.name {
        push_decoded(out, name);
        out.push(' ');
    }
    if let Some(mailbox) = &address.mailbox {
        // Writing to a String can't fail.
        let _ = write!(out, "<{}", String::from_utf8_lossy(mailbox));
        if let Some(host) = &address.host {
            let _ = write!(out, "@{}", String::from_utf8_lossy(host));
        }
        out.push('>');
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
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
}
