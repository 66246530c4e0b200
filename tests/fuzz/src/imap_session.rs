//! Any octets to IMAP sessions that are authenticated, over mailboxes that hold something.
//!
//! The first octet chooses how the input is cut, and whether the first session still has to
//! authenticate. 0xff, which no command may hold outside a literal, hands over to the other one of
//! two sessions of the same account; time passes there too. Promises: whole responses only, one
//! answer to each command, the session waits in the end, and the store is consistent.

use std::sync::Arc;

use tern_base::{SeededEntropy, Timestamp};
use tern_directory::Visible;
use tern_imap::Session;
use tern_imap::settings::Settings;
use tern_imap::verbs::Verbs;
use tern_mailbox::{Mailboxes, Opened};
use tern_session::{Ending, Peer, Protocol as _, Sharing, Step, TlsFacts, Unlimited, Verified};

use crate::fixture::{self, ALICE, NOW};
use crate::responses;

/// Output after which an input has shown what it can.
const ENOUGH_OUTPUT: usize = 4 << 20;
/// No command of an input takes as many steps.
const MAX_STEPS: usize = 100_000;

pub(crate) fn run(data: &[u8]) {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let engine = fixture::engine();
    let Opened {
        mailboxes, upkeep, ..
    } = fixture::open(&engine).unwrap();
    let sharing = Sharing::new(Arc::new(engine.clone()), Visible::Everyone);
    let mut shells = [
        Shell::new(&mailboxes, &sharing),
        Shell::new(&mailboxes, &sharing),
    ];
    for (index, shell) in shells.iter_mut().enumerate() {
        if index > 0 || choice & 1 == 0 {
            shell.feed(b"L LOGIN alice secret\r\n", usize::MAX);
            assert!(shell.session.authenticated().is_some());
        }
        if choice & 2 == 0 {
            shell.feed(b"S SELECT INBOX\r\n", usize::MAX);
        }
    }
    let size = usize::from(choice >> 2) * 6 + 1;
    for (index, piece) in input.split(|byte| *byte == 0xff).enumerate() {
        for shell in &mut shells {
            shell.now = NOW.plus_millis(1_000 * index as u64);
        }
        let [first, second] = &mut shells;
        let (active, other) = if index % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        active.feed(piece, size);
        other.session.notify();
        other.drive();
    }
    for shell in shells {
        shell.end();
    }
    let now = NOW.plus_millis(1_000_000);
    upkeep.finish_deletions(now).unwrap();
    fixture::assert_clean(&upkeep);
}

/// What stands between a session and its socket.
struct Shell<'a> {
    session: Session,
    mailboxes: &'a Mailboxes,
    sharing: &'a Sharing,
    entropy: SeededEntropy,
    now: Timestamp,
    input: Vec<u8>,
    output: Vec<u8>,
    closed: bool,
}

impl<'a> Shell<'a> {
    fn new(mailboxes: &'a Mailboxes, sharing: &'a Sharing) -> Self {
        let settings = Settings {
            max_message_size: 16 * 1024,
            ..Settings::default()
        };
        let peer = Peer {
            ip: [192, 0, 2, 1].into(),
            tls: Some(facts()),
        };
        let mut shell = Self {
            session: Session::new(Arc::new(settings), peer, NOW),
            mailboxes,
            sharing,
            entropy: SeededEntropy::new(1),
            now: NOW,
            input: Vec::new(),
            output: Vec::new(),
            closed: false,
        };
        shell.drive();
        shell
    }

    fn feed(&mut self, input: &[u8], size: usize) {
        for piece in input.chunks(size) {
            if self.closed || self.output.len() > ENOUGH_OUTPUT {
                return;
            }
            self.session.receive(piece, self.now);
            self.input.extend_from_slice(piece);
            self.drive();
        }
    }

    fn end(mut self) {
        let lines = if self.closed {
            None
        } else {
            lines(&self.input)
        };
        self.session.end(Ending::Stopping);
        self.drive();
        assert!(self.closed, "a session that was shut down goes on");
        match responses::answers(&self.output) {
            Err(why) => panic!("not whole responses: {why}"),
            Ok(count) if lines.is_some_and(|lines| lines != count) => panic!(
                "{count} answers to {lines:?} commands:\n{}\n{}",
                self.input.escape_ascii(),
                self.output.escape_ascii()
            ),
            Ok(_) => {}
        }
    }

    fn drive(&mut self) {
        for _ in 0..MAX_STEPS {
            if self.closed || !self.session.wants_work() {
                self.output.append(&mut self.session.take_output());
                return;
            }
            let verbs = Verbs {
                mailboxes: self.mailboxes,
                sharing: self.sharing,
                memory: &Unlimited,
            };
            let step = self.session.step(&verbs, self.now, &mut self.entropy);
            self.output.append(&mut self.session.take_output());
            self.session.take_events();
            match step {
                Step::Continue | Step::Input => {}
                Step::StartTls => self.session.tls_started(facts()),
                Step::Verify(credentials) => {
                    let right = credentials.login == "alice"
                        && credentials.password.as_str() == "secret"
                        && credentials.act_as.is_none();
                    let outcome = match right {
                        true => credentials.accepted(ALICE, "alice".to_owned(), None),
                        false => Verified::Refused,
                    };
                    self.session.verified(outcome, self.now);
                }
                Step::Close => self.closed = true,
            }
        }
        panic!("the session never waits");
    }
}

/// How many commands these are, where each line is one.
fn lines(input: &[u8]) -> Option<usize> {
    let upper = input.to_ascii_uppercase();
    let has = |word: &[u8]| upper.windows(word.len()).any(|found| found == word);
    if has(b"{") || has(b"IDLE") || has(b"AUTHENTICATE") || !upper.ends_with(b"\n") {
        return None;
    }
    let lines = upper.split(|byte| *byte == b'\n');
    Some(lines.filter(|line| !matches!(line, [] | [b'\r'])).count())
}

fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".to_owned(),
        cipher: "x".to_owned(),
        sni: None,
    }
}
