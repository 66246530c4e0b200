//! Transcripts of whole sessions: `data/session/*.txt`.
//!
//! `C: ` is a line from the client (CRLF is added), `S: ` a line that the server must send next,
//! `! ` something that happens: `plain` or `tls` (how the connection begins), `started` (the TLS
//! handshake is done), `accept`, `refuse`, `throttle`, `unavailable` (the answer to credentials,
//! after their check), `timeout`, `shutdown`, `close` (the session must be closed). Every
//! transcript runs twice: each client line whole, and octet by octet.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::sync::Arc;

use tern_base::{AccountId, SeededEntropy, Timestamp};
use tern_imap::session::{Peer, TlsFacts, Verbs, Verified};
use tern_imap::settings::Settings;
use tern_imap::{Session, Step};
use tern_mailbox::{Mailboxes, NoListener};
use tern_store::MemEngine;

const NOW: Timestamp = Timestamp(1_795_298_760_000);

fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_128_GCM_SHA256".into(),
        sni: None,
    }
}

struct Run {
    session: Session,
    mailboxes: Mailboxes,
    entropy: SeededEntropy,
    output: Vec<u8>,
    verifying: Option<String>,
    closed: bool,
}

impl Run {
    fn new(tls: bool) -> Self {
        let peer = Peer {
            ip: [192, 0, 2, 1].into(),
            tls: tls.then(facts),
        };
        let session = Session::new(Arc::new(Settings::default()), peer, NOW);
        let mut run = Self {
            session,
            mailboxes: Mailboxes::open(Arc::new(MemEngine::new()), [1; 32], Arc::new(NoListener))
                .unwrap(),
            entropy: SeededEntropy::new(1),
            output: Vec::new(),
            verifying: None,
            closed: false,
        };
        run.drive();
        run
    }

    fn drive(&mut self) {
        loop {
            let step = self.session.step(
                &Verbs {
                    mailboxes: &self.mailboxes,
                },
                NOW,
                &mut self.entropy,
            );
            self.output.extend(self.session.take_output());
            match step {
                Step::Continue => {}
                Step::Verify(credentials) => {
                    let act_as = credentials.act_as.as_deref().unwrap_or("-");
                    let password = credentials.password.as_str();
                    self.verifying = Some(format!("{act_as} {} {password}", credentials.login));
                    return;
                }
                Step::Close => {
                    self.closed = true;
                    return;
                }
                Step::Input | Step::StartTls => return,
            }
        }
    }

    fn event(&mut self, event: &str) {
        let (name, argument) = event.split_once(' ').unwrap_or((event, ""));
        let outcome = match name {
            "started" => return self.session.tls_started(facts()),
            "timeout" => {
                self.session.timed_out();
                return self.drive();
            }
            "shutdown" => {
                self.session.shutdown();
                return self.drive();
            }
            "close" => return assert!(self.closed, "still open"),
            "accept" => Verified::Accepted {
                account: AccountId(1),
                login: "bob".into(),
            },
            "refuse" => Verified::Refused,
            "throttle" => Verified::Throttled,
            "unavailable" => Verified::Unavailable,
            other => panic!("what is {other}?"),
        };
        assert_eq!(
            self.verifying.take().as_deref(),
            Some(argument),
            "credentials"
        );
        self.session.verified(outcome, NOW);
        self.drive();
    }

    fn expect(&mut self, line: &str) {
        let end = self.output.iter().position(|byte| *byte == b'\n');
        let end = end.unwrap_or_else(|| panic!("nothing sent, expected {line}")) + 1;
        let sent: Vec<u8> = self.output.drain(..end).collect();
        assert_eq!(String::from_utf8_lossy(&sent), format!("{line}\r\n"));
    }
}

fn transcript(text: &str, chunk: usize) {
    let mut run: Option<Run> = None;
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("C: ") {
            let run = run.as_mut().unwrap();
            assert!(
                run.output.is_empty(),
                "before {line}: {}",
                run.output.escape_ascii()
            );
            let octets = format!("{}\r\n", line.replace("\\r\\n", "\r\n"));
            for piece in octets.as_bytes().chunks(chunk) {
                run.session.receive(piece, NOW);
                if run.session.wants_work() {
                    run.drive();
                }
            }
        } else if let Some(line) = line.strip_prefix("S: ") {
            run.as_mut().unwrap().expect(line);
        } else if let Some(event) = line.strip_prefix("! ") {
            match event {
                "plain" | "tls" => {
                    if let Some(done) = run.take() {
                        assert!(done.output.is_empty(), "{}", done.output.escape_ascii());
                    }
                    run = Some(Run::new(event == "tls"));
                }
                event => run.as_mut().unwrap().event(event),
            }
        }
    }
    let rest = run.unwrap().output;
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

#[test]
fn transcripts() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/session");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        transcript(&text, usize::MAX);
        transcript(&text, 1);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn plaintext_behind_starttls_is_never_executed() {
    let mut run = Run::new(false);
    run.output.clear();
    run.session.receive(b"a STARTTLS\r\nb LOGIN x y\r\n", NOW);
    run.drive();
    assert_eq!(run.output, b"* BYE Plaintext behind STARTTLS\r\n");
    assert!(run.closed);

    let mut run = Run::new(false);
    run.session.receive(b"a STARTTLS\r\n", NOW);
    run.drive();
    run.session.receive(b"b LOGIN x y\r\n", NOW);
    run.session.tls_started(facts());
    run.drive();
    assert!(run.closed && run.verifying.is_none());
}

#[test]
fn garbage_ends_the_session() {
    let mut run = Run::new(false);
    for _ in 0..30 {
        run.session.receive(b"\x16\x03\x01\r\n", NOW);
        run.drive();
    }
    assert!(run.closed);
    assert!(run.output.ends_with(b"* BYE Too many bad commands\r\n"));
    assert!(run.output.len() < 3_000);
}

#[test]
fn the_login_deadline_is_not_put_off() {
    let mut run = Run::new(true);
    assert_eq!(run.session.deadline(), NOW.plus_millis(60_000));
    run.session.receive(b"a NOOP\r\n", NOW.plus_millis(50_000));
    assert_eq!(run.session.deadline(), NOW.plus_millis(60_000));
    run.session.receive(b"a LOGIN x y\r\n", NOW);
    run.drive();
    run.event("accept - x y");
    assert_eq!(run.session.deadline(), NOW.plus_millis(1_800_000));
}
