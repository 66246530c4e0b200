//! Mailbox names on the wire: modified UTF-7 (RFC 3501 5.1.3) or UTF-8 (RFC 9051 5.1), to UTF-8.
//!
//! Invariant: a [`MailboxName`] is UTF-8 without control characters, and its first level is
//! `INBOX` in capitals when it is INBOX in any case. Refuses modified UTF-7 that another encoder
//! would not have written, since two spellings of one name would then differ.

use std::fmt;

use crate::limits::MAX_MAILBOX_NAME;

/// The hierarchy separator.
pub const SEPARATOR: char = '/';

/// A mailbox name, decoded. Also a pattern or a reference of LIST.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MailboxName(String);

impl MailboxName {
    /// The name of `bytes` as sent: UTF-8 where the client enabled it, modified UTF-7 otherwise.
    pub fn from_wire(bytes: &[u8], utf8: bool) -> Option<Self> {
        let decoded = if utf8 {
            String::from_utf8(bytes.to_vec()).ok()?
        } else {
            decode_utf7(bytes)?
        };
        if decoded.len() > MAX_MAILBOX_NAME || decoded.chars().any(char::is_control) {
            return None;
        }
        Some(Self::from_utf8(decoded))
    }

    /// The name of a text. RFC 9051 5.1: INBOX is case-insensitive.
    pub fn from_utf8(mut name: String) -> Self {
        let first = name.split(SEPARATOR).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("INBOX") {
            name.replace_range(..first.len(), "INBOX");
        }
        Self(name)
    }

    /// The name in UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in UTF-8, taken out.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Whether this is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Modified UTF-7 to UTF-8; `None` where RFC 3501 5.1.3 forbids the text.
pub fn decode_utf7(bytes: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut after_shift = false;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'&' => {
                let end = memchr::memchr(b'-', rest)?;
                let (shifted, tail) = rest.split_at_checked(end)?;
                rest = tail.get(1..)?;
                if shifted.is_empty() {
                    out.push('&');
                    after_shift = false;
                } else {
                    // RFC 3501 5.1.3: no superfluous shift, as in `&AGE-&AGI-`.
                    if after_shift {
                        return None;
                    }
                    decode_shifted(shifted, &mut out)?;
                    after_shift = true;
                }
            }
            0x20..=0x7e => {
                out.push(char::from(byte));
                after_shift = false;
            }
            _ => return None,
        }
    }
    Some(out)
}

/// The base64 between `&` and `-`: UTF-16 that needed the shift, with zero bits to fill up.
fn decode_shifted(shifted: &[u8], out: &mut String) -> Option<()> {
    let (mut bits, mut have) = (0u32, 0u32);
    let mut units = Vec::with_capacity(shifted.len() / 2);
    for byte in shifted {
        let value = ALPHABET.iter().position(|letter| letter == byte)? as u32;
        bits = (bits << 6) | value;
        have += 6;
        if have >= 16 {
            have -= 16;
            units.push((bits >> have) as u16);
            bits &= (1 << have) - 1;
        }
    }
    if units.is_empty() || have >= 6 || bits != 0 {
        return None;
    }
    for unit in char::decode_utf16(units) {
        let c = unit.ok()?;
        // RFC 3501 5.1.3: printable US-ASCII must represent itself.
        if (' '..='~').contains(&c) {
            return None;
        }
        out.push(c);
    }
    Some(())
}

/// UTF-8 to modified UTF-7, appended to `out`.
pub fn encode_utf7(name: &str, out: &mut Vec<u8>) {
    let (mut bits, mut have, mut shifted) = (0u32, 0u32, false);
    // The index is 6 bits, the alphabet 64 letters.
    let letter = |index: u32| ALPHABET.get((index & 63) as usize).copied().unwrap_or(b'A');
    let unshift = |out: &mut Vec<u8>, bits: u32, have: u32| {
        if have > 0 {
            out.push(letter(bits << (6 - have)));
        }
        out.push(b'-');
    };
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            if shifted {
                unshift(out, bits, have);
                (bits, have, shifted) = (0, 0, false);
            }
            out.push(c as u8);
            if c == '&' {
                out.push(b'-');
            }
            continue;
        }
        if !shifted {
            out.push(b'&');
            shifted = true;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            bits = (bits << 16) | u32::from(*unit);
            have += 16;
            while have >= 6 {
                have -= 6;
                out.push(letter(bits >> have));
                bits &= (1 << have) - 1;
            }
        }
    }
    if shifted {
        unshift(out, bits, have);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf7_both_ways() {
        let pairs = [
            ("INBOX", "INBOX"),
            ("Gel&APY-scht", "Gelöscht"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("a&-b", "a&b"),
            ("&-&-", "&&"),
            ("&2D3eAA-", "😀"),
            ("&AOk-&-", "é&"),
            ("&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-", "Отправленные"),
            ("", ""),
        ];
        for (wire, text) in pairs {
            assert_eq!(
                decode_utf7(wire.as_bytes()).as_deref(),
                Some(text),
                "{wire}"
            );
            let mut out = Vec::new();
            encode_utf7(text, &mut out);
            assert_eq!(out, wire.as_bytes(), "{text}");
        }
    }

    #[test]
    fn bad_utf7_is_refused() {
        for wire in [
            "&",
            "a&b",
            "&A-",
            "&AGE-",
            "&Jjo!",
            "&AOkA-",
            "&AOk-&AOk-",
            "&2D0-",
            "é",
            "&AP-",
        ] {
            assert_eq!(decode_utf7(wire.as_bytes()), None, "{wire}");
        }
    }

    #[test]
    fn inbox_in_any_case() {
        let check = |wire: &str, expect: &str| {
            let name = MailboxName::from_wire(wire.as_bytes(), true).unwrap();
            assert_eq!(name.as_str(), expect);
        };
        check("inbox", "INBOX");
        check("Inbox/Sub", "INBOX/Sub");
        check("inboxes", "inboxes");
        check("a/inbox", "a/inbox");
        assert!(MailboxName::from_wire(b"a\tb", true).is_none());
        assert!(MailboxName::from_wire(&[b'a'; MAX_MAILBOX_NAME + 1], true).is_none());
    }
}
