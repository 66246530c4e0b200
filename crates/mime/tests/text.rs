//! What people read of a message: tables of input and answer.

mod common;

use std::borrow::Cow;
use std::convert::Infallible;

use tern_mime::{
    PartKind, base_subject, decode_header_text, decode_part, decode_whole_header_text,
    decoded_text, decoded_text_of, decoded_text_weight, header_fields, header_value,
    is_reply_or_forward, message_ids, parse, part_text, prepend_headers, remove_headers,
    shown_header_text,
};

#[test]
fn of_a_whole_value_no_encoded_control_is_told() {
    // RFC 8621 4.1.2.2.
    let raw = b" =?UTF-8?Q?a=00b=07c=0Ad=C2=85?=";
    assert_eq!(decode_whole_header_text(raw), "abcd");
    // What stands there without being encoded stays, but for NUL.
    assert_eq!(
        decode_whole_header_text(b" =?utf-8?q?a=0Ab?= c\td\0"),
        "ab c\td"
    );
}

#[test]
fn base_subjects() {
    // RFC 5256 2.1.
    for (subject, base) in [
        ("plan", "plan"),
        ("", ""),
        ("Re: plan", "plan"),
        ("RE:plan", "plan"),
        ("re : plan", "plan"),
        ("Re[2]: plan", "plan"),
        ("Re [a] [b]: plan", "Re [a] [b]: plan"),
        ("Fwd: Re: FW: plan", "plan"),
        ("plan (fwd)", "plan"),
        ("Re: plan (fwd) (FWD) ", "plan"),
        ("[team] plan", "plan"),
        ("[team] Re: [x] plan", "plan"),
        ("[team]", "[team]"),
        ("[a] [b]", "[b]"),
        ("[fwd: plan]", "plan"),
        ("[Fwd: Re: [fwd: plan (fwd)]]", "plan"),
        ("a \t  b\r\n c", "a b c"),
        ("Request: plan", "Request: plan"),
        ("Reply", "Reply"),
        ("Re:", ""),
        ("[unclosed Re: plan", "[unclosed Re: plan"),
        ("Caf\u{e9} Re: x", "Caf\u{e9} Re: x"),
    ] {
        assert_eq!(base_subject(subject), base, "{subject:?}");
    }
}

#[test]
fn replies_and_forwards() {
    // RFC 5256 3, THREAD=REFERENCES step 5: a list tag alone does not make a reply.
    for (subject, expect) in [
        ("plan", false),
        ("[team] plan", false),
        ("Reply", false),
        ("Re: plan", true),
        ("[team] Fwd: plan", true),
        ("plan (fwd)", true),
        ("[fwd: plan]", true),
        ("", false),
    ] {
        assert_eq!(is_reply_or_forward(subject), expect, "{subject:?}");
    }
}

#[test]
fn header_text() {
    for (raw, text) in [
        (&b" plain "[..], "plain"),
        (b"=?utf-8?Q?caf=C3=A9?= au lait", "caf\u{e9} au lait"),
        (b"=?UTF-8?B?w6k=?= =?utf-8?B?w6k=?=", "\u{e9}\u{e9}"),
        (b"=?iso-8859-1?Q?a_b=E9?=", "a b\u{e9}"),
        (b"=?utf-8?B?w6k=?=\r\n =?utf-8?B?w6k=?=\r\n", "\u{e9}\u{e9}"),
        (b"a\r\n b", "a b"),
        (b"caf\xc3\xa9", "caf\u{e9}"),
        (b"=?broken", "=?broken"),
        (b"=?iso-2022-jp?B?GyRCJCIbKEI=?=", "\u{3042}"),
        (b"", ""),
    ] {
        assert_eq!(
            decode_header_text(raw),
            text,
            "{:?}",
            String::from_utf8_lossy(raw)
        );
    }
}

#[test]
fn what_is_shown_of_a_header_is_one_line_that_no_terminal_obeys() {
    for (raw, shown) in [
        (
            &b"=?utf-8?Q?caf=C3=A9=0Abob=40example.org:_done?="[..],
            "caf\u{e9} bob@example.org: done",
        ),
        (b"a \x1b]0;title\x07 b", "a  ]0;title  b"),
        ("pay \u{202e}txt.exe\u{2069}".as_bytes(), "pay  txt.exe "),
        (b"plain words", "plain words"),
    ] {
        assert_eq!(shown_header_text(raw), shown);
    }
}

#[test]
fn previews_and_searchable_text() {
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; \
        boundary=c\r\n\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>Rich &amp; <b>bold</b></p>\r\n--c\r\n\
        Content-Type: text/plain\r\n\r\nPlain\r\n--c--\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: =?utf-8?Q?inn=C3=A9r?=\r\n\r\nDeep\r\n--b--\r\n";
    for (message, preview, found) in [
        (
            "Subject: s\r\n\r\nHello\r\n  world\r\n",
            "Hello world",
            "Hello",
        ),
        (
            "Content-Type: text/html\r\n\r\n<style>p{}</style><p>Hi<br>there</p>",
            "Hi there",
            "there",
        ),
        (
            "Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n",
            "Hello",
            "Hello",
        ),
        (
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\
          \r\n\r\ncaf=E9=\r\n s\r\n",
            "caf\u{e9} s",
            "caf\u{e9} s",
        ),
        ("Content-Type: image/png\r\n\r\nxxxx", "", ""),
        ("\r\n", "", ""),
        (mixed, "Plain", "Rich & bold"),
        (mixed, "Plain", "inn\u{e9}r"),
        (mixed, "Plain", "Deep"),
    ] {
        let parsed = common::check(message.as_bytes());
        assert_eq!(parsed.preview, preview);
        let text = decoded_text(&parsed.body, message.as_bytes(), 10_000);
        assert!(text.contains(found), "{found:?} in {text:?}");
    }
    let long = format!("\r\n{}", "\u{e9} ".repeat(1000));
    assert_eq!(parse(long.as_bytes()).preview.chars().count(), 255);
}

#[test]
fn decoded_sizes_are_those_of_what_is_decoded() {
    // Of the first part, and of the first part within it.
    for (header, body, size, inside) in [
        (
            "Content-Transfer-Encoding: base64",
            "SGVs\r\nbG8=\r\n",
            5,
            None,
        ),
        (
            "Content-Transfer-Encoding: quoted-printable",
            "a=3Db=\r\nc",
            4,
            None,
        ),
        ("Content-Transfer-Encoding: 8bit", "a=3Db", 5, None),
        ("Content-Transfer-Encoding: x-uuencode", "begin", 5, None),
        ("Subject: s", "", 0, None),
        (
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64",
            "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--",
            57,
            Some(5),
        ),
        (
            "Content-Type: message/rfc822",
            "Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=",
            45,
            Some(5),
        ),
        // What is within an encoded message is not decoded once more.
        (
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable",
            "X: =41\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8h",
            51,
            Some(8),
        ),
    ] {
        let message = format!("{header}\r\n\r\n{body}");
        let parsed = common::check(message.as_bytes());
        assert_eq!(parsed.body.decoded_size, size, "{message}");
        let first = parsed.body.children().first();
        assert_eq!(first.map(|part| part.decoded_size), inside, "{message}");
    }
}

#[test]
fn decoded_parts() {
    for (encoding, body, decoded) in [
        ("7bit", "a=3D", Some("a=3D")),
        ("BASE64", "SGVs\r\nbG8=", Some("Hello")),
        ("quoted-printable", "a=3Db=\r\nc", Some("a=bc")),
        ("x-uuencode", "begin", None),
    ] {
        let message = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n{body}");
        let parsed = parse(message.as_bytes());
        let answer = decode_part(&parsed.body, message.as_bytes());
        assert_eq!(answer.as_deref(), decoded.map(str::as_bytes), "{encoding}");
        if let Some(decoded) = decoded {
            assert_eq!(part_text(&parsed.body, message.as_bytes()), decoded);
        }
    }
}

#[test]
fn attachments_as_people_mean_them() {
    for (header, attached) in [
        ("Content-Type: text/plain", false),
        (
            "Content-Type: text/plain\r\nContent-Disposition: attachment",
            true,
        ),
        ("Content-Type: text/plain; name=a.txt", true),
        ("Content-Type: application/pdf", true),
        (
            "Content-Type: image/png\r\nContent-Disposition: inline",
            false,
        ),
        ("Content-Type: application/pgp-signature; name=s.asc", false),
        ("Content-Type: message/delivery-status", false),
        ("Content-Type: message/rfc822", true),
        ("Content-Type: text/calendar", true),
    ] {
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n{header}\r\n\r\nx\r\n--b--"
        );
        assert_eq!(
            parse(message.as_bytes()).has_attachment,
            attached,
            "{header}"
        );
    }
    let related = b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
        hi\r\n--b\r\nContent-Type: image/png; name=a.png\r\nContent-ID: <a>\r\n\r\nx\r\n--b--";
    assert!(!parse(related).has_attachment);
    let alone = b"Content-Type: text/plain; name=a.txt\r\n\r\nhi";
    assert!(!parse(alone).has_attachment, "it is the text");
}

#[test]
fn fields_asked_for_by_name() {
    let header = b"A: 1\r\nB: 2\r\n two\r\na : 3\r\nno colon\r\n\r\n";
    for (names, not, answer) in [
        (&["a"][..], false, "A: 1\r\na : 3\r\n\r\n"),
        (&["B", "x"], false, "B: 2\r\n two\r\n\r\n"),
        (&["a"], true, "B: 2\r\n two\r\nno colon\r\n\r\n"),
        (&[], false, "\r\n"),
        (&[""], false, "\r\n"),
        (
            &[],
            true,
            "A: 1\r\nB: 2\r\n two\r\na : 3\r\nno colon\r\n\r\n",
        ),
    ] {
        assert_eq!(
            String::from_utf8_lossy(&header_fields(header, names, not)),
            answer,
            "{names:?}"
        );
    }
    assert_eq!(header_value(header, "b").as_deref(), Some(&b"2 two"[..]));
    assert_eq!(header_value(header, "A").as_deref(), Some(&b"3"[..]));
    assert_eq!(
        header_value(b"Fr om: x\r\n:From: y\r\n\r\nFrom: z", "From"),
        None
    );
}

#[test]
fn fields_of_a_header_without_end() {
    let most = tern_mime::limits::MAX_HEADER_BYTES;
    let mut header = b"A: 1\r\n".repeat(most / 6 - 1);
    header.extend_from_slice(b"B: 2\r\n");
    header.extend_from_slice(b"B: 3 and more\r\nC: 4\r\n\r\n");
    let names: Vec<String> = (0..1_000).map(|n| format!("X{n}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend(["b", "c", "B", "b", ""]);
    let found = header_fields(&header, &names, false);
    assert_eq!(
        String::from_utf8_lossy(&found),
        "B: 2\r\n\r\n",
        "what begins within, and ends behind the limit, is not cut"
    );
    let others = header_fields(&header, &names, true);
    assert_eq!(others.len(), 6 * (most / 6 - 1) + 2);
}

#[test]
fn ids() {
    for (raw, ids) in [
        ("<a@b>", &["a@b"][..]),
        ("<a@b> (c) <d@e>", &["a@b", "d@e"]),
        ("<a @\r\n b>", &["a@b"]),
        ("<a <b@c>", &["b@c"]),
        ("<> none", &[]),
        ("<unclosed", &[]),
    ] {
        assert_eq!(
            message_ids(raw.as_bytes()).collect::<Vec<_>>(),
            ids,
            "{raw}"
        );
    }
    let id = |value: &str| parse(format!("Message-ID: {value}\r\n\r\n").as_bytes()).message_id;
    assert_eq!(id("<a@b>").as_deref(), Some("a@b"));
    assert_eq!(id("bare@b").as_deref(), Some("bare@b"));
    assert_eq!(id(""), None);
}

#[test]
fn ancestors() {
    let check = |fields: &str, expect: &[&str]| {
        let parsed = parse(format!("{fields}\r\n\r\n").as_bytes());
        assert_eq!(parsed.ancestors(), expect, "{fields}");
    };
    check("References: <a@x> <b@x>", &["a@x", "b@x"]);
    check(
        "References: <a@x>\r\nIn-Reply-To: <b@x>\r\nSupersedes: <c@x>",
        &["a@x"],
    );
    check("In-Reply-To: <a@x> <b@x>", &["a@x"]);
    check("References: none\r\nIn-Reply-To: <a@x>", &["a@x"]);
    check("Supersedes: <a@x>", &[]);
    check("In-Reply-To: my letter", &[]);
    // Where too many are named, the first and the newest of them are left.
    let many: String = (0..40).map(|number| format!("<{number}@x> ")).collect();
    let kept: Vec<String> = std::iter::once(0)
        .chain(9..40)
        .map(|n| format!("{n}@x"))
        .collect();
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    check(&format!("References: {many}"), &kept);
    let less: Vec<&str> = kept
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 1)
        .map(|(_, id)| *id)
        .collect();
    check(&format!("References: {many}\r\nIn-Reply-To: <b@x>"), &less);
    check(
        &format!("References: <a@x>\r\nIn-Reply-To: {many}"),
        &["a@x"],
    );
}

#[test]
fn dates() {
    for (date, secs) in [
        ("Sat, 21 Nov 2026 22:06:00 +0000", Some(1_795_298_760)),
        ("21 Nov 2026 23:06:00 +0100 (CET)", Some(1_795_298_760)),
        ("Sat, 21 Nov 2026 22:06 GMT", Some(1_795_298_760)),
        // RFC 5256 2.2
        ("Sat, 21 Nov 2026 22:06:00", Some(1_795_298_760)),
        ("Sat, 21 Nov 2026 22:06", Some(1_795_298_760)),
        ("21 Nov 2026 22:06:00 nowhere", Some(1_795_298_760)),
        ("Sat, 21 Nov 2026", Some(1_795_219_200)),
        ("Sat, 21 Nov 2026 noon", Some(1_795_219_200)),
        ("Sat, 21 Nov 2026 31:06:00 +0100", Some(1_795_219_200)),
        ("Thu, 1 Jan 1960", None),
        ("November 2026", None),
        ("yesterday", None),
        ("Thu, 1 Jan 1960 00:00:00 +0000", None),
    ] {
        let parsed = parse(format!("Date: {date}\r\n\r\n").as_bytes());
        assert_eq!(
            parsed.sent_at.map(tern_base::Timestamp::as_secs),
            secs,
            "{date}"
        );
    }
}

#[test]
fn headers_taken_out_and_put_in_front() {
    let message = b"Bcc: a@b,\r\n c@d\r\nTo: e@f\r\nBCC: g@h\r\n\r\nBcc: in the body\r\n";
    assert_eq!(
        remove_headers(message, &["bcc"]),
        b"To: e@f\r\n\r\nBcc: in the body\r\n"
    );
    assert_eq!(remove_headers(message, &["x"]), message);
    assert_eq!(
        prepend_headers(
            b"To: a\r\n\r\n",
            &[("Message-ID", "<1@x>"), ("X-Y", "a\r\nBcc: b\r\n c")]
        ),
        b"Message-ID: <1@x>\r\nX-Y: aBcc: b\r\n c\r\nTo: a\r\n\r\n"
    );
}

#[test]
fn a_message_inside_has_its_own_envelope() {
    let parsed = parse(b"Content-Type: message/global\r\n\r\nSubject: in\r\n\r\nx");
    let PartKind::Message { envelope, body } = &parsed.body.kind else {
        panic!("a message")
    };
    assert_eq!(envelope.subject.as_deref(), Some(&b"in"[..]));
    assert_eq!(body.size(), 1);
}

#[test]
fn a_text_of_which_little_is_wanted_is_read_and_decoded_in_part() {
    const LIMIT: usize = 10_000;
    let octets = "\u{fffd}\u{fffd}".len();
    for (header, piece, raw_most, said) in [
        ("Content-Type: text/plain", &b"abcd"[..], LIMIT, "abcd"),
        // Octets that are no UTF-8 take three each, as characters.
        (
            "Content-Type: text/plain; charset=utf-8",
            b"\xff\xff",
            LIMIT,
            "\u{fffd}\u{fffd}",
        ),
        (
            "Content-Type: text/plain; charset=utf-16le",
            b"a\0b\0",
            2 * LIMIT,
            "ab",
        ),
        (
            "Content-Transfer-Encoding: quoted-printable",
            b"=41=42=\r\n",
            3 * LIMIT,
            "AB",
        ),
        (
            "Content-Transfer-Encoding: base64",
            b"QUJD",
            LIMIT + LIMIT / 2,
            "ABC",
        ),
        ("Content-Type: text/html", b"<b>xy</b> ", 8 * LIMIT, "xy"),
    ] {
        let mut message = format!("{header}\r\n\r\n").into_bytes();
        message.extend(piece.repeat(200_000));
        let parsed = parse(&message);
        let mut read = 0;
        let text: Result<String, Infallible> = decoded_text_of(&parsed.body, LIMIT, |range| {
            read += range.len();
            Ok(Cow::Borrowed(
                &message[range.start as usize..range.end as usize],
            ))
        });
        let Ok(text) = text;
        assert!(text.starts_with(said), "{header}");
        assert!(
            text.len() <= LIMIT && text.len() + octets > LIMIT / 8,
            "{header}: {}",
            text.len()
        );
        assert!(read <= raw_most, "{header}: {read}");
        let weight = decoded_text_weight(&parsed.body, LIMIT);
        assert!(
            (read as u64..=64 * LIMIT as u64).contains(&weight),
            "{header}: {weight}"
        );
    }
    let attached = format!(
        "Content-Type: application/pdf\r\n\r\n{}",
        "x".repeat(1_000_000)
    );
    assert_eq!(
        decoded_text_weight(&parse(attached.as_bytes()).body, LIMIT),
        0
    );
}
