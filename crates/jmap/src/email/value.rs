//! The text of body parts (RFC 8621 4.1.4 `bodyValues`).

use serde_json::Value;
use tern_mime::Part;

use crate::standard::object;

/// The value of a text part, at most so many octets of it.
pub(crate) fn body_value<B: AsRef<[u8]> + Clone>(
    part: &Part<B>,
    octets: &[u8],
    max: Option<usize>,
) -> Value {
    let part = within(part, octets);
    let text = tern_mime::part_text(&part, octets);
    let is_unknown = is_unknown(&part);
    // One that its writer wrote is no damage.
    let was_written =
        || tern_mime::decode_part(&part, octets).is_some_and(|it| has_replacement(&it));
    let is_damaged = has_replacement(text.as_bytes()) && !was_written();
    let mut text = plain_line_ends(text);
    let is_html = part.subtype.as_ref().eq_ignore_ascii_case(b"html");
    let is_truncated = max.is_some_and(|max| truncate(&mut text, max, is_html));
    object([
        ("value", text.into()),
        ("isEncodingProblem", (is_unknown || is_damaged).into()),
        ("isTruncated", is_truncated.into()),
    ])
}

/// The same from the first octets of a part, where they say more than is told; else nothing. Of damage only
/// what is told counts.
pub(crate) fn value_of_start<B: AsRef<[u8]> + Clone>(
    part: &Part<B>,
    start: &[u8],
    max: usize,
) -> Option<Value> {
    let part = within(part, start);
    let mut text = plain_line_ends(tern_mime::part_text(&part, start));
    // The last one may be a part of a character.
    if text.len() <= max.saturating_add(CHARACTER) {
        return None;
    }
    let is_html = part.subtype.as_ref().eq_ignore_ascii_case(b"html");
    truncate(&mut text, max, is_html);
    let is_unknown = is_unknown(&part);
    let was_written =
        || tern_mime::decode_part(&part, start).is_some_and(|it| has_replacement(&it));
    let is_damaged = has_replacement(text.as_bytes()) && !was_written();
    Some(object([
        ("value", text.into()),
        ("isEncodingProblem", (is_unknown || is_damaged).into()),
        ("isTruncated", true.into()),
    ]))
}

/// RFC 8621 4.1.4: whether the transfer encoding or the charset is none that is known.
fn is_unknown<B: AsRef<[u8]>>(part: &Part<B>) -> bool {
    !tern_mime::is_known_encoding(part) || !tern_mime::is_known_charset(part)
}

/// The octets of the longest character, and of what stands for one that is cut.
const CHARACTER: usize = 4;

/// Whether U+FFFD is in it.
fn has_replacement(octets: &[u8]) -> bool {
    memchr::memmem::find(octets, "\u{fffd}".as_bytes()).is_some()
}

/// Line ends as JMAP has them.
fn plain_line_ends(text: String) -> String {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut from = 0;
    for at in memchr::memchr_iter(b'\r', text.as_bytes()) {
        if text.as_bytes().get(at + 1) == Some(&b'\n') {
            plain.push_str(text.get(from..at).unwrap_or_default());
            from = at + 1;
        }
    }
    plain.push_str(text.get(from..).unwrap_or_default());
    plain
}

/// The part as it is when its body's octets are all there is.
pub(crate) fn within<B: Clone>(part: &Part<B>, octets: &[u8]) -> Part<B> {
    Part {
        header: 0..0,
        body: 0..u32::try_from(octets.len()).unwrap_or(u32::MAX),
        ..part.clone()
    }
}

/// Cuts a text, never within a character, nor within a tag of HTML.
fn truncate(text: &mut String, max: usize, is_html: bool) -> bool {
    if text.len() <= max {
        return false;
    }
    text.truncate(text.floor_char_boundary(max));
    if is_html
        && let Some(open) = text.rfind('<')
        && !text.get(open..).unwrap_or_default().contains('>')
    {
        text.truncate(open);
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(message: &str, max: Option<usize>) -> Value {
        let parsed = tern_mime::parse(message.as_bytes());
        let range = parsed.body.body.start as usize..parsed.body.body.end as usize;
        body_value(&parsed.body, &message.as_bytes()[range], max)
    }

    #[test]
    fn values_are_text_with_plain_line_ends_and_say_what_is_wrong() {
        let plain = value("\r\none\r\ntwo\r\n", None);
        assert_eq!(
            plain,
            json!({"value": "one\ntwo\n", "isEncodingProblem": false, "isTruncated": false})
        );
        let unknown = value("Content-Transfer-Encoding: x-odd\r\n\r\nabc", None);
        assert_eq!(unknown["isEncodingProblem"], true);
        let unknown = value("Content-Type: text/plain; charset=nope\r\n\r\nabc", None);
        assert_eq!(
            (&unknown["value"], &unknown["isEncodingProblem"]),
            (&json!("abc"), &json!(true))
        );
        let known = value(
            "Content-Type: text/plain; charset=US-ASCII\r\n\r\nabc",
            None,
        );
        assert_eq!(known["isEncodingProblem"], false);
        let damaged = value(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=FFb",
            None,
        );
        assert_eq!(damaged["isEncodingProblem"], true);
        let written = value(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nYe+/vWI=",
            None,
        );
        assert_eq!(
            (&written["value"], &written["isEncodingProblem"]),
            (&json!("a\u{fffd}b"), &json!(false))
        );
    }

    #[test]
    fn texts_are_cut_between_characters_and_outside_tags() {
        let cut = |html: bool, text: &str, max| {
            let mut text = text.to_owned();
            truncate(&mut text, max, html);
            text
        };
        assert_eq!(cut(false, "aé", 2), "a");
        assert_eq!(cut(true, "<b>x</b>", 6), "<b>x");
        assert_eq!(cut(true, "<b>x</b>", 8), "<b>x</b>");
        assert_eq!(cut(false, "<b>x</b>", 6), "<b>x</");
    }
}
