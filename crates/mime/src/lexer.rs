//! The lexical tokens of structured header fields (RFC 5322 3.2), read without ever failing.
//!
//! Invariant: every call consumes at least one byte or ends, so a walk is linear. An unclosed
//! quote, comment or domain literal ends with the field. Refuses to judge grammar.

use memchr::memchr2;

/// One token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// An atom: anything up to white space or a special, 8-bit bytes included.
    Atom(Vec<u8>),
    /// A quoted string, unquoted.
    Quoted(Vec<u8>),
    /// A comment, without its outer parentheses.
    Comment(Vec<u8>),
    /// A domain literal with its brackets.
    Literal(Vec<u8>),
    /// One special character.
    Special(u8),
}

/// A cursor over a raw field value.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether white space stood before the last token.
    pub(crate) spaced: bool,
    /// The characters that end an atom: those of addresses, or the tspecials of RFC 2045 5.1.
    specials: &'static Specials,
}

/// The specials of RFC 5322 3.2.3, without the backslash, which old software writes in atoms.
const ADDRESS_SPECIALS: Specials = Specials::new(b"()<>[]:;@,.\"");
/// What ends a token in MIME fields. Narrower than RFC 2045 5.1, since software forgets to quote.
const MIME_SPECIALS: Specials = Specials::new(b"();,=\"/");

/// What ends an atom, by byte.
#[derive(Debug)]
struct Specials([bool; 256]);

impl Specials {
    const fn new(specials: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut at = 0;
        while at < specials.len() {
            table[specials[at] as usize] = true; // A byte indexes 256 entries.
            at += 1;
        }
        Self(table)
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte)] // A byte indexes 256 entries.
    }
}

impl<'a> Lexer<'a> {
    pub(crate) fn address(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            spaced: false,
            specials: &ADDRESS_SPECIALS,
        }
    }

    pub(crate) fn mime(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            spaced: false,
            specials: &MIME_SPECIALS,
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.spaced = false;
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
            self.spaced = true;
        }
    }

    /// The next token; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Token> {
        self.skip_space();
        let first = self.peek()?;
        match first {
            b'"' => {
                self.at += 1;
                Some(Token::Quoted(self.quoted()))
            }
            b'(' => {
                self.at += 1;
                Some(Token::Comment(self.comment()))
            }
            b'[' if self.specials.contains(b'[') => Some(Token::Literal(self.literal())),
            _ if self.specials.contains(first) => {
                self.at += 1;
                Some(Token::Special(first))
            }
            _ => Some(Token::Atom(self.atom())),
        }
    }

    fn atom(&mut self) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest
            .iter()
            .position(|&byte| byte.is_ascii_whitespace() || self.specials.contains(byte))
            .unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default().to_vec()
    }

    /// RFC 5322 3.2.4, behind the opening quote.
    fn quoted(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(stop) = memchr2(b'"', b'\\', rest) else {
                push_unfolded(&mut out, rest);
                self.at = self.bytes.len();
                return out;
            };
            push_unfolded(&mut out, rest.get(..stop).unwrap_or_default());
            self.at += stop + 1;
            if rest.get(stop) == Some(&b'"') {
                return out;
            }
            if let Some(escaped) = self.peek() {
                push_unfolded(&mut out, &[escaped]);
                self.at += 1;
            }
        }
    }

    /// RFC 5322 3.2.2, behind the opening parenthesis. Comments nest; a counter follows them.
    fn comment(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut depth = 1_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    if let Some(escaped) = self.peek() {
                        push_unfolded(&mut out, &[escaped]);
                        self.at += 1;
                    }
                    continue;
                }
                _ => {}
            }
            push_unfolded(&mut out, &[byte]);
        }
        out
    }

    /// RFC 5322 3.4.1 domain-literal, brackets kept.
    fn literal(&mut self) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = memchr::memchr(b']', rest).map_or(rest.len(), |end| end + 1);
        self.at += len;
        let mut out = Vec::with_capacity(len);
        push_unfolded(&mut out, rest.get(..len).unwrap_or_default());
        out
    }

    /// The raw bytes up to one of `stops` or white space: an unquoted parameter value.
    pub(crate) fn raw_until(&mut self, stops: &[u8]) -> Vec<u8> {
        self.skip_space();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || stops.contains(byte))
            .unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default().to_vec()
    }

    /// Moves behind the next `;` outside quotes and comments. Gives `false` at the end.
    pub(crate) fn skip_past_semicolon(&mut self) -> bool {
        while let Some(token) = self.next() {
            if token == Token::Special(b';') {
                return true;
            }
        }
        false
    }

    /// The next token that is not a comment.
    pub(crate) fn next_word(&mut self) -> Option<Token> {
        loop {
            match self.next()? {
                Token::Comment(_) => {}
                token => return Some(token),
            }
        }
    }

    /// The next byte behind white space and comments, not consumed.
    pub(crate) fn peek_word(&mut self) -> Option<u8> {
        loop {
            self.skip_space();
            match self.peek()? {
                b'(' => {
                    self.at += 1;
                    self.comment();
                }
                byte => return Some(byte),
            }
        }
    }
}

fn push_unfolded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(
        bytes
            .iter()
            .copied()
            .filter(|&byte| byte != b'\r' && byte != b'\n'),
    );
}
