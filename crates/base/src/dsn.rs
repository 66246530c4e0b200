//! The DSN parameters of SMTP (RFC 3461, RFC 6533), out of their coding and into it: the one place that
//! knows it, for envelopes that come by SMTP and for those that come with the coding undone.
//!
//! Invariant: what is decoded holds no control character, so that nobody carries one into a header. What
//! fits here is within its bound as it leaves, encoded.

use std::fmt::Write as _;

use crate::limits::{MAX_ENVID, MAX_ORCPT};

/// What NOTIFY asks for; nothing of it is `NEVER`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it can't be delivered.
    pub failure: bool,
    /// When it takes long.
    pub delay: bool,
}

/// The value of NOTIFY (RFC 3461 4.1).
pub fn notify(value: &str) -> Option<Notify> {
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(notify);
    }
    for word in value.split(',') {
        let flag = match &*word.to_ascii_uppercase() {
            "SUCCESS" => &mut notify.success,
            "FAILURE" => &mut notify.failure,
            "DELAY" => &mut notify.delay,
            _ => return None,
        };
        *flag = true;
    }
    Some(notify)
}

/// Whether the value of RET is `FULL` (RFC 3461 4.3); `None` if it is neither of the two.
pub fn is_ret_full(value: &str) -> Option<bool> {
    match value {
        value if value.eq_ignore_ascii_case("FULL") => Some(true),
        value if value.eq_ignore_ascii_case("HDRS") => Some(false),
        _ => None,
    }
}

/// Whether an ENVID out of its coding can be one (RFC 3461 4.4): printable, and not too long.
pub fn is_envid(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    is_plain && !text.is_empty() && xtext(text, false).len() <= MAX_ENVID
}

/// An ORCPT out of its coding, as its type in lower case and the address, if it can be one (RFC 3461
/// 4.2).
pub fn orcpt(text: &str) -> Option<(String, &str)> {
    let (kind, address) = text.split_once(';')?;
    // It leaves as it is.
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_kind = !kind.is_empty() && kind.bytes().all(is_atom);
    let is_address = !address.is_empty() && !address.chars().any(char::is_control);
    let fits = is_kind && is_address && encoded_orcpt(kind, address, false).is_some();
    fits.then(|| (kind.to_ascii_lowercase(), address))
}

/// An ORCPT as it leaves; `None` where it is too long for one. `smtputf8`: UTF-8 stands for itself.
pub fn encoded_orcpt(kind: &str, address: &str, smtputf8: bool) -> Option<String> {
    let encoded = format!("{kind};{}", xtext(address, smtputf8));
    (encoded.len() <= MAX_ORCPT).then_some(encoded)
}

/// A text in its coding (RFC 3461 4). UTF-8 stands for itself only after SMTPUTF8 (RFC 6533 3).
pub fn xtext(text: &str, smtputf8: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a String can't fail.
        if matches!(c, '!'..='~') && !matches!(c, '+' | '=') || (smtputf8 && !c.is_ascii()) {
            out.push(c);
        } else if c.is_ascii() {
            let _ = write!(out, "+{:02X}", u32::from(c));
        } else {
            let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
        }
    }
    out
}

/// A text out of its coding. UTF-8 stands for itself (RFC 6533 3).
pub fn xtext_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => {
                let mut digit = || bytes.next().and_then(upper_hex);
                digit()? * 16 + digit()?
            }
            b'=' => return None,
            other => other,
        });
    }
    let text = String::from_utf8(out).ok()?;
    let is_plain = !text.is_empty() && !text.chars().any(char::is_control);
    is_plain.then_some(text)
}

/// RFC 3461 4: hexadecimal in upper case only.
fn upper_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_out_of_its_coding_as_it_went_in() {
        for text in ["a+b=c d@e", "~!", "x"] {
            let encoded = xtext(text, false);
            assert!(!encoded.contains(['=', ' ']), "{encoded}");
            assert_eq!(xtext_decoded(&encoded).as_deref(), Some(text));
        }
        assert_eq!(xtext("ü", true), "ü");
        assert_eq!(xtext("ü", false), "\\x{FC}");
        for wrong in ["", "a=b", "+3", "+3d", "+0A", "a\tb"] {
            assert_eq!(xtext_decoded(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn bounds_are_those_of_the_coded_form() {
        let equals = |n: usize| "=".repeat(n);
        assert!(is_envid(&equals(33)) && !is_envid(&equals(34)));
        assert!(is_envid(&"x".repeat(100)) && !is_envid(&"x".repeat(101)));
        assert!(!is_envid("") && !is_envid("a\nb") && !is_envid("ü"));
        assert_eq!(orcpt("RFC822;a b"), Some(("rfc822".to_owned(), "a b")));
        let of = |address: &str| orcpt(&format!("rfc822;{address}")).map(drop);
        assert!(of(&"x".repeat(493)).is_some() && of(&"x".repeat(494)).is_none());
        assert!(of(&equals(164)).is_some() && of(&equals(165)).is_none());
        assert!(of(&"ü".repeat(82)).is_some() && of(&"ü".repeat(83)).is_none());
        assert!(encoded_orcpt("utf-8", &"ü".repeat(83), true).is_some());
        for wrong in ["rfc822", ";x", "rfc822;", "rf c;x", "ü;x", "rfc822;a\nb"] {
            assert_eq!(orcpt(wrong), None, "{wrong}");
        }
    }
}
