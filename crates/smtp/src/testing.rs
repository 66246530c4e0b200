//! A server behind a session for tests and fuzzing: fixed users, fixed answers, everything kept.
//!
//! Invariant: deterministic. Refuses to stand in for anything in production: it is public so that
//! the tests, the fuzz targets and the bench package share it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tern_base::{AccountId, EmailAddress, Entropy, SeededEntropy, Timestamp};
use tern_session::{
    Budget, ContentMemory, Credentials, Peer, Protocol as _, Step, TlsFacts, Verified,
};

use crate::event::Event;
use crate::role::Role;
use crate::session::Session;
use crate::settings::Settings;
use crate::verbs::{AcceptError, Accepted, Arrival, RecipientVerdict, Sender, Verbs};

/// Verbs with fixed answers.
///
/// Recipients: `unknown@`, `full@`, `disabled@`, `later@`, `ratelimited@` and `private@` get those
/// verdicts, every other address at `example.org` is accepted, and so is every address of an
/// authenticated sender. Account 1 is `alice`, password `secret`, who may send as
/// `alice@example.org`; of `later@` that can't be told. A message with a line `X-Refuse: …` is refused
/// as that says.
#[derive(Debug)]
pub struct FakeVerbs {
    /// The messages accepted.
    pub arrivals: Vec<Arrival>,
    /// The memory for messages on their way in.
    pub memory: Budget,
    accepted: usize,
}

impl Default for FakeVerbs {
    fn default() -> Self {
        Self {
            arrivals: Vec::new(),
            memory: Budget::new(u64::MAX),
            accepted: 0,
        }
    }
}

impl FakeVerbs {
    /// Octets reserved now.
    pub fn reserved(&self) -> u64 {
        self.memory.reserved()
    }

    /// What the shell would answer to [`Step::Verify`].
    pub fn verify(credentials: &Credentials) -> Verified {
        match (credentials.login.as_str(), credentials.password.as_str()) {
            ("alice", "secret") if credentials.act_as.is_none() => {
                credentials.accepted(AccountId(1), "alice".to_owned(), None)
            }
            ("throttled", _) => Verified::Throttled,
            ("unavailable", _) => Verified::Unavailable,
            _ => Verified::Refused,
        }
    }
}

impl Verbs for FakeVerbs {
    fn recipient(&mut self, sender: &Sender<'_>, recipient: &EmailAddress) -> RecipientVerdict {
        if sender.authenticated.is_none() && recipient.domain().as_str() != "example.org" {
            return RecipientVerdict::RelayDenied;
        }
        match recipient.local() {
            "unknown" => RecipientVerdict::UnknownUser,
            "full" => RecipientVerdict::MailboxFull,
            "disabled" => RecipientVerdict::Disabled,
            "later" => RecipientVerdict::Later,
            "ratelimited" => RecipientVerdict::RateLimited,
            "private" => RecipientVerdict::NotAllowed,
            _ => RecipientVerdict::Accept,
        }
    }

    fn postmaster(&mut self, hostname: &str) -> Option<EmailAddress> {
        let (_, domain) = hostname.split_once('.')?;
        EmailAddress::parse(&format!("postmaster@{domain}")).ok()
    }

    fn may_send_as(&mut self, account: AccountId, mail_from: &EmailAddress) -> Option<bool> {
        let is_known = account == AccountId(1);
        let is_told = mail_from.local() != "later";
        is_told.then_some(is_known && mail_from.canonical() == "alice@example.org")
    }

    fn memory(&self) -> &dyn ContentMemory {
        &self.memory
    }

    fn accept(
        &mut self,
        arrival: Arrival,
        _now: Timestamp,
        _entropy: &mut dyn Entropy,
    ) -> Result<Accepted, AcceptError> {
        let text = String::from_utf8_lossy(&arrival.content);
        let asked = text
            .lines()
            .find_map(|line| line.strip_prefix("X-Refuse: "));
        match asked {
            Some("temporary") => return Err(AcceptError::Temporary),
            Some("storage-full") => return Err(AcceptError::StorageFull),
            Some("loop") => return Err(AcceptError::Loop),
            Some("malformed") => return Err(AcceptError::Malformed),
            Some("full") => return Err(AcceptError::Recipients(RecipientVerdict::MailboxFull)),
            Some(rule) => return Err(AcceptError::Policy(format!("rule {rule}\r\n250 no"))),
            None => {}
        }
        self.arrivals.push(arrival);
        self.accepted += 1;
        Ok(Accepted {
            queue_id: format!("q{}", self.accepted),
        })
    }
}

/// A session with [`FakeVerbs`] behind it and a shell that answers at once.
pub struct Rig {
    /// The session.
    pub session: Session,
    /// What is behind it.
    pub verbs: FakeVerbs,
    /// The time, which stands still.
    pub now: Timestamp,
    /// All events so far.
    pub events: Vec<Event>,
    entropy: SeededEntropy,
    closed: bool,
}

impl Rig {
    /// A session from 192.0.2.1 at 2026-11-21 22:06:00 UTC.
    pub fn new(settings: Settings, role: Role, implicit_tls: bool) -> Self {
        let now = Timestamp(1_795_298_760_000);
        let peer = Peer {
            ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            tls: implicit_tls.then(tls_facts),
        };
        Self {
            session: Session::new(Arc::new(settings), role, peer, now),
            verbs: FakeVerbs::default(),
            now,
            events: Vec::new(),
            entropy: SeededEntropy::new(1),
            closed: false,
        }
    }

    /// Whether the session has asked for the connection to be closed.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// Hands `bytes` over in one read, and does what a shell does until the session waits.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.closed {
            return Vec::new();
        }
        self.session.receive(bytes, self.now);
        self.settle()
    }

    /// Does what a shell does until the session waits; returns the output.
    pub fn settle(&mut self) -> Vec<u8> {
        let mut output = self.session.take_output();
        while !self.closed {
            let step = self
                .session
                .step(&mut self.verbs, self.now, &mut self.entropy);
            output.append(&mut self.session.take_output());
            match step {
                Step::Continue => {}
                Step::Input => break,
                Step::StartTls => self.session.tls_started(tls_facts()),
                Step::Verify(credentials) => {
                    let outcome = FakeVerbs::verify(&credentials);
                    self.session.verified(outcome, self.now);
                }
                Step::Close => self.closed = true,
            }
        }
        output.append(&mut self.session.take_output());
        self.events.append(&mut self.session.take_events());
        output
    }
}

fn tls_facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        sni: None,
    }
}

/// Whether `output` is whole reply lines: three digits, a space or hyphen, printable ASCII, CRLF.
pub fn is_reply_lines(output: &[u8]) -> bool {
    let Some(body) = output.strip_suffix(b"\r\n") else {
        return output.is_empty();
    };
    body.split(|b| *b == b'\n').all(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (Some(code), Some(sign)) = (line.get(..3), line.get(3)) else {
            return false;
        };
        code.iter().all(u8::is_ascii_digit)
            && matches!(sign, b' ' | b'-')
            && line.iter().all(|b| (b' '..=b'~').contains(b))
            && line.len() <= 510
    })
}

/// One run of a fuzz target: the first octet chooses the session and how the rest is cut.
///
/// # Panics
/// Where the output is not reply lines, or memory stays reserved: that is what fuzzing looks for.
pub fn fuzz_input(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let role = if choice & 1 == 0 {
        Role::Reception
    } else {
        Role::Submission
    };
    let settings = Settings {
        max_message_size: 4_096,
        max_errors: 1_000,
        submission_requires_tls: choice & 2 == 0,
        auth_without_tls: choice & 2 != 0,
        bare_newline: match choice & 4 {
            0 => crate::BareNewline::Reject,
            _ => crate::BareNewline::Normalise,
        },
        ..Settings::default()
    };
    let mut rig = Rig::new(settings, role, choice & 8 != 0);
    let size = usize::from(choice >> 4) * 7 + 1;
    assert!(is_reply_lines(&rig.settle()), "banner");
    for piece in rest.chunks(size) {
        let output = rig.feed(piece);
        assert!(
            is_reply_lines(&output),
            "{}",
            String::from_utf8_lossy(&output)
        );
        assert!(
            rig.closed() || !rig.session.wants_work(),
            "work left undone"
        );
    }
    let Rig { session, verbs, .. } = rig;
    drop(session);
    assert_eq!(verbs.reserved(), 0, "memory stays reserved");
}
