//! Header fields as they stand in the bytes (RFC 5322 2.2).
//!
//! Invariant: the fields that [`headers`] yields follow each other without a gap, from the first
//! byte to the blank line. A line without a colon is a field without a name, so that nothing is
//! lost and nothing is misread. Refuses to decode: values stay raw.

use std::ops::Range;

use memchr::memchr;

use crate::limits::{MAX_HEADER_BYTES, MAX_VALUE_BYTES};

/// One header field: name, raw value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField<'a> {
    /// The name as written, without white space before the colon; empty for a line that has none.
    pub name: &'a [u8],
    /// Everything behind the colon: leading space, folds and the last line end included.
    pub value: &'a [u8],
    /// The whole field, line end included, in the bytes given to [`headers`].
    pub range: Range<usize>,
}

impl HeaderField<'_> {
    /// Whether this is the field of that name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The iterator of [`headers`].
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Headers<'_> {
    /// Where the next field would begin: behind the last field, once the iterator has ended.
    pub fn position(&self) -> usize {
        self.at
    }
}

/// The fields of a header or of the header of a whole message, up to the blank line.
pub fn headers(bytes: &[u8]) -> Headers<'_> {
    Headers { bytes, at: 0 }
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderField<'a>;

    fn next(&mut self) -> Option<HeaderField<'a>> {
        let start = self.at;
        let rest = self.bytes.get(start..)?;
        if rest.is_empty() || blank_line(rest).is_some() {
            return None;
        }
        // RFC 5322 2.2.3: a line that begins with white space continues the field.
        let mut len = line_length(rest);
        while let Some(b' ' | b'\t') = rest.get(len) {
            len += line_length(rest.get(len..).unwrap_or_default());
        }
        let field = rest.get(..len).unwrap_or_default();
        let first_line = field.get(..line_length(field)).unwrap_or_default();
        let (name, value) = match memchr(b':', first_line) {
            Some(colon) => (
                field.get(..colon).unwrap_or_default().trim_ascii_end(),
                field.get(colon + 1..).unwrap_or_default(),
            ),
            None => (&field[..0], field),
        };
        self.at = start + len;
        Some(HeaderField {
            name,
            value,
            range: start..start + len,
        })
    }
}

/// The length of the blank line at the start of `bytes`, if there is one.
pub(crate) fn blank_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// The length of the first line, line end included.
pub(crate) fn line_length(bytes: &[u8]) -> usize {
    memchr(b'\n', bytes).map_or(bytes.len(), |newline| newline + 1)
}

/// Names of fields, each once and in order, so that a header is looked through once however many there are.
struct FieldNames(Vec<Vec<u8>>);

impl FieldNames {
    fn of<N: AsRef<[u8]>>(names: &[N]) -> Self {
        let lower = |name: &N| name.as_ref().to_ascii_lowercase();
        let mut names: Vec<Vec<u8>> = names.iter().map(lower).collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Whether a field's name is among them, in any case.
    fn have(&self, name: &[u8]) -> bool {
        let lower = || name.iter().map(u8::to_ascii_lowercase);
        self.0
            .binary_search_by(|one| one.iter().copied().cmp(lower()))
            .is_ok()
    }
}

/// The length of the header at the start of `message`, blank line included; all of it when there
/// is no blank line.
pub fn header_length(message: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = message.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return at;
        }
        if let Some(blank) = blank_line(rest) {
            return at + blank;
        }
        at += line_length(rest);
    }
}

/// The unfolded value of the last field of that name (the one that counts in the envelope and in
/// RFC 8621 4.1.3), without white space around it.
pub fn header_value(bytes: &[u8], name: &str) -> Option<Vec<u8>> {
    headers(bytes)
        .filter(|field| field.is(name))
        .last()
        .map(|field| unfold(field.value))
}

/// RFC 5322 2.2.3: makes one line of a raw value, without white space around it. A fold with the
/// white space on both its sides becomes one space, as Dovecot has it: where a line was broken
/// says nothing. At most [`MAX_VALUE_BYTES`] are kept.
pub(crate) fn unfold(raw: &[u8]) -> Vec<u8> {
    let raw = raw.trim_ascii();
    unfold_whole(raw.get(..MAX_VALUE_BYTES).unwrap_or(raw))
}

/// The same of a value whatever its length, where a part of it would say something else.
pub(crate) fn unfold_whole(raw: &[u8]) -> Vec<u8> {
    let raw = raw.trim_ascii();
    if memchr(b'\n', raw).is_none() && memchr(b'\r', raw).is_none() {
        return raw.to_vec();
    }
    let mut out = Vec::with_capacity(raw.len());
    for line in raw.split(|&byte| byte == b'\r' || byte == b'\n') {
        let line = line.trim_ascii();
        if !line.is_empty() {
            if !out.is_empty() {
                out.push(b' ');
            }
            out.extend_from_slice(line);
        }
    }
    out
}

/// The answer to `HEADER.FIELDS` (or `HEADER.FIELDS.NOT`, with `not`): the matching fields as they
/// stand, then the blank line (RFC 9051 6.4.5.1).
///
/// `header` is a header with or without its blank line; where it has none, CRLF is added. With
/// `not` and no names the answer is the header itself. Of a header of more than [`MAX_HEADER_BYTES`] the
/// fields that end within them are looked at, and no others are answered.
pub fn header_fields<N: AsRef<[u8]>>(header: &[u8], names: &[N], not: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(if not { header.len() + 2 } else { 256 });
    let names = FieldNames::of(names);
    let mut fields = headers(header);
    for field in fields.by_ref() {
        if field.range.end > MAX_HEADER_BYTES {
            break;
        }
        // A line without a name can't be asked for, so only NOT answers it.
        let named = !field.name.is_empty() && names.have(field.name);
        if named != not {
            out.extend_from_slice(header.get(field.range).unwrap_or_default());
        }
    }
    let rest = header.get(fields.position()..).unwrap_or_default();
    match blank_line(rest) {
        Some(blank) => out.extend_from_slice(rest.get(..blank).unwrap_or_default()),
        None => {
            if out.last().is_some_and(|&last| last != b'\n') {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}
