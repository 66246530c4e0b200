//! A server's replies (RFC 5321 4.2).
//!
//! Invariant: a reply has a code of three digits and text of printable characters, bounded.
//! Refuses lines without a code and replies whose lines disagree about it.

use memchr::memchr;

use crate::limits::{MAX_REPLY_LINE, MAX_REPLY_LINES};

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The reply code.
    pub code: u16,
    /// The text of its lines, parted by line feeds, with the enhanced status code.
    pub text: String,
}

impl Reply {
    /// 2xx
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 5xx
    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The enhanced status code (RFC 2034 3), if the text begins with one of the reply's class.
    pub fn enhanced(&self) -> Option<&str> {
        let word = self.text.split([' ', '\n']).next()?;
        let mut parts = word.split('.');
        let class = parts.next()?;
        let fits = |part: Option<&str>| {
            part.is_some_and(|p| {
                (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit())
            })
        };
        let agrees = class.parse() == Ok(self.code / 100);
        (agrees && fits(parts.next()) && fits(parts.next()) && parts.next().is_none())
            .then_some(word)
    }
}

/// What came is not SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotSmtp;

/// Puts replies together from octets.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    bytes: Vec<u8>,
    /// The lines of the reply so far.
    partial: Option<Reply>,
    lines: usize,
}

impl ReplyReader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.partial.is_none()
    }

    pub(super) fn has_line(&self) -> bool {
        memchr(b'\n', &self.bytes).is_some() || self.bytes.len() > MAX_REPLY_LINE
    }

    /// The next whole reply.
    pub(super) fn next(&mut self) -> Option<Result<Reply, NotSmtp>> {
        loop {
            let end = match memchr(b'\n', &self.bytes) {
                Some(end) if end <= MAX_REPLY_LINE => end,
                None if self.bytes.len() <= MAX_REPLY_LINE => return None,
                _ => return Some(Err(NotSmtp)),
            };
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            match self.line(line.trim_ascii_end()) {
                Ok(None) => {}
                Ok(Some(reply)) => return Some(Ok(reply)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Adds a line; the reply, if it was its last.
    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, NotSmtp> {
        let digits = line
            .get(..3)
            .filter(|d| d.iter().all(u8::is_ascii_digit))
            .ok_or(NotSmtp)?;
        let code = digits
            .iter()
            .fold(0, |code, d| code * 10 + u16::from(d - b'0'));
        let more = match line.get(3) {
            None | Some(b' ') => false,
            Some(b'-') => true,
            Some(_) => return Err(NotSmtp),
        };
        let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default());
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        self.lines += 1;
        if self.lines > MAX_REPLY_LINES || !(200..600).contains(&code) {
            return Err(NotSmtp);
        }
        let reply = match self.partial.take() {
            None => Reply { code, text },
            Some(first) if first.code != code => return Err(NotSmtp),
            Some(mut reply) => {
                reply.text.push('\n');
                reply.text.push_str(&text);
                reply
            }
        };
        if more {
            self.partial = Some(reply);
            return Ok(None);
        }
        self.lines = 0;
        Ok(Some(reply))
    }
}
