//! What holds for every byte string: nothing panics, ranges tile, rows round-trip, damage is
//! refused rather than believed.

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use tern_mime::{
    Part, PartKind, content_digest, decode, decode_header_text, decode_octets, decode_part,
    decoded_text, encode, header_value, is_identity, nested_digests, parse, prepend_headers,
    remove_headers, section, whole_units,
};

/// Pieces that mail is made of, so that random strings of them reach deep.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r\n\r\n",
    "--",
    "--a",
    "--a--",
    "--ab",
    "\r\n--a\r\n",
    "\r\n--a--\r\n",
    "\r\n--ab\r\n",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "\"",
    "\\",
    "(",
    ")",
    "<",
    ">",
    "@",
    "[",
    "]",
    "=",
    "From: ",
    "To: ",
    "Subject: ",
    "Date: ",
    "Message-ID: <x@y>",
    "References: <a@b> <c@d>",
    "Content-Type: multipart/mixed; boundary=a\r\n",
    "Content-Type: multipart/digest; boundary=\"ab\"",
    "Content-Type: message/rfc822\r\n\r\n",
    "Content-Type: text/html; charset=utf-8\r\n\r\n<p>hi",
    "Content-Type: text/plain",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Disposition: attachment; filename=x.eml\r\n",
    "=?utf-8?Q?=C3=A9?=",
    "=?utf-8?B?w6k=?=",
    "group: a@b, c;",
    "[tag] Re: ",
    "(fwd)",
    "SGVsbG8=",
    "\u{e9}",
    "x",
];

fn mail() -> impl Strategy<Value = Vec<u8>> {
    vec(0..PIECES.len(), 0..60).prop_map(|indices| {
        indices
            .into_iter()
            .flat_map(|i| PIECES[i].bytes())
            .collect()
    })
}

fn exercise(bytes: &[u8]) {
    let parsed = common::check(bytes);
    content_digest(&[1; 32], bytes);
    nested_digests(&[1; 32], &parsed, bytes);
    assert!(decoded_text(&parsed.body, bytes, 100).len() <= 100);
    decode_header_text(bytes);
    header_value(bytes, "subject");
    sizes(&parsed.body, bytes);
    for path in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 1], &[u32::MAX], &[0]] {
        if let Some(found) = section(&parsed, path) {
            let ranges = [Some(found.whole), found.mime, found.header, found.text];
            for range in ranges.into_iter().flatten() {
                assert!(
                    bytes
                        .get(range.start as usize..range.end as usize)
                        .is_some()
                );
            }
        }
    }
    let removed = remove_headers(bytes, &["subject"]);
    assert_eq!(header_value(&removed, "subject"), None);
    assert!(prepend_headers(bytes, &[("X", "a\r\nb")]).ends_with(bytes));
}

/// Every part that is not within an encoded message has the size that decoding it gives.
fn sizes(part: &Part, bytes: &[u8]) {
    let decoded = decode_part(part, bytes).map(|decoded| decoded.len());
    match &part.kind {
        PartKind::Multipart { .. } => assert_eq!(part.decoded_size, part.size()),
        _ => assert_eq!(
            part.decoded_size as usize,
            decoded.unwrap_or(part.size() as usize)
        ),
    }
    if !matches!(part.kind, PartKind::Message { .. }) || is_identity(part) {
        part.children().iter().for_each(|part| sizes(part, bytes));
    }
}

/// What encoded bodies are made of, damaged ones too.
const ENCODED: &[&str] = &[
    "QUJD", "QQ==", "QQ", "Q", "=", "==", "=3D", "=\r\n", "= \t\r\n", "=\n", "=4", "\r\n", "\n",
    "\r", " ", "\t", " \r\n", "-", "\u{e9}", "=C3=A9", "=ZZ", "=\r",
];

fn encoded() -> impl Strategy<Value = Vec<u8>> {
    vec(0..ENCODED.len(), 0..40).prop_map(|indices| {
        indices
            .into_iter()
            .flat_map(|i| ENCODED[i].bytes())
            .collect()
    })
}

/// A body decoded `most` octets at a time, or as many as it takes to get anywhere.
fn decoded_in_pieces(part: &Part, mut body: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let cut = (most..body.len())
            .map(|end| whole_units(part, &body[..end]))
            .find(|cut| *cut > 0);
        let (piece, rest) = body.split_at(cut.unwrap_or(body.len()));
        out.extend_from_slice(&decode_octets(part, piece).expect("decodes"));
        body = rest;
    }
    out
}

proptest! {
    #[test]
    fn a_part_in_pieces_says_what_the_whole_says(body in encoded(), most in 1_usize..30) {
        for encoding in ["base64", "quoted-printable", "8bit"] {
            let header = format!("Content-Type: a/b\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
            let message = [header.as_bytes(), &body].concat();
            let part = parse(&message).body;
            let whole = decode_part(&part, &message).unwrap();
            prop_assert_eq!(&decoded_in_pieces(&part, &body, most), &*whole, "{}", encoding);
        }
    }

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
    }

    #[test]
    fn arbitrary_mail(bytes in mail()) {
        exercise(&bytes);
    }

    #[test]
    fn damaged_rows(bytes in mail(), at in any::<usize>(), byte in any::<u8>(), cut in any::<bool>()) {
        let parsed = parse(&bytes);
        let mut row = encode(&parsed);
        let at = at % row.len();
        if cut {
            row.truncate(at);
            prop_assert_eq!(decode(&row), None);
        } else {
            row[at] = byte;
            // What is still a row encodes again to something that is read back the same.
            if let Some(read) = decode(&row) {
                prop_assert_eq!(decode(&encode(&read)), Some(read));
            }
        }
    }

    #[test]
    fn arbitrary_rows(mut row in vec(any::<u8>(), 0..200)) {
        if let Some(first) = row.first_mut() {
            *first = encode(&parse(b""))[0];
        }
        if let Some(read) = decode(&row) {
            prop_assert_eq!(decode(&encode(&read)), Some(read));
        }
    }
}

#[test]
fn the_corpus_with_both_line_ends_and_cut_anywhere() {
    for (_, bytes) in common::corpus() {
        exercise(&bytes);
        let lf: Vec<u8> = bytes
            .iter()
            .copied()
            .filter(|&byte| byte != b'\r')
            .collect();
        exercise(&lf);
        for cut in (0..bytes.len()).step_by(97) {
            common::check(&bytes[..cut]);
        }
    }
}
