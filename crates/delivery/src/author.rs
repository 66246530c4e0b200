//! Whose name a submitted message bears: what its From and Sender say, as any program may read them.
//!
//! Invariant: the header is read whole, and so is each address in these fields, or the message is refused:
//! what one program passes over another may show. Refuses to guess, and to mend anything.

use std::collections::HashSet;

use tern_base::{AccountId, EmailAddress};
use tern_mime::limits::MAX_VALUE_BYTES;
use tern_mime::{HeaderField, address_groups, header_length, headers};

use crate::{Delivery, DeliveryError};

/// Why an account may not send a message, by the name that it bears.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misnamed {
    /// The header may be read in more than one way.
    #[error("the header has a NUL, or a CR or LF that ends no line")]
    Lines,
    /// It names nobody, so that nobody is taken for its author.
    #[error("a message has one From field that names somebody, and this one has none")]
    Nobody,
    /// RFC 5322 3.6: there is one.
    #[error("a message has one From field, and this one has {0}")]
    From(usize),
    /// RFC 5322 3.6: there is one at most.
    #[error("a message has one Sender field at most, and this one has {0}")]
    Sender(usize),
    /// The field names nobody, or not only addresses.
    #[error("{0} can't be read as addresses")]
    Unread(&'static str),
    /// It names somebody else of this server.
    #[error("{0} is not an address of the account")]
    Foreign(String),
    /// It names somebody of another server, and nobody else of this one.
    #[error("{0} is not an address of the account")]
    Elsewhere(String),
}

impl Delivery {
    /// What is wrong with the name that a message bears which this account submits (RFC 6409 6.1, 8.1): each
    /// address in From and Sender is one that it may send as.
    pub fn misnamed(
        &self,
        account: AccountId,
        content: &[u8],
    ) -> Result<Option<Misnamed>, DeliveryError> {
        let named = match named(content) {
            Ok(named) => named,
            Err(misnamed) => return Ok(Some(misnamed)),
        };
        let (mut seen, mut elsewhere) = (HashSet::new(), None);
        for address in named {
            if !seen.insert(address.canonical()) || self.may_send_as(account, &address)? {
                continue;
            }
            if tern_directory::domain(self.reader(), address.domain())?.is_some() {
                return Ok(Some(Misnamed::Foreign(address.to_string())));
            }
            elsewhere.get_or_insert(Misnamed::Elsewhere(address.to_string()));
        }
        Ok(elsewhere)
    }
}

/// Everybody whom From and Sender name.
fn named(content: &[u8]) -> Result<Vec<EmailAddress>, Misnamed> {
    let end = header_length(content);
    let header = content.get(..end).unwrap_or_default();
    if !is_lines(header) {
        return Err(Misnamed::Lines);
    }
    let fields = |name| headers(header).filter(move |field: &HeaderField<'_>| field.is(name));
    let (from, sender): (Vec<_>, Vec<_>) = (fields("From").collect(), fields("Sender").collect());
    if from.is_empty() && sender.is_empty() {
        return Err(Misnamed::Nobody);
    }
    let [from] = &from[..] else {
        return Err(Misnamed::From(from.len()));
    };
    if sender.is_empty() && !from.value.contains(&b'@') {
        return Err(Misnamed::Nobody);
    }
    let mut named = addresses(from.value).ok_or(Misnamed::Unread("From"))?;
    match &sender[..] {
        [] => {}
        [sender] => named.extend(addresses(sender.value).ok_or(Misnamed::Unread("Sender"))?),
        _ => return Err(Misnamed::Sender(sender.len())),
    }
    Ok(named)
}

/// Whether each CR and LF ends a line, and there is no NUL.
fn is_lines(header: &[u8]) -> bool {
    let mut before = 0;
    for byte in header {
        match (before, *byte) {
            (b'\r', b'\n') => {}
            (b'\r', _) | (_, b'\n' | 0) => return false,
            _ => {}
        }
        before = *byte;
    }
    before != b'\r'
}

/// The addresses of a field, and whatever else in it looks like one; `None` where it names nobody, or is not
/// read whole.
fn addresses(value: &[u8]) -> Option<Vec<EmailAddress>> {
    if value.len() > MAX_VALUE_BYTES {
        return None;
    }
    let groups = address_groups(value);
    let parsed = groups.iter().flat_map(|group| &group.addresses);
    let parsed = parsed.map(|one| address(&one.email));
    let mut all = parsed.collect::<Option<Vec<_>>>()?;
    if all.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(value);
    for word in words_with_at(&text)? {
        all.push(EmailAddress::parse(word).ok()?);
    }
    Some(all)
}

/// An address as it is read, without the quotes that its local part may need.
fn address(read: &str) -> Option<EmailAddress> {
    let quoted = || {
        let (local, domain) = read.rsplit_once('@')?;
        let local = local.replace('\\', "\\\\").replace('"', "\\\"");
        EmailAddress::parse(&format!("\"{local}\"@{domain}")).ok()
    };
    EmailAddress::parse(read).ok().or_else(quoted)
}

/// The words of a field, outside of comments, that have an @ outside of quoted strings: what a program may
/// take for an address, be it in a place where none is. `None` where a comment or a string has no end, or a
/// character is quoted outside of both.
fn words_with_at(text: &str) -> Option<Vec<&str>> {
    let (mut words, mut start, mut has_at) = (Vec::new(), 0, false);
    let (mut comments, mut is_quoted, mut is_escaped) = (0_u32, false, false);
    for (at, c) in text.char_indices() {
        let is_inside = is_quoted || comments > 0;
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_inside => is_escaped = true,
            '\\' => return None,
            '"' if comments == 0 => is_quoted = !is_quoted,
            '(' if !is_quoted => comments += 1,
            ')' if comments > 0 => comments -= 1,
            '@' if !is_inside => has_at = true,
            _ => {}
        }
        let separates = matches!(c, ',' | ';' | ':' | '<' | '>' | '(' | ')');
        if !is_quoted && (separates || c.is_ascii_whitespace() || comments > 0) {
            words.extend(text.get(start..at).filter(|_| has_at));
            (start, has_at) = (at + c.len_utf8(), false);
        }
    }
    words.extend(text.get(start..).filter(|_| has_at));
    (!is_quoted && comments == 0).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &str) -> Result<String, Misnamed> {
        let named = named(format!("X-a: b\r\n{fields}\r\n\r\nFrom: body@x.test\r\n").as_bytes())?;
        let all: Vec<String> = named.iter().map(ToString::to_string).collect();
        Ok(all.join(" "))
    }

    #[test]
    fn whoever_may_be_shown_as_the_author_is_named() {
        for (fields, all) in [
            ("From: a@x.test", "a@x.test a@x.test"),
            (
                "fRoM : \"c@x.test\" <a@x.test> (d@x.test)",
                "a@x.test a@x.test",
            ),
            ("From: c@x.test <a@x.test>", "a@x.test c@x.test a@x.test"),
            (
                "From: A B <a@x.test>,\r\n b@x.test",
                "a@x.test b@x.test a@x.test b@x.test",
            ),
            ("From: Us: a@x.test;", "a@x.test a@x.test"),
            ("From: \"a b\"@x.test", "\"a b\"@x.test \"a b\"@x.test"),
            (
                "From: a@x.test\r\nSender: B <b@x.test>",
                "a@x.test a@x.test b@x.test b@x.test",
            ),
            ("From: =?utf-8?q?J=C3=B6?= <a@x.test>", "a@x.test a@x.test"),
        ] {
            assert_eq!(read(fields).as_deref(), Ok(all), "{fields}");
        }
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_not_read() {
        use Misnamed::{From, Lines, Nobody, Sender, Unread};
        let far = format!(
            "From: a@x.test\r\n{}From: b@x.test",
            "X-a: b\r\n".repeat(200_000)
        );
        let long = format!("From: {}b@x.test", "a@x.test,\r\n ".repeat(2_000));
        for (fields, wrong) in [
            ("To: a@x.test", Nobody),
            ("Sender: a@x.test", From(0)),
            ("From: a@x.test\r\nFROM: b@x.test", From(2)),
            (&*far, From(2)),
            (&*long, Unread("From")),
            (
                "From: a@x.test\r\nSender: a@x.test\r\nSender: b@x.test",
                Sender(2),
            ),
            ("From: a@x.test\r\nSender: nobody", Unread("Sender")),
            ("From: ", Nobody),
            ("From: Us:;", Nobody),
            ("From: nobody", Nobody),
            ("From: <@b.test:a@x.test>", Unread("From")),
            ("From: \"a\\\" <b@x.test>, a@x.test", Unread("From")),
            ("From: a\\\" <b@x.test> \" <a@x.test>", Unread("From")),
            ("From: (a <b@x.test>, a@x.test", Unread("From")),
            ("From: a@x.test\rFrom: b@x.test", Lines),
            ("From: a@x.test\nFrom: b@x.test", Lines),
            ("From: a@x.test\0", Lines),
        ] {
            assert_eq!(
                read(fields),
                Err(wrong),
                "{}",
                fields.get(..60).unwrap_or(fields)
            );
        }
    }
}
