//! The client: transcripts of `tests/client`, and messages sent through the client into the
//! server session of this crate.
//!
//! A case begins with `== title`. Its lines: `! policy required|opportunistic|never`;
//! `! from address`, `! to address`, `! body 8bitmime|binarymime`, `! smtputf8`, `! dsn` and
//! `! content text` (with `\r`, `\n`) make the message; `S: text` the server sends, each in a
//! read of its own, `A: lost`,
//! `A: timeout` and `A: tls-failed` are the shell's doings; `C: text` the client sends, `O: …` is
//! what became of a recipient, `X: …` how the session ended.
//!
//! With `UPDATE_TRANSCRIPTS=1` the files are rewritten with what really came; read the diff.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tern_base::{EmailAddress, Timestamp};
use tern_session::TlsFacts;
use tern_smtp::client::{
    Cause, Client, ClientSettings, ClientStep, End, Outcome, Outgoing, Reply, TlsPolicy,
};
use tern_smtp::testing::Rig;
use tern_smtp::{BodyType, Envelope, Notify, OriginalRecipient, Recipient, Ret, Role, Settings};

const NOW: Timestamp = Timestamp(1_795_298_760_000);

fn tls_facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".to_owned(),
        cipher: "x".to_owned(),
        sni: None,
    }
}

fn recipient(address: &str, dsn: bool) -> Recipient {
    Recipient {
        address: EmailAddress::parse(address).unwrap(),
        notify: dsn.then_some(Notify::On {
            success: true,
            failure: true,
            delay: false,
        }),
        orcpt: dsn.then(|| OriginalRecipient {
            kind: "rfc822".to_owned(),
            address: format!("a+b {address}"),
        }),
    }
}

fn message(lines: &[&str]) -> (Outgoing, TlsPolicy) {
    let mut envelope = Envelope::default();
    let mut policy = TlsPolicy::Opportunistic;
    let mut content = b"Subject: x\r\n\r\n.dot\r\n".to_vec();
    let dsn = lines.contains(&"! dsn");
    for line in lines.iter().filter_map(|line| line.strip_prefix("! ")) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("policy", "required") => policy = TlsPolicy::Required,
            ("policy", "never") => policy = TlsPolicy::Never,
            ("from", address) => envelope.mail_from = Some(EmailAddress::parse(address).unwrap()),
            ("to", address) => envelope.recipients.push(recipient(address, dsn)),
            ("many", n) => {
                let all = 0..n.parse().unwrap();
                envelope
                    .recipients
                    .extend(all.map(|i: u32| recipient(&format!("r{i}@b.example"), false)));
            }
            ("body", "8bitmime") => envelope.body = BodyType::EightBitMime,
            ("body", "binarymime") => envelope.body = BodyType::BinaryMime,
            ("smtputf8", _) => envelope.smtputf8 = true,
            ("dsn", _) => {
                (envelope.ret, envelope.envid) = (Some(Ret::Headers), Some("a=1".to_owned()))
            }
            ("content", text) => {
                content = text.replace("\\r", "\r").replace("\\n", "\n").into_bytes();
            }
            other => panic!("{other:?}"),
        }
    }
    if envelope.recipients.is_empty() {
        envelope.recipients.push(recipient("bob@b.example", dsn));
    }
    (
        Outgoing {
            envelope,
            content: Arc::new(content),
        },
        policy,
    )
}

fn show_cause(cause: &Cause) -> String {
    match cause {
        Cause::Reply(Reply { code, text }) => format!("{code} {}", text.replace('\n', " / ")),
        Cause::Together(reply) => format!("together {}", show_cause(&Cause::Reply(reply.clone()))),
        Cause::Ended(End::Refused(reply)) => {
            format!("ended {}", show_cause(&Cause::Reply(reply.clone())))
        }
        other => format!("{other:?}"),
    }
}

/// The message again, for those that were too many for one transaction.
fn surplus(sent: Option<&Outgoing>, outcomes: &[Outcome]) -> Option<Outgoing> {
    let mut left = sent?.clone();
    let mut outcomes = outcomes.iter();
    let recipients = &mut left.envelope.recipients;
    recipients.retain(|_| outcomes.next() == Some(&Outcome::Surplus));
    (!recipients.is_empty()).then_some(left)
}

/// Does what a shell does until the client waits; returns what came of it.
fn settle(
    client: &mut Client,
    (message, sent_last): (&mut Option<Outgoing>, &mut Option<Outgoing>),
    again: &mut u32,
) -> Vec<String> {
    let (mut sent, mut out) = (Vec::new(), Vec::new());
    loop {
        while client.has_output() {
            sent.extend(client.take_output());
        }
        match client.step(NOW) {
            ClientStep::Continue => {}
            ClientStep::Input | ClientStep::StartTls => break,
            ClientStep::Idle => match message.take() {
                Some(sending) => {
                    let taken = client.send(sending.clone(), NOW);
                    // What was said out of turn ends the session, and leaves the message.
                    *message = taken.is_err().then(|| sending.clone());
                    *sent_last = Some(sending);
                }
                None if *again == 0 => {
                    client.quit(NOW);
                    *again = 1;
                }
                None => break,
            },
            ClientStep::Sent(outcomes) => {
                *message = surplus(sent_last.as_ref(), &outcomes).filter(|_| client.takes_more());
                out.extend(outcomes.iter().map(|outcome| match outcome {
                    Outcome::Delivered(reply) => {
                        format!("O: delivered {} {}", reply.code, reply.text)
                    }
                    Outcome::Rejected(cause) => format!("O: rejected {}", show_cause(cause)),
                    Outcome::Deferred(cause) => format!("O: deferred {}", show_cause(cause)),
                    Outcome::NotBegun(reply) => {
                        format!("O: not begun {} {}", reply.code, reply.text)
                    }
                    Outcome::Unanswered(end) => format!("O: unanswered {end:?}"),
                    Outcome::Surplus => "O: surplus".to_owned(),
                }))
            }
            ClientStep::Close(end) => {
                out.push(format!("X: {end:?}"));
                break;
            }
        }
    }
    let text = String::from_utf8(sent).unwrap();
    assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
    let mut lines: Vec<String> = text.lines().map(|line| format!("C: {line}")).collect();
    lines.extend(out);
    lines
}

fn play(title: &str, lines: &[&str], size: usize) -> Vec<String> {
    let (outgoing, policy) = message(lines);
    let settings = ClientSettings {
        hostname: "a.example".to_owned(),
        ..ClientSettings::default()
    };
    let mut client = Client::new(Arc::new(settings), policy, None, NOW);
    let (mut message, mut last) = (Some(outgoing), None);
    let (mut again, mut out) = (0, Vec::new());
    let mut lines = lines.iter().copied().peekable();
    let expected = |line: &str| ["C: ", "O: ", "X: "].iter().any(|p| line.starts_with(p));
    let mut over = false;
    while lines.peek().is_some() {
        let mut sent: Vec<String> = Vec::new();
        let mut action = None;
        while let Some(line) = lines.next_if(|line| !expected(line) && !line.is_empty()) {
            out.push(line.to_owned());
            if let Some(text) = line.strip_prefix("S: ") {
                sent.push(text.replace("\\r\\n", "\r\n") + "\r\n");
            } else if let Some(word) = line.strip_prefix("A: ") {
                action = Some(word);
            } else {
                assert!(line.starts_with(['#', '!']), "{title}: {line}");
            }
        }
        let mut got = Vec::new();
        for piece in sent.iter().flat_map(|line| line.as_bytes().chunks(size)) {
            client.receive(piece);
            if !over {
                got.extend(settle(&mut client, (&mut message, &mut last), &mut again));
                over |= got.iter().any(|line| line.starts_with("X: "));
            }
        }
        match action {
            Some("lost") => client.connection_lost(),
            Some("timeout") => client.timed_out(),
            Some("tls-failed") => client.tls_failed(),
            Some("tls") => client.tls_started(tls_facts(), NOW),
            _ => {}
        }
        if action.is_some() && !over {
            got.extend(settle(&mut client, (&mut message, &mut last), &mut again));
            over |= got.iter().any(|line| line.starts_with("X: "));
        }
        out.extend(got);
        while lines.next_if(|line| expected(line)).is_some() {}
        while let Some(blank) = lines.next_if(|line| line.is_empty()) {
            out.push(blank.to_owned());
        }
    }
    out
}

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client");
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let (mut wrong, mut count) = (String::new(), 0);
    for entry in folder.read_dir().unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut parts = text.split("== ");
        let mut new = parts.next().unwrap().to_owned();
        for part in parts {
            count += 1;
            let (title, body) = part.split_once('\n').unwrap();
            let lines: Vec<&str> = body.lines().collect();
            let got = play(title, &lines, usize::MAX);
            assert_eq!(play(title, &lines, 1), got, "{title}: octet by octet");
            let _ = writeln!(new, "== {title}\n{}", got.join("\n"));
            if got != lines && !update {
                let _ = writeln!(wrong, "{title}\n  want {lines:#?}\n  got {got:#?}");
            }
        }
        if update {
            std::fs::write(&file, new).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 20, "only {count} cases found");
}

/// Sends `content` from the client to the server session; what arrived, trace header taken off.
fn through(content: &[u8], body: BodyType, size: usize) -> (Vec<Outcome>, Option<Vec<u8>>) {
    let settings = Settings {
        hostname: "b.example".to_owned(),
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, Role::Reception, false);
    let mut client = Client::new(
        Arc::new(ClientSettings::default()),
        TlsPolicy::Required,
        None,
        NOW,
    );
    let recipients = vec![
        recipient("alice@example.org", true),
        recipient("unknown@example.org", false),
    ];
    let mut message = Some(Outgoing {
        envelope: Envelope {
            recipients,
            body,
            mail_from: EmailAddress::parse("a@r.example").ok(),
            ..Envelope::default()
        },
        content: Arc::new(content.to_vec()),
    });
    let mut to_client = rig.settle();
    let mut outcomes = Vec::new();
    loop {
        for piece in std::mem::take(&mut to_client).chunks(size) {
            client.receive(piece);
        }
        match client.step(NOW) {
            ClientStep::StartTls => client.tls_started(tls_facts(), NOW),
            ClientStep::Idle => match message.take() {
                Some(message) => client.send(message, NOW).unwrap(),
                None => client.quit(NOW),
            },
            ClientStep::Sent(all) => outcomes = all,
            ClientStep::Close(_) => break,
            ClientStep::Continue | ClientStep::Input => {}
        }
        while client.has_output() {
            for piece in client.take_output().chunks(size) {
                to_client.extend(rig.feed(piece));
            }
        }
    }
    let trace_end =
        |content: &[u8]| content.windows(8).position(|w| w == b" +0000\r\n").unwrap() + 8;
    let arrived = rig.verbs.arrivals.pop();
    (
        outcomes,
        arrived.map(|a| a.content[trace_end(&a.content)..].to_vec()),
    )
}

/// What a text becomes on its way: bare LF to CRLF, bare CR to a space, a line end at its end.
fn canonical(content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(content.to_vec()).unwrap();
    let text = text
        .replace("\r\n", "\n")
        .replace('\r', " ")
        .replace('\n', "\r\n");
    let end = if text.is_empty() || text.ends_with("\r\n") {
        ""
    } else {
        "\r\n"
    };
    (text + end).into_bytes()
}

/// A session that has sent a message to one of two recipients, and what it is left with; `tail` is what
/// the server says behind the end of the data.
fn one_of_two(tail: &str) -> (Client, Outgoing) {
    let (outgoing, policy) = message(&["! to bob@b.example", "! to carol@b.example"]);
    let mut client = Client::new(Arc::new(ClientSettings::default()), policy, None, NOW);
    let (mut message, mut last, mut again) = (Some(outgoing), None, 1);
    for said in [
        "220 b.example\r\n",
        "250-b.example\r\n250 LIMITS RCPTMAX=1\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go on\r\n",
    ] {
        client.receive(said.as_bytes());
        settle(&mut client, (&mut message, &mut last), &mut again);
    }
    client.receive(tail.as_bytes());
    let outcomes = loop {
        match client.step(NOW) {
            ClientStep::Sent(outcomes) => break outcomes,
            ClientStep::Continue => {}
            step => panic!("{step:?}"),
        }
    };
    let left = surplus(last.as_ref(), &outcomes).expect("one is left");
    (client, left)
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_session_before_the_next_message() {
    let (mut client, left) = one_of_two("250 taken\r\n");
    assert!(client.takes_more());
    client.send(left, NOW).expect("idle");
    // As servers do that answer for each recipient.
    let (mut client, left) = one_of_two("250 taken\r\n250 taken\r\n");
    assert!(!client.takes_more());
    assert!(client.send(left, NOW).is_err());
    assert_eq!(client.step(NOW), ClientStep::Close(End::Protocol));
    assert!(!client.has_output(), "nothing was said");
}

#[test]
fn the_answer_to_the_whole_message_is_waited_for_from_its_end() {
    let settings = ClientSettings {
        min_content_rate: 1,
        ..ClientSettings::default()
    };
    let (outgoing, _) = message(&["! to bob@b.example"]);
    let mut client = Client::new(Arc::new(settings), TlsPolicy::Never, None, NOW);
    let (mut message, mut last, mut again) = (Some(outgoing), None, 1);
    for said in ["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n"] {
        client.receive(said.as_bytes());
        settle(&mut client, (&mut message, &mut last), &mut again);
        assert_eq!(client.written(NOW), None);
    }
    client.receive(b"354 x\r\n");
    assert_eq!(client.step(NOW), ClientStep::Continue);
    assert_eq!(client.written(NOW), None, "it is on its way");
    assert!(
        client.deadline() > NOW.plus_millis(600_000),
        "so long it may take"
    );
    while client.has_output() {
        client.take_output();
    }
    let out = NOW.plus_millis(5_000);
    assert_eq!(client.written(out), Some(out.plus_millis(600_000)));
    assert_eq!(client.deadline(), out.plus_millis(600_000));
}

/// A session that has said MAIL and RCPT of a message and was answered to the first.
fn in_the_envelope() -> Client {
    let (outgoing, _) = message(&["! to bob@b.example"]);
    let settings = Arc::new(ClientSettings::default());
    let mut client = Client::new(settings, TlsPolicy::Never, None, NOW);
    let (mut message, mut last, mut again) = (Some(outgoing), None, 1);
    for said in ["220 x\r\n", "250 x\r\n", "250 x\r\n"] {
        client.receive(said.as_bytes());
        settle(&mut client, (&mut message, &mut last), &mut again);
    }
    client
}

#[test]
fn whoever_quits_in_the_midst_of_a_message_says_no_more_of_it() {
    let mut client = in_the_envelope();
    client.quit(NOW);
    client.receive(b"250 x\r\n354 go on\r\n250 taken\r\n");
    let cut_off = Outcome::Deferred(Cause::Ended(End::Quit));
    assert_eq!(client.step(NOW), ClientStep::Sent(vec![cut_off]));
    assert_eq!(client.step(NOW), ClientStep::Close(End::Quit));
    assert!(!client.has_output(), "no RCPT, DATA or content");
}

#[test]
fn a_trickled_reply_does_not_move_the_deadline() {
    let mut client = in_the_envelope();
    assert_eq!(client.deadline(), NOW.plus_millis(300_000));
    let later = NOW.plus_millis(200_000);
    for piece in ["250-x", "\r\n", "250-y\r\n", "25"] {
        client.receive(piece.as_bytes());
        assert_eq!(client.step(later), ClientStep::Input);
        assert_eq!(client.deadline(), NOW.plus_millis(300_000), "{piece:?}");
    }
    client.receive(b"0 z\r\n");
    assert_eq!(client.step(later), ClientStep::Continue);
    assert_eq!(client.deadline(), later.plus_millis(300_000), "a reply");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn content_arrives_as_sent(
        parts in vec(prop::sample::select(vec![".", "..", "\r\n", "\r\n.", "\r\n.\r\n", "\n", "\r", "a", "some text"]), 0..40),
        size in 1usize..200,
    ) {
        let content = parts.concat().into_bytes();
        let (outcomes, arrived) = through(&content, BodyType::SevenBit, size);
        prop_assert!(matches!(outcomes.as_slice(), [Outcome::Delivered(_), Outcome::Rejected(_)]), "{:?}", outcomes);
        prop_assert_eq!(arrived, Some(canonical(&content)));
    }

    #[test]
    fn binary_content_arrives_untouched(content in vec(any::<u8>(), 0..300), size in 1usize..200) {
        let (_, arrived) = through(&content, BodyType::BinaryMime, size);
        prop_assert_eq!(arrived, Some(content));
    }

    #[test]
    fn any_replies(data in vec(prop_oneof![
        3 => prop::sample::select(vec!["220 x\r\n", "250 x\r\n", "250-PIPELINING\r\n", "250-x\r\n250-SIZE\r\n250 STARTTLS\r\n", "354 x\r\n", "421 x\r\n", "451 4.0.0 x\r\n", "550 x\r\n"]).prop_map(|s| s.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..20),
    ], 0..30)) {
        let (outgoing, policy) = message(&["! to a@b.example", "! to c@b.example"]);
        let mut client = Client::new(Arc::new(ClientSettings::default()), policy, None, NOW);
        let (mut message, mut last, mut again) = (Some(outgoing), None, 0);
        let mut outcomes = 0;
        for piece in data {
            client.receive(&piece);
            outcomes += settle(&mut client, (&mut message, &mut last), &mut again).iter().filter(|l| l.starts_with("O: ")).count();
        }
        client.connection_lost();
        outcomes += settle(&mut client, (&mut message, &mut last), &mut again).iter().filter(|l| l.starts_with("O: ")).count();
        // Every recipient of a message that was sent has one outcome.
        prop_assert_eq!(outcomes, if message.is_some() { 0 } else { 2 });
    }
}
