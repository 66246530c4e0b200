//! Every row of `data/commands.txt`: the octets of a command, and what we make of it.
//!
//! A row is `> ` and a command (`u> ` where UTF-8 is enabled) with `\r`, `\n` and `\xNN` as
//! escapes (any other backslash is one), and below it `= ` and the parsed command or `! ` and the reason of the refusal. With
//! `UPDATE_DATA=1` the second lines are written anew; read the difference before committing it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bytes::Bytes;
use tern_imap::frame::{Frame, Framer};
use tern_imap::limits::FrameLimits;
use tern_imap::parse::parse;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/commands.txt");

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b'x') => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
            }
            Some(other) => out.extend([b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    out
}

/// The frames of one command that arrives in pieces of `chunk` octets.
fn frames(input: &[u8], chunk: usize) -> Vec<Frame> {
    let mut framer = Framer::new(FrameLimits::authenticated(1 << 20));
    let mut out = Vec::new();
    for piece in input.chunks(chunk) {
        framer.receive(piece);
        while let Some(frame) = framer.next_frame() {
            out.push(frame);
        }
    }
    out
}

fn command(input: &[u8]) -> Bytes {
    let whole = frames(input, usize::MAX);
    for chunk in [1, 2, 3, 7] {
        assert_eq!(frames(input, chunk), whole, "{}", input.escape_ascii());
    }
    let mut commands = whole.into_iter().filter(|frame| *frame != Frame::Continue);
    match (commands.next(), commands.next()) {
        (Some(Frame::Command(bytes)), None) => bytes,
        other => panic!("not one command: {other:?} of {}", input.escape_ascii()),
    }
}

fn answer(input: &str, utf8: bool) -> String {
    let mut octets = unescape(input);
    octets.extend_from_slice(b"\r\n");
    match parse(&command(&octets), utf8) {
        Ok(command) => format!("= {:?}", command.body),
        Err(error) => format!("! {}", error.reason),
    }
}

#[test]
fn every_row() {
    let data = std::fs::read_to_string(PATH).unwrap();
    let update = std::env::var_os("UPDATE_DATA").is_some();
    let (mut rows, mut out, mut wrong) = (0, String::new(), Vec::new());
    let mut lines = data.lines().peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let (input, utf8) = match (line.strip_prefix("> "), line.strip_prefix("u> ")) {
            (Some(input), _) => (input, false),
            (_, Some(input)) => (input, true),
            _ => continue,
        };
        let got = answer(input, utf8);
        let expect = lines
            .next_if(|next| next.starts_with(['=', '!']))
            .unwrap_or_default();
        if got != expect {
            wrong.push(format!("{line}\n  expected {expect}\n  got      {got}"));
        }
        out.push_str(&got);
        out.push('\n');
        rows += 1;
    }
    if update {
        std::fs::write(PATH, out).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 200, "{rows} rows");
}

#[test]
fn secrets_are_kept_but_not_shown() {
    use tern_imap::command::CommandBody;
    let parsed = parse(&Bytes::from_static(b"a LOGIN me \"hunter\\\"2\""), false).unwrap();
    assert!(!format!("{parsed:?}").contains("hunter"));
    let CommandBody::Login { password, .. } = parsed.body else {
        panic!()
    };
    assert_eq!(password.0, "hunter\"2");
    let parsed = parse(&Bytes::from_static(b"a AUTHENTICATE PLAIN AGEAYg=="), false).unwrap();
    let CommandBody::Authenticate { initial, .. } = parsed.body else {
        panic!()
    };
    assert_eq!(initial.unwrap().0, b"\0a\0b");
}

#[test]
fn refusals_carry_the_tag() {
    let error = parse(&Bytes::from_static(b"a1 FROB"), false).unwrap_err();
    assert_eq!(error.tag.unwrap().as_str(), "a1");
    for garbage in ["", " ", "NOOP", "+ NOOP", "a(b NOOP", "* OK", "\u{e9} NOOP"] {
        let error = parse(&Bytes::copy_from_slice(garbage.as_bytes()), false).unwrap_err();
        assert_eq!(error.tag, None, "{garbage}");
    }
}

#[test]
fn bounds_are_refused_not_followed() {
    let check = |text: String, reason: &str| {
        let error = parse(&Bytes::from(text), false).unwrap_err();
        assert_eq!(error.reason.to_string(), reason);
    };
    let too_many = "Too many items, or nested too deep";
    check(
        format!("a SEARCH {}ALL{}", "(".repeat(70), ")".repeat(70)),
        too_many,
    );
    check(format!("a SEARCH {}ALL", "NOT ".repeat(70)), too_many);
    check(
        format!("a SEARCH {}ALL ALL", "OR ALL ".repeat(60_000)),
        too_many,
    );
    check(format!("a SEARCH {}", "OR ".repeat(20_000)), too_many);
    check(format!("a SEARCH {}", "ALL ".repeat(5_000)), too_many);
    check(format!("a FETCH {}1 FLAGS", "1,".repeat(20_000)), too_many);
    check(format!("a FETCH 1 ({})", "UID ".repeat(2_000)), too_many);
    check(format!("a FETCH 1 BODY[{}1]", "1.".repeat(100)), too_many);
    check(format!("a STORE 1 FLAGS {}", "b ".repeat(2_000)), too_many);
    check(
        format!("a STORE 1 FLAGS {}", "b".repeat(300)),
        "Invalid flag",
    );
    check(
        format!("a SELECT {}", "b".repeat(2_000)),
        "Invalid mailbox name: modified UTF-7 (RFC 3501 5.1.3) expected",
    );
    check(format!("a ID ({})", "\"a\" NIL ".repeat(40)), too_many);
    let texts = "Too many texts in one search";
    check(format!("a SEARCH {}", "TEXT x ".repeat(129)), texts);
    check(format!("a SEARCH {}ALL", "OR BODY x ".repeat(129)), texts);
    check(
        format!("a SEARCH {}ALL", "NOT FROM x ".repeat(1_025)),
        texts,
    );
    check(
        format!("a SORT (DATE) UTF-8 {}", "HEADER A x ".repeat(1_025)),
        texts,
    );
    // Long chains that clients send are fine.
    for chain in ["OR TEXT x ".repeat(128), "OR FROM x ".repeat(500)] {
        let chain = format!("a SEARCH {chain}SEEN DRAFT");
        assert!(parse(&Bytes::from(chain), false).is_ok());
    }
}
