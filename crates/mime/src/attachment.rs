//! One attachment of a message: which part is meant, and the message with a note in its place.
//!
//! Invariant: every octet outside the part stays as it is, boundaries and all, and no other part gets
//! another number (RFC 9051 6.4.5.1).
//!
//! Refuses to touch what is signed or encrypted: without the part it would be something that nobody
//! signed. What is no attachment (a body text, a multipart) is not taken out of a message either.

use mail_parser::HeaderForm;

use crate::header::headers;
use crate::limits::{MAX_FILE_NAME_CHARS, MAX_NUMBERED_PARTS};
use crate::message::ParsedMessage;
use crate::part::{Part, PartKind};
use crate::section::section;
use crate::text::range;

/// One attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its part number, as IMAP has it: `2.1` (RFC 9051 6.4.5.1).
    pub number: String,
    /// Which part of the message it is in the order in which they stand, the whole message being 0.
    pub position: u8,
    /// Its file name, decoded; none where it has none.
    pub name: Option<String>,
    /// Its media type, in lower case.
    pub media_type: String,
}

/// Why there is no attachment to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAttachment {
    /// Nothing in the message has that number or name, or more than one has that name, or it is no
    /// attachment.
    NotThere,
    /// It is signed or encrypted, by itself or with what is around it.
    Protected,
}

/// A part on the way to it.
struct Place<'a> {
    part: &'a Part,
    number: String,
    position: usize,
    protected: bool,
}

/// The attachment with this part number, or else the only one with this file name.
pub fn find_attachment(
    message: &ParsedMessage,
    bytes: &[u8],
    wanted: &str,
) -> Result<Attachment, NoAttachment> {
    let mut places = Vec::new();
    let mut position = 0;
    walk(&message.body, "", false, &mut position, &mut places);
    places.retain(|place| is_attachment(place.part, bytes));
    let by_number = places.iter().position(|place| place.number == wanted);
    let found = match by_number {
        Some(found) => found,
        None => {
            let mut named = places.iter().enumerate().filter(|(_, place)| {
                file_name(place.part, bytes).is_some_and(|name| name == wanted.trim())
            });
            match (named.next(), named.next()) {
                (Some((found, _)), None) => found,
                _ => return Err(NoAttachment::NotThere),
            }
        }
    };
    let place = places.get(found).ok_or(NoAttachment::NotThere)?;
    if place.protected {
        return Err(NoAttachment::Protected);
    }
    let part = place.part;
    let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    Ok(Attachment {
        number: place.number.clone(),
        position: u8::try_from(place.position)
            .ok()
            .filter(|position| *position < MAX_NUMBERED_PARTS)
            .ok_or(NoAttachment::NotThere)?,
        name: file_name(part, bytes),
        media_type: format!("{}/{}", word(&part.media_type), word(&part.subtype)),
    })
}

/// The message with a short text in the place of the attachment with this part number; `None` where
/// it has none.
pub fn without_attachment(
    message: &ParsedMessage,
    bytes: &[u8],
    number: &str,
    note: &str,
) -> Option<Vec<u8>> {
    let path: Result<Vec<u32>, _> = number.split('.').map(str::parse).collect();
    let found = section(message, &path.ok().filter(|path| !path.is_empty())?)?;
    let part = found.part;
    if matches!(part.kind, PartKind::Multipart { .. }) {
        return None;
    }
    let header = range(bytes, part.header.start, part.header.end);
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(range(bytes, 0, part.header.start));
    // The fields of a part are those that begin with `Content-` (RFC 2045 9); a message that is all
    // attachment has others, and they stay.
    for field in headers(header) {
        let of_part = field.name.get(..8);
        if !of_part.is_some_and(|name| name.eq_ignore_ascii_case(b"content-")) {
            out.extend_from_slice(header.get(field.range).unwrap_or_default());
        }
    }
    let line_end: &[u8] = match header.contains(&b'\n') && !header.contains(&b'\r') {
        true => b"\n",
        false => b"\r\n",
    };
    // Behind a header that the end of the message cut off.
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(line_end);
    }
    let lines = [
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Disposition: inline",
        "",
    ];
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(line_end);
    }
    write_quoted(&mut out, note, line_end);
    let rest = range(bytes, part.body.end, message.size);
    if rest.is_empty() {
        out.extend_from_slice(line_end);
    } else if !rest.starts_with(b"\n") && !rest.starts_with(b"\r\n") {
        // The body was empty, and its boundary follows the header.
        out.extend_from_slice(line_end);
    }
    out.extend_from_slice(rest);
    Some(out)
}

/// Every part in order, with its number and whether something around it, or it itself, is protected.
fn walk<'a>(
    part: &'a Part,
    number: &str,
    protected: bool,
    position: &mut usize,
    out: &mut Vec<Place<'a>>,
) {
    let protected = protected || is_protected(part);
    let at = *position;
    *position += 1;
    // A message has the numbers of its parts behind its own, and so has a multipart; only a body that
    // is one part is number 1 of its message.
    let below = |n: usize| match number {
        "" => n.to_string(),
        number => format!("{number}.{n}"),
    };
    match &part.kind {
        PartKind::Multipart { parts } => {
            for (n, child) in (1..).zip(parts) {
                walk_child(child, &below(n), protected, position, out);
            }
        }
        _ => {
            let number = below(1);
            walk_leaf(part, (number, at), protected, position, out);
        }
    }
}

/// A part of a multipart.
fn walk_child<'a>(
    part: &'a Part,
    number: &str,
    protected: bool,
    position: &mut usize,
    out: &mut Vec<Place<'a>>,
) {
    if matches!(part.kind, PartKind::Multipart { .. }) {
        return walk(part, number, protected, position, out);
    }
    let protected = protected || is_protected(part);
    let at = *position;
    *position += 1;
    walk_leaf(part, (number.to_owned(), at), protected, position, out);
}

/// A part that is no multipart, and the message inside it where it is one.
fn walk_leaf<'a>(
    part: &'a Part,
    (number, at): (String, usize),
    protected: bool,
    position: &mut usize,
    out: &mut Vec<Place<'a>>,
) {
    out.push(Place {
        part,
        number: number.clone(),
        position: at,
        protected,
    });
    if let PartKind::Message { body, .. } = &part.kind {
        walk(body, &number, protected, position, out);
    }
}

/// RFC 1847, RFC 8551 3: what is signed or encrypted.
fn is_protected(part: &Part) -> bool {
    [
        ("multipart", "signed"),
        ("multipart", "encrypted"),
        ("application", "pkcs7-mime"),
        ("application", "x-pkcs7-mime"),
        ("application", "pgp-encrypted"),
    ]
    .iter()
    .any(|(media_type, subtype)| part.is_type(media_type, subtype))
}

/// Whether it is more than the text of its message.
fn is_attachment(part: &Part, bytes: &[u8]) -> bool {
    match part.kind {
        PartKind::Multipart { .. } => false,
        PartKind::Text => part.is_disposition("attachment") || file_name(part, bytes).is_some(),
        PartKind::Message { .. } | PartKind::Basic => true,
    }
}

/// The file name for people: whole and decoded (RFC 2231 3 and 4, RFC 2047).
fn file_name(part: &Part, bytes: &[u8]) -> Option<String> {
    part.file_name()?;
    let header = range(bytes, part.header.start, part.header.end);
    let of = |field: &str, attribute: &str| {
        let field = headers(header).find(|one| one.is(field))?;
        let parsed = HeaderForm::ContentType.parse(field.value);
        let value = parsed.value();
        let name = value.as_content_type()?.attribute(attribute)?;
        let kept = name.chars().filter(|c| !c.is_control());
        let name: String = kept.take(MAX_FILE_NAME_CHARS).collect();
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    };
    of("content-disposition", "filename").or_else(|| of("content-type", "name"))
}

/// Quoted-printable of short text: its line breaks stay line breaks (RFC 2045 6.7 (4)). No line begins with a
/// dash, so that none can be taken for a boundary, nor ends with a space (RFC 2045 6.7 (3)).
fn write_quoted(out: &mut Vec<u8>, text: &str, line_end: &[u8]) {
    const LINE: usize = 70;
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            out.extend_from_slice(line_end);
        }
        let mut length = 0;
        for (at, byte) in line.bytes().enumerate() {
            if length >= LINE {
                out.push(b'=');
                out.extend_from_slice(line_end);
                length = 0;
            }
            let is_last = at + 1 == line.len();
            let plain = matches!(byte, b'!'..=b'~') || byte == b' ' && !is_last;
            if plain && byte != b'=' && (length > 0 || byte != b'-') {
                out.push(byte);
                length += 1;
            } else {
                out.extend_from_slice(format!("={byte:02X}").as_bytes());
                length += 3;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::write_quoted;

    #[test]
    fn quoted_text_keeps_its_lines() {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            write_quoted(&mut out, text, b"\r\n");
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(
            quoted("one\r\n-- two \nä=\n"),
            "one\r\n=2D- two=20\r\n=C3=A4=3D"
        );
        let long = quoted(&"x".repeat(141));
        assert!(long.lines().all(|line| line.len() <= 76), "{long}");
        assert_eq!(long.replace("=\r\n", ""), "x".repeat(141));
    }
}
