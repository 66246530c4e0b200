//! One SMTP session: bytes, answers and the time in; bytes, events and the next step out.
//!
//! Invariant: every command gets exactly one reply, in order; a session that is closed says
//! nothing more. Refuses to hold more input, output or content than the limits and settings say.

mod auth;
mod command;
mod content;
mod draft;
mod envelope;

use std::io::Write as _;
use std::sync::Arc;

use tern_base::{Entropy, Timestamp};
use tern_session::{
    Authenticated, Ending, Exchange, Mechanism, Peer, Protocol, Reservation, SessionEvent, Step,
    TlsFacts, Verified,
};
use zeroize::Zeroize as _;

use crate::content::Incoming;
use crate::envelope::Envelope;
use crate::event::{Event, Limit};
use crate::input::{Expect, Input, Line};
use crate::limits::{
    INPUT_HIGH_WATER, MAX_BUFFERED_INPUT, MAX_EVENTS, MAX_IDLE_COMMANDS, MAX_IDLE_RECIPIENTS,
    OUTPUT_HIGH_WATER,
};
use crate::role::Role;
use crate::settings::Settings;
use crate::verbs::Verbs;
use draft::Draft;

/// What the session is waiting for.
enum Phase {
    /// A command.
    Command,
    /// The client's next SASL response.
    Sasl(Exchange),
    /// The shell's answer to [`Step::Verify`].
    Verifying { login: String, mechanism: Mechanism },
    /// The shell's TLS handshake.
    StartingTls,
    /// The rest of the content of DATA.
    Data(Box<Message>),
    /// Nothing: the content of DATA is whole.
    Complete(Box<Message>),
    /// The rest of a BDAT chunk.
    Chunk(Chunk),
    /// Nothing any more.
    Closed,
}

/// The mail transaction (RFC 5321 3.3).
enum Transaction {
    /// No MAIL yet.
    None,
    /// MAIL was accepted, and perhaps some RCPT.
    Open(Box<Draft>),
    /// Some BDAT chunks have come, not yet the last.
    Chunking(Box<Message>),
}

/// A message on its way in.
struct Message {
    envelope: Envelope,
    /// The memory that the envelope takes.
    _envelope_memory: Vec<Reservation>,
    origin: tern_base::OriginId,
    incoming: Incoming,
    /// When it began to come in.
    since: Timestamp,
}

/// A BDAT chunk on its way in.
struct Chunk {
    left: u64,
    size: u64,
    last: bool,
    target: Target,
}

/// Where a chunk goes.
enum Target {
    Message(Box<Message>),
    /// It is dropped, and answered with this.
    Refused(&'static str),
}

/// The argument of EHLO or HELO.
struct Helo {
    name: String,
    extended: bool,
}

/// An SMTP session.
pub struct Session {
    settings: Arc<Settings>,
    role: Role,
    peer: Peer,
    tls: Option<TlsFacts>,
    helo: Option<Helo>,
    authenticated: Option<Authenticated>,
    phase: Phase,
    transaction: Transaction,
    input: Input,
    output: Vec<u8>,
    events: Vec<Event>,
    errors: u32,
    /// Commands without effect since the last message.
    idle_commands: u32,
    /// Recipients that were named without effect since then.
    idle_recipients: u32,
    /// The limits that were told of.
    limits_told: Vec<Limit>,
    auth_failures: u32,
    refused_recipients: u32,
    messages: u32,
    deadline: Timestamp,
    content_since: Timestamp,
}

impl Session {
    /// A session whose banner is already in the output.
    pub fn new(settings: Arc<Settings>, role: Role, peer: Peer, now: Timestamp) -> Self {
        let mut session = Self {
            tls: peer.tls.clone(),
            deadline: now.plus_millis(settings.command_timeout_secs.saturating_mul(1_000)),
            settings,
            role,
            peer,
            helo: None,
            authenticated: None,
            phase: Phase::Command,
            transaction: Transaction::None,
            input: Input::default(),
            output: Vec::new(),
            events: Vec::new(),
            errors: 0,
            idle_commands: 0,
            idle_recipients: 0,
            limits_told: Vec::new(),
            auth_failures: 0,
            refused_recipients: 0,
            messages: 0,
            content_since: now,
        };
        session.event(SessionEvent::Connected);
        if let Some(facts) = session.tls.clone() {
            session.event(SessionEvent::TlsStarted {
                version: facts.version,
                cipher: facts.cipher,
            });
        }
        // RFC 5321 4.3.1; RFC 2034 4: the banner has no enhanced status code. A Vec takes every
        // write, here and below.
        let _ = write!(
            session.output,
            "220 {} ESMTP Tern\r\n",
            session.settings.hostname
        );
        session
    }

    /// Executes one command, or the whole content, or sets memory for content aside.
    pub fn step(
        &mut self,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step {
        match self.phase {
            Phase::Closed => Step::Close,
            Phase::StartingTls => Step::StartTls,
            Phase::Verifying { .. } => Step::Input,
            Phase::Command => self.step_line(Expect::Command, verbs, now, entropy),
            Phase::Sasl(_) => self.step_line(Expect::SaslResponse, verbs, now, entropy),
            Phase::Data(_) | Phase::Complete(_) | Phase::Chunk(_) => {
                self.step_content(verbs, now, entropy)
            }
        }
    }

    fn step_line(
        &mut self,
        expect: Expect,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step {
        let Some(line) = self.input.line(expect) else {
            return Step::Input;
        };
        self.set_command_deadline(now);
        let range = match line {
            Line::Whole(range) => range,
            Line::BareLf => {
                // No guess at what was meant: whatever wrote this passes octets through that it
                // does not understand, so the next line may be somebody else's.
                self.event(SessionEvent::InjectionRefused);
                self.reply("500 5.5.2 Bare LF in a command, closing");
                self.close();
                return Step::Close;
            }
            Line::TooLong => {
                self.event(Event::LimitHit(Limit::LineLength));
                return self.refuse_long(expect);
            }
        };
        let mut lent = self.input.lend();
        let line = lent.get(range.clone()).unwrap_or_default();
        let step = match expect {
            Expect::Command => self.command(line, verbs, now, entropy),
            Expect::SaslResponse => self.sasl_response(line),
        };
        let verb = line.get(..4).unwrap_or_default();
        let secret = expect == Expect::SaslResponse || verb.eq_ignore_ascii_case(b"AUTH");
        if let Some(line) = lent.get_mut(range).filter(|_| secret) {
            line.zeroize();
        }
        self.input.give_back(lent);
        self.after_command(step, now)
    }

    /// What a command leaves to do once the buffer is back.
    fn after_command(&mut self, step: Step, now: Timestamp) -> Step {
        match self.phase {
            Phase::Closed => {
                self.input = Input::default();
                Step::Close
            }
            Phase::StartingTls if !self.input.is_empty() => {
                // RFC 3207 4 and 6; CVE-2011-0411.
                self.event(SessionEvent::InjectionRefused);
                self.reply("501 5.5.4 STARTTLS must be the last command of a group, closing");
                self.close();
                Step::Close
            }
            Phase::StartingTls => {
                self.reply("220 2.0.0 Ready to start TLS");
                Step::StartTls
            }
            Phase::Data(_) | Phase::Chunk(_) => {
                self.absorb_buffered(now);
                step
            }
            _ => step,
        }
    }

    /// What happened since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.transaction = Transaction::None;
        self.input.clear();
        self.event(SessionEvent::Closed);
    }

    fn reply(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    /// A reply that counts as an error of the peer.
    fn refuse(&mut self, line: &str) -> Step {
        self.reply(line);
        self.count_error()
    }

    /// A command was answered that brings no mail. Whoever says nothing else is not here for mail.
    fn count_idle(&mut self, step: Step) -> Step {
        self.idle_commands += 1;
        match step {
            Step::Continue if self.idle_commands > MAX_IDLE_COMMANDS => self.count_error(),
            step => step,
        }
    }

    /// A recipient was named that makes no difference.
    fn count_idle_recipient(&mut self) -> Step {
        self.idle_recipients = self.idle_recipients.saturating_add(1);
        match self.idle_recipients > MAX_IDLE_RECIPIENTS {
            true => self.count_idle(Step::Continue),
            false => Step::Continue,
        }
    }

    fn count_error(&mut self) -> Step {
        self.errors += 1;
        if self.errors >= self.settings.max_errors {
            self.event(Event::LimitHit(Limit::Errors));
            self.reply("421 4.7.0 Too many errors, closing");
            self.close();
        }
        Step::Continue
    }

    fn refuse_long(&mut self, expect: Expect) -> Step {
        if expect == Expect::Command {
            self.refuse("500 5.5.2 Line too long");
        } else {
            // RFC 4954 4
            self.phase = Phase::Command;
            self.refuse("500 5.5.6 Authentication exchange line is too long");
        }
        if matches!(self.phase, Phase::Closed) {
            Step::Close
        } else {
            Step::Continue
        }
    }

    fn event(&mut self, event: impl Into<Event>) {
        let event = event.into();
        if let Event::LimitHit(limit) = event {
            // Once tells it: a peer can go on for as long as it likes.
            if self.limits_told.contains(&limit) {
                return;
            }
            self.limits_told.push(limit);
        }
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        }
    }

    fn expects(&self) -> Option<Expect> {
        match self.phase {
            Phase::Command => Some(Expect::Command),
            Phase::Sasl(_) => Some(Expect::SaslResponse),
            _ => None,
        }
    }

    fn is_submission(&self) -> bool {
        self.role == Role::Submission
    }

    fn set_command_deadline(&mut self, now: Timestamp) {
        let millis = self.settings.command_timeout_secs.saturating_mul(1_000);
        self.set_deadline(now.plus_millis(millis));
    }

    /// The time of the whole message bounds every wait while one is held.
    fn set_deadline(&mut self, deadline: Timestamp) {
        let millis = self.settings.message_timeout_secs.saturating_mul(1_000);
        let whole = self.message_since().map(|since| since.plus_millis(millis));
        self.deadline = whole.map_or(deadline, |whole| whole.min(deadline));
    }
}

impl Protocol for Session {
    fn receive(&mut self, bytes: &[u8], now: Timestamp) {
        match self.phase {
            Phase::Closed => return,
            // RFC 3207 6: plaintext behind STARTTLS is never executed, before or after TLS.
            Phase::StartingTls => {
                self.event(SessionEvent::InjectionRefused);
                self.close();
                return;
            }
            _ => {}
        }
        let mut bytes = bytes;
        if self.input.is_empty() {
            let taken = self.absorb(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            if taken > 0 {
                self.set_content_deadline(now);
            }
        }
        if bytes.is_empty() {
            return;
        }
        self.input.push(bytes);
        if let Some(expect) = self.expects() {
            self.input.trim(expect);
        }
        if self.input.len() > MAX_BUFFERED_INPUT {
            self.event(Event::LimitHit(Limit::BufferedInput));
            self.reply("421 4.7.0 Too much input before its replies were read, closing");
            self.close();
        }
    }

    fn wants_work(&self) -> bool {
        match &self.phase {
            Phase::Closed | Phase::Complete(_) => true,
            Phase::StartingTls | Phase::Verifying { .. } => false,
            Phase::Command | Phase::Sasl(_) => self.input.has_line(),
            Phase::Data(message) => message.incoming.wants_step(),
            Phase::Chunk(chunk) => {
                let wants = |message: &Message| message.incoming.wants_memory().is_some();
                chunk.left == 0 || matches!(&chunk.target, Target::Message(m) if wants(m))
            }
        }
    }

    fn wants_input(&self) -> bool {
        let content_waits = match &self.phase {
            Phase::Data(message) => message.incoming.wants_step(),
            Phase::Chunk(_) => self.wants_work(),
            Phase::Complete(_) | Phase::StartingTls | Phase::Closed => true,
            _ => false,
        };
        !content_waits
            && self.input.len() < INPUT_HIGH_WATER
            && self.output.len() < OUTPUT_HIGH_WATER
    }

    fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn tls_started(&mut self, facts: TlsFacts) {
        if !matches!(self.phase, Phase::StartingTls) {
            return;
        }
        self.phase = Phase::Command;
        self.transaction = Transaction::None;
        self.input = Input::default();
        self.helo = None;
        self.authenticated = None;
        let (version, cipher) = (facts.version.clone(), facts.cipher.clone());
        self.event(SessionEvent::TlsStarted { version, cipher });
        self.tls = Some(facts);
    }

    fn deadline(&self) -> Timestamp {
        self.deadline
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn authenticated(&self) -> Option<&Authenticated> {
        self.authenticated.as_ref()
    }

    /// RFC 5321 3.8: 421, then [`Step::Close`].
    fn end(&mut self, why: Ending) {
        let text = match why {
            // RFC 5321 4.5.3.2
            Ending::TimedOut => "421 4.4.2 Timeout, closing",
            Ending::Stopping => "421 4.3.2 Server is stopping, closing",
            Ending::Revoked => "421 4.7.0 Access has been revoked, closing",
        };
        match self.phase {
            Phase::Closed => return,
            // The handshake has begun: nothing can be said in the clear any more.
            Phase::StartingTls => {}
            _ => self.reply(text),
        }
        if why == Ending::TimedOut {
            self.event(Event::LimitHit(Limit::Time));
        }
        self.close();
    }

    fn notify(&mut self) {}

    fn verified(&mut self, outcome: Verified, now: Timestamp) {
        self.finish_auth(outcome, now);
    }
}
