//! Commands and their parameters: a line becomes a type once, here (RFC 5321 4.1.1 and 4.1.2).
//!
//! Invariant: a line comes in without control characters and as UTF-8. Refuses parameters that
//! are unknown, doubled or out of their grammar; accepts one or more spaces after `FROM:` and
//! `TO:`, which many clients send, and source routes, which it drops (RFC 5321 4.1.1.3).

use tern_base::{EmailAddress, dsn};

use crate::envelope::{BodyType, Notify, OriginalRecipient, Ret};
use crate::limits::{MAX_ENVID, MAX_ORCPT};

/// A command verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Helo,
    Ehlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    StartTls,
    Auth,
    /// Known, and not implemented here: 502.
    Absent,
    /// The first word of another protocol: the session ends.
    Foreign,
    /// 500
    Unknown,
}

/// The verb of a line, and its arguments without the spaces around them.
pub(crate) fn verb(line: &str) -> (Verb, &str) {
    const VERBS: [(&str, Verb); 26] = [
        ("RCPT", Verb::Rcpt),
        ("MAIL", Verb::Mail),
        ("DATA", Verb::Data),
        ("BDAT", Verb::Bdat),
        ("EHLO", Verb::Ehlo),
        ("HELO", Verb::Helo),
        ("QUIT", Verb::Quit),
        ("RSET", Verb::Rset),
        ("NOOP", Verb::Noop),
        ("AUTH", Verb::Auth),
        ("STARTTLS", Verb::StartTls),
        ("VRFY", Verb::Vrfy),
        ("HELP", Verb::Help),
        ("EXPN", Verb::Absent),
        ("LHLO", Verb::Absent),
        ("ETRN", Verb::Absent),
        ("ATRN", Verb::Absent),
        ("TURN", Verb::Absent),
        ("BURL", Verb::Absent),
        ("SEND", Verb::Absent),
        ("SOML", Verb::Absent),
        ("SAML", Verb::Absent),
        ("GET", Verb::Foreign),
        ("POST", Verb::Foreign),
        ("PUT", Verb::Foreign),
        ("CONNECT", Verb::Foreign),
    ];
    let line = line.trim_end_matches(' ');
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let found = VERBS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word));
    (
        found.map_or(Verb::Unknown, |(_, verb)| *verb),
        rest.trim_matches(' '),
    )
}

/// What is wrong with an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Not of the form `FROM:<…>` or `TO:<…>`: 501 5.5.4
    Form,
    /// Not an address: 501 5.1.7 or 5.1.3
    Address,
    /// A known parameter with a bad, missing or doubled value: 501 5.5.4
    Value,
    /// An unknown parameter: 555 5.5.4
    Parameter,
}

/// What stands between the angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// `<>`
    Null,
    /// `<Postmaster>` without a domain (RFC 5321 4.5.1).
    Postmaster,
    /// An address.
    Address(EmailAddress),
}

/// The arguments of MAIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) path: Path,
    pub(crate) size: Option<u64>,
    pub(crate) body: BodyType,
    pub(crate) smtputf8: bool,
    pub(crate) ret: Option<Ret>,
    pub(crate) envid: Option<String>,
}

/// The arguments of RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rcpt {
    pub(crate) path: Path,
    pub(crate) notify: Option<Notify>,
    pub(crate) orcpt: Option<OriginalRecipient>,
}

/// RFC 5321 4.1.1.2
pub(crate) fn mail(arguments: &str) -> Result<Mail, Wrong> {
    let (path, parameters) = path(strip_word(arguments, "FROM:").ok_or(Wrong::Form)?)?;
    let mut mail = Mail {
        path,
        size: None,
        body: BodyType::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
    };
    let mut seen = Seen::default();
    for (name, value) in each_parameter(parameters) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("SIZE") {
            seen.once(0)?;
            mail.size = Some(size(value)?);
        } else if is("BODY") {
            seen.once(1)?;
            mail.body = body(value)?;
        } else if is("SMTPUTF8") {
            seen.once(2)?;
            // RFC 6531 3.4: it has no value.
            if value.is_some() {
                return Err(Wrong::Value);
            }
            mail.smtputf8 = true;
        } else if is("RET") {
            seen.once(3)?;
            mail.ret = Some(ret(value)?);
        } else if is("ENVID") {
            seen.once(4)?;
            let fits = |v: &&str| v.len() <= MAX_ENVID && v.is_ascii();
            let value = value.filter(fits).ok_or(Wrong::Value)?;
            mail.envid = Some(xtext(value)?);
        } else if is("AUTH") {
            seen.once(5)?;
            // RFC 4954 5: what an untrusted peer says of another's authentication counts as <>.
            xtext(value.ok_or(Wrong::Value)?)?;
        } else {
            return Err(Wrong::Parameter);
        }
    }
    Ok(mail)
}

/// RFC 5321 4.1.1.3
pub(crate) fn rcpt(arguments: &str) -> Result<Rcpt, Wrong> {
    let (path, parameters) = path(strip_word(arguments, "TO:").ok_or(Wrong::Form)?)?;
    let mut rcpt = Rcpt {
        path,
        notify: None,
        orcpt: None,
    };
    let mut seen = Seen::default();
    for (name, value) in each_parameter(parameters) {
        if name.eq_ignore_ascii_case("NOTIFY") {
            seen.once(0)?;
            rcpt.notify = Some(notify(value.ok_or(Wrong::Value)?)?);
        } else if name.eq_ignore_ascii_case("ORCPT") {
            seen.once(1)?;
            rcpt.orcpt = Some(orcpt(value.ok_or(Wrong::Value)?)?);
        } else {
            return Err(Wrong::Parameter);
        }
    }
    Ok(rcpt)
}

/// RFC 3030 2: the size of a chunk, and whether it is the last.
pub(crate) fn bdat(arguments: &str) -> Option<(u64, bool)> {
    let (number, last) = match arguments.split_once(' ') {
        None => (arguments, false),
        Some((number, word)) if word.trim_start_matches(' ').eq_ignore_ascii_case("LAST") => {
            (number, true)
        }
        Some(_) => return None,
    };
    Some((digits(number)?, last))
}

/// Which parameters a command already had.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, bit: u8) -> Result<(), Wrong> {
        let mask = 1 << bit;
        if self.0 & mask != 0 {
            return Err(Wrong::Value);
        }
        self.0 |= mask;
        Ok(())
    }
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    head.eq_ignore_ascii_case(word)
        .then(|| text[word.len()..].trim_start_matches(' '))
}

fn each_parameter(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| match word.split_once('=') {
            None => (word, None),
            Some((name, value)) => (name, Some(value)),
        })
}

/// A path in angle brackets, and what follows it.
fn path(text: &str) -> Result<(Path, &str), Wrong> {
    let inner = text.strip_prefix('<').ok_or(Wrong::Form)?;
    let (mut quoted, mut escaped) = (false, false);
    let end = inner.char_indices().find_map(|(at, c)| {
        let ends = c == '>' && !quoted && !escaped;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && quoted && !escaped;
        ends.then_some(at)
    });
    let (inner, rest) = inner.split_at(end.ok_or(Wrong::Form)?);
    let rest = &rest[1..];
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(Wrong::Form);
    }
    if inner.is_empty() {
        return Ok((Path::Null, rest));
    }
    if inner.eq_ignore_ascii_case("postmaster") {
        return Ok((Path::Postmaster, rest));
    }
    let inner = without_source_route(inner)?;
    let address = EmailAddress::parse(inner).map_err(|_| Wrong::Address)?;
    Ok((Path::Address(address), rest))
}

/// RFC 5321 4.1.1.3: a source route is accepted and ignored.
fn without_source_route(text: &str) -> Result<&str, Wrong> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    // An IPv6 literal has colons of its own.
    let mut in_literal = false;
    let colon = text.char_indices().find(|(_, c)| {
        in_literal = (in_literal || *c == '[') && *c != ']';
        *c == ':' && !in_literal
    });
    let address = colon.and_then(|(at, _)| text.get(at + 1..));
    address.ok_or(Wrong::Address)
}

/// RFC 1870 4: 1 to 20 digits.
fn size(value: Option<&str>) -> Result<u64, Wrong> {
    let text = value.filter(|v| v.len() <= 20).ok_or(Wrong::Value)?;
    // 20 digits can exceed 64 bits; such a size is above every limit.
    let all_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if all_digits {
        Ok(text.parse().unwrap_or(u64::MAX))
    } else {
        Err(Wrong::Value)
    }
}

fn digits(text: &str) -> Option<u64> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn body(value: Option<&str>) -> Result<BodyType, Wrong> {
    let value = value.ok_or(Wrong::Value)?;
    [
        BodyType::SevenBit,
        BodyType::EightBitMime,
        BodyType::BinaryMime,
    ]
    .into_iter()
    .find(|body| body.as_str().eq_ignore_ascii_case(value))
    .ok_or(Wrong::Value)
}

fn ret(value: Option<&str>) -> Result<Ret, Wrong> {
    match value.and_then(dsn::is_ret_full) {
        Some(true) => Ok(Ret::Full),
        Some(false) => Ok(Ret::Headers),
        None => Err(Wrong::Value),
    }
}

/// RFC 3461 4.1
fn notify(value: &str) -> Result<Notify, Wrong> {
    let dsn::Notify {
        success,
        failure,
        delay,
    } = dsn::notify(value).ok_or(Wrong::Value)?;
    Ok(match success || failure || delay {
        false => Notify::Never,
        true => Notify::On {
            success,
            failure,
            delay,
        },
    })
}

/// RFC 3461 4.2
fn orcpt(value: &str) -> Result<OriginalRecipient, Wrong> {
    if value.len() > MAX_ORCPT {
        return Err(Wrong::Value);
    }
    let (kind, address) = value.split_once(';').ok_or(Wrong::Value)?;
    let address = xtext(address)?;
    // What is longer in another coding may come, and is left out where it leaves.
    let atom = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if kind.is_empty() || !kind.bytes().all(atom) {
        return Err(Wrong::Value);
    }
    Ok(OriginalRecipient {
        kind: kind.to_ascii_lowercase(),
        address,
    })
}

/// Refuses what decodes to control characters, which nobody may carry into a header.
fn xtext(text: &str) -> Result<String, Wrong> {
    dsn::xtext_decoded(text).ok_or(Wrong::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_route_is_dropped_whatever_stands_in_it() {
        for route in [
            "",
            "@b.example:",
            "@b.example,@c.example:",
            "@[192.0.2.1]:",
            "@[IPv6:2001:db8::1]:",
            "@[IPv6:2001:db8::1],@b.example:",
        ] {
            let said = rcpt(&format!("TO:<{route}a@d.example>")).map(|rcpt| rcpt.path);
            let address = EmailAddress::parse("a@d.example").expect("an address");
            assert_eq!(said, Ok(Path::Address(address)), "{route}");
        }
        for wrong in [
            "@b.example",
            "@[IPv6:2001:db8::1]a@d.example",
            "@[x:a@d.example",
        ] {
            let said = rcpt(&format!("TO:<{wrong}>"));
            assert_eq!(said, Err(Wrong::Address), "{wrong}");
        }
    }
}
