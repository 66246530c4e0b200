//! Text that people read: header values, bodies, the preview.
//!
//! Invariant: the work is linear in what is asked for, and every result is valid UTF-8; what a
//! charset cannot say becomes U+FFFD. Refuses to render: HTML becomes plain words.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Range;

use mail_parser::decoders::html::html_to_text;
use mail_parser::{Charset, Encoding, HeaderForm};

use crate::header::{headers, unfold, unfold_whole};
use crate::limits::{MAX_PREVIEW_CHARS, PREVIEW_BYTES};
use crate::part::{Param, Part, PartKind};

/// The text of the start of a raw header value ([`crate::limits::MAX_VALUE_BYTES`]), encoded words decoded (RFC
/// 2047), folds undone.
pub fn decode_header_text(raw: &[u8]) -> String {
    decode_line(&unfold(raw))
}

/// The text of a raw header value whatever its length, as JMAP has it (RFC 8621 4.1.2.2): NUL is dropped, and so
/// are controls that were encoded.
pub fn decode_whole_header_text(raw: &[u8]) -> String {
    let line = unfold_whole(raw);
    let text = decode_line(&line);
    if !text.contains(char::is_control) {
        return text;
    }
    let plain = String::from_utf8_lossy(&line);
    let mut stay: Vec<char> = plain
        .chars()
        .filter(|c| c.is_control() && *c != '\0')
        .collect();
    stay.sort_unstable();
    stay.dedup();
    let stays = |c: &char| !c.is_control() || stay.binary_search(c).is_ok();
    text.chars().filter(stays).collect()
}

fn decode_line(line: &[u8]) -> String {
    let parsed = HeaderForm::Text.parse(line);
    parsed.value().as_text().unwrap_or_default().to_owned()
}

/// The text of a raw header value as it may be shown beside other text.
pub fn shown_header_text(raw: &[u8]) -> String {
    shown_text(&decode_header_text(raw))
}

/// A text as it may be shown beside other text: one line, and nothing in it that a terminal or a page
/// would obey, controls and changes of direction, for which spaces stand.
pub fn shown_text(text: &str) -> String {
    let is_obeyed = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(is_obeyed, " ")
}

/// The content of a part, transfer encoding undone; `None` for an encoding that is not known
/// (RFC 3516 4.3 UNKNOWN-CTE). Damage in an encoding is passed over.
pub fn decode_part<'a, B: AsRef<[u8]>>(part: &Part<B>, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    Some(encoding(part)?.decode(body(part, bytes)))
}

/// Whether a part's transfer encoding leaves its octets as they are.
pub fn is_identity<B: AsRef<[u8]>>(part: &Part<B>) -> bool {
    matches!(encoding(part), Some(Encoding::None))
}

/// Whether a part's transfer encoding is known.
pub fn is_known_encoding<B: AsRef<[u8]>>(part: &Part<B>) -> bool {
    encoding(part).is_some()
}

/// Whether a text part's charset is known, or none is named.
pub fn is_known_charset<B: AsRef<[u8]>>(part: &Part<B>) -> bool {
    let label = part.param("charset").filter(|label| !label.is_empty());
    label.is_none_or(|label| Charset::from_label(label).is_some())
}

/// The name of the file that a part is, decoded (RFC 2231, and RFC 2047 where a program wrote it against
/// the rules).
pub fn part_name<B: AsRef<[u8]>>(part: &Part<B>) -> Option<String> {
    let of_disposition = part
        .disposition
        .as_ref()
        .and_then(|it| decoded_param(&it.params, "filename"));
    of_disposition.or_else(|| decoded_param(&part.params, "name"))
}

/// A parameter put together from its pieces: its values stand in the part without their quotes.
fn decoded_param<B: AsRef<[u8]>>(params: &[Param<B>], name: &str) -> Option<String> {
    let of_name = |param: &&Param<B>| {
        let mut pieces = param.name.as_ref().split(|byte| *byte == b'*');
        let base = pieces.next().unwrap_or_default();
        base.eq_ignore_ascii_case(name.as_bytes())
    };
    let mut all = params.iter().filter(of_name);
    if let (Some(only), None) = (all.next(), all.next())
        && !only.name.as_ref().ends_with(b"*")
        && memchr::memmem::find(only.value.as_ref(), b"=?").is_some()
    {
        // As in a header field: what separates two encoded words is no part of the name (RFC 2047 6.2).
        return Some(decode_header_text(only.value.as_ref()));
    }
    let mut field = b"x".to_vec();
    for param in params {
        let (param_name, value) = (param.name.as_ref(), param.value.as_ref());
        field.extend_from_slice(b"; ");
        field.extend_from_slice(param_name);
        field.push(b'=');
        // RFC 2231 4: an extended value stands bare.
        let quoted = !param_name.ends_with(b"*");
        if quoted {
            field.push(b'"');
        }
        for byte in value {
            if quoted && matches!(byte, b'"' | b'\\') {
                field.push(b'\\');
            }
            field.push(*byte);
        }
        if quoted {
            field.push(b'"');
        }
    }
    let parsed = HeaderForm::ContentType.parse(&field);
    let value = parsed.value();
    let text = value.as_content_type()?.attribute(name)?;
    Some(match text.contains("=?") {
        true => decode_header_text(text.as_bytes()),
        false => text.to_owned(),
    })
}

/// The text of a text part in UTF-8, charset and transfer encoding undone, HTML left as it is.
/// An encoding that is not known is taken as none.
pub fn part_text<B: AsRef<[u8]>>(part: &Part<B>, bytes: &[u8]) -> String {
    text_of(part, body(part, bytes))
}

/// The searchable text of a message, given its root part: its text parts in order (HTML as plain words) and the
/// headers of the messages inside it, at most about `limit` bytes (RFC 9051 6.4.4 BODY, TEXT).
pub fn decoded_text<B: AsRef<[u8]>>(root: &Part<B>, bytes: &[u8], limit: usize) -> String {
    let read = |wanted: Range<u32>| Ok(Cow::Borrowed(range(bytes, wanted.start, wanted.end)));
    let text: Result<String, Infallible> = decoded_text_of(root, limit, read);
    let Ok(text) = text;
    text
}

/// The same of a message that is elsewhere: only what the text is made of is read, in order.
pub fn decoded_text_of<'a, B: AsRef<[u8]>, E>(
    root: &Part<B>,
    limit: usize,
    mut read: impl FnMut(Range<u32>) -> Result<Cow<'a, [u8]>, E>,
) -> Result<String, E> {
    let mut out = String::new();
    collect(root, &mut read, limit, &mut out)?;
    out.truncate(out.floor_char_boundary(limit));
    Ok(out)
}

fn collect<'a, B: AsRef<[u8]>, E>(
    part: &Part<B>,
    read: &mut impl FnMut(Range<u32>) -> Result<Cow<'a, [u8]>, E>,
    limit: usize,
    out: &mut String,
) -> Result<(), E> {
    if out.len() >= limit {
        return Ok(());
    }
    match &part.kind {
        PartKind::Multipart { parts } => {
            for part in parts {
                collect(part, read, limit, out)?;
            }
        }
        PartKind::Message { body, .. } => {
            let header = read(body.header.clone())?;
            for field in headers(&header) {
                if out.len() >= limit {
                    return Ok(());
                }
                out.push_str(&String::from_utf8_lossy(field.name));
                out.push_str(": ");
                out.push_str(&decode_header_text(field.value));
                out.push('\n');
            }
            collect(body, read, limit, out)?;
        }
        PartKind::Text => {
            let room = limit - out.len();
            let most = looked_at(part, room);
            let raw = read(encoded_start(part, most))?;
            let mut text = text_of_start(part, &raw, most);
            if is_html(part) {
                text = html_to_text(&text);
            }
            out.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or(&text));
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
        PartKind::Basic => {}
    }
    Ok(())
}

fn is_html<B: AsRef<[u8]>>(part: &Part<B>) -> bool {
    part.subtype.as_ref().eq_ignore_ascii_case(b"html")
}

/// How many decoded octets of a text are looked at where so much of it is wanted: markup says little, and
/// wide characters take more octets than they will.
fn looked_at<B: AsRef<[u8]>>(part: &Part<B>, room: usize) -> usize {
    const MARKUP: usize = 1 << 20;
    let label = part.param("charset").unwrap_or_default();
    let is_wide = |prefix: &[u8]| {
        let start = label.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let width = match () {
        () if is_wide(b"utf-16") => 2,
        () if is_wide(b"utf-32") => 4,
        () => 1,
    };
    let markup = match is_html(part) {
        true => room
            .saturating_mul(8)
            .min(MARKUP.max(room.saturating_mul(2))),
        false => room,
    };
    markup.saturating_mul(width).max(1024)
}

/// Where so many decoded octets of a text are, from its beginning.
fn encoded_start<B: AsRef<[u8]>>(part: &Part<B>, decoded: usize) -> Range<u32> {
    let octets = match encoding(part) {
        Some(Encoding::QuotedPrintable) => decoded.saturating_mul(3),
        // Four for three, and the line ends.
        Some(Encoding::Base64) => decoded.saturating_add(decoded / 2),
        _ => decoded,
    };
    let start = part.body.start;
    let end = u32::try_from(octets).map_or(u32::MAX, |octets| start.saturating_add(octets));
    start..part.body.end.min(end)
}

/// Octets of memory that [`decoded_text_of`] takes at the most, beside what it answers.
pub fn decoded_text_weight<B: AsRef<[u8]>>(root: &Part<B>, limit: usize) -> u64 {
    match &root.kind {
        PartKind::Multipart { parts } => {
            let weights = parts.iter().map(|part| decoded_text_weight(part, limit));
            weights.max().unwrap_or(0)
        }
        PartKind::Message { body, .. } => {
            let header = u64::from(body.header.end.saturating_sub(body.header.start));
            header.max(decoded_text_weight(body, limit))
        }
        PartKind::Text => {
            let most = looked_at(root, limit);
            let range = encoded_start(root, most);
            let encoded = u64::from(range.end.saturating_sub(range.start));
            // Read, decoded, as characters (at most three octets for one), and without the markup.
            6 * encoded.min(most as u64)
        }
        PartKind::Basic => 0,
    }
}

/// The first words of the message: of its first plain text, else of its first HTML.
pub(crate) fn preview(root: &Part, bytes: &[u8]) -> String {
    let Some(part) = find_text(root, b"plain").or_else(|| find_text(root, b"html")) else {
        return String::new();
    };
    let raw = body(part, bytes);
    let html = is_html(part);
    let mut out = String::new();
    for bytes in PREVIEW_BYTES {
        let text = text_of(part, raw.get(..bytes).unwrap_or(raw));
        let text = if html { html_to_text(&text) } else { text };
        out = collapse(&text, MAX_PREVIEW_CHARS);
        if raw.len() <= bytes {
            break;
        }
        if out.chars().count() >= MAX_PREVIEW_CHARS / 2 {
            // The cut may have gone through a character.
            out.truncate(out.trim_end_matches('\u{fffd}').len());
            break;
        }
    }
    out
}

/// The first text part of that subtype that is meant to be read.
fn find_text<'a>(part: &'a Part, subtype: &[u8]) -> Option<&'a Part> {
    if part.is_disposition("attachment") {
        return None;
    }
    match &part.kind {
        PartKind::Multipart { parts } => parts.iter().find_map(|part| find_text(part, subtype)),
        PartKind::Text => {
            (part.subtype.eq_ignore_ascii_case(subtype) && part.size() > 0).then_some(part)
        }
        PartKind::Message { .. } | PartKind::Basic => None,
    }
}

/// White space runs and control characters to one space, at most `max` characters.
fn collapse(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(max + 16);
    let mut left = max;
    let mut gap = false;
    for c in text.chars() {
        if c.is_ascii_graphic() && !gap && left > 0 {
            out.push(c);
            left -= 1;
            continue;
        }
        // Soft hyphens and zero-width characters pad previews of bulk mail.
        if matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{34f}'
        ) {
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            gap = !out.is_empty();
            continue;
        }
        if left <= usize::from(gap) {
            break;
        }
        if gap {
            out.push(' ');
            left -= 1;
            gap = false;
        }
        out.push(c);
        left -= 1;
    }
    out
}

fn text_of<B: AsRef<[u8]>>(part: &Part<B>, raw: &[u8]) -> String {
    text_of_start(part, raw, usize::MAX)
}

/// The text of so many decoded octets at the most.
fn text_of_start<B: AsRef<[u8]>>(part: &Part<B>, raw: &[u8], most: usize) -> String {
    let decoded = match encoding(part).unwrap_or_default().decode(raw) {
        Cow::Borrowed(octets) => Cow::Borrowed(octets.get(..most).unwrap_or(octets)),
        Cow::Owned(mut octets) => {
            octets.truncate(most);
            Cow::Owned(octets)
        }
    };
    let label = part.param("charset").unwrap_or(b"us-ascii");
    match Charset::from_label(label) {
        // 8-bit bytes without a charset that allows them are UTF-8 more often than not.
        Some(charset) if !label.eq_ignore_ascii_case(b"us-ascii") => {
            charset.decode_owned(decoded.into_owned())
        }
        _ => match decoded {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        },
    }
}

fn body<'a, B>(part: &Part<B>, bytes: &'a [u8]) -> &'a [u8] {
    range(bytes, part.body.start, part.body.end)
}

pub(crate) fn range(bytes: &[u8], start: u32, end: u32) -> &[u8] {
    bytes.get(start as usize..end as usize).unwrap_or_default()
}

/// RFC 2045 6.1, and the spellings seen in the wild.
pub(crate) fn encoding<B: AsRef<[u8]>>(part: &Part<B>) -> Option<Encoding> {
    let Some(name) = part.encoding.as_ref().map(AsRef::as_ref) else {
        return Some(Encoding::None);
    };
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    if is("base64") {
        Some(Encoding::Base64)
    } else if is("quoted-printable") {
        Some(Encoding::QuotedPrintable)
    } else if ["7bit", "8bit", "binary", "7-bit", "8-bit"]
        .into_iter()
        .any(is)
    {
        Some(Encoding::None)
    } else {
        None
    }
}
