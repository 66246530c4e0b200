//! Address lists: read once, and told as IMAP represents them (RFC 9051 7.5.2). How JMAP does is in `forms`.
//!
//! Invariant: every list of mailboxes with a host that is not NIL; a group is a start (mailbox is
//! its name, host NIL) and an end (all NIL) around its members, always both. Refuses nothing:
//! what is no address becomes the nearest thing to one.

use crate::lexer::{Lexer, Token};

/// One address structure (RFC 9051 7.5.2). Values are raw: encoded words and 8-bit bytes stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address<B = Vec<u8>> {
    /// The display name, or the comment behind an address that has none.
    pub name: Option<B>,
    /// The source route (RFC 5322 4.4 obs-route), without its colon.
    pub adl: Option<B>,
    /// The local part, unquoted; the group's name where a group starts; absent where it ends.
    pub mailbox: Option<B>,
    /// The domain; absent only for the start and end of a group.
    pub host: Option<B>,
}

impl<B: AsRef<[u8]>> Address<B> {
    /// The address for people to find it by, as `local@domain`, without quotes and without what stands for
    /// what is missing; `None` for what begins or ends a group. Mail is sent to those that
    /// [`crate::address_groups`] tells.
    pub fn addr_spec(&self) -> Option<String> {
        let (local, host) = (
            self.mailbox.as_ref()?.as_ref(),
            self.host.as_ref()?.as_ref(),
        );
        let local = (local != MISSING_MAILBOX).then_some(local);
        let host = (host != MISSING_DOMAIN).then_some(host);
        Some(spec(
            &String::from_utf8_lossy(local.unwrap_or_default()),
            host,
        ))
    }
}

/// `local@domain`, or what there is of it.
fn spec(local: &str, host: Option<&[u8]>) -> String {
    match host {
        Some(host) => format!("{local}@{}", String::from_utf8_lossy(host)),
        None => local.to_owned(),
    }
}

/// What stands in a list of addresses, in order.
pub(crate) enum Entry {
    /// A group of this name begins.
    Start(Vec<u8>),
    /// It ends.
    End,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// A mailbox as it was written: what is missing is absent.
pub(crate) struct Mailbox {
    /// The display name, or the comment behind an address that has none.
    pub(crate) name: Option<Vec<u8>>,
    adl: Option<Vec<u8>>,
    /// The local part, out of its quotes.
    local: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    is_quoted: bool,
    /// Nothing but the name was written.
    pub(crate) is_bare: bool,
}

impl Mailbox {
    /// The addr-spec as a peer would take it: comments, white space and route left out, and the local part in quotes
    /// where it stood in some that it needs. What stood in none is told as it is, so that it is no address by
    /// that. Empty where nothing stands for an address.
    pub(crate) fn addr_spec(&self) -> String {
        let local = String::from_utf8_lossy(self.local.as_deref().unwrap_or_default());
        if !self.is_quoted || is_dot_atom(&local) {
            return spec(&local, self.host.as_deref());
        }
        let escaped = local.replace('\\', "\\\\").replace('"', "\\\"");
        spec(&format!("\"{escaped}\""), self.host.as_deref())
    }

    fn into_address(self) -> Address {
        Address {
            name: self.name,
            adl: self.adl,
            mailbox: Some(self.local.unwrap_or_else(|| MISSING_MAILBOX.to_vec())),
            host: Some(self.host.unwrap_or_else(|| MISSING_DOMAIN.to_vec())),
        }
    }
}

/// RFC 5322 3.2.3 dot-atom-text, with the UTF-8 of RFC 6532.
fn is_dot_atom(local: &str) -> bool {
    let is_text =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_text))
}

/// What stands for a host that is missing, since NIL would mean a group (Dovecot's word).
const MISSING_DOMAIN: &[u8] = b"MISSING_DOMAIN";
/// The same for a mailbox.
const MISSING_MAILBOX: &[u8] = b"MISSING_MAILBOX";

#[derive(Default)]
struct Draft {
    /// Words so far, a space between them.
    phrase: Vec<u8>,
    /// The last words that dots join, or that stand alone, without white space: a local part if
    /// an at sign follows.
    run: Vec<u8>,
    /// Where `run` begins in `phrase`.
    run_start: usize,
    /// Whether a word of `run`, or of the local part in angle brackets, stood in quotes.
    is_quoted: bool,
    /// Whether white space stood within the local part, where none may.
    is_broken: bool,
    name: Option<Vec<u8>>,
    comment: Option<Vec<u8>>,
    adl: Vec<u8>,
    local: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    angle: bool,
}

/// Appends the addresses of one raw field value to `out`, while `budget` lasts.
pub(crate) fn parse_addresses(raw: &[u8], out: &mut Vec<Address>, budget: &mut usize) {
    let address = |entry| match entry {
        Entry::Start(name) => Address {
            mailbox: Some(name),
            ..Address::default()
        },
        Entry::End => Address::default(),
        Entry::Mailbox(mailbox) => mailbox.into_address(),
    };
    read_addresses(raw, budget, &mut |entry| out.push(address(entry)));
}

/// Reads one raw field value, while `budget` lasts; that a group ends costs nothing.
pub(crate) fn read_addresses(raw: &[u8], budget: &mut usize, out: &mut impl FnMut(Entry)) {
    let mut lexer = Lexer::address(raw);
    let mut draft = Draft::default();
    let mut in_group = false;
    while *budget > 0 {
        let Some(token) = lexer.next() else { break };
        let spaced = lexer.spaced;
        match token {
            Token::Atom(word) | Token::Literal(word) => draft.word(&word, spaced, false),
            Token::Quoted(word) => draft.word(&word, spaced, true),
            // RFC 5322 A.5: the name as a comment stands behind the address.
            Token::Comment(text) => {
                if draft.local.is_some() {
                    draft.comment = Some(text);
                }
            }
            Token::Special(b'.') => draft.word(b".", spaced, false),
            Token::Special(b'@') => draft.at(&mut lexer),
            Token::Special(b'<') => draft.open_angle(&mut lexer),
            Token::Special(b':') if !in_group && !draft.angle && draft.local.is_none() => {
                out(Entry::Start(std::mem::take(&mut draft).phrase));
                *budget -= 1;
                in_group = true;
            }
            Token::Special(b';') if in_group => {
                push(std::mem::take(&mut draft), out, budget);
                out(Entry::End);
                in_group = false;
            }
            Token::Special(b',' | b';') => push(std::mem::take(&mut draft), out, budget),
            Token::Special(_) => {}
        }
    }
    push(draft, out, budget);
    if in_group {
        out(Entry::End);
    }
}

impl Draft {
    fn word(&mut self, word: &[u8], spaced: bool, is_quoted: bool) {
        if self.angle || self.host.is_some() {
            // Words behind a complete address mean nothing (RFC 5322 has no place for them).
            return;
        }
        let dotted = word == b"." || self.run.ends_with(b".");
        if !self.phrase.is_empty() && (spaced || !dotted) {
            self.phrase.push(b' ');
        }
        if !dotted {
            self.run.clear();
            self.run_start = self.phrase.len();
            self.is_quoted = false;
        }
        self.is_quoted |= is_quoted;
        self.phrase.extend_from_slice(word);
        self.run.extend_from_slice(word);
    }

    /// `@` outside angle brackets: what stood before it is the local part, the rest the name.
    fn at(&mut self, lexer: &mut Lexer<'_>) {
        if self.angle || self.host.is_some() {
            return;
        }
        self.phrase.truncate(self.run_start);
        self.name = non_empty(self.phrase.trim_ascii_end().to_vec());
        self.phrase.clear();
        self.local = Some(std::mem::take(&mut self.run));
        self.host = Some(domain(lexer, &mut self.comment));
    }

    /// RFC 5322 3.4 angle-addr, behind its `<`, route included.
    fn open_angle(&mut self, lexer: &mut Lexer<'_>) {
        if self.angle {
            return;
        }
        self.angle = true;
        self.is_quoted = false;
        // `a@b <c@d>`: the first address stood where the name belongs.
        if let (Some(local), Some(host)) = (self.local.take(), self.host.take()) {
            let mut name = self
                .name
                .take()
                .map(|name| [&name[..], b" "].concat())
                .unwrap_or_default();
            name.extend_from_slice(&local);
            name.push(b'@');
            name.extend_from_slice(&host);
            self.name = Some(name);
        } else {
            self.name = non_empty(std::mem::take(&mut self.phrase));
        }
        if lexer.peek_word() == Some(b'@') {
            self.route(lexer);
        }
        let mut local = Vec::new();
        loop {
            // A comma ends an angle-addr that was never closed; leave it for the list.
            if matches!(lexer.peek_word(), None | Some(b',' | b';')) {
                break;
            }
            let spaced = lexer.spaced;
            let token = lexer.next_word();
            self.is_quoted |= matches!(token, Some(Token::Quoted(_)));
            match token {
                Some(Token::Atom(word) | Token::Quoted(word) | Token::Literal(word)) => {
                    if spaced && !local.is_empty() && !local.ends_with(b".") {
                        local.push(b' ');
                        self.is_broken = true;
                    }
                    local.extend_from_slice(&word);
                }
                Some(Token::Special(b'@')) => {
                    self.host = Some(domain(lexer, &mut self.comment));
                    while !matches!(lexer.peek_word(), None | Some(b',' | b';' | b'>')) {
                        lexer.next_word();
                    }
                    if lexer.peek_word() == Some(b'>') {
                        lexer.next_word();
                    }
                    break;
                }
                Some(Token::Special(b'>')) | None => break,
                Some(Token::Special(byte)) => local.push(byte),
                Some(Token::Comment(_)) => {}
            }
        }
        self.local = Some(local);
    }

    fn route(&mut self, lexer: &mut Lexer<'_>) {
        while let Some(byte) = lexer.peek_word() {
            if byte == b'>' {
                return;
            }
            match lexer.next_word() {
                Some(Token::Special(b':')) | None => return,
                Some(Token::Special(byte)) => self.adl.push(byte),
                Some(Token::Atom(word) | Token::Quoted(word) | Token::Literal(word)) => {
                    self.adl.extend_from_slice(&word);
                }
                Some(Token::Comment(_)) => {}
            }
        }
    }
}

/// RFC 5322 3.4.1 domain, behind its `@`: atoms and dots, white space and comments left out.
fn domain(lexer: &mut Lexer<'_>, comment: &mut Option<Vec<u8>>) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    loop {
        let mut look = lexer.clone();
        match look.next() {
            Some(Token::Atom(word) | Token::Literal(word)) => {
                if look.spaced && !out.is_empty() && !out.ends_with(b".") {
                    return out;
                }
                out.extend_from_slice(&word);
            }
            Some(Token::Special(b'.')) => out.push(b'.'),
            Some(Token::Comment(text)) => *comment = Some(text),
            _ => return out,
        }
        *lexer = look;
    }
}

fn push(draft: Draft, out: &mut impl FnMut(Entry), budget: &mut usize) {
    let Draft {
        phrase,
        is_quoted,
        is_broken,
        name,
        comment,
        adl,
        local,
        host,
        angle,
        ..
    } = draft;
    if *budget == 0 || (!angle && local.is_none() && phrase.is_empty()) {
        return;
    }
    // One word may be a local part without its domain; several are a name.
    let (name, phrase) = match name {
        None if phrase.contains(&b' ') => (Some(phrase), Vec::new()),
        name => (name, phrase),
    };
    let local = non_empty(local.unwrap_or(phrase));
    let host = host.and_then(non_empty);
    if local.is_none() && host.is_none() && name.is_none() && !angle {
        return;
    }
    out(Entry::Mailbox(Mailbox {
        name: name.or(comment.and_then(non_empty)),
        adl: non_empty(adl),
        is_quoted: is_quoted && !is_broken,
        is_bare: !angle && local.is_none() && host.is_none(),
        local,
        host,
    }));
    *budget -= 1;
}

fn non_empty(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then_some(bytes)
}
