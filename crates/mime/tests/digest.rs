//! Which messages are the same letter, and which are not.

use proptest::collection::vec;
use proptest::prelude::*;
use tern_mime::{BlobHasher, blob_id, content_digest, nested_digests, parse};

const KEY: [u8; 32] = [3; 32];

const SENT: &str = "From: \"Ann B.  Ito\" <ann@example.org>\r\nTo: Bob <bob@example.com>\r\nCc: c@example.com\r\n\
    Bcc: secret@example.com\r\nSubject: The plan for Friday\r\nDate: Sat, 21 Nov 2026 22:06:00 +0000\r\n\
    Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
    \r\nHello Bob,\r\n\r\nsee you.\r\n";

fn digest(text: &str) -> tern_base::ContentDigest {
    content_digest(&KEY, text.as_bytes())
}

#[test]
fn the_same_letter() {
    let delivered = SENT.replace("Bcc: secret@example.com\r\n", "");
    let traced = format!(
        "Return-Path: <ann@example.org>\r\nDelivered-To: bob@example.com\r\nReceived: from x\r\n\tby y; now\r\n\
         Authentication-Results: mx; spf=pass\r\nDKIM-Signature: v=1; b=abc\r\nARC-Seal: i=1\r\n\
         Server-Token: abc\r\nX-Spam: no\r\nList-Id: <l.example.com>\r\n{delivered}"
    );
    let same = [
        ("delivered", delivered.clone()),
        ("traced", traced),
        ("LF", SENT.replace("\r\n", "\n")),
        (
            "another Message-ID",
            SENT.replace("<1@example.org>", "<2@example.org>"),
        ),
        (
            "without Message-ID",
            SENT.replace("Message-ID: <1@example.org>\r\n", ""),
        ),
        ("refolded", SENT.replace("plan for", "plan\r\n\t for")),
        (
            "refolded in a quoted string",
            SENT.replace("\"Ann B.  Ito\"", "\"Ann B. \r\n\tIto\""),
        ),
        (
            "refolded between a quoted string and what follows",
            SENT.replace("Ito\" <", "Ito\"\r\n\t <"),
        ),
        (
            "urgent",
            SENT.replace(
                "MIME-Version",
                "Importance: high\r\nX-Priority: 1\r\nMIME-Version",
            ),
        ),
        (
            "folded behind the name",
            SENT.replace("Subject: ", "Subject:\r\n "),
        ),
        (
            "names in another case",
            SENT.replace("Subject:", "SUBJECT :"),
        ),
        (
            "trailing white space",
            SENT.replace("Hello Bob,\r\n", "Hello Bob, \t\r\n"),
        ),
        (
            "white space on an empty line",
            SENT.replace("Bob,\r\n\r\n", "Bob,\r\n  \r\n"),
        ),
        ("empty lines at the end", format!("{SENT}\r\n\r\n \r\n")),
        ("no line end at the end", SENT.trim_end().to_owned()),
        (
            "fields in another order",
            SENT.replace("From: \"Ann B.  Ito\" <ann@example.org>\r\n", "")
                .replace(
                    "\r\n\r\nHello",
                    "\r\nFrom: \"Ann B.  Ito\" <ann@example.org>\r\n\r\nHello",
                ),
        ),
    ];
    for (what, text) in same {
        assert_ne!(text, SENT, "{what} changes something");
        assert_eq!(digest(&text), digest(SENT), "{what}");
    }
}

#[test]
fn another_letter() {
    let other = [
        ("a word", SENT.replace("see you", "see you not")),
        ("case", SENT.replace("Hello", "hello")),
        ("leading white space", SENT.replace("see", " see")),
        (
            "an empty line fewer",
            SENT.replace("Bob,\r\n\r\n", "Bob,\r\n"),
        ),
        (
            "an empty line in front",
            SENT.replace("\r\n\r\nHello", "\r\n\r\n\r\nHello"),
        ),
        ("subject", SENT.replace("Friday", "Monday")),
        ("date", SENT.replace("22:06", "22:07")),
        ("from", SENT.replace("ann@", "eve@")),
        ("to", SENT.replace("bob@", "eve@")),
        ("cc", SENT.replace("Cc: c@", "Cc: d@")),
        ("type", SENT.replace("text/plain", "text/html")),
        (
            "white space in a quoted string",
            SENT.replace("B.  Ito", "B. Ito"),
        ),
        (
            "the same name, unquoted",
            SENT.replace("\"Ann B.  Ito\"", "Ann B.  Ito"),
        ),
        (
            "where an answer goes",
            SENT.replace("MIME-Version", "Reply-To: ann@example.net\r\nMIME-Version"),
        ),
        (
            "where else an answer goes",
            SENT.replace("MIME-Version", "Reply-To: ann@example.com\r\nMIME-Version"),
        ),
        (
            "on whose behalf",
            SENT.replace("MIME-Version", "Sender: aide@example.org\r\nMIME-Version"),
        ),
        (
            "the name of a file",
            SENT.replace(
                "MIME-Version",
                "Content-Disposition: attachment; filename=\"a.txt\"\r\nMIME-Version",
            ),
        ),
        (
            "the name of another file",
            SENT.replace(
                "MIME-Version",
                "Content-Disposition: attachment; filename=\"a .txt\"\r\nMIME-Version",
            ),
        ),
        ("a second To", SENT.replace("Cc: c@", "To: d@")),
        (
            "a header line moved into the body",
            SENT.replace("Date: Sat, 21 Nov 2026 22:06:00 +0000\r\n", "")
                .replace(
                    "\r\n\r\nHello",
                    "\r\n\r\nDate: Sat, 21 Nov 2026 22:06:00 +0000\r\nHello",
                ),
        ),
        (
            "a reply",
            SENT.replace(
                "MIME-Version",
                "In-Reply-To: <0@example.org>\r\nMIME-Version",
            ),
        ),
        ("nothing", String::new()),
    ];
    let mut seen = vec![digest(SENT)];
    for (what, text) in other {
        let digest = digest(&text);
        assert!(!seen.contains(&digest), "{what}");
        seen.push(digest);
    }
    assert_ne!(
        content_digest(&[4; 32], SENT.as_bytes()),
        digest(SENT),
        "the key counts"
    );
    assert_ne!(digest("Subject: a\r\n\r\n"), digest("Subject: b\r\n\r\n"));
}

#[test]
fn long_lines_and_pieces() {
    let long = format!("Subject: s\r\n\r\n{}\r\nend\r\n", "x".repeat(50_000));
    assert_eq!(digest(&long), digest(&long.replace("\r\n", "\n")));
    assert_ne!(
        digest(&long),
        digest(&long.replace("xend", "yend").replacen('x', "y", 1))
    );
    let mut hasher = BlobHasher::new(&KEY);
    for piece in long.as_bytes().chunks(777) {
        hasher.update(piece);
    }
    assert_eq!(hasher.finish(), blob_id(&KEY, long.as_bytes()));
    assert_ne!(hasher.finish(), blob_id(&[4; 32], long.as_bytes()));
}

#[test]
fn letters_inside_letters() {
    let encoded = "RnJvbTogYUBiDQpTdWJqZWN0OiBpbm5lcg0KDQpoaQ0K"; // From: a@b, Subject: inner, hi
    let inner = "From: a@b\r\nSubject: inner\r\n\r\nhi\r\n";
    let carriers = [
        format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\
                 Content-Type: message/rfc822\r\n\r\n{inner}--b--\r\n"
        ),
        format!(
            "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n{inner}\r\n--b--\r\n"
        ),
        format!(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"
        ),
        format!(
            "Content-Type: application/octet-stream; name=mail.EML\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"
        ),
        // As clients write a name that is long or not ASCII (RFC 2231 3, RFC 2047).
        format!(
            "Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n \
                 filename*0=\"Re: the salaries of all departments in\";\r\n filename*1=\" 2027.eml\"\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"
        ),
        format!(
            "Content-Type: application/octet-stream; name=\"=?UTF-8?B?R2Vow6RsdGVyLmVtbA==?=\"\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"
        ),
        format!(
            "Content-Type: application/octet-stream; name*=utf-8''Geh%C3%A4lter%2Eeml\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"
        ),
    ];
    for carrier in carriers {
        let parsed = parse(carrier.as_bytes());
        let found = nested_digests(&KEY, &parsed, carrier.as_bytes());
        assert_eq!(found, [digest(inner)], "{carrier}");
    }
    assert!(nested_digests(&KEY, &parse(SENT.as_bytes()), SENT.as_bytes()).is_empty());
}

/// The fields in which quoted strings have a meaning.
const STRUCTURED: [&str; 7] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Content-Type",
    "Content-Disposition",
];

/// What a field's value is made of: words, and quoted strings as what stands between their spaces.
#[derive(Clone, Debug)]
enum Piece {
    Word(&'static str),
    Quoted(Vec<&'static str>),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let words = proptest::sample::select(vec!["a", "<b@c>", "(d)", ",", "\u{e9}", "=?utf-8?q?e?="]);
    let inner = proptest::sample::select(vec!["", "f", "g,h", "\\\"", "\\\\", "(i", "\u{e9}"]);
    let quoted = vec(inner, 1..4).prop_map(Piece::Quoted);
    vec(prop_oneof![words.prop_map(Piece::Word), quoted], 1..6)
}

/// How a relay may write one space: folded or not, by a space or a tab.
const FOLDS: [&str; 4] = [" ", "\t", "\r\n ", "\n\t"];

/// A letter with such a field, each space written in the next of these ways.
fn written(field: &str, pieces: &[Piece], folds: &[usize]) -> Vec<u8> {
    let mut folds = folds.iter().cycle().map(|fold| FOLDS[fold % FOLDS.len()]);
    let mut next = || folds.next().unwrap_or(" ");
    let mut value = String::new();
    for piece in pieces {
        // Between words a relay may write more of it than there was.
        value += next();
        value += next().trim_start_matches(['\r', '\n']);
        match piece {
            Piece::Word(word) => value += word,
            Piece::Quoted(inner) => {
                value.push('"');
                for (n, text) in inner.iter().enumerate() {
                    if n > 0 {
                        value += next();
                    }
                    value += text;
                }
                value.push('"');
            }
        }
    }
    format!("Subject: s\r\n{field}:{value}\r\n\r\ntext\r\n").into_bytes()
}

proptest! {
    #[test]
    fn however_a_relay_folds_it_is_the_same_letter(
        field in proptest::sample::select(&STRUCTURED[..]),
        pieces in pieces(),
        folds in vec(0_usize..4, 1..20),
    ) {
        let plain = content_digest(&KEY, &written(field, &pieces, &[0]));
        prop_assert_eq!(content_digest(&KEY, &written(field, &pieces, &folds)), plain);
    }

    #[test]
    fn each_space_in_a_quoted_string_counts(
        field in proptest::sample::select(&STRUCTURED[..]),
        pieces in pieces(),
        folds in vec(0_usize..4, 1..20),
        which in any::<proptest::sample::Index>(),
    ) {
        let quoted: Vec<usize> = (0..pieces.len())
            .filter(|n| matches!(pieces[*n], Piece::Quoted(_)))
            .collect();
        prop_assume!(!quoted.is_empty());
        let mut other = pieces.clone();
        if let Piece::Quoted(inner) = &mut other[quoted[which.index(quoted.len())]] {
            inner.push("");
        }
        let plain = content_digest(&KEY, &written(field, &pieces, &[0]));
        prop_assert_ne!(content_digest(&KEY, &written(field, &other, &folds)), plain);
    }

    /// Nobody writes the value of one field so that it passes for another, or for the body.
    #[test]
    fn different_words_are_different_letters(one in pieces(), other in pieces()) {
        let words = |pieces: &[Piece]| format!("{pieces:?}");
        prop_assume!(words(&one) != words(&other));
        let digest = |pieces: &[Piece]| content_digest(&KEY, &written("From", pieces, &[0]));
        prop_assert_ne!(digest(&one), digest(&other));
    }
}

#[test]
fn what_opens_and_is_never_closed_is_not_quoted() {
    let folded = ["a \"b  c", "a\r\n\t\"b \r\n c", "a \"b c "];
    let digests = folded.map(|value| digest(&format!("From: {value}\r\n\r\ntext")));
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
    // In a subject a mark has no meaning.
    let subjects = ["\"a  b\"", "\"a\r\n b\""];
    let digests = subjects.map(|value| digest(&format!("Subject: {value}\r\n\r\ntext")));
    assert_eq!(digests[0], digests[1]);
}
