//! The MIME fields of one part header (RFC 2045 5, RFC 2183, RFC 3282), read tolerantly.
//!
//! Invariant: the first field of a name counts. Refuses to guess: a Content-Type that cannot be
//! read is as if it were absent (RFC 2045 5.2).

use crate::header::{HeaderField, unfold};
use crate::lexer::{Lexer, Token};
use crate::part::{Disposition, Param};

/// What the header of a part says about its content.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) media: Option<Media>,
    seen_type: bool,
    pub(crate) id: Option<Vec<u8>>,
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) encoding: Option<Vec<u8>>,
    pub(crate) md5: Option<Vec<u8>>,
    pub(crate) disposition: Option<Disposition>,
    pub(crate) language: Vec<Vec<u8>>,
    pub(crate) location: Option<Vec<u8>>,
}

/// A Content-Type that could be read.
#[derive(Debug)]
pub(crate) struct Media {
    pub(crate) media_type: Vec<u8>,
    pub(crate) subtype: Vec<u8>,
    pub(crate) params: Vec<Param>,
}

impl Content {
    /// Takes in one header field; `budget` is what is left of [`crate::limits::MAX_PARAMS`].
    pub(crate) fn field(&mut self, field: &HeaderField<'_>, budget: &mut usize) {
        let Some(rest) = field
            .name
            .get(..8)
            .filter(|p| p.eq_ignore_ascii_case(b"content-"))
        else {
            return;
        };
        let name = field.name.get(rest.len()..).unwrap_or_default();
        let raw = field.value;
        if name.eq_ignore_ascii_case(b"type") {
            if !self.seen_type {
                self.seen_type = true;
                self.media = media(raw, budget);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            first(&mut self.encoding, || word(raw));
        } else if name.eq_ignore_ascii_case(b"disposition") {
            if self.disposition.is_none() {
                self.disposition = disposition(raw, budget);
            }
        } else if name.eq_ignore_ascii_case(b"id") {
            first(&mut self.id, || text(raw));
        } else if name.eq_ignore_ascii_case(b"description") {
            first(&mut self.description, || text(raw));
        } else if name.eq_ignore_ascii_case(b"md5") {
            first(&mut self.md5, || text(raw));
        } else if name.eq_ignore_ascii_case(b"location") {
            first(&mut self.location, || text(raw));
        } else if name.eq_ignore_ascii_case(b"language") && self.language.is_empty() {
            self.language = languages(raw, budget);
        }
    }
}

fn first(slot: &mut Option<Vec<u8>>, read: impl FnOnce() -> Option<Vec<u8>>) {
    if slot.is_none() {
        *slot = read();
    }
}

fn text(raw: &[u8]) -> Option<Vec<u8>> {
    Some(unfold(raw)).filter(|value| !value.is_empty())
}

/// The id that a Content-ID names, without comments, white space around it and angle brackets (RFC 2045 7).
pub fn bare_content_id(value: &[u8]) -> &[u8] {
    let mut lexer = Lexer::address(value);
    lexer.peek_word();
    let rest = lexer.rest();
    let inside = rest.strip_prefix(b"<").and_then(|rest| {
        let end = memchr::memchr(b'>', rest)?;
        rest.get(..end)
    });
    let end = || memchr::memchr(b'(', rest).unwrap_or(rest.len());
    let id = inside.unwrap_or_else(|| rest.get(..end()).unwrap_or_default());
    id.trim_ascii()
}

/// A single token, comments skipped: `7bit (yes)`. Parameters behind it mean nothing, and
/// anything else means that this is no token.
fn word(raw: &[u8]) -> Option<Vec<u8>> {
    let mut lexer = Lexer::mime(raw);
    let word = match lexer.next_word()? {
        Token::Atom(word) | Token::Quoted(word) => word,
        _ => return None,
    };
    (!word.is_empty() && matches!(lexer.next_word(), None | Some(Token::Special(b';'))))
        .then_some(word)
}

/// RFC 2045 5.1.
fn media(raw: &[u8], budget: &mut usize) -> Option<Media> {
    let mut lexer = Lexer::mime(raw);
    let Some(Token::Atom(media_type)) = lexer.next_word() else {
        return None;
    };
    if lexer.next_word() != Some(Token::Special(b'/')) {
        return None;
    }
    let Some(Token::Atom(subtype)) = lexer.next_word() else {
        return None;
    };
    Some(Media {
        media_type,
        subtype,
        params: params(&mut lexer, budget),
    })
}

/// RFC 2183 2.
fn disposition(raw: &[u8], budget: &mut usize) -> Option<Disposition> {
    let mut lexer = Lexer::mime(raw);
    let Some(Token::Atom(kind) | Token::Quoted(kind)) = lexer.next_word() else {
        return None;
    };
    Some(Disposition {
        kind,
        params: params(&mut lexer, budget),
    })
}

/// `;` attribute `=` value, any number. What does not fit is skipped up to the next `;`.
fn params(lexer: &mut Lexer<'_>, budget: &mut usize) -> Vec<Param> {
    let mut out = Vec::new();
    while *budget > 0 && lexer.skip_past_semicolon() {
        // A second `;` or an empty attribute: begin again at it.
        if matches!(lexer.peek_word(), None | Some(b';')) {
            continue;
        }
        let mut look = lexer.clone();
        let Some(Token::Atom(name)) = look.next_word() else {
            continue;
        };
        if look.peek_word() != Some(b'=') {
            continue;
        }
        look.next_word();
        let value = match look.peek_word() {
            Some(b'"') => match look.next_word() {
                Some(Token::Quoted(value)) => value,
                _ => Vec::new(),
            },
            // Old software leaves values with `=` or `/` unquoted.
            _ => look.raw_until(b";"),
        };
        *lexer = look;
        out.push(Param { name, value });
        *budget -= 1;
    }
    out
}

/// RFC 3282 2: tags between commas.
fn languages(raw: &[u8], budget: &mut usize) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut lexer = Lexer::mime(raw);
    while let Some(token) = lexer.next_word() {
        if let Token::Atom(tag) = token {
            if *budget == 0 {
                break;
            }
            *budget -= 1;
            out.push(tag);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_id_is_told_without_comments_and_brackets() {
        for value in [
            "<logo@x>",
            " (a) <logo@x> (a logo)",
            "<logo@x> (a <b> logo)",
            "logo@x",
            "logo@x (a)",
        ] {
            assert_eq!(bare_content_id(value.as_bytes()), b"logo@x", "{value}");
        }
        assert_eq!(bare_content_id(b"<(x)@y>"), b"(x)@y");
        assert_eq!(bare_content_id(b" (only)"), b"");
    }
}
