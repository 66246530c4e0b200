//! The framer: chunks of input in, whole commands out.
//!
//! A command is lines joined by literals (RFC 9051 4.3, RFC 7888 for `{n+}`). The framer knows
//! just enough of the grammar to find the end of a command, to say when a continuation must be
//! sent, and to refuse what is too large before it is read. A line may end in LF alone.
//!
//! Invariant: a frame holds the command as sent, literal headers included, without its last line
//! end; memory is bounded by [`crate::limits`]. Refuses NUL in a line, and over-long lines.

use bytes::{Bytes, BytesMut};

use crate::command::Tag;
use crate::limits::{FrameLimits, MAX_LINE, MAX_LITERALS_FACTOR, MAX_UNRESERVED_LITERALS};

/// What the framer found next in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole command.
    Command(Bytes),
    /// One line that was asked for by [`Framer::expect_line`], without its line end.
    Line(Bytes),
    /// The client waits for a command continuation request: send `+ `.
    Continue,
    /// Memory for so many octets of literals is needed: answer with [`Framer::reserved`].
    Reserve(u64),
    /// A command was refused and is out of the input; go on after answering.
    Refused {
        /// Of which command.
        head: Head,
        /// Why.
        refusal: Refusal,
    },
    /// The input can't be followed any further: answer `BYE` and close.
    Broken(Refusal),
}

/// What the answer to a command needs that is refused unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its tag, where it has one.
    pub tag: Option<Tag>,
    /// Whether it asks for its result to be saved ([`saves_result`]).
    pub saves_result: bool,
}

impl Head {
    /// Of the command that starts `frame`.
    fn of(frame: &[u8]) -> Self {
        Self {
            tag: Tag::of_line(frame),
            saves_result: saves_result(frame),
        }
    }
}

/// Why the framer refuses a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More octets outside literals than a command may have.
    #[error("Line too long")]
    LineTooLong,
    /// A literal, or all literals of a command together, over the limit: `[TOOBIG]`.
    #[error("Literal too big")]
    LiteralTooBig,
    /// No memory for a literal just now: `[UNAVAILABLE]`.
    #[error("Not enough memory for the literal now, try again later")]
    NoMemory,
    /// A NUL in a line (RFC 9051 9: CHAR excludes it).
    #[error("NUL is not allowed in a command")]
    Nul,
}

#[derive(Debug)]
enum State {
    /// Reading a line that continues the command in the buffer.
    Line,
    /// A literal waits for memory; its line ends at `end`.
    Reserving { end: usize, literal: Literal },
    /// Memory was set aside for it, or not.
    Answered {
        end: usize,
        literal: Literal,
        granted: bool,
    },
    /// Reading a literal, which ends at this offset of the buffer.
    Literal { end: usize },
    /// Throwing away a refused literal.
    DiscardLiteral {
        left: u64,
        head: Head,
        refusal: Refusal,
    },
    /// Throwing away the line after a refused literal.
    DiscardLine { head: Head, refusal: Refusal },
    /// Nothing more is read.
    Broken,
}

/// Cuts the input of one session into commands.
#[derive(Debug)]
pub struct Framer {
    buf: BytesMut,
    state: State,
    /// Where the line being read starts in `buf`.
    part: usize,
    /// Up to where `buf` was searched for a line end.
    scanned: usize,
    /// Octets of the finished lines of this command.
    lines: usize,
    /// Octets of the literals of this command.
    literals: u64,
    /// Octets of them for which memory was set aside.
    reserved: u64,
    /// The next line is a continuation, not a command.
    raw_line: bool,
    /// The last call of [`Framer::next_frame`] found nothing, and no input came since.
    starved: bool,
    limits: FrameLimits,
}

impl Framer {
    /// A framer at the start of a command.
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            buf: BytesMut::new(),
            state: State::Line,
            part: 0,
            scanned: 0,
            lines: 0,
            literals: 0,
            reserved: 0,
            raw_line: false,
            starved: true,
            limits,
        }
    }

    /// Changes the limits, for what is not yet read.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.limits = limits;
    }

    /// Takes input. Call [`Framer::next_frame`] until it returns `None` before giving more.
    pub fn receive(&mut self, input: &[u8]) {
        if !matches!(self.state, State::Broken) {
            self.buf.extend_from_slice(input);
            self.starved = false;
        }
    }

    /// The next line is a response to a continuation request (AUTHENTICATE, IDLE), not a command.
    pub fn expect_line(&mut self) {
        self.raw_line = true;
    }

    /// The answer to [`Frame::Reserve`].
    pub fn reserved(&mut self, granted: bool) {
        if let State::Reserving { end, literal } = self.state {
            self.state = State::Answered {
                end,
                literal,
                granted,
            };
        }
    }

    /// Whether literals of an unfinished command are held, or about to be.
    pub fn holds_literals(&self) -> bool {
        let is_about_to = matches!(self.state, State::Reserving { .. } | State::Answered { .. });
        is_about_to || self.literals > 0
    }

    /// Whether input is waiting that belongs to no finished frame.
    pub fn has_input(&self) -> bool {
        !self.buf.is_empty()
    }

    /// Takes the input out that belongs to no finished frame.
    pub fn take_input(&mut self) -> BytesMut {
        let input = std::mem::take(&mut self.buf);
        self.clear();
        input
    }

    /// Forgets all input. RFC 9051 6.2.1: nothing sent before the TLS handshake may count after.
    pub fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Whether [`Framer::next_frame`] may find something without more input.
    pub fn has_work(&self) -> bool {
        !self.starved && !self.buf.is_empty()
    }

    /// The next frame, or `None` when more input is needed.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let frame = self.find_frame();
        self.starved = frame.is_none();
        frame
    }

    fn find_frame(&mut self) -> Option<Frame> {
        loop {
            match &mut self.state {
                State::Broken | State::Reserving { .. } => return None,
                State::Answered {
                    end,
                    literal,
                    granted,
                } => {
                    let (end, literal, granted) = (*end, *literal, *granted);
                    let found = if granted {
                        self.begin_literal(end, literal)
                    } else {
                        self.state = State::Line;
                        self.refuse_line(end, Head::of(&self.buf), Refusal::NoMemory)
                    };
                    if found.is_some() {
                        return found;
                    }
                }
                State::Line => match self.line() {
                    Found::Frame(frame) => return Some(frame),
                    Found::Nothing => return None,
                    Found::GoOn => {}
                },
                State::Literal { end } => {
                    if self.buf.len() < *end {
                        return None;
                    }
                    (self.part, self.scanned) = (*end, *end);
                    self.state = State::Line;
                }
                State::DiscardLiteral {
                    left,
                    head,
                    refusal,
                } => {
                    let have = self.buf.len();
                    let drop = usize::try_from(*left).unwrap_or(usize::MAX).min(have);
                    let _ = self.buf.split_to(drop);
                    *left -= drop as u64;
                    if *left > 0 {
                        self.release();
                        return None;
                    }
                    self.state = State::DiscardLine {
                        head: std::mem::take(head),
                        refusal: *refusal,
                    };
                    (self.part, self.scanned) = (0, 0);
                }
                State::DiscardLine { head, refusal } => {
                    let (head, refusal) = (std::mem::take(head), *refusal);
                    let Some(end) = self.line_end() else {
                        if !matches!(self.state, State::Broken) {
                            self.state = State::DiscardLine { head, refusal };
                            return None;
                        }
                        return Some(Frame::Broken(Refusal::LineTooLong));
                    };
                    return match self.refuse_line(end, head, refusal) {
                        Some(frame) => Some(frame),
                        None => continue,
                    };
                }
            }
        }
    }

    /// The offset of the next LF, or `None`; an over-long line breaks the framer.
    fn line_end(&mut self) -> Option<usize> {
        let found = self
            .buf
            .get(self.scanned..)
            .and_then(|rest| memchr::memchr(b'\n', rest));
        let end = found.map(|at| self.scanned + at);
        let length = end.unwrap_or(self.buf.len()) - self.part;
        if self.lines + length > MAX_LINE {
            self.break_off();
            return None;
        }
        self.scanned = self.buf.len();
        end
    }

    fn line(&mut self) -> Found {
        let Some(end) = self.line_end() else {
            if matches!(self.state, State::Broken) {
                return Found::Frame(Frame::Broken(Refusal::LineTooLong));
            }
            return Found::Nothing;
        };
        let line = trim_cr(self.buf.get(self.part..end).unwrap_or_default());
        let text_end = self.part + line.len();
        if memchr::memchr(0, line).is_some() {
            return match self.refuse_line(end, Head::of(&self.buf), Refusal::Nul) {
                Some(frame) => Found::Frame(frame),
                None => Found::GoOn,
            };
        }
        if self.raw_line && self.part == 0 {
            self.raw_line = false;
            return Found::Frame(Frame::Line(self.take(text_end, end)));
        }
        let Some(literal) = Literal::at_end_of(line) else {
            // An empty line is no command; some clients send one after a literal.
            if text_end == 0 {
                let _ = self.take(0, end);
                return Found::GoOn;
            }
            return Found::Frame(Frame::Command(self.take(text_end, end)));
        };
        if !self.fits(literal.size) {
            return match self.refuse_line(end, Head::of(&self.buf), Refusal::LiteralTooBig) {
                Some(frame) => Found::Frame(frame),
                None => Found::GoOn,
            };
        }
        let wanted = self.literals + literal.size;
        if wanted > MAX_UNRESERVED_LITERALS {
            self.state = State::Reserving { end, literal };
            return Found::Frame(Frame::Reserve(wanted - self.reserved));
        }
        match self.begin_literal(end, literal) {
            Some(frame) => Found::Frame(frame),
            None => Found::GoOn,
        }
    }

    /// Goes on with a literal whose line ends at `end`.
    fn begin_literal(&mut self, end: usize, literal: Literal) -> Option<Frame> {
        self.lines += end - self.part;
        self.literals += literal.size;
        if self.literals > MAX_UNRESERVED_LITERALS {
            self.reserved = self.literals;
        }
        // `fits` bounds the size by a limit that a message in memory has to keep.
        let size = usize::try_from(literal.size).unwrap_or(usize::MAX / 2);
        let whole = end + 1 + size;
        self.buf.reserve(whole.saturating_sub(self.buf.len()));
        self.state = State::Literal { end: whole };
        literal.synchronising.then_some(Frame::Continue)
    }

    /// Whether one more literal of `size` octets is within the limits of the command.
    fn fits(&self, size: u64) -> bool {
        let total = self.literals.saturating_add(size);
        if is_append(&self.buf) {
            // The mailbox name may be a literal beside the message.
            size <= self.limits.append
                && total <= self.limits.append.saturating_add(self.limits.literal)
        } else {
            size <= self.limits.literal
                && total <= self.limits.literal.saturating_mul(MAX_LITERALS_FACTOR)
        }
    }

    /// Refuses the command whose current line ends at `end`. A synchronising literal is not sent
    /// by the client once the command is answered; a non-synchronising one is on its way
    /// (RFC 7888 4) and has to be thrown away first.
    fn refuse_line(&mut self, end: usize, head: Head, refusal: Refusal) -> Option<Frame> {
        let literal = Literal::at_end_of(trim_cr(self.buf.get(self.part..end).unwrap_or_default()));
        let raw_line = std::mem::take(&mut self.raw_line);
        let _ = self.take(0, end);
        match literal {
            Some(literal) if !literal.synchronising && !raw_line => {
                if literal.size > self.limits.discard {
                    self.break_off();
                    return Some(Frame::Broken(refusal));
                }
                self.state = State::DiscardLiteral {
                    left: literal.size,
                    head,
                    refusal,
                };
                None
            }
            _ => {
                self.state = State::Line;
                Some(Frame::Refused { head, refusal })
            }
        }
    }

    /// Takes the command up to `text_end` out of the buffer, and its line end at `end` with it.
    fn take(&mut self, text_end: usize, end: usize) -> Bytes {
        let mut frame = self.buf.split_to(end + 1);
        frame.truncate(text_end);
        (self.part, self.scanned, self.lines) = (0, 0, 0);
        (self.literals, self.reserved) = (0, 0);
        self.release();
        frame.freeze()
    }

    /// An idle session holds no buffer.
    fn release(&mut self) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
    }

    fn break_off(&mut self) {
        self.state = State::Broken;
        self.buf = BytesMut::new();
    }
}

enum Found {
    Frame(Frame),
    Nothing,
    GoOn,
}

/// The header of a literal.
#[derive(Clone, Copy, Debug)]
struct Literal {
    size: u64,
    synchronising: bool,
}

impl Literal {
    /// The literal header that ends `line`, if one does: `{n}`, `{n+}`, `{n-}`.
    fn at_end_of(line: &[u8]) -> Option<Self> {
        let inner = line.strip_suffix(b"}")?;
        let open = memchr::memrchr(b'{', inner.get(inner.len().saturating_sub(24)..)?)?;
        let mut digits = inner.get(inner.len().saturating_sub(24) + open + 1..)?;
        let mut synchronising = true;
        if let Some(rest) = digits
            .strip_suffix(b"+")
            .or_else(|| digits.strip_suffix(b"-"))
        {
            (digits, synchronising) = (rest, false);
        }
        Some(Self {
            size: decimal(digits)?,
            synchronising,
        })
    }
}

/// A decimal number of at most 19 digits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
    })
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The words of a command. More spaces than one between two of them are taken, as by the parser.
fn words(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = frame.split(|byte| *byte == b' ');
    words.filter(|word| !word.is_empty())
}

fn is(word: Option<&[u8]>, verb: &[u8]) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(verb))
}

/// Whether the command that starts `frame` asks for what it finds to be saved (RFC 5182): SEARCH or SORT
/// with `RETURN (… SAVE …)`. Says so of some that are wrong in another way, too.
pub fn saves_result(frame: &[u8]) -> bool {
    let mut parts = frame.splitn(2, |byte| *byte == b'(');
    let mut before = words(parts.next().unwrap_or_default()).skip(1);
    let first = before.next();
    let verb = match is(first, b"UID") {
        true => before.next(),
        false => first,
    };
    let returns = before.next();
    let asks = (is(verb, b"SEARCH") || is(verb, b"SORT")) && is(returns, b"RETURN");
    let mut list = parts.next().unwrap_or_default().split(|byte| *byte == b')');
    let mut options = words(list.next().unwrap_or_default());
    asks && before.next().is_none() && options.any(|option| is(Some(option), b"SAVE"))
}

/// Whether the command that starts `frame` brings a message: APPEND, REPLACE or UID REPLACE.
fn is_append(frame: &[u8]) -> bool {
    let mut words = words(frame).skip(1);
    let first = words.next();
    let replaces = match is(first, b"UID") {
        true => words.next(),
        false => first,
    };
    is(first, b"APPEND") || is(replaces, b"REPLACE")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits {
        literal: 10,
        append: 100,
        discard: 50,
    };

    fn show(frame: &Frame) -> String {
        match frame {
            Frame::Command(bytes) => format!("C:{}", bytes.escape_ascii()),
            Frame::Line(bytes) => format!("L:{}", bytes.escape_ascii()),
            Frame::Continue => "+".to_owned(),
            Frame::Reserve(octets) => format!("M:{octets}"),
            Frame::Refused { head, refusal } => {
                let tag = head.tag.as_ref().map_or("*", Tag::as_str);
                let saves = if head.saves_result { "$" } else { "" };
                format!("R:{tag}:{refusal:?}{saves}")
            }
            Frame::Broken(refusal) => format!("X:{refusal:?}"),
        }
    }

    fn run(input: &[u8], chunk: usize, raw_first: bool) -> Vec<String> {
        let mut framer = Framer::new(LIMITS);
        if raw_first {
            framer.expect_line();
        }
        let mut out = Vec::new();
        for piece in input.chunks(chunk) {
            framer.receive(piece);
            while let Some(frame) = framer.next_frame() {
                out.push(show(&frame));
            }
        }
        out
    }

    fn check(input: &str, expect: &[&str]) {
        for chunk in 1..=input.len().min(40) {
            assert_eq!(
                run(input.as_bytes(), chunk, false),
                expect,
                "{input:?} by {chunk}"
            );
        }
    }

    #[test]
    fn commands_and_literals_split_anywhere() {
        check("a NOOP\r\nb NOOP\n", &["C:a NOOP", "C:b NOOP"]);
        check("\r\na NOOP\r\n\n", &["C:a NOOP"]);
        check(
            "a LOGIN {2}\r\nme {3+}\r\nx\ny\r\n",
            &["+", "C:a LOGIN {2}\\r\\nme {3+}\\r\\nx\\ny"],
        );
        check(
            "a LOGIN {0}\r\n {0}\n\r\n",
            &["+", "+", "C:a LOGIN {0}\\r\\n {0}\\n"],
        );
        check(
            "a X ~{2+}\r\n{}\r\nb Y\r\n",
            &["C:a X ~{2+}\\r\\n{}", "C:b Y"],
        );
        check("a X {2x}\r\n", &["C:a X {2x}"]);
        check("a X {}\r\n", &["C:a X {}"]);
        check("a X }\r\n", &["C:a X }"]);
    }

    #[test]
    fn limits_have_answers() {
        check("a X {11}\r\nb NOOP\r\n", &["R:a:LiteralTooBig", "C:b NOOP"]);
        check(
            "a X {11+}\r\nhello world {3+}\r\nabc\r\nb Y\r\n",
            &["R:a:LiteralTooBig", "C:b Y"],
        );
        check(
            "a X {11+}\r\nhello world {3}\r\nb Y\r\n",
            &["R:a:LiteralTooBig", "C:b Y"],
        );
        check("a X {51+}\r\nb Y\r\n", &["X:LiteralTooBig"]);
        check(
            "a APPEND {5+}\r\nINBOX {12+}\r\nhello world!\r\n",
            &["C:a APPEND {5+}\\r\\nINBOX {12+}\\r\\nhello world!"],
        );
        check("a APPEND INBOX {101}\r\n", &["R:a:LiteralTooBig"]);
        check(
            "a UID REPLACE 4 INBOX {12+}\r\nhello world!\r\n",
            &["C:a UID REPLACE 4 INBOX {12+}\\r\\nhello world!"],
        );
        check(
            "a UID FETCH {12+}\r\nhello world!\r\n",
            &["R:a:LiteralTooBig"],
        );
        check("a X {9999999999999999999}\r\n", &["R:a:LiteralTooBig"]);
        check("a \0X\r\nb Y\r\n", &["R:a:Nul", "C:b Y"]);
        check("a \0X {3+}\r\nabc\r\nb Y\r\n", &["R:a:Nul", "C:b Y"]);
        check("\0\0\r\nb Y\r\n", &["R:*:Nul", "C:b Y"]);
        let five = "{10+}\r\n0123456789 ".repeat(5);
        check(
            &format!("a X {five}\r\nb Y\r\n"),
            &["R:a:LiteralTooBig", "C:b Y"],
        );
    }

    #[test]
    fn a_refusal_knows_what_was_to_be_saved() {
        check(
            "a uid  search return (min save) text {11}\r\n",
            &["R:a:LiteralTooBig$"],
        );
        check(
            "a SORT RETURN (SAVE) (DATE) UTF-8 TEXT {11+}\r\nhello world\r\nb Y\r\n",
            &["R:a:LiteralTooBig$", "C:b Y"],
        );
        for other in [
            "SEARCH RETURN (MIN) TEXT {11}",
            "SEARCH RETURN (MIN) (TEXT SAVE) TEXT {11}",
            "SEARCH TEXT (SAVE) {11}",
            "FETCH RETURN (SAVE) {11}",
            "UID {11}",
            "{11}",
        ] {
            check(&format!("a {other}\r\n"), &["R:a:LiteralTooBig"]);
        }
    }

    #[test]
    fn an_overlong_line_breaks_off() {
        let input = format!("a NOOP\r\nb {}", "x".repeat(MAX_LINE + 1));
        let frames = run(input.as_bytes(), 1000, false);
        assert_eq!(frames, ["C:a NOOP", "X:LineTooLong"]);
    }

    #[test]
    fn lines_asked_for_are_raw() {
        assert_eq!(
            run(b"AGJvYg== {3}\r\na NOOP\r\n", 3, true),
            ["L:AGJvYg== {3}", "C:a NOOP"]
        );
        assert_eq!(run(b"\r\n", 3, true), ["L:"]);
    }
}
