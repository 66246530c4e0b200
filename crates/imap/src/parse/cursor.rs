//! The tokenizer: atoms, numbers, strings, literals, mailbox names, sequence sets and lists.
//!
//! Invariant: the position only moves forward and never past the frame. Every method leaves the
//! position behind what it returned; after an error it is unspecified, since the frame is refused.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Parsed, Reason};
use crate::command::Flag;
use crate::frame::decimal;
use crate::limits::{MAX_KEYWORD, MAX_LIST_ITEMS, MAX_SET_RANGES};
use crate::name::MailboxName;
use crate::partial::Partial;
use crate::sequence::{MessageSet, SeqNumber, SequenceSet};

/// A position in one frame.
pub(super) struct Cursor<'a> {
    frame: &'a Bytes,
    at: usize,
    /// Mailbox names are UTF-8.
    utf8: bool,
    /// Quoted strings may hold UTF-8.
    eight_bit: bool,
}

/// RFC 9051 9 ATOM-CHAR: no specials, no controls, no 8-bit.
fn is_atom_char(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// RFC 9051 9 ASTRING-CHAR: ATOM-CHAR or resp-specials.
pub(crate) fn is_astring_char(byte: u8) -> bool {
    is_atom_char(byte) || byte == b']'
}

/// RFC 9051 9 list-char: ASTRING-CHAR or list-wildcards.
fn is_list_char(byte: u8) -> bool {
    is_astring_char(byte) || matches!(byte, b'%' | b'*')
}

impl<'a> Cursor<'a> {
    pub(super) fn new(frame: &'a Bytes, utf8: bool) -> Self {
        Self {
            frame,
            at: 0,
            utf8,
            eight_bit: utf8,
        }
    }

    /// Lets quoted strings hold UTF-8 from here on, whatever was enabled.
    pub(super) fn allow_eight_bit(&mut self) {
        self.eight_bit = true;
    }

    pub(super) fn utf8(&self) -> bool {
        self.utf8
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.frame.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.frame.get(self.at).copied()
    }

    /// Moves on by `count` octets, which the caller has seen.
    pub(super) fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.frame.len());
    }

    /// Takes `byte` if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// What is wrong when something else was expected here.
    pub(super) fn unexpected(&self) -> Reason {
        if self.peek().is_none() {
            Reason::Missing
        } else {
            Reason::Character
        }
    }

    /// Takes one space, or more: some clients double them.
    pub(super) fn space(&mut self) -> Parsed<()> {
        self.expect(b' ')?;
        while self.eat(b' ') {}
        Ok(())
    }

    /// Takes a space if one is next and something follows it.
    pub(super) fn more(&mut self) -> bool {
        let spaces = self.rest().iter().take_while(|byte| **byte == b' ').count();
        let more = spaces > 0 && self.rest().len() > spaces;
        if more {
            self.skip(spaces);
        }
        more
    }

    /// Nothing but spaces may follow.
    pub(super) fn end(&mut self) -> Parsed<()> {
        while self.eat(b' ') {}
        if self.peek().is_none() {
            Ok(())
        } else {
            Err(Reason::Trailing)
        }
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| fits(**byte)).count();
        self.skip(length);
        rest.get(..length).unwrap_or_default()
    }

    /// One or more octets of a class that is within ASCII.
    fn ascii(&mut self, fits: impl Fn(u8) -> bool) -> Parsed<&'a str> {
        let found = self.take_while(fits);
        if found.is_empty() {
            return Err(self.unexpected());
        }
        std::str::from_utf8(found).map_err(|_| Reason::Character)
    }

    pub(super) fn atom(&mut self) -> Parsed<&'a str> {
        self.ascii(is_atom_char)
    }

    /// An atom in capitals: verbs and keywords are case-insensitive (RFC 9051 9 (1)).
    pub(super) fn upper(&mut self) -> Parsed<String> {
        self.atom().map(str::to_ascii_uppercase)
    }

    /// A keyword of a data item: letters, digits, `.` and `-`, in capitals.
    pub(super) fn item(&mut self) -> Parsed<String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        self.ascii(fits).map(str::to_ascii_uppercase)
    }

    /// Takes `word`, in any case, if it is next and no atom character follows it.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest
            .get(..word.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()))
            && !rest.get(word.len()).copied().is_some_and(is_atom_char);
        if found {
            self.skip(word.len());
        }
        found
    }

    /// RFC 9051 9 number64: 63 bits.
    pub(super) fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        decimal(digits)
            .filter(|number| *number <= i64::MAX as u64)
            .ok_or(Reason::Number)
    }

    /// RFC 9051 9 number: 32 bits.
    pub(super) fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).map_err(|_| Reason::Number)
    }

    /// RFC 9051 9 nz-number.
    pub(super) fn nz_number(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => Err(Reason::Number),
            number => Ok(number),
        }
    }

    /// RFC 9394 4 partial-range: both ends are counted from the same side.
    pub(super) fn partial(&mut self) -> Parsed<Partial> {
        let from_end = self.eat(b'-');
        let one = self.nz_number()?;
        self.expect(b':')?;
        if from_end {
            self.expect(b'-')?;
        }
        Ok(Partial {
            from_end,
            ends: (one, self.nz_number()?),
        })
    }

    /// A literal, its header included: where its content is.
    pub(super) fn literal(&mut self) -> Parsed<Bytes> {
        let binary = self.eat(b'~');
        self.expect(b'{')?;
        let size = self.number64().map_err(|_| Reason::Literal)?;
        let _ = self.eat(b'+') || self.eat(b'-');
        if !self.eat(b'}') {
            return Err(Reason::Literal);
        }
        let _ = self.eat(b'\r');
        if !self.eat(b'\n') {
            return Err(Reason::Literal);
        }
        let size = usize::try_from(size).map_err(|_| Reason::Literal)?;
        let end = self
            .at
            .checked_add(size)
            .filter(|end| *end <= self.frame.len());
        let end = end.ok_or(Reason::Literal)?;
        let content = self.frame.slice(self.at..end);
        self.at = end;
        // RFC 9051 9 literal holds CHAR8, which excludes NUL; literal8 holds any octet.
        if !binary && memchr::memchr(0, &content).is_some() {
            return Err(Reason::Nul);
        }
        Ok(content)
    }

    /// RFC 9051 9 quoted.
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.expect(b'"')?;
        let rest = self.rest();
        let mut out: Option<Vec<u8>> = None;
        let mut at = 0;
        loop {
            let byte = *rest.get(at).ok_or(Reason::Quoted)?;
            match byte {
                b'"' => break,
                b'\\' => {
                    let escaped = *rest.get(at + 1).ok_or(Reason::Quoted)?;
                    if !matches!(escaped, b'"' | b'\\') {
                        return Err(Reason::Quoted);
                    }
                    out.get_or_insert_with(|| rest.get(..at).unwrap_or_default().to_vec())
                        .push(escaped);
                    at += 2;
                    continue;
                }
                b'\r' | b'\n' | 0 => return Err(Reason::Quoted),
                0x80.. if !self.eight_bit => return Err(Reason::EightBit),
                _ => {}
            }
            if let Some(out) = &mut out {
                out.push(byte);
            }
            at += 1;
        }
        self.skip(at + 1);
        Ok(match out {
            Some(out) => Cow::Owned(out),
            None => Cow::Borrowed(rest.get(..at).unwrap_or_default()),
        })
    }

    /// RFC 9051 9 string: quoted or literal.
    pub(super) fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => Ok(Cow::Owned(self.literal()?.to_vec())),
            Some(_) => Err(Reason::Character),
            None => Err(Reason::Missing),
        }
    }

    /// RFC 9051 9 astring.
    pub(super) fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self
                .ascii(is_astring_char)
                .map(|atom| Cow::Borrowed(atom.as_bytes())),
        }
    }

    /// An astring that is text.
    pub(super) fn text(&mut self) -> Parsed<String> {
        into_text(self.astring()?)
    }

    /// RFC 9051 9 nstring that is text.
    pub(super) fn nil_or_text(&mut self) -> Parsed<Option<String>> {
        if self.eat_word("NIL") {
            return Ok(None);
        }
        into_text(self.string()?).map(Some)
    }

    /// RFC 9051 9 mailbox.
    pub(super) fn mailbox(&mut self) -> Parsed<MailboxName> {
        let wire = self.astring()?;
        self.decode_name(&wire)
    }

    /// A space and a mailbox.
    pub(super) fn spaced_mailbox(&mut self) -> Parsed<MailboxName> {
        self.space()?;
        self.mailbox()
    }

    /// A reference name; no atom at all counts as the empty string that some clients mean.
    pub(super) fn mailbox_or_empty(&mut self) -> Parsed<MailboxName> {
        if self.peek() == Some(b' ') {
            return self.decode_name(b"");
        }
        self.mailbox()
    }

    /// RFC 9051 9 list-mailbox: a mailbox name with wildcards.
    pub(super) fn list_mailbox(&mut self) -> Parsed<MailboxName> {
        match self.peek() {
            Some(b'"' | b'{') => self.mailbox(),
            _ => {
                let wire = self.ascii(is_list_char)?;
                self.decode_name(wire.as_bytes())
            }
        }
    }

    fn decode_name(&self, wire: &[u8]) -> Parsed<MailboxName> {
        MailboxName::from_wire(wire, self.utf8).ok_or(Reason::MailboxName)
    }

    /// A parenthesised list of at most [`MAX_LIST_ITEMS`], which may be empty.
    pub(super) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.expect(b'(')?;
        let mut out = Vec::new();
        loop {
            while self.eat(b' ') {}
            if self.eat(b')') {
                return Ok(out);
            }
            // A missing space between items shows as a character that no item starts with, or
            // as items that are parenthesised and so are their own separation.
            out.push(one(self)?);
            if out.len() > MAX_LIST_ITEMS {
                return Err(Reason::TooMany);
            }
            if !matches!(self.peek(), Some(b' ' | b')')) {
                return Err(self.unexpected());
            }
        }
    }

    /// A parenthesised list of at least one item.
    pub(super) fn some_list<T>(
        &mut self,
        one: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let out = self.list(one)?;
        if out.is_empty() {
            Err(Reason::Missing)
        } else {
            Ok(out)
        }
    }

    /// RFC 9051 9 flag, of those that a client may name.
    pub(super) fn flag(&mut self) -> Parsed<Flag> {
        if self.eat(b'\\') {
            // `\Recent` and system flags that don't exist can't be set (RFC 9051 2.3.2).
            return Flag::system(self.atom()?).ok_or(Reason::Flag);
        }
        self.keyword()
    }

    /// RFC 9051 9 flag-keyword.
    pub(super) fn keyword(&mut self) -> Parsed<Flag> {
        let atom = self.atom().map_err(|_| Reason::Flag)?;
        if atom.len() > MAX_KEYWORD {
            return Err(Reason::Flag);
        }
        Ok(Flag::Keyword(atom.to_owned()))
    }

    /// RFC 9051 9 sequence-set, `$` included.
    pub(super) fn message_set(&mut self) -> Parsed<MessageSet> {
        if self.eat(b'$') {
            return Ok(MessageSet::Saved);
        }
        self.sequence_set().map(MessageSet::Ranges)
    }

    /// RFC 9051 9 sequence-set without `$`.
    pub(super) fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        let mut ranges = Vec::new();
        loop {
            let from = self.seq_number()?;
            let to = if self.eat(b':') {
                self.seq_number()?
            } else {
                from
            };
            ranges.push((from, to));
            if ranges.len() > MAX_SET_RANGES {
                return Err(Reason::TooMany);
            }
            if !self.eat(b',') {
                break;
            }
        }
        SequenceSet::new(ranges).ok_or(Reason::SequenceSet)
    }

    fn seq_number(&mut self) -> Parsed<SeqNumber> {
        if self.eat(b'*') {
            return Ok(SeqNumber::STAR);
        }
        let number = self.number().map_err(|_| Reason::SequenceSet)?;
        SeqNumber::new(number).ok_or(Reason::SequenceSet)
    }
}

/// The text of a string that has to be UTF-8.
fn into_text(bytes: Cow<'_, [u8]>) -> Parsed<String> {
    String::from_utf8(bytes.into_owned()).map_err(|_| Reason::Utf8)
}
/// The items of a list, each once: what is asked for twice is told once.
pub(super) fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut out: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}
