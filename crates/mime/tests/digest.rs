//! Which messages are the same letter, and which are not.

use tern_mime::{BlobHasher, blob_id, content_digest, nested_digests, parse};

const KEY: [u8; 32] = [3; 32];

const SENT: &str = "From: Ann <ann@example.org>\r\nTo: Bob <bob@example.com>\r\nCc: c@example.com\r\n\
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
            SENT.replace("From: Ann <ann@example.org>\r\n", "").replace(
                "\r\n\r\nHello",
                "\r\nFrom: Ann <ann@example.org>\r\n\r\nHello",
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
    ];
    for carrier in carriers {
        let parsed = parse(carrier.as_bytes());
        let found = nested_digests(&KEY, &parsed, carrier.as_bytes());
        assert_eq!(found, [digest(inner)], "{carrier}");
    }
    assert!(nested_digests(&KEY, &parse(SENT.as_bytes()), SENT.as_bytes()).is_empty());
}
