//! Typed responses to bytes.
//!
//! A [`ResponseWriter`] appends to one buffer, which the session hands to the shell piece by
//! piece. The files: [`status`] for `OK`, `NO`, `BAD`, `BYE` and their codes, [`data`] for
//! untagged data, [`fetch`] for FETCH, [`structure`] for envelopes and body structures.
//!
//! Invariant: what is written is one or more whole response lines between two calls of the
//! session, and every string is quoted only where RFC 9051 9 `quoted` allows its octets. No text
//! of a peer can end a line early. Refuses nothing: unfit text is replaced, since a response must
//! not fail.

pub mod data;
pub mod fetch;
pub mod status;
pub mod structure;

use tern_base::Timestamp;

use crate::name::encode_utf7;

/// Writes responses into a buffer.
#[derive(Debug, Default)]
pub struct ResponseWriter {
    buf: Vec<u8>,
    utf8: bool,
    /// Octets that were taken last, when there were any.
    last: usize,
}

/// Which octets a quoted string may hold for a client that did not enable UTF-8: 1 plain,
/// 2 to be escaped, 0 not at all.
const QUOTED: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = 1;
        byte += 1;
    }
    table[b'\t' as usize] = 1;
    table[b'"' as usize] = 2;
    table[b'\\' as usize] = 2;
    table
};

/// Longer strings go as literals, which clients need not scan.
const MAX_QUOTED: usize = 1000;

impl ResponseWriter {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client enabled UTF8=ACCEPT or IMAP4rev2: quoted strings and mailbox names are UTF-8.
    pub fn set_utf8(&mut self, on: bool) {
        self.utf8 = on;
    }

    /// Octets written and not yet taken.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether nothing is waiting to be taken.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Takes what was written.
    pub fn take(&mut self) -> Vec<u8> {
        if !self.buf.is_empty() {
            self.last = self.buf.len();
        }
        std::mem::take(&mut self.buf)
    }

    /// Expects about as much as was taken last: the next piece of a long answer.
    pub(crate) fn expect_more(&mut self) {
        if self.buf.is_empty() {
            self.buf.reserve(self.last + self.last / 4);
        }
    }

    /// What was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf
    }

    /// Appends octets as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.buf.extend_from_slice(bytes);
        self
    }

    /// Appends an ASCII text of our own as it is.
    pub fn word(&mut self, text: &str) -> &mut Self {
        self.raw(text.as_bytes())
    }

    /// Appends one octet.
    pub fn byte(&mut self, byte: u8) -> &mut Self {
        self.buf.push(byte);
        self
    }

    /// Ends the line.
    pub fn end_line(&mut self) {
        self.raw(b"\r\n");
    }

    /// A number.
    pub fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        let mut digits = itoa::Buffer::new();
        let text = digits.format(number.into());
        self.raw(text.as_bytes())
    }

    /// RFC 9051 9 string: quoted where that is possible, a literal otherwise.
    pub fn string(&mut self, bytes: &[u8]) -> &mut Self {
        if bytes.len() > MAX_QUOTED {
            return self.literal(bytes);
        }
        // Most strings need neither escapes nor a literal; this much is fast on whole vectors.
        let odd = |byte: &u8| (*byte < b' ') | (*byte > b'~') | (*byte == b'"') | (*byte == b'\\');
        if !bytes.iter().fold(false, |any, byte| any | odd(byte)) {
            self.buf.reserve(bytes.len() + 2);
            return self.byte(b'"').raw(bytes).byte(b'"');
        }
        // QUOTED has an entry for every octet.
        let class = |byte: &u8| QUOTED.get(usize::from(*byte)).copied().unwrap_or(0);
        let (mut least, mut most) = (1, 1);
        for byte in bytes {
            least = least.min(class(byte));
            most = most.max(class(byte));
        }
        if least == 0 {
            let utf8 = self.utf8 && std::str::from_utf8(bytes).is_ok();
            if !utf8 || bytes.iter().any(|byte| byte.is_ascii() && class(byte) == 0) {
                return self.literal(bytes);
            }
        }
        self.byte(b'"');
        if most == 1 {
            self.raw(bytes);
        } else {
            for byte in bytes {
                if class(byte) == 2 {
                    self.byte(b'\\');
                }
                self.byte(*byte);
            }
        }
        self.byte(b'"')
    }

    /// A literal; NUL, which a literal must not hold (RFC 9051 9 CHAR8), goes as 0x80 like the
    /// servers before us have it.
    pub fn literal(&mut self, bytes: &[u8]) -> &mut Self {
        self.literal_header(bytes.len() as u64);
        self.literal_content(bytes)
    }

    /// The header of a literal whose `size` octets follow in pieces.
    pub fn literal_header(&mut self, size: u64) -> &mut Self {
        self.byte(b'{').number(size).raw(b"}\r\n")
    }

    /// A piece of a literal's content.
    pub fn literal_content(&mut self, bytes: &[u8]) -> &mut Self {
        let start = self.buf.len();
        self.raw(bytes);
        if memchr::memchr(0, bytes).is_some() {
            let written = self.buf.get_mut(start..).unwrap_or_default();
            written
                .iter_mut()
                .filter(|byte| **byte == 0)
                .for_each(|byte| *byte = 0x80);
        }
        self
    }

    /// RFC 9051 9 nstring.
    pub fn nstring(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.string(bytes),
            None => self.raw(b"NIL"),
        }
    }

    /// RFC 9051 9 astring: bare where it is an atom.
    pub fn astring(&mut self, bytes: &[u8]) -> &mut Self {
        let bare = !bytes.is_empty()
            && bytes
                .iter()
                .all(|byte| crate::parse::is_astring_char(*byte));
        if bare && !bytes.eq_ignore_ascii_case(b"NIL") {
            self.raw(bytes)
        } else {
            self.string(bytes)
        }
    }

    /// A mailbox name, in the encoding that the client enabled.
    pub fn mailbox(&mut self, name: &str) -> &mut Self {
        if self.utf8
            || name
                .bytes()
                .all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'&')
        {
            return self.astring(name.as_bytes());
        }
        let mut wire = Vec::with_capacity(name.len() * 2);
        encode_utf7(name, &mut wire);
        self.astring(&wire)
    }

    /// Text for a person: control characters become spaces, so that it can't end the line, and
    /// 8-bit becomes `?` for a client that did not enable UTF-8 (RFC 9051 9 TEXT-CHAR).
    pub fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                c if c.is_control() => self.buf.push(b' '),
                c if c.is_ascii() => self.buf.push(c as u8),
                c if self.utf8 => {
                    self.buf
                        .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => self.buf.push(b'?'),
            }
        }
        self
    }

    /// Inclusive ranges in the compact form `1:5,8`. Give them sorted and joined.
    pub fn ranges(&mut self, ranges: &[(u32, u32)]) -> &mut Self {
        for (index, (from, to)) in ranges.iter().enumerate() {
            if index > 0 {
                self.byte(b',');
            }
            self.number(*from);
            if from != to {
                self.byte(b':').number(*to);
            }
        }
        self
    }

    /// RFC 9051 9 date-time in UTC, quoted.
    pub fn date_time(&mut self, time: Timestamp) -> &mut Self {
        let c = time.civil();
        self.byte(b'"');
        if c.day < 10 {
            self.byte(b' ').number(c.day);
        } else {
            self.number(c.day);
        }
        self.byte(b'-').word(c.month_name()).byte(b'-');
        let year = u64::try_from(c.year).unwrap_or(0).min(9999);
        self.two(year / 100).two(year % 100).byte(b' ');
        self.two(u64::from(c.hour)).byte(b':');
        self.two(u64::from(c.minute)).byte(b':');
        self.two(u64::from(c.second)).raw(b" +0000\"")
    }

    fn two(&mut self, number: u64) -> &mut Self {
        if number < 10 {
            self.byte(b'0');
        }
        self.number(number)
    }
}
