//! Mail addresses: the addr-spec of RFC 5321 4.1.2 with the UTF-8 of RFC 6531, as a type.
//!
//! Invariant: a domain is in lower case and has no trailing dot; a local part is kept as sent and
//! compared without regard to ASCII case (every mailbox of this server is case-insensitive).
//! Refuses source routes, address literals as local domains, and control characters.

use std::fmt;

/// Longest address, in octets: what RFC 5321 4.5.3.1 asks of a local part (64) and a domain, together.
/// The local part alone has no limit, as it advises: those that senders put a recipient into (VERP)
/// are often longer than 64.
pub const MAX_ADDRESS: usize = 64 + 1 + MAX_DOMAIN;
/// Longest domain, in octets (RFC 5321 4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

/// Why a text is not an address or a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@`, or nothing before or after it.
    #[error("an address has the form local@domain")]
    Form,
    /// It is longer than RFC 5321 4.5.3.1 asks for.
    #[error("the address is longer than 320 octets or the domain longer than 255")]
    TooLong,
    /// A character that an address may not hold.
    #[error("a character that is not allowed in an address")]
    Character,
}

/// A domain name in lower case, or an address literal in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// Parses a domain name or an address literal (`[192.0.2.1]`, `[IPv6:2001:db8::1]`). A name is
    /// kept as the DNS has it (RFC 5890 2.3.2.1), so that its spellings are one domain.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if !text.is_ascii() && text.len() <= MAX_DOMAIN {
            let ascii = idna::domain_to_ascii(text).map_err(|_| AddressError::Character)?;
            return Self::parse_ascii(&ascii);
        }
        Self::parse_ascii(text)
    }

    fn parse_ascii(text: &str) -> Result<Self, AddressError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(AddressError::Form);
        }
        if text.len() > MAX_DOMAIN {
            return Err(AddressError::TooLong);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(AddressError::Form)?;
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-');
            if inner.is_empty() || !inner.chars().all(fits) {
                return Err(AddressError::Character);
            }
            return Ok(Self(text.to_ascii_lowercase()));
        }
        for label in text.split('.') {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if label.is_empty() || label.len() > 63 {
                return Err(AddressError::Form);
            }
            if !label.chars().all(fits) || label.starts_with('-') || label.ends_with('-') {
                return Err(AddressError::Character);
            }
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The domain as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One mail address. Equality ignores the ASCII case of the local part.
#[derive(Clone, Debug)]
pub struct EmailAddress {
    local: String,
    domain: Domain,
}

impl EmailAddress {
    /// Parses `local@domain`. A quoted local part is taken out of its quotes.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let at = text.rfind('@').ok_or(AddressError::Form)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        let domain = Domain::parse(domain)?;
        let local = if local.starts_with('"') {
            unquote(local)?
        } else {
            dotted(local)?
        };
        if local.is_empty() {
            return Err(AddressError::Form);
        }
        if local.len() + 1 + domain.0.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        Ok(Self { local, domain })
    }

    /// The local part, out of its quotes, as sent.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The text by which two spellings of one local address are equal: all in lower case.
    pub fn canonical(&self) -> String {
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }

    /// Whether the address needs SMTPUTF8 (RFC 6531) to be sent on.
    pub fn needs_smtputf8(&self) -> bool {
        // Its domain is ASCII, whatever it was written in.
        !self.local.is_ascii()
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.domain == other.domain && self.local.eq_ignore_ascii_case(&other.local)
    }
}

impl Eq for EmailAddress {}

impl std::hash::Hash for EmailAddress {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.local.to_ascii_lowercase().hash(state);
        self.domain.hash(state);
    }
}

impl fmt::Display for EmailAddress {
    /// The form that goes on the wire: quoted where the local part needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

/// RFC 6531 3.3: any UTF-8 that is not ASCII is text, control characters aside.
fn is_utf8_text(c: char) -> bool {
    !c.is_ascii() && !c.is_control()
}

/// RFC 5321 4.1.2 Dot-string, or one with dots where none may stand: phone networks have given out such
/// mailboxes (`a..b@`, `a.@`). They are taken as they come, and written in quotes, as they should be.
fn dotted(text: &str) -> Result<String, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Form);
    }
    if text.chars().all(|c| c == '.' || is_atext(c)) {
        Ok(text.to_owned())
    } else {
        Err(AddressError::Character)
    }
}

/// RFC 5321 4.1.2 Dot-string.
fn is_dot_string(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5322 3.2.3 atext, with the UTF-8 of RFC 6531 3.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_utf8_text(c)
}

/// RFC 5321 4.1.2 Quoted-string, taken out of its quotes.
fn unquote(text: &str) -> Result<String, AddressError> {
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let inner = inner
        .filter(|_| text.len() >= 2)
        .ok_or(AddressError::Form)?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => chars.next().ok_or(AddressError::Form)?,
            '"' => return Err(AddressError::Character),
            other => other,
        };
        if c.is_control() {
            return Err(AddressError::Character);
        }
        out.push(c);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: Result<&str, AddressError>) {
        let got = EmailAddress::parse(text).map(|a| a.to_string());
        assert_eq!(got.as_deref().map_err(|e| *e), shown, "{text}");
    }

    #[test]
    fn addresses() {
        check("Bob@Example.ORG", Ok("Bob@example.org"));
        check("\"a b\"@example.org", Ok("\"a b\"@example.org"));
        check("\"bob\"@example.org", Ok("bob@example.org"));
        check("\"a\\\"b\"@example.org", Ok("\"a\\\"b\"@example.org"));
        check("jürgen@exämple.org", Ok("jürgen@xn--exmple-cua.org"));
        check("a@XN--EXMPLE-CUA.org", Ok("a@xn--exmple-cua.org"));
        check("a@Ex\u{e4}mple\u{3002}org", Ok("a@xn--exmple-cua.org"));
        check("a@b\u{2028}c.example", Err(AddressError::Character));
        check("a@[192.0.2.1]", Ok("a@[192.0.2.1]"));
        check("a@b@c", Err(AddressError::Character));
        check("a..b@c", Ok("\"a..b\"@c"));
        check(".a.@c", Ok("\".a.\"@c"));
        check("\"a..b\"@c", Ok("\"a..b\"@c"));
        check("a..(@c", Err(AddressError::Character));
        check("bob", Err(AddressError::Form));
        check("@x", Err(AddressError::Form));
        check("bob@", Err(AddressError::Form));
        check("bob@a..b", Err(AddressError::Form));
        check("bob@-a", Err(AddressError::Character));
        check("bo\rb@a", Err(AddressError::Character));
        check("\"@a", Err(AddressError::Form));
        // RFC 5321 4.5.3.1: more than the 64 octets that everybody must take.
        let long = format!("{}@a", "x".repeat(MAX_ADDRESS - 2));
        check(&long, Ok(&long));
        check(&format!("x{long}"), Err(AddressError::TooLong));
    }

    #[test]
    fn equality_ignores_case() {
        let a = EmailAddress::parse("BOB@example.org").unwrap();
        let b = EmailAddress::parse("bob@Example.org").unwrap();
        assert_eq!(a, b);
        assert_eq!(a.canonical(), b.canonical());
    }
}
