//! Any octets to an SMTP session, reception or submission, cut anywhere.
//!
//! The first octet is that of `tern_smtp::testing::fuzz_input`, which asserts whole replies and
//! memory given back. Promised besides: replies do not depend on the cut.

use tern_smtp::testing::{Rig, fuzz_input};
use tern_smtp::{BareNewline, Role, Settings};

pub(crate) fn run(data: &[u8]) {
    fuzz_input(data);
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    // What follows STARTTLS in one read is plaintext behind it, and ends the session.
    let starttls = rest
        .windows(8)
        .any(|word| word.eq_ignore_ascii_case(b"STARTTLS"));
    if !starttls {
        let size = usize::from(choice >> 4) * 7 + 1;
        assert_eq!(
            replies(choice, rest, size),
            replies(choice, rest, usize::MAX)
        );
    }
}

fn replies(choice: u8, input: &[u8], size: usize) -> (String, usize) {
    let role = match choice & 1 {
        0 => Role::Reception,
        _ => Role::Submission,
    };
    let settings = Settings {
        max_message_size: 4_096,
        max_errors: 1_000,
        submission_requires_tls: false,
        auth_without_tls: true,
        bare_newline: match choice & 4 {
            0 => BareNewline::Reject,
            _ => BareNewline::Normalise,
        },
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, role, choice & 8 != 0);
    let mut output = rig.settle();
    for piece in input.chunks(size) {
        output.extend(rig.feed(piece));
    }
    let output = String::from_utf8_lossy(&output).into_owned();
    (output, rig.verbs.arrivals.len())
}
