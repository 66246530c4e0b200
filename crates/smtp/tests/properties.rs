//! What holds for every input: no panic, only whole reply lines, and the same replies however the
//! input is cut.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use tern_smtp::testing::{Rig, fuzz_input, is_reply_lines};
use tern_smtp::{BareNewline, Role, Settings};

/// Lines that get far into the session; STARTTLS is left out, for what follows it in one read is
/// refused by design.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "EHLO client.example\r\n",
        "HELO client.example\r\n",
        "MAIL FROM:<bob@remote.example>\r\n",
        "MAIL FROM:<alice@example.org> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x+2B\r\n",
        "MAIL FROM:<> BODY=BINARYMIME SMTPUTF8\r\n",
        "RCPT TO:<alice@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b\r\n",
        "RCPT TO:<unknown@example.org>\r\n",
        "RCPT TO:<Postmaster>\r\n",
        "RCPT TO:<\"a>b\"@example.org>\r\n",
        "DATA\r\n",
        "BDAT 5\r\n",
        "BDAT 0 LAST\r\n",
        "BDAT 30 LAST\r\n",
        "Subject: x\r\n\r\n",
        "Received: x\r\n",
        "..\r\n",
        ".\r\n",
        "\r\n.\r\n",
        "\n.\r\n",
        "a\rb\r\n",
        "\r",
        "\n",
        "\0",
        "RSET\r\n",
        "NOOP x\r\n",
        "VRFY alice\r\n",
        "HELP\r\n",
        "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
        "AUTH LOGIN\r\n",
        "YWxpY2U=\r\n",
        "c2VjcmV0\r\n",
        "*\r\n",
        "QUIT\r\n",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
        1 => (0usize..3_000).prop_map(|n| vec![b'x'; n]),
    ]
}

/// Everything that came of `input` in pieces of the given sizes.
fn run(choice: u8, input: &[u8], sizes: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let role = if choice & 1 == 0 {
        Role::Reception
    } else {
        Role::Submission
    };
    let settings = Settings {
        max_message_size: 2_000,
        bare_newline: if choice & 2 == 0 {
            BareNewline::Reject
        } else {
            BareNewline::Normalise
        },
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, role, true);
    let (mut output, mut rest, mut sizes) = (rig.settle(), input, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).min(rest.len());
        let (piece, after) = rest.split_at(size);
        output.extend(rig.feed(piece));
        rest = after;
    }
    (
        output,
        rig.verbs
            .arrivals
            .into_iter()
            .map(|arrival| arrival.content)
            .collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_octets(data in vec(any::<u8>(), 0..600)) {
        fuzz_input(&data);
    }

    #[test]
    fn any_session(choice in any::<u8>(), lines in vec(line(), 0..30)) {
        let mut data = vec![choice];
        data.extend(lines.concat());
        fuzz_input(&data);
    }

    #[test]
    fn replies_do_not_depend_on_the_cut(
        choice in any::<u8>(),
        lines in vec(line(), 0..30),
        sizes in vec(1usize..300, 1..20),
    ) {
        let input = lines.concat();
        let whole = run(choice, &input, &[usize::MAX]);
        prop_assert!(is_reply_lines(&whole.0));
        prop_assert_eq!(&run(choice, &input, &[1]), &whole);
        prop_assert_eq!(&run(choice, &input, &sizes), &whole);
    }
}
