//! Messages built to hurt: the limits hold, the bytes stay reachable, the time stays linear (a
//! quadratic walk over these sizes would take minutes).

mod common;

use common::check;
use tern_mime::limits::{MAX_ADDRESSES, MAX_NESTING, MAX_PARTS};
use tern_mime::{Part, PartKind, content_digest, decoded_text, nested_digests, parse};

fn count(part: &Part) -> usize {
    1 + part.children().iter().map(count).sum::<usize>()
}

fn depth(part: &Part) -> usize {
    1 + part.children().iter().map(depth).max().unwrap_or(0)
}

#[test]
fn parts_beyond_the_limit_belong_to_the_last() {
    for parts in [MAX_PARTS - 1, MAX_PARTS * 10] {
        let mut bytes = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
        bytes.extend(b"--b\r\n\r\nx\r\n".repeat(parts));
        bytes.extend_from_slice(b"--b--\r\n");
        let parsed = check(&bytes);
        assert!(count(&parsed.body) <= MAX_PARTS);
        assert_eq!(count(&parsed.body), MAX_PARTS.min(parts + 1));
    }
}

#[test]
fn nesting_stops_at_the_limit() {
    let mut bytes = Vec::new();
    for level in 0..10_000 {
        let head =
            format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        bytes.extend_from_slice(head.as_bytes());
    }
    assert_eq!(depth(&check(&bytes).body), MAX_NESTING);
    let bytes = b"Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    let parsed = check(&bytes);
    assert_eq!(depth(&parsed.body), MAX_NESTING);
    assert!(nested_digests(&[0; 32], &parsed, &bytes).len() < MAX_NESTING);
    // The same boundary at every level: the innermost is meant.
    let bytes = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(10_000);
    assert_eq!(depth(&check(&bytes).body), MAX_NESTING);
}

#[test]
fn boundaries_that_almost_match() {
    let mut bytes =
        b"Content-Type: multipart/mixed; boundary=bbbbbbbbbbbbbbbbbbbbbbbb\r\n\r\n".to_vec();
    bytes.extend(b"--bbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(100_000));
    bytes.extend(b"\n--".repeat(300_000));
    assert_eq!(count(&check(&bytes).body), 2);
}

#[test]
fn huge_headers() {
    let mut one = b"Subject: ".to_vec();
    one.extend(b"a ".repeat(500_000));
    let mut folded = b"Subject: x".to_vec();
    folded.extend(b"\r\n y".repeat(250_000));
    let mut fields = Vec::new();
    fields.extend(b"X: y\r\n".repeat(200_000));
    fields.extend_from_slice(b"Subject: late\r\n");
    let nameless = b"no colon here\r\n".repeat(70_000);
    let mut addresses = b"To: ".to_vec();
    addresses.extend(b"a@b,".repeat(250_000));
    let mut comments = b"To: ".to_vec();
    comments.extend(b"(".repeat(1_000_000));
    let mut quotes = b"From: ".to_vec();
    quotes.extend(b"\"\\".repeat(500_000));
    let mut angles = b"From: ".to_vec();
    angles.extend(b"<".repeat(1_000_000));
    let mut routes = b"From: ".to_vec();
    routes.extend(b"<@".repeat(500_000));
    let mut domains = b"From: a@".to_vec();
    domains.extend(b"(x)".repeat(300_000));
    let mut params = b"Content-Type: text/plain".to_vec();
    params.extend(b"; a=b".repeat(200_000));
    let mut params_broken = b"Content-Type: text/plain".to_vec();
    params_broken.extend(b"; a ; \"".repeat(200_000));
    let mut references = b"References: ".to_vec();
    references.extend((0..60_000).flat_map(|i| format!("<{i}@x> ").into_bytes()));
    let mut words = b"Subject: ".to_vec();
    words.extend(b"=?utf-8?Q?a?= ".repeat(70_000));
    let mut tags = b"Subject: ".to_vec();
    tags.extend(b"[a] ".repeat(250_000));
    for header in [
        one,
        folded,
        fields,
        nameless,
        addresses,
        comments,
        quotes,
        angles,
        routes,
        domains,
        params,
        params_broken,
        references,
        words,
        tags,
    ] {
        let mut bytes = header;
        bytes.extend_from_slice(b"\r\n\r\nbody\r\n");
        let parsed = check(&bytes);
        assert_eq!(parsed.preview, "body");
        assert!(
            parsed
                .envelope
                .to
                .as_ref()
                .is_none_or(|to| to.len() <= MAX_ADDRESSES)
        );
        content_digest(&[0; 32], &bytes);
    }
}

#[test]
fn thread_ids_keep_the_root_and_the_newest() {
    let ids: String = (0..100).map(|i| format!("<{i}@x>\r\n ")).collect();
    let parsed = parse(format!("References: {ids}\r\nIn-Reply-To: <last@x>\r\n\r\n").as_bytes());
    assert_eq!(parsed.thread_ids.len(), 32);
    assert_eq!(parsed.thread_ids[0], "0@x");
    assert_eq!(parsed.thread_ids[30], "99@x");
    assert_eq!(parsed.thread_ids[31], "last@x");
}

#[test]
fn html_and_text_of_many_megabytes() {
    let mut bytes = b"Content-Type: text/html\r\n\r\n".to_vec();
    bytes.extend(b"<div><b>x".repeat(300_000));
    let parsed = check(&bytes);
    assert!(decoded_text(&parsed.body, &bytes, 1 << 20).len() <= 1 << 20);
    let mut bytes = b"Content-Type: text/html\r\n\r\n<style>".to_vec();
    bytes.extend(b"<!-- ".repeat(300_000));
    check(&bytes);
}

#[test]
fn messages_inside_encoded_messages() {
    let inner = b"Subject: inner\r\nFrom: a@b\r\n\r\nhello\r\n".to_vec();
    let wrap = |inner: &[u8]| {
        let quoted: String = inner
            .iter()
            .map(|byte| match byte {
                b'=' => "=3D".to_owned(),
                _ => char::from(*byte).to_string(),
            })
            .collect();
        [
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
            quoted.as_bytes(),
        ]
        .concat()
    };
    let key = [7; 32];
    let once = wrap(&inner);
    let parsed = check(&once);
    assert_eq!(
        nested_digests(&key, &parsed, &once),
        [content_digest(&key, &inner)]
    );
    let mut deep = inner.clone();
    for _ in 0..20 {
        deep = wrap(&deep);
    }
    let digests = nested_digests(&key, &check(&deep), &deep);
    assert!((1..=6).contains(&digests.len()), "{}", digests.len());
}

#[test]
fn a_multipart_without_parts_has_one_empty_text() {
    for bytes in [
        &b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno boundary here\r\n"[..],
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b",
    ] {
        let parsed = check(bytes);
        let PartKind::Multipart { parts } = &parsed.body.kind else {
            panic!("a multipart")
        };
        assert_eq!(parts.len(), 1);
        assert_eq!(
            common::structure(&parts[0]),
            r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#
        );
    }
}
