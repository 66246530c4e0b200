//! Octets that came and were not yet executed, cut into lines.
//!
//! Invariant: a line ends in CRLF and nothing else; where one ends in a bare LF it is told apart,
//! so that no part of it is executed. A line longer than its limit is dropped as it comes and
//! reported at its end, so the session is in step again with the next line. What is reported does
//! not depend on how the octets were cut into reads.

use std::ops::Range;

use memchr::memchr;

use crate::limits::{MAX_AUTH_LINE, MAX_COMMAND_LINE, MAX_ENVELOPE_LINE};

/// What kind of line is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Command,
    SaslResponse,
}

/// One line, as far as it could be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Where the line is in [`Input::bytes`], without its CRLF.
    Whole(Range<usize>),
    /// It was too long; it is gone.
    TooLong,
    /// It ended in a bare LF.
    BareLf,
}

/// The buffer.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    /// Start of what has not been consumed.
    start: usize,
    /// Up to here there is no LF.
    scanned: usize,
    /// Dropping a line that is too long; its last octet so far.
    dropping: Option<u8>,
}

impl Input {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.clear();
        } else if self.start > 4_096 && self.start * 2 > self.bytes.len() {
            self.bytes.drain(..self.start);
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What has not been consumed.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The same of the buffer while it is lent.
    pub(crate) fn rest_of<'a>(&self, lent: &'a [u8]) -> &'a [u8] {
        lent.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.bytes.len());
        self.scanned = self.start;
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > 16_384 {
            self.bytes = Vec::new();
        }
        self.start = 0;
        self.scanned = 0;
    }

    /// The buffer itself, to be given back: lets a caller read a line while it changes the rest.
    pub(crate) fn lend(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn give_back(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    /// Whether [`Input::line`] would return one.
    pub(crate) fn has_line(&self) -> bool {
        memchr(b'\n', self.bytes.get(self.scanned..).unwrap_or_default()).is_some()
    }

    /// Drops what is already known to be too long, so that a line never holds more than its
    /// limit and one read.
    pub(crate) fn trim(&mut self, expect: Expect) {
        let unscanned = self.bytes.get(self.scanned..).unwrap_or_default();
        if memchr(b'\n', unscanned).is_some() {
            return;
        }
        self.scanned = self.bytes.len();
        if self.dropping.is_some() || self.len() > limit(self.rest(), expect) {
            self.dropping = self.rest().last().copied().or(self.dropping);
            self.clear();
        }
    }

    /// The next line, if its end has come.
    pub(crate) fn line(&mut self, expect: Expect) -> Option<Line> {
        let unscanned = self.bytes.get(self.scanned..).unwrap_or_default();
        let Some(at) = memchr(b'\n', unscanned) else {
            self.trim(expect);
            return None;
        };
        let begin = self.start;
        let end = self.scanned + at;
        self.start = end + 1;
        self.scanned = end + 1;
        let line = self.bytes.get(begin..end).unwrap_or_default();
        let dropped = self.dropping.take();
        if line.last().copied().or(dropped) != Some(b'\r') {
            return Some(Line::BareLf);
        }
        if dropped.is_some() || line.len() + 1 > limit(line, expect) {
            return Some(Line::TooLong);
        }
        Some(Line::Whole(begin..end - 1))
    }
}

/// The longest that a line may be that begins like this, CRLF included.
fn limit(line: &[u8], expect: Expect) -> usize {
    let verb = line.get(..4).unwrap_or_default();
    if expect == Expect::SaslResponse || verb.eq_ignore_ascii_case(b"AUTH") {
        MAX_AUTH_LINE
    } else if verb.eq_ignore_ascii_case(b"MAIL") || verb.eq_ignore_ascii_case(b"RCPT") {
        MAX_ENVELOPE_LINE
    } else {
        MAX_COMMAND_LINE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line of `text`, however it is cut.
    fn lines(text: &[u8], size: usize) -> Vec<String> {
        let mut input = Input::default();
        let mut out = Vec::new();
        for piece in text.chunks(size) {
            input.push(piece);
            while let Some(line) = input.line(Expect::Command) {
                out.push(match line {
                    Line::Whole(range) => String::from_utf8_lossy(&input.bytes[range]).into_owned(),
                    other => format!("{other:?}"),
                });
            }
            assert!(input.len() <= MAX_ENVELOPE_LINE + size);
        }
        out
    }

    #[test]
    fn lines_do_not_depend_on_the_cut() {
        let long = "x".repeat(511);
        let fits = "y".repeat(510);
        let text = format!(
            "NOOP\r\nbare\n{long}\r\n{fits}\r\n\r\nMAIL {long}\r\n{long}{long}{long}\n a\rb \r\r\nQ"
        );
        let want = [
            "NOOP".to_owned(),
            "BareLf".to_owned(),
            "TooLong".to_owned(),
            fits.clone(),
            String::new(),
            format!("MAIL {long}"),
            "BareLf".to_owned(),
            " a\rb \r".to_owned(),
        ];
        for size in [1, 2, 3, 7, 64, 511, 512, 513, 100_000] {
            assert_eq!(lines(text.as_bytes(), size), want, "{size}");
        }
    }
}
