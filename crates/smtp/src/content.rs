//! Message content as it comes: dots unstuffed, line ends watched, size bounded.
//!
//! Invariant: end of data is CRLF.CRLF and nothing else (RFC 5321 4.1.1.4; CVE-2023-51764), and
//! only CRLF begins a line whose dot is taken away. What is stored and what is found does not
//! depend on how the octets were cut. Copies runs of octets, never octet by octet. A message that
//! will be refused is dropped while its end is still looked for.

use memchr::{memchr, memchr3};
use tern_session::Reservation;

use crate::limits::RESERVATION_STEP;
use crate::settings::BareNewline;

/// How the content is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// DATA: dot-stuffed, ended by CRLF.CRLF.
    Dotted,
    /// BDAT of text: counted octets, lines end in CRLF.
    Chunked,
    /// BDAT with BODY=BINARYMIME: counted octets of any kind.
    Binary,
}

/// Where the scanner stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// After CRLF, or at the very start: the CRLF of the DATA command counts.
    LineStart,
    Inside,
    /// After a CR that is not yet stored.
    Cr,
    /// After a dot at the start of a line, not stored.
    Dot,
    /// After such a dot and a CR, neither stored.
    DotCr,
}

/// Finds line ends, stuffed dots and the end of data.
#[derive(Debug)]
struct Scanner {
    transfer: Transfer,
    bare_newline: BareNewline,
    at: At,
    /// A bare LF or CR was seen.
    bare: bool,
    /// A NUL was seen.
    nul: bool,
}

impl Scanner {
    /// Moves `input` to `out`. Returns how much of it belongs to the content once the end of data
    /// is found; otherwise all of it does.
    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        if self.transfer == Transfer::Binary {
            out.extend_from_slice(input);
            return None;
        }
        // `run..i` is what will be copied as it stands. No index exceeds `input.len()`: `i` only
        // moves past octets that `get` or memchr3 has shown to be there.
        let (mut run, mut i) = (0, 0);
        loop {
            let next = input.get(i).copied();
            match (self.at, next) {
                (At::Inside, _) => {
                    let Some(n) = memchr3(b'\r', b'\n', 0, &input[i..]) else {
                        i = input.len();
                        break;
                    };
                    i += n;
                    match (input[i], input.get(i + 1)) {
                        (b'\r', Some(b'\n')) => {
                            i += 2;
                            self.at = At::LineStart;
                            continue;
                        }
                        (0, _) => {
                            self.nul = true;
                            i += 1;
                            continue;
                        }
                        _ => out.extend_from_slice(&input[run..i]),
                    }
                    if input[i] == b'\n' {
                        self.bare_lf(out);
                    } else {
                        self.at = At::Cr;
                    }
                    i += 1;
                    run = i;
                }
                (_, None) => break,
                (At::LineStart, Some(b'.')) if self.transfer == Transfer::Dotted => {
                    out.extend_from_slice(&input[run..i]);
                    i += 1;
                    run = i;
                    self.at = At::Dot;
                }
                (At::Dot, Some(b'\r')) => {
                    i += 1;
                    run = i;
                    self.at = At::DotCr;
                }
                // RFC 5321 4.5.2: a line of more than a dot loses that dot.
                (At::LineStart | At::Dot, Some(_)) => self.at = At::Inside,
                (At::DotCr, Some(b'\n')) => return Some(i + 1),
                (At::Cr, Some(b'\n')) => {
                    out.extend_from_slice(b"\r\n");
                    i += 1;
                    run = i;
                    self.at = At::LineStart;
                }
                (At::Cr | At::DotCr, Some(_)) => {
                    self.bare_cr(out);
                    self.at = At::Inside;
                }
            }
        }
        out.extend_from_slice(&input[run..i]);
        None
    }

    fn bare_lf(&mut self, out: &mut Vec<u8>) {
        self.bare = true;
        out.extend_from_slice(b"\r\n");
    }

    /// A space, as Postfix's cleanup_replace_stray_cr_lf does it.
    fn bare_cr(&mut self, out: &mut Vec<u8>) {
        self.bare = true;
        out.push(b' ');
    }

    /// Whether the message will be refused for what was seen.
    fn refused(&self) -> bool {
        self.nul || (self.bare && self.bare_newline == BareNewline::Reject)
    }
}

/// Why content is refused once it has come, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    TooLarge,
    NoMemory,
    Nul,
    BareNewline,
    Looping,
}

/// The content of one message on its way in.
pub(crate) struct Incoming {
    /// This server's trace header, then what came.
    bytes: Vec<u8>,
    /// Length of the trace header.
    prefix: usize,
    /// Octets of content so far, dropped ones included.
    total: u64,
    max: u64,
    scanner: Scanner,
    reservations: Vec<Reservation>,
    reserved: usize,
    no_memory: bool,
}

impl Incoming {
    /// Begins with the trace header and the memory set aside so far.
    pub(crate) fn new(
        trace: Vec<u8>,
        transfer: Transfer,
        bare_newline: BareNewline,
        max: u64,
        reservation: Reservation,
    ) -> Self {
        let scanner = Scanner {
            transfer,
            bare_newline,
            at: At::LineStart,
            bare: false,
            nul: false,
        };
        Self {
            prefix: trace.len(),
            bytes: trace,
            total: 0,
            max,
            scanner,
            reservations: vec![reservation],
            reserved: RESERVATION_STEP,
            no_memory: false,
        }
    }

    /// Takes `input` in; see [`Scanner::feed`].
    pub(crate) fn feed(&mut self, input: &[u8]) -> Option<usize> {
        let before = self.bytes.len();
        let end = self.scanner.feed(input, &mut self.bytes);
        self.total += (self.bytes.len() - before) as u64;
        if self.refused() {
            self.bytes = Vec::new();
            self.reservations = Vec::new();
            self.reserved = usize::MAX;
        }
        end
    }

    fn refused(&self) -> bool {
        self.total > self.max || self.no_memory || self.scanner.refused()
    }

    /// Octets so far, dropped ones included.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Whether the peer goes on so far beyond the limit that waiting for the end is pointless.
    pub(crate) fn hopeless(&self) -> bool {
        self.total > self.max.saturating_mul(2).max(1 << 20)
    }

    /// Whether the session has something to do before more content should come.
    pub(crate) fn wants_step(&self) -> bool {
        self.hopeless() || self.wants_memory().is_some()
    }

    /// How much more memory must be set aside for what has come.
    pub(crate) fn wants_memory(&self) -> Option<usize> {
        if self.bytes.len() <= self.reserved {
            return None;
        }
        Some(self.bytes.len().next_power_of_two() - self.reserved)
    }

    /// The answer to [`Incoming::wants_memory`].
    pub(crate) fn grant(&mut self, bytes: usize, reservation: Option<Reservation>) {
        let Some(reservation) = reservation else {
            self.no_memory = true;
            self.feed(&[]);
            return;
        };
        self.reservations.push(reservation);
        self.reserved += bytes;
        self.bytes
            .reserve_exact(self.reserved.saturating_sub(self.bytes.len()));
    }

    /// The whole content, or why it is refused.
    pub(crate) fn finish(mut self, max_hops: u32) -> Result<(Vec<u8>, Vec<Reservation>), Defect> {
        if self.scanner.at == At::Cr {
            self.scanner.bare_cr(&mut self.bytes);
            self.total += 1;
        }
        if self.total > self.max {
            return Err(Defect::TooLarge);
        }
        if self.no_memory {
            return Err(Defect::NoMemory);
        }
        if self.scanner.nul {
            return Err(Defect::Nul);
        }
        if self.scanner.refused() {
            return Err(Defect::BareNewline);
        }
        if hops(self.bytes.get(self.prefix..).unwrap_or_default()) > max_hops {
            return Err(Defect::Looping);
        }
        Ok((self.bytes, self.reservations))
    }
}

/// The number of Received headers (RFC 5321 6.3).
fn hops(message: &[u8]) -> u32 {
    const NAME: &[u8] = b"received:";
    let (mut rest, mut count) = (message, 0);
    while let Some(end) = memchr(b'\n', rest) {
        let (line, after) = rest.split_at(end + 1);
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        count += u32::from(
            line.get(..NAME.len())
                .is_some_and(|l| l.eq_ignore_ascii_case(NAME)),
        );
        rest = after;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(
        transfer: Transfer,
        mode: BareNewline,
        text: &[u8],
        size: usize,
    ) -> (String, bool, bool, Option<usize>) {
        let mut scanner = Scanner {
            transfer,
            bare_newline: mode,
            at: At::LineStart,
            bare: false,
            nul: false,
        };
        let (mut out, mut at) = (Vec::new(), 0);
        for piece in text.chunks(size) {
            if let Some(n) = scanner.feed(piece, &mut out) {
                let shown = String::from_utf8_lossy(&out).into_owned();
                return (shown, scanner.bare, scanner.nul, Some(at + n));
            }
            at += piece.len();
        }
        (
            String::from_utf8_lossy(&out).into_owned(),
            scanner.bare,
            scanner.nul,
            None,
        )
    }

    #[test]
    fn end_of_data_and_stuffing() {
        // Input, stored, bare line end seen, NUL seen, where the content ends.
        let cases: &[(&str, &str, bool, bool, Option<usize>)] = &[
            (".\r\n", "", false, false, Some(3)),
            ("a\r\n.\r\nQUIT", "a\r\n", false, false, Some(6)),
            ("..\r\n.\r\n", ".\r\n", false, false, Some(7)),
            (".a\r\n.\r\n", "a\r\n", false, false, Some(7)),
            (
                "...\r\n..b.\r\n.\r\n",
                "..\r\n.b.\r\n",
                false,
                false,
                Some(14),
            ),
            ("a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", true, false, Some(10)),
            (
                "a\n.\r\nb\r\n.\r\n",
                "a\r\n.\r\nb\r\n",
                true,
                false,
                Some(11),
            ),
            (
                "a\r\n.\nb\r\n.\r\n",
                "a\r\n\r\nb\r\n",
                true,
                false,
                Some(11),
            ),
            ("a\r.\rb\r\n.\r\n", "a . b\r\n", true, false, Some(10)),
            ("a\r\n.\rb\r\n.\r\n", "a\r\n b\r\n", true, false, Some(11)),
            ("a\r.\r\nb\r\n.\r\n", "a .\r\nb\r\n", true, false, Some(11)),
            ("a\r\r\n.\r\n", "a \r\n", true, false, Some(7)),
            ("a\r\n\r.\r\n", "a\r\n .\r\n", true, false, None),
            ("a\0b\r\n.\r\n", "a\0b\r\n", false, true, Some(8)),
            ("a\r\n.", "a\r\n", false, false, None),
            ("\r\n\r\n.\r\n", "\r\n\r\n", false, false, Some(7)),
        ];
        for (text, stored, bare, nul, end) in cases {
            for size in 1..=text.len() {
                let got = scan(
                    Transfer::Dotted,
                    BareNewline::Normalise,
                    text.as_bytes(),
                    size,
                );
                assert_eq!(
                    got,
                    ((*stored).to_owned(), *bare, *nul, *end),
                    "{text:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn chunks_keep_dots() {
        let text = b".\r\n..a\nb\r\n";
        for size in 1..=text.len() {
            let (out, bare, ..) = scan(Transfer::Chunked, BareNewline::Normalise, text, size);
            assert_eq!((out.as_str(), bare), (".\r\n..a\r\nb\r\n", true));
            let (out, bare, ..) = scan(Transfer::Binary, BareNewline::Reject, text, size);
            assert_eq!((out.as_str(), bare), (".\r\n..a\nb\r\n", false));
        }
    }

    #[test]
    fn counts_hops_in_the_header_only() {
        assert_eq!(
            hops(b"Received: a\r\nRECEIVED: b\r\n\tReceived: c\r\n\r\nReceived: d\r\n"),
            2
        );
        assert_eq!(hops(b"Received: no line end"), 0);
    }
}
