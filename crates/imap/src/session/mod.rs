//! One IMAP session: bytes, answers, notifications and the time in; bytes, events and the next
//! step out.
//!
//! Invariant: every command gets exactly one tagged answer, in order; a session that is closed
//! says nothing more. Refuses to hold more input than [`crate::limits`] allows, and to read
//! plaintext that came behind STARTTLS.

mod capability;
mod login;

use std::sync::Arc;

use tern_base::{Entropy, Timestamp};
use zeroize::Zeroize as _;

use crate::command::{Command, CommandBody, Enable, Tag};
use crate::event::{Event, Limit};
use crate::frame::{Frame, Framer, Refusal};
use crate::limits::{FrameLimits, MAX_BAD_COMMANDS, MAX_EVENTS};
use crate::parse::{ParseError, Reason, parse};
use crate::respond::ResponseWriter;
use crate::respond::status::{Code, CodeName, Condition};
use crate::settings::Settings;
pub use crate::verbs::{Authenticated, Credentials, Mechanism, Peer, TlsFacts, Verbs, Verified};

use login::Exchange;

/// What the shell does next.
#[derive(Debug)]
pub enum Step {
    /// Something was done; call [`Session::step`] again.
    Continue,
    /// More input is needed, or a notification, or an answer that is still out: write the
    /// output, then wait.
    Input,
    /// Write the output, do the TLS handshake, then call [`Session::tls_started`].
    StartTls,
    /// Verify these and call [`Session::verified`].
    Verify(Credentials),
    /// Write the output and close the connection.
    Close,
}

/// What the session is waiting for.
enum Phase {
    /// A command.
    Command,
    /// The client's next SASL response.
    Sasl { tag: Tag, exchange: Exchange },
    /// The shell's answer to [`Step::Verify`].
    Verifying {
        tag: Tag,
        login: String,
        mechanism: Mechanism,
    },
    /// The shell's TLS handshake.
    StartingTls,
    /// `DONE`, or a notification (RFC 9051 6.3.13).
    Idle { tag: Tag },
    /// Nothing any more.
    Closed,
}

/// RFC 9051 3.
enum State {
    /// Nobody has authenticated.
    NotAuthenticated,
    /// Somebody has, and no mailbox is selected.
    Authenticated(Authenticated),
}

/// What the client turned on by ENABLE (RFC 9051 6.3.1).
#[derive(Clone, Copy, Debug, Default)]
struct Enabled {
    condstore: bool,
    qresync: bool,
    rev2: bool,
    utf8: bool,
}

/// An IMAP session.
pub struct Session {
    settings: Arc<Settings>,
    peer: Peer,
    tls: Option<TlsFacts>,
    phase: Phase,
    state: State,
    enabled: Enabled,
    framer: Framer,
    out: ResponseWriter,
    events: Vec<Event>,
    bad_commands: u32,
    login_failures: u32,
    changed: bool,
    deadline: Timestamp,
}

impl Session {
    /// A session whose greeting is already in the output.
    pub fn new(settings: Arc<Settings>, peer: Peer, now: Timestamp) -> Self {
        let mut session = Self {
            tls: peer.tls.clone(),
            deadline: now.plus_millis(settings.login_timeout_secs.saturating_mul(1_000)),
            settings,
            peer,
            phase: Phase::Command,
            state: State::NotAuthenticated,
            enabled: Enabled::default(),
            framer: Framer::new(FrameLimits::before_authentication()),
            out: ResponseWriter::new(),
            events: Vec::new(),
            bad_commands: 0,
            login_failures: 0,
            changed: false,
        };
        session.event(Event::Connected);
        if let Some(TlsFacts {
            version, cipher, ..
        }) = session.tls.clone()
        {
            session.event(Event::TlsStarted { version, cipher });
        }
        let list = session.capabilities();
        let greeting = format!("{} Tern ready", session.settings.hostname);
        session
            .out
            .untagged(Condition::Ok, Some(Code::Capability(&list)), &greeting);
        session
    }

    /// Takes octets from the peer. Give no more while [`Session::wants_input`] says no.
    pub fn receive(&mut self, bytes: &[u8], now: Timestamp) {
        match self.phase {
            Phase::Closed => {}
            Phase::StartingTls => self.refuse_injection(),
            _ => {
                self.framer.receive(bytes);
                self.set_deadline(now);
            }
        }
    }

    /// Something changed in a mailbox that the session looks at.
    pub fn notify(&mut self) {
        self.changed = true;
    }

    /// Executes one command, or a part of a long one.
    ///
    /// Call it while [`Session::wants_work`]; after each call write the output before the next
    /// one, so that what is buffered stays bounded.
    pub fn step(
        &mut self,
        _verbs: &Verbs<'_>,
        _now: Timestamp,
        _entropy: &mut dyn Entropy,
    ) -> Step {
        match self.phase {
            Phase::Closed => return Step::Close,
            Phase::StartingTls => return Step::StartTls,
            Phase::Verifying { .. } => return Step::Input,
            Phase::Command | Phase::Sasl { .. } | Phase::Idle { .. } => {}
        }
        let Some(frame) = self.framer.next_frame() else {
            return Step::Input;
        };
        let step = match frame {
            Frame::Command(bytes) => {
                let parsed = parse(&bytes, self.enabled.utf8);
                let step = match parsed {
                    Ok(command) => {
                        self.bad_commands = 0;
                        self.command(command)
                    }
                    Err(error) => self.refuse(&error),
                };
                if matches!(step, Step::Verify(_)) {
                    wipe(bytes);
                }
                step
            }
            Frame::Line(bytes) => {
                let step = self.line(&bytes);
                wipe(bytes);
                step
            }
            Frame::Continue => {
                // RFC 9051 7.6
                self.out.continuation("OK");
                Step::Continue
            }
            Frame::Refused { tag, refusal } => self.refuse_frame(tag.as_ref(), refusal),
            Frame::Broken(refusal) => {
                self.event(Event::LimitHit(Limit::Input));
                // RFC 7888 4: a literal that is not read ends the connection.
                let code = matches!(refusal, Refusal::LiteralTooBig).then_some(CodeName::TooBig);
                self.bye(code, &refusal.to_string());
                Step::Close
            }
        };
        if matches!(self.phase, Phase::Closed) {
            Step::Close
        } else {
            step
        }
    }

    fn command(&mut self, command: Command) -> Step {
        let Command { tag, body } = command;
        match body {
            CommandBody::Capability => {
                let list = self.capabilities();
                self.out.capability(&list);
                self.ok(&tag, "Capability completed");
            }
            CommandBody::Noop => self.ok(&tag, "Noop completed"),
            CommandBody::Logout => {
                self.out.untagged(Condition::Bye, None, "Logging out");
                self.ok(&tag, "Logout completed");
                self.close();
                return Step::Close;
            }
            CommandBody::StartTls => return self.starttls(&tag),
            CommandBody::Login { username, password } => {
                return self.login(tag, &username, password);
            }
            CommandBody::Authenticate { mechanism, initial } => {
                return self.authenticate(tag, &mechanism, initial);
            }
            CommandBody::Id(fields) => {
                self.event(Event::ClientId(fields));
                self.out.id(&[("name", "Tern")]);
                self.ok(&tag, "Id completed");
            }
            body => match self.state {
                State::NotAuthenticated => {
                    self.out
                        .tagged(&tag, Condition::Bad, None, "Authenticate first");
                    return self.count_bad();
                }
                State::Authenticated(_) => return self.authenticated_command(tag, body),
            },
        }
        Step::Continue
    }

    fn authenticated_command(&mut self, tag: Tag, body: CommandBody) -> Step {
        match body {
            CommandBody::Enable(names) => self.enable(&tag, &names),
            CommandBody::Namespace => {
                self.out.namespace(&[]);
                self.ok(&tag, "Namespace completed");
            }
            CommandBody::Idle => {
                self.out.continuation("idling");
                self.framer.expect_line();
                self.phase = Phase::Idle { tag };
            }
            _ => {
                self.out
                    .tagged(&tag, Condition::Bad, None, "Select a mailbox first");
                return self.count_bad();
            }
        }
        Step::Continue
    }

    /// RFC 9051 6.2.1, RFC 3501 6.2.1.
    fn starttls(&mut self, tag: &Tag) -> Step {
        if self.tls.is_some() || !self.settings.starttls {
            self.out.tagged(
                tag,
                Condition::Bad,
                None,
                "TLS is on already, or not offered",
            );
            return self.count_bad();
        }
        if !matches!(self.state, State::NotAuthenticated) {
            self.out
                .tagged(tag, Condition::Bad, None, "Already authenticated");
            return self.count_bad();
        }
        if self.framer.has_input() {
            self.refuse_injection();
            return Step::Close;
        }
        self.ok(tag, "Begin TLS negotiation now");
        self.phase = Phase::StartingTls;
        Step::StartTls
    }

    /// CVE-2011-0411: nothing that was sent in the clear behind STARTTLS may be executed.
    fn refuse_injection(&mut self) {
        self.event(Event::InjectionRefused);
        if !matches!(self.phase, Phase::StartingTls) {
            self.out
                .untagged(Condition::Bye, None, "Plaintext behind STARTTLS");
        }
        self.close();
    }

    /// RFC 9051 6.3.1, RFC 7162 3.2.3, RFC 6855 3.
    fn enable(&mut self, tag: &Tag, names: &[Enable]) {
        let mut told = Vec::new();
        for name in names {
            let on = &mut self.enabled;
            match name {
                Enable::Condstore => {
                    on.condstore = true;
                    told.push("CONDSTORE");
                }
                Enable::Qresync => {
                    // RFC 7162 3.2.3: QRESYNC turns CONDSTORE on.
                    (on.qresync, on.condstore) = (true, true);
                    told.push("QRESYNC");
                }
                Enable::Imap4rev2 => {
                    // RFC 9051 6.3.1: mailbox names and quoted strings are UTF-8 from here on.
                    (on.rev2, on.utf8) = (true, true);
                    told.push("IMAP4rev2");
                }
                Enable::Utf8Accept => {
                    on.utf8 = true;
                    told.push("UTF8=ACCEPT");
                }
            }
        }
        self.out.set_utf8(self.enabled.utf8);
        self.out.enabled(&told);
        self.ok(tag, "Enable completed");
    }

    /// A line that answers a continuation request.
    fn line(&mut self, line: &[u8]) -> Step {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Sasl { tag, exchange } => self.sasl_line(tag, exchange, line),
            Phase::Idle { tag } if line.trim_ascii_end().eq_ignore_ascii_case(b"DONE") => {
                self.ok(&tag, "Idle completed");
                Step::Continue
            }
            Phase::Idle { tag } => {
                self.out.tagged(&tag, Condition::Bad, None, "Expected DONE");
                self.count_bad()
            }
            other => {
                self.phase = other;
                Step::Continue
            }
        }
    }

    fn refuse(&mut self, error: &ParseError) -> Step {
        let text = error.reason.to_string();
        let answer = match error.reason {
            // RFC 9051 6.4.4
            Reason::Charset => (Condition::No, Some(Code::BadCharset)),
            Reason::MailboxName => (Condition::No, Some(CodeName::Cannot.into())),
            // RFC 6154 3
            Reason::SpecialUse => (Condition::No, Some(CodeName::UseAttr.into())),
            Reason::TooMany => (Condition::No, Some(CodeName::Limit.into())),
            _ => (Condition::Bad, None),
        };
        match &error.tag {
            Some(tag) => self.out.tagged(tag, answer.0, answer.1, &text),
            None => self.out.untagged(Condition::Bad, None, &text),
        }
        if answer.0 == Condition::Bad {
            self.count_bad()
        } else {
            Step::Continue
        }
    }

    fn refuse_frame(&mut self, tag: Option<&Tag>, refusal: Refusal) -> Step {
        let (condition, code) = match refusal {
            Refusal::LiteralTooBig => {
                self.event(Event::LimitHit(Limit::Literal));
                (Condition::No, Some(CodeName::TooBig.into()))
            }
            Refusal::Nul | Refusal::LineTooLong => (Condition::Bad, None),
        };
        // A refused line of an exchange ends the exchange.
        let tag = match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Sasl { tag, .. } | Phase::Idle { tag } => Some(tag),
            _ => tag.cloned(),
        };
        match tag {
            Some(tag) => self.out.tagged(&tag, condition, code, &refusal.to_string()),
            None => self
                .out
                .untagged(Condition::Bad, code, &refusal.to_string()),
        }
        self.count_bad()
    }

    /// Counts a command that made no sense; too many in a row end the session.
    fn count_bad(&mut self) -> Step {
        self.bad_commands += 1;
        if self.bad_commands >= MAX_BAD_COMMANDS {
            self.event(Event::LimitHit(Limit::BadCommands));
            self.bye(None, "Too many bad commands");
            return Step::Close;
        }
        Step::Continue
    }

    fn ok(&mut self, tag: &Tag, text: &str) {
        self.out.tagged(tag, Condition::Ok, None, text);
    }

    fn bye(&mut self, code: Option<CodeName>, text: &str) {
        self.out
            .untagged(Condition::Bye, code.map(Code::from), text);
        self.close();
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.framer.clear();
        self.event(Event::Closed);
    }

    fn event(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        }
    }

    /// Input puts the deadline off, except that of the login (RFC 9051 5.4).
    fn set_deadline(&mut self, now: Timestamp) {
        if !matches!(self.state, State::NotAuthenticated) {
            let millis = self.settings.idle_timeout_secs.saturating_mul(1_000);
            self.deadline = now.plus_millis(millis);
        }
    }

    /// The output so far; the shell writes it whole and in order.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.out.take()
    }

    /// Whether there is output.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// What happened since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether [`Session::step`] would do something.
    pub fn wants_work(&self) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::StartingTls | Phase::Verifying { .. } => false,
            Phase::Command | Phase::Sasl { .. } | Phase::Idle { .. } => self.framer.has_work(),
        }
    }

    /// Whether the shell should read from the peer. Where it says no, the session has work to do,
    /// or an answer to wait for first.
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Closed | Phase::Verifying { .. } => false,
            Phase::StartingTls => true,
            Phase::Command | Phase::Sasl { .. } | Phase::Idle { .. } => !self.framer.has_work(),
        }
    }

    /// The TLS handshake is done. The session begins anew, without another greeting.
    pub fn tls_started(&mut self, facts: TlsFacts) {
        if !matches!(self.phase, Phase::StartingTls) {
            return;
        }
        self.phase = Phase::Command;
        self.framer.clear();
        let (version, cipher) = (facts.version.clone(), facts.cipher.clone());
        self.event(Event::TlsStarted { version, cipher });
        self.tls = Some(facts);
    }

    /// When the session should be told that it has [`Session::timed_out`].
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The deadline has passed (RFC 9051 5.4): `BYE`, then [`Step::Close`].
    pub fn timed_out(&mut self) {
        self.event(Event::LimitHit(Limit::Time));
        self.end_with("Timeout");
    }

    /// The server stops: `BYE`, then [`Step::Close`].
    pub fn shutdown(&mut self) {
        self.end_with("Server is stopping");
    }

    fn end_with(&mut self, text: &str) {
        match self.phase {
            Phase::Closed => {}
            // The handshake has begun: nothing can be said in the clear any more.
            Phase::StartingTls => self.close(),
            _ => self.bye(Some(CodeName::Unavailable), text),
        }
    }

    /// The other end, as it was given.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Who has authenticated, if anybody.
    pub fn authenticated(&self) -> Option<&Authenticated> {
        match &self.state {
            State::NotAuthenticated => None,
            State::Authenticated(who) => Some(who),
        }
    }
}

/// Overwrites a frame that held a secret, where nothing else holds its memory.
fn wipe(bytes: bytes::Bytes) {
    if let Ok(mut bytes) = bytes.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}
