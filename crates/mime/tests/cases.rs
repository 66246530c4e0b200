//! Small messages, each for one question, with the ENVELOPE and BODYSTRUCTURE they must give.
//!
//! `cases.txt` holds four lines for each: the question, the message (`\n` is CRLF, `\xNN` a byte),
//! ENVELOPE, BODYSTRUCTURE. The answers are Dovecot 2.3.19's; where the question ends in
//! `(not as Dovecot: ...)` they are ours, for that reason.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next().unwrap() {
            b'n' => out.extend_from_slice(b"\r\n"),
            b't' => out.push(b'\t'),
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
            }
            other => out.push(other),
        }
    }
    out
}

#[test]
fn every_case() {
    let lines: Vec<&str> = include_str!("cases.txt").lines().collect();
    let mut wrong = 0;
    for four in lines.chunks(4) {
        let [question, message, envelope, structure] = four else {
            panic!("four lines a case")
        };
        let parsed = common::check(&unescape(message));
        let ours = (
            common::envelope(&parsed.envelope),
            common::structure(&parsed.body),
        );
        if ours != ((*envelope).to_owned(), (*structure).to_owned()) {
            wrong += 1;
            println!("--- {question}");
            for (want, have) in [(envelope, &ours.0), (structure, &ours.1)] {
                if want != have {
                    println!("want {want}\nhave {have}");
                }
            }
        }
    }
    assert_eq!(wrong, 0);
    assert!(lines.len() > 4 * 100, "the table is there");
}
