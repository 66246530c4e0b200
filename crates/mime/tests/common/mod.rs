//! What the integration tests share: the corpus, and the canonical text of ENVELOPE and
//! BODYSTRUCTURE (strings in quotes with `\xNN` for what is not printable ASCII).
#![allow(dead_code, clippy::unwrap_used)] // Each test uses its share; a test may panic.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tern_mime::{Address, Disposition, Envelope, Param, Part, PartKind};

/// Every message of the corpus with its name, line ends made CRLF.
pub(crate) fn corpus() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            files.extend(
                std::fs::read_dir(folder)
                    .unwrap()
                    .map(|file| file.unwrap().path()),
            );
        }
    }
    files.sort();
    assert!(files.len() > 100, "the corpus is there");
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, crlf(&std::fs::read(path).unwrap()))
        })
        .collect()
}

/// Line ends made CRLF.
pub(crate) fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 40);
    for (index, &byte) in bytes.iter().enumerate() {
        if byte == b'\n' && (index == 0 || bytes[index - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

pub(crate) fn string(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => write!(out, "\\{}", char::from(byte)).unwrap(),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").unwrap(),
        }
    }
    out.push('"');
    out
}

fn nstring(bytes: Option<&Vec<u8>>) -> String {
    bytes.map_or("NIL".to_owned(), |bytes| string(bytes))
}

fn addresses(list: Option<&Vec<Address>>) -> String {
    let Some(list) = list else {
        return "NIL".to_owned();
    };
    let each = |a: &Address| {
        format!(
            "({} {} {} {})",
            nstring(a.name.as_ref()),
            nstring(a.adl.as_ref()),
            nstring(a.mailbox.as_ref()),
            nstring(a.host.as_ref())
        )
    };
    format!("({})", list.iter().map(each).collect::<Vec<_>>().join(" "))
}

pub(crate) fn envelope(e: &Envelope) -> String {
    let lists = [&e.from, &e.sender, &e.reply_to, &e.to, &e.cc, &e.bcc];
    format!(
        "({} {} {} {} {})",
        nstring(e.date.as_ref()),
        nstring(e.subject.as_ref()),
        lists.map(|list| addresses(list.as_ref())).join(" "),
        nstring(e.in_reply_to.as_ref()),
        nstring(e.message_id.as_ref())
    )
}

fn params(params: &[Param]) -> String {
    if params.is_empty() {
        return "NIL".to_owned();
    }
    let each = |p: &Param| format!("{} {}", string(&p.name), string(&p.value));
    format!(
        "({})",
        params.iter().map(each).collect::<Vec<_>>().join(" ")
    )
}

fn tail(part: &Part) -> String {
    let disposition = |d: &Disposition| format!("({} {})", string(&d.kind), params(&d.params));
    let language = match part.language.as_slice() {
        [] => "NIL".to_owned(),
        tags => format!(
            "({})",
            tags.iter().map(|t| string(t)).collect::<Vec<_>>().join(" ")
        ),
    };
    format!(
        "{} {} {}",
        part.disposition
            .as_ref()
            .map_or("NIL".to_owned(), disposition),
        language,
        nstring(part.location.as_ref())
    )
}

pub(crate) fn structure(part: &Part) -> String {
    if let PartKind::Multipart { parts } = &part.kind {
        let inside = parts.iter().map(structure).collect::<Vec<_>>().join(" ");
        return format!(
            "({inside} {} {} {})",
            string(&part.subtype),
            params(&part.params),
            tail(part)
        );
    }
    let extra = match &part.kind {
        PartKind::Text => format!(" {}", part.lines),
        PartKind::Message {
            envelope: inside,
            body,
        } => {
            format!(" {} {} {}", envelope(inside), structure(body), part.lines)
        }
        _ => String::new(),
    };
    format!(
        "({} {} {} {} {} {} {}{extra} {} {})",
        string(&part.media_type),
        string(&part.subtype),
        params(&part.params),
        nstring(part.id.as_ref()),
        nstring(part.description.as_ref()),
        string(part.encoding_or_default()),
        part.size(),
        nstring(part.md5.as_ref()),
        tail(part)
    )
}

/// Checks what every parsed message promises: the ranges tile, lie within the message and stand in
/// order; the row round-trips; the header answers for itself.
pub(crate) fn check(bytes: &[u8]) -> tern_mime::ParsedMessage {
    let parsed = tern_mime::parse(bytes);
    assert_eq!(parsed.size as usize, bytes.len());
    assert_eq!(parsed.header_size, parsed.body.header.end);
    assert_eq!(parsed.body.header.start, 0);
    assert_eq!(parsed.body.body.end, parsed.size);
    tiles(&parsed.body);
    let row = tern_mime::encode(&parsed);
    assert_eq!(tern_mime::decode(&row).as_ref(), Some(&parsed));
    // Read in place it says the same.
    let structure = tern_mime::Structure::from_row(row).unwrap();
    assert_eq!(structure, tern_mime::Structure::of(&parsed));
    let view = structure.view().unwrap();
    assert_eq!(format!("{view:?}"), format!("{parsed:?}"));
    assert_eq!(structure.envelope().as_ref(), Some(&view.envelope));
    assert_eq!(structure.subject(), Some(view.envelope.subject));
    assert_eq!(structure.body().as_ref(), Some(&view.body));

    let header = &bytes[..parsed.header_size as usize];
    let none: [&str; 0] = [];
    let all = tern_mime::header_fields(header, &none, true);
    assert!(all.len() <= header.len() + 4);
    if header.len() <= tern_mime::limits::MAX_HEADER_BYTES {
        assert!(all.starts_with(header));
        if header.ends_with(b"\n\n") || header.ends_with(b"\r\n\r\n") {
            assert_eq!(all, header);
        }
    } else {
        let fields = all.strip_suffix(b"\r\n").unwrap();
        assert!(header.starts_with(fields.strip_suffix(b"\r\n").unwrap_or(fields)));
    }
    let mut at = 0;
    for field in tern_mime::headers(header) {
        assert_eq!(field.range.start, at);
        at = field.range.end;
    }
    assert!(header.len() - at <= 2);
    assert!(parsed.preview.chars().count() <= 256);
    assert!(parsed.thread_ids.len() <= 32);
    parsed
}

fn tiles(part: &Part) {
    assert!(part.header.start <= part.header.end);
    assert_eq!(part.header.end, part.body.start);
    assert!(part.body.start <= part.body.end);
    let mut at = part.body.start;
    for child in part.children() {
        assert!(child.header.start >= at);
        assert!(child.body.end <= part.body.end);
        at = child.body.end;
        tiles(child);
    }
    if let PartKind::Message { body, .. } = &part.kind {
        // A message inside fills the body that holds it.
        assert_eq!(
            (body.header.start, body.body.end),
            (part.body.start, part.body.end)
        );
    }
}
