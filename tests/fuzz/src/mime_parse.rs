//! Any octets as a message: everything that the server asks of one.

use tern_mime::{
    Part, PartKind, base_subject, content_digest, decode, decode_header_text, decode_part,
    decoded_text, encode, header_fields, header_length, header_value, headers, message_ids,
    nested_digests, parse, part_text, prepend_headers, remove_headers, section,
};

const KEY: [u8; 32] = [1; 32];

pub(crate) fn run(bytes: &[u8]) {
    let parsed = parse(bytes);
    assert_eq!(parsed.size as usize, bytes.len());
    assert_eq!(parsed.header_size, parsed.body.header.end);
    assert_eq!(
        (parsed.body.header.start, parsed.body.body.end),
        (0, parsed.size)
    );
    part(&parsed.body, bytes);
    assert!(parsed.preview.chars().count() <= 256);
    assert_eq!(decode(&encode(&parsed)).as_ref(), Some(&parsed));

    content_digest(&KEY, bytes);
    nested_digests(&KEY, &parsed, bytes);
    assert!(decoded_text(&parsed.body, bytes, 1_000).len() <= 1_000);
    base_subject(&decode_header_text(bytes));
    message_ids(bytes).count();
    paths(&parsed, bytes);
    header(bytes, parsed.header_size as usize);
}

/// The ranges of a part tile, lie in the message and stand in order.
fn part(part: &Part, bytes: &[u8]) {
    assert!(part.header.start <= part.header.end);
    assert_eq!(part.header.end, part.body.start);
    assert!(part.body.start <= part.body.end && part.body.end as usize <= bytes.len());
    let mut at = part.body.start;
    for child in part.children() {
        assert!(child.header.start >= at && child.body.end <= part.body.end);
        at = child.body.end;
        self::part(child, bytes);
    }
    if !matches!(part.kind, PartKind::Multipart { .. }) {
        decode_part(part, bytes);
        part_text(part, bytes);
        part.file_name();
    }
}

fn paths(parsed: &tern_mime::ParsedMessage, bytes: &[u8]) {
    for path in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 1], &[u32::MAX], &[0]] {
        let Some(found) = section(parsed, path) else {
            continue;
        };
        let ranges = [Some(found.whole), found.mime, found.header, found.text];
        for range in ranges.into_iter().flatten() {
            let range = range.start as usize..range.end as usize;
            assert!(bytes.get(range).is_some(), "{path:?}");
        }
    }
}

fn header(bytes: &[u8], size: usize) {
    assert!(header_length(bytes) <= bytes.len());
    let header = bytes.get(..size).unwrap_or_default();
    let none: [&str; 0] = [];
    if header.len() <= tern_mime::limits::MAX_HEADER_BYTES {
        assert!(header_fields(header, &none, true).starts_with(header));
    }
    assert!(header_fields(header, &["subject"], false).len() <= header.len() + 4);
    let mut at = 0;
    for field in headers(header) {
        assert_eq!(field.range.start, at);
        at = field.range.end;
    }
    header_value(bytes, "subject");
    let removed = remove_headers(bytes, &["subject"]);
    assert_eq!(header_value(&removed, "subject"), None);
    assert!(prepend_headers(bytes, &[("X", "a\r\nb")]).ends_with(bytes));
}
