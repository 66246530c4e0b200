//! What the octets of a message ask of the server that takes it (RFC 6152, RFC 3030).
//!
//! Invariant: it follows from the octets alone, however they came: a message says itself where its lines
//! are no lines.

use tern_mime::Part;

/// What the octets of a message ask of the server that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// Lines of ASCII.
    SevenBit,
    /// Lines with octets above 127.
    EightBitMime,
    /// Octets that no line of text has: NUL, or line ends that are content.
    BinaryMime,
}

impl BodyType {
    /// Of a message. A bare CR or LF is mended on its way out where no part says that it is content, and
    /// a line that is too long goes as it came: whether it takes that is for the next server to say.
    pub(crate) fn of(content: &[u8]) -> Self {
        // RFC 3030 3: what is binary goes as binary, or not at all.
        let is_binary = content.contains(&0)
            || (has_bare_line_ends(content) && is_binary(&tern_mime::parse(content).body));
        match (is_binary, content.is_ascii()) {
            (true, _) => Self::BinaryMime,
            (false, true) => Self::SevenBit,
            (false, false) => Self::EightBitMime,
        }
    }
}

/// Whether a CR or a LF stands alone.
fn has_bare_line_ends(content: &[u8]) -> bool {
    let mut before = 0;
    let bare = content.iter().any(|byte| {
        let is_bare = (*byte == b'\n') != (before == b'\r');
        before = *byte;
        is_bare
    });
    bare || before == b'\r'
}

/// Whether a part is of the encoding `binary` (RFC 2045 2.9).
fn is_binary(part: &Part) -> bool {
    let encoding = part.encoding_or_default();
    encoding.eq_ignore_ascii_case(b"binary") || part.children().iter().any(is_binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_binary_says_so_and_what_is_not_is_lines() {
        let part = |encoding: &str, text: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{text}\r\n--b--\r\n"
            )
        };
        use BodyType::{BinaryMime, EightBitMime, SevenBit};
        for (encoding, text, expected) in [
            ("7bit", "a\r\nb", SevenBit),
            ("binary", "a\r\nb", SevenBit),
            ("Binary", "a\nb", BinaryMime),
            ("binary", "a\rb", BinaryMime),
            ("binary", "a\r\r\nb", BinaryMime),
            ("binary", "ü\n", BinaryMime),
            ("8bit", "ü\n", EightBitMime),
            ("7bit", "a\nb", SevenBit),
            ("7bit", "a\0b", BinaryMime),
        ] {
            let of = BodyType::of(part(encoding, text).as_bytes());
            assert_eq!(of, expected, "{encoding} {text:?}");
        }
        for (text, bare) in [
            ("", false),
            ("\n", true),
            ("\r", true),
            ("\r\n", false),
            ("\r\n\r", true),
        ] {
            assert_eq!(has_bare_line_ends(text.as_bytes()), bare, "{text:?}");
        }
    }
}
