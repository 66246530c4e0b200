//! Deadlines, back-pressure, memory and what events may tell: what a transcript can't show.

#![allow(clippy::unwrap_used)]

use tern_base::Timestamp;
use tern_session::{Ending, Protocol as _};
use tern_smtp::limits::MAX_BUFFERED_INPUT;
use tern_smtp::testing::Rig;
use tern_smtp::{Event, Limit, Role, Settings};

const TO_DATA: &[u8] =
    b"HELO c\r\nMAIL FROM:<b@r.example>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n";

fn rig() -> Rig {
    Rig::new(Settings::default(), Role::Reception, false)
}

fn after(rig: &Rig, start: Timestamp) -> u64 {
    rig.session.deadline().millis_since(start) / 1_000
}

#[test]
fn a_trickled_command_does_not_move_the_deadline() {
    let mut rig = rig();
    let start = rig.now;
    assert_eq!(after(&rig, start), 300);
    rig.now = start.plus_millis(200_000);
    rig.feed(b"NO");
    assert_eq!(after(&rig, start), 300, "half a command");
    rig.feed(b"OP\r\n");
    assert_eq!(after(&rig, start), 500, "a command");
}

#[test]
fn content_must_keep_coming_and_not_too_slowly() {
    let mut rig = rig();
    rig.feed(TO_DATA);
    let start = rig.now;
    assert_eq!(after(&rig, start), 180);
    rig.now = start.plus_millis(100_000);
    rig.feed(&[b'x'; 100_000]);
    assert_eq!(after(&rig, start), 280, "the next piece in 180 seconds");
    rig.now = start.plus_millis(270_000);
    rig.feed(b"x");
    assert_eq!(
        after(&rig, start),
        380,
        "100,001 octets at 500 a second, and 180 seconds"
    );
    rig.now = start.plus_millis(380_000);
    rig.session.end(Ending::TimedOut);
    assert_eq!(rig.settle(), b"421 4.4.2 Timeout, closing\r\n");
    assert!(rig.closed());
    assert!(rig.events.contains(&Event::LimitHit(Limit::Time)));
}

#[test]
fn a_message_in_chunks_is_held_for_its_whole_time_and_no_longer() {
    let settings = Settings {
        message_timeout_secs: 600,
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, Role::Reception, false);
    rig.feed(b"EHLO c\r\nMAIL FROM:<b@r.example>\r\nRCPT TO:<alice@example.org>\r\n");
    let start = rig.now;
    rig.feed(b"BDAT 3\r\nabc");
    assert_eq!(after(&rig, start), 300, "the next command");
    for seconds in [200, 400, 500] {
        rig.now = start.plus_millis(seconds * 1_000);
        assert_eq!(rig.feed(b"NOOP\r\n"), b"250 2.0.0 OK\r\n");
        assert_eq!(after(&rig, start), (seconds + 300).min(600));
    }
    rig.feed(b"BDAT 3\r\nc");
    assert_eq!(after(&rig, start), 600, "in the middle of a chunk");
    assert!(rig.verbs.reserved() > 0);
    rig.session.end(Ending::TimedOut);
    assert_eq!(rig.settle(), b"421 4.4.2 Timeout, closing\r\n");
    assert_eq!(rig.verbs.reserved(), 0);
}

#[test]
fn a_message_that_is_over_bounds_nothing_any_more() {
    let mut rig = rig();
    rig.feed(TO_DATA);
    let start = rig.now;
    rig.now = start.plus_millis(1_700_000);
    rig.feed(b"\r\n.\r\n");
    assert_eq!(after(&rig, start), 2_000);
}

#[test]
fn a_shell_that_ignores_back_pressure_is_cut_off() {
    let mut rig = rig();
    let noops = b"NOOP\r\n".repeat(20_000);
    assert!(rig.session.wants_input());
    rig.session.receive(&noops, rig.now);
    assert!(!rig.session.wants_input());
    for _ in 0..MAX_BUFFERED_INPUT / noops.len() + 1 {
        rig.session.receive(&noops, rig.now);
    }
    let output = rig.settle();
    assert!(
        output.ends_with(b"421 4.7.0 Too much input before its replies were read, closing\r\n")
    );
    assert!(rig.closed());
}

#[test]
fn memory_follows_the_content_and_is_given_back() {
    let mut rig = rig();
    rig.feed(TO_DATA);
    let mut most = 0;
    for sent in 1..=64_u64 {
        assert!(rig.session.wants_input());
        rig.feed(&[b'x'; 10_000]);
        let reserved = rig.verbs.reserved();
        assert!(
            reserved >= sent * 10_000 && reserved <= sent * 20_000 + 65_536,
            "{reserved}"
        );
        most = most.max(reserved);
    }
    assert_eq!(most, 1 << 20);
    rig.feed(b"\r\n.\r\n");
    assert_eq!(rig.verbs.arrivals.len(), 1);
    assert_eq!(rig.verbs.reserved(), 0, "after the message");
    rig.feed(TO_DATA);
    assert_eq!(rig.verbs.reserved(), 65_536);
    let Rig { session, verbs, .. } = rig;
    drop(session);
    assert_eq!(verbs.reserved(), 0, "after a lost connection");
}

#[test]
fn a_refused_message_holds_no_memory_while_it_is_drained() {
    let settings = Settings {
        max_message_size: 10_000,
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, Role::Reception, false);
    rig.feed(TO_DATA);
    rig.feed(&[b'x'; 10_001]);
    assert_eq!(rig.verbs.reserved(), 0);
    assert_eq!(rig.feed(b"\r\n.\r\n"), b"552 5.3.4 Message too large\r\n");
}

#[test]
fn events_hold_no_password_and_no_content() {
    let mut rig = Rig::new(Settings::default(), Role::Submission, true);
    // alice/secret, alice/wrong-secret
    rig.feed(b"EHLO c\r\nAUTH PLAIN AGFsaWNlAHdyb25nLXNlY3JldA==\r\n");
    rig.feed(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<alice@example.org>\r\n");
    rig.feed(b"RCPT TO:<bob@example.org>\r\nDATA\r\nX-Secret: secret\r\n\r\nsecret\r\n.\r\n");
    assert_eq!(rig.verbs.arrivals.len(), 1);
    let shown = format!("{:?}", rig.events);
    assert!(shown.contains("AuthenticationFailed") && shown.contains("MessageAccepted"));
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn whoever_brings_no_mail_is_sent_away() {
    let mut rig = rig();
    rig.feed(b"HELO c\r\n");
    let round = "MAIL FROM:<b@r.example>\r\nRCPT TO:<alice@example.org>\r\nRSET\r\nNOOP\r\n";
    let said = rig.feed(round.repeat(33).as_bytes());
    assert!(!rig.closed(), "{}", String::from_utf8_lossy(&said));
    // A message shows what they are here for.
    rig.feed(TO_DATA);
    assert!(rig.feed(b"Subject: x\r\n\r\n.\r\n").starts_with(b"250 "));
    rig.feed(round.repeat(33).as_bytes());
    assert!(!rig.closed());
    let said = rig.feed(round.repeat(10).as_bytes());
    assert!(rig.closed());
    assert!(said.ends_with(b"421 4.7.0 Too many errors, closing\r\n"));
    assert!(rig.events.contains(&Event::LimitHit(Limit::Errors)));
}

#[test]
fn whoever_asks_for_the_same_recipient_without_end_is_sent_away() {
    for who in ["full", "later", "ratelimited"] {
        let mut rig = rig();
        rig.feed(b"HELO c\r\nMAIL FROM:<b@r.example>\r\n");
        let again = format!("RCPT TO:<{who}@example.org>\r\n");
        rig.feed(again.repeat(90).as_bytes());
        assert!(!rig.closed(), "{who}: many may be full");
        let said = rig.feed(again.repeat(40).as_bytes());
        assert!(rig.closed(), "{who}");
        assert!(said.ends_with(b"421 4.7.0 Too many errors, closing\r\n"));
    }
}

#[test]
fn whoever_goes_on_without_an_effect_is_sent_away_and_is_told_of_once() {
    let one = "RCPT TO:<r0@example.org>\r\n";
    let most: String = (0..100)
        .map(|n| format!("RCPT TO:<r{n}@example.org>\r\n"))
        .collect();
    let begun = format!("{one}BDAT 1\r\nx");
    for (before, again, endured, told) in [
        (one, one, 1_000, 0),
        (&*most, "RCPT TO:<more@example.org>\r\n", 1_000, 1),
        (&*begun, "BDAT 0\r\n", 0, 0),
    ] {
        let mut rig = rig();
        rig.feed(b"EHLO c\r\nMAIL FROM:<>\r\n");
        rig.feed(before.as_bytes());
        for _ in 0..endured + 90 {
            rig.feed(again.as_bytes());
        }
        assert!(!rig.closed(), "{again}");
        for _ in 0..40 {
            rig.feed(again.as_bytes());
        }
        assert!(rig.closed(), "{again}");
        let events = rig.events.iter();
        let hits = events.filter(|it| **it == Event::LimitHit(Limit::Recipients));
        assert_eq!(hits.count(), told, "{again}");
    }
    // Nor does memory that there is none of keep anybody.
    let mut rig = rig();
    rig.feed(b"EHLO c\r\nMAIL FROM:<b@r.example>\r\nRCPT TO:<alice@example.org>\r\n");
    rig.verbs.memory = tern_session::Budget::new(0);
    rig.feed(b"DATA\r\n".repeat(90).as_slice());
    assert!(!rig.closed());
    rig.feed(b"DATA\r\n".repeat(40).as_slice());
    assert!(rig.closed());
}

#[test]
fn a_recipient_named_again_is_one_and_a_long_envelope_takes_memory() {
    let mut rig = rig();
    rig.feed(b"EHLO c\r\nMAIL FROM:<b@r.example>\r\n");
    let rcpt = |name: &str| {
        let original = "x".repeat(400);
        format!("RCPT TO:<{name}@example.org> ORCPT=rfc822;{original}\r\n")
    };
    for _ in 0..500 {
        assert_eq!(rig.feed(rcpt("alice").as_bytes()), b"250 2.1.5 OK\r\n");
    }
    assert_eq!(rig.verbs.reserved(), 0);
    for n in 0..500 {
        assert_eq!(
            rig.feed(rcpt(&format!("r{n}")).as_bytes()),
            b"250 2.1.5 OK\r\n"
        );
    }
    let reserved = rig.verbs.reserved();
    assert!((256 << 10..1 << 20).contains(&reserved), "{reserved}");
    rig.feed(b"DATA\r\n");
    assert!(
        rig.verbs.reserved() > reserved,
        "while the content comes, too"
    );
    rig.feed(b"Subject: x\r\n\r\n.\r\n");
    assert_eq!(rig.verbs.reserved(), 0);
    assert_eq!(rig.verbs.arrivals[0].envelope.recipients.len(), 501);
    // And without memory there is no room for more.
    rig.verbs.memory = tern_session::Budget::new(0);
    rig.feed(b"MAIL FROM:<b@r.example>\r\n");
    let refused = (0..500).map(|n| rig.feed(rcpt(&format!("r{n}")).as_bytes()));
    let refused: Vec<_> = refused
        .filter(|said| said.starts_with(b"452 4.3.1"))
        .collect();
    assert!(refused.len() > 300, "{}", refused.len());
}
