//! Taking one attachment out of a message: which one is meant, and that everything else stays.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use tern_mime::{
    Attachment, NoAttachment, Part, PartKind, find_attachment, parse, part_text, section,
    without_attachment,
};

const NOTE: &str = "An attachment, \"Übersicht.pdf\", was taken back by its sender.";

fn message(content_type: &str, body: &str) -> Vec<u8> {
    let head = "From: a@example.org\nSubject: s\nX-Kept: yes\nMIME-Version: 1.0\n";
    common::crlf(format!("{head}{content_type}\n\n{body}").as_bytes())
}

fn mixed(parts: &[&str]) -> Vec<u8> {
    let parts: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
    message(
        "Content-Type: multipart/mixed; boundary=b",
        &format!("Preamble.\n{parts}--b--\nEpilogue.\n"),
    )
}

const TEXT: &str = "Content-Type: text/plain\n\nWords.";
const PDF: &str = "Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n\
                   JVBERi0x";

fn found(bytes: &[u8], wanted: &str) -> Result<Attachment, NoAttachment> {
    find_attachment(&parse(bytes), bytes, wanted)
}

/// The message without one attachment, after it was looked at that all else has stayed.
fn without(bytes: &[u8], wanted: &str) -> Vec<u8> {
    let before = parse(bytes);
    let attachment = find_attachment(&before, bytes, wanted).unwrap();
    let out = without_attachment(&before, bytes, &attachment.number, NOTE).unwrap();
    let after = parse(&out);
    let path = path(&attachment.number);
    let note = section(&after, &path).unwrap().part;
    assert!(note.is_type("text", "plain"), "{attachment:?}");
    assert_eq!(part_text(note, &out).trim_end(), NOTE);
    assert_eq!(before.envelope, after.envelope);
    compare((&before.body, bytes), (&after.body, &out), note);
    let position = usize::from(attachment.position);
    assert_eq!(
        all(&before.body)[position].body,
        section(&before, &path).unwrap().whole
    );
    assert_eq!(all(&after.body)[position].body, note.body);
    out
}

fn path(number: &str) -> Vec<u32> {
    number.split('.').map(|n| n.parse().unwrap()).collect()
}

fn all(part: &Part) -> Vec<&Part> {
    let children = part.children().iter().flat_map(all);
    std::iter::once(part).chain(children).collect()
}

/// Whether every part but one is what it was.
fn compare(before: (&Part, &[u8]), after: (&Part, &[u8]), note: &Part) {
    if std::ptr::eq(after.0, note) {
        return;
    }
    let header = |(part, bytes): (&Part, &[u8])| {
        bytes[part.header.start as usize..part.header.end as usize].to_vec()
    };
    assert_eq!(header(before), header(after));
    let children = (before.0.children(), after.0.children());
    assert_eq!(children.0.len(), children.1.len());
    for (one, other) in children.0.iter().zip(children.1) {
        compare((one, before.1), (other, after.1), note);
    }
    if children.0.is_empty() {
        let body = |(part, bytes): (&Part, &[u8])| {
            bytes[part.body.start as usize..part.body.end as usize].to_vec()
        };
        assert_eq!(body(before), body(after));
    }
}

#[test]
fn it_is_named_by_its_number_or_by_the_one_name() {
    let bytes = mixed(&[
        TEXT,
        PDF,
        "Content-Type: text/plain\nContent-Disposition: attachment; filename=\"2\"\n\nx",
        "Content-Type: text/csv\nContent-Disposition: attachment;\n \
         filename*0*=utf-8''%C3%9Cber; filename*1=\"sicht.csv\"\n\n1,2",
        "Content-Type: image/png; name=\"=?utf-8?q?gr=C3=BCn=2Epng?=\"\n\nx",
        "Content-Type: image/png; name=twice\n\nx",
        "Content-Type: image/png; name=twice\n\nx",
    ]);
    let number = |wanted| found(&bytes, wanted).map(|found| found.number);
    let at = |number: &str| Ok(number.to_owned());
    assert_eq!(number("2"), at("2"), "the number before the name");
    assert_eq!(number("a.pdf"), at("2"));
    assert_eq!(number("Übersicht.csv"), at("4"));
    assert_eq!(number("grün.png"), at("5"));
    for wrong in ["twice", "1", "8", "2.1", "0", "", "none.pdf"] {
        assert_eq!(number(wrong), Err(NoAttachment::NotThere), "{wrong}");
    }
    let pdf = found(&bytes, "a.pdf").unwrap();
    assert_eq!(
        (pdf.position, pdf.media_type.as_str()),
        (2, "application/pdf")
    );
    assert_eq!(pdf.name.as_deref(), Some("a.pdf"));
}

#[test]
fn everything_else_stays_wherever_it_stands() {
    let whole = mixed(&[TEXT, PDF, "Content-Type: image/png\n\nx", TEXT]);
    let out = without(&whole, "2");
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains("JVBERi0x") && !out.contains("a.pdf"));
    assert!(out.contains("Preamble.") && out.ends_with("--b--\r\nEpilogue.\r\n"));
    without(&whole, "3");
    // One after the other, each has the number that it had.
    let both = without(out.as_bytes(), "3");
    assert_eq!(both, without(&without(&whole, "3"), "2"));
    // The last part of a message that was cut off, with and without a line end.
    for cut in ["--b--", "\r\n--b--"] {
        let whole = String::from_utf8(mixed(&[TEXT, PDF])).unwrap();
        let end = whole.find(cut).unwrap();
        without(&whole.as_bytes()[..end], "a.pdf");
    }
    // An empty body, and a header that the boundary follows.
    without(&mixed(&["Content-Type: image/png\n", TEXT]), "1");
    without(&mixed(&["Content-Type: image/png", TEXT]), "1");
}

#[test]
fn a_message_that_is_all_attachment_keeps_its_header() {
    let fields = "Content-Type: application/pdf\nContent-Transfer-Encoding: base64\nX-Last: 1";
    let out = without(&message(fields, "JVBERi0x\n"), "1");
    let out = String::from_utf8(out).unwrap();
    for kept in [
        "From: a@example.org",
        "X-Kept: yes",
        "X-Last: 1",
        "Subject: s",
    ] {
        assert!(out.contains(kept), "{kept}");
    }
    assert!(!out.contains("base64") && !out.contains("JVBERi0x"));
}

#[test]
fn it_is_found_in_multiparts_and_in_messages_inside() {
    let inner = "Content-Type: multipart/related; boundary=c\n\n--c\nContent-Type: text/html\n\n\
                 <p>\n--c\nContent-Type: image/png; name=p.png\n\nx\n--c--";
    let bytes = mixed(&[inner, PDF]);
    assert_eq!(found(&bytes, "p.png").unwrap().number, "1.2");
    without(&bytes, "p.png");
    let carried = format!(
        "Content-Type: message/rfc822\n\nFrom: b@example.org\n\
         Content-Type: multipart/mixed; boundary=d\n\n--d\n{TEXT}\n--d\n{PDF}\n--d--"
    );
    let bytes = mixed(&[TEXT, &carried, "Content-Type: image/png; name=p.png\n\nx"]);
    assert_eq!(found(&bytes, "a.pdf").unwrap().number, "2.2");
    without(&bytes, "a.pdf");
    assert_eq!(found(&bytes, "p.png").unwrap().position, 6);
    let before = parse(&bytes);
    let out = without_attachment(&before, &bytes, "2", NOTE).unwrap();
    assert!(!String::from_utf8_lossy(&out).contains("JVBERi0x"));
    let single = mixed(&["Content-Type: message/rfc822\n\nContent-Type: image/png\n\nx"]);
    assert_eq!(found(&single, "1.1").unwrap().media_type, "image/png");
    without(&single, "1.1");
}

#[test]
fn what_is_signed_or_encrypted_is_left_alone() {
    let signed = format!(
        "Content-Type: multipart/signed; boundary=c; protocol=\"application/pkcs7-signature\"\n\n\
         --c\nContent-Type: multipart/mixed; boundary=d\n\n--d\n{TEXT}\n--d\n{PDF}\n--d--\n\
         --c\nContent-Type: application/pkcs7-signature; name=smime.p7s\n\nx\n--c--"
    );
    let bytes = mixed(&[&signed, "Content-Type: image/png; name=p.png\n\nx"]);
    for wanted in ["a.pdf", "1.1.2", "smime.p7s", "1.2"] {
        assert_eq!(
            found(&bytes, wanted),
            Err(NoAttachment::Protected),
            "{wanted}"
        );
    }
    without(&bytes, "p.png");
    let opaque = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m";
    assert_eq!(
        found(&message(opaque, "x\n"), "1"),
        Err(NoAttachment::Protected)
    );
    let pgp = "Content-Type: multipart/encrypted; boundary=c\n\n--c\n\
               Content-Type: application/pgp-encrypted\n\nVersion: 1\n--c\n\
               Content-Type: application/octet-stream; name=e.asc\n\nx\n--c--";
    assert_eq!(
        found(&mixed(&[TEXT, pgp]), "e.asc"),
        Err(NoAttachment::Protected)
    );
}

#[test]
fn in_every_message_of_the_corpus_all_else_stays() {
    let mut taken = 0;
    for (file, bytes) in common::corpus() {
        let before = parse(&bytes);
        let mut numbers = Vec::new();
        collect(&before.body, "", &mut numbers);
        for number in numbers {
            match find_attachment(&before, &bytes, &number) {
                Ok(attachment) if attachment.number == number => {
                    without(&bytes, &number);
                    taken += 1;
                }
                Ok(other) => panic!("{file}: {number} is {other:?}"),
                Err(_) => {}
            }
        }
    }
    assert!(taken > 30, "{taken}");
}

/// The number of every part of the message that is no multipart.
fn collect(part: &Part, number: &str, out: &mut Vec<String>) {
    let below = |n: usize| match number {
        "" => n.to_string(),
        number => format!("{number}.{n}"),
    };
    match &part.kind {
        PartKind::Multipart { parts } => {
            for (n, child) in (1..).zip(parts) {
                match child.kind {
                    PartKind::Multipart { .. } => collect(child, &below(n), out),
                    _ => leaf(child, below(n), out),
                }
            }
        }
        _ => leaf(part, below(1), out),
    }
}

fn leaf(part: &Part, number: String, out: &mut Vec<String>) {
    if let PartKind::Message { body, .. } = &part.kind {
        collect(body, &number, out);
    }
    out.push(number);
}
