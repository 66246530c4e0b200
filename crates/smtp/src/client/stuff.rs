//! Content on its way out: dots stuffed, CRLF line ends only (RFC 5321 4.5.2).
//!
//! Invariant: no bare CR or LF leaves, so a server that takes LF.LF for the end of the data finds
//! none (CVE-2023-51764, seen from the sender). A bare LF leaves as CRLF, a bare CR as a space.

use memchr::memchr2;

/// The most octets of content handed out at once.
pub(super) const PIECE: usize = 64 * 1024;

/// How far the content has gone out.
#[derive(Debug)]
pub(super) struct Stuffer {
    at: usize,
    line_start: bool,
    done: bool,
}

impl Stuffer {
    pub(super) const fn new() -> Self {
        Self {
            at: 0,
            line_start: true,
            done: false,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Appends the next piece to `out`, the end of the data behind the last.
    pub(super) fn next(&mut self, content: &[u8], out: &mut Vec<u8>) {
        if self.done {
            return;
        }
        let end = content.len().min(self.at.saturating_add(PIECE));
        out.reserve(end - self.at.min(end) + 512);
        while self.at < end {
            let rest = content.get(self.at..).unwrap_or_default();
            if self.line_start && rest.first() == Some(&b'.') {
                out.push(b'.');
            }
            let window = rest.get(..end - self.at).unwrap_or(rest);
            let Some(n) = memchr2(b'\r', b'\n', window) else {
                out.extend_from_slice(window);
                self.line_start = false;
                self.at = end;
                break;
            };
            out.extend_from_slice(window.get(..n).unwrap_or_default());
            (self.line_start, self.at) = match (rest.get(n), rest.get(n + 1)) {
                (Some(b'\r'), Some(b'\n')) => (true, self.at + n + 2),
                (Some(b'\n'), _) => (true, self.at + n + 1),
                _ => (false, self.at + n + 1),
            };
            out.extend_from_slice(if self.line_start { b"\r\n" } else { b" " });
        }
        if self.at >= content.len() {
            if !self.line_start {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b".\r\n");
            self.done = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuff(content: &[u8]) -> String {
        let (mut stuffer, mut out) = (Stuffer::new(), Vec::new());
        while !stuffer.is_done() {
            stuffer.next(content, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn stuffing() {
        for (content, sent) in [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            (".a\r\n..\r\n.\r\n", "..a\r\n...\r\n..\r\n.\r\n"),
            ("a\n.\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
            ("a\r.\r\n", "a .\r\n.\r\n"),
            ("a\r\r\n\r", "a \r\n \r\n.\r\n"),
        ] {
            assert_eq!(stuff(content.as_bytes()), sent, "{content:?}");
        }
    }

    #[test]
    fn pieces_are_bounded_and_join() {
        let mut content = vec![b'x'; PIECE - 1];
        content.extend(b"\r\n.y\r\n");
        content.extend(vec![b'z'; PIECE]);
        let (mut stuffer, mut pieces) = (Stuffer::new(), Vec::new());
        while !stuffer.is_done() {
            let mut out = Vec::new();
            stuffer.next(&content, &mut out);
            assert!(out.len() <= PIECE + 512);
            pieces.push(out);
        }
        assert!(pieces.len() >= 2);
        let all = pieces.concat();
        assert!(all.windows(6).any(|w| w == b"\r\n..y\r"));
        assert!(all.ends_with(b"z\r\n.\r\n"));
        assert_eq!(all.len(), content.len() + 1 + 5);
    }
}
