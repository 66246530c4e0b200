//! One IMAP session: bytes, answers, notifications and the time in; bytes, events and the next
//! step out.
//!
//! Invariant: every command gets exactly one tagged answer, in order; a session that is closed
//! says nothing more. Refuses to hold more input than [`crate::limits`] allows, and to read
//! plaintext that came behind STARTTLS.

mod answer;
mod append;
mod budget;
mod capability;
mod client;
mod collation;
mod compress;
mod copy;
mod dispatch;
mod expunge;
mod fetch;
mod flags;
mod held;
mod list;
mod listed;
mod login;
mod manage;
mod place;
mod quota;
mod reading;
mod rights;
mod run;
mod search;
mod select;
mod selected;
mod sort;
mod status;
mod store;
mod thread;

use std::cell::Cell;
use std::sync::Arc;

use tern_base::{AccountId, Entropy, Timestamp};
use tern_mailbox::{Client, Mailboxes};
use tern_session::{
    Authenticated, ContentMemory, Ending, Exchange, Mechanism, Peer, Protocol, Reservation,
    SessionEvent, Sharing, Step, TlsFacts, Verified,
};
use zeroize::Zeroize as _;

use crate::command::Tag;
use crate::event::{Event, Limit};
use crate::frame::{Frame, Framer, Head, Refusal, saves_result};
use crate::limits::{FrameLimits, MAX_BAD_COMMANDS, MAX_EVENTS};
use crate::parse::{ParseError, Reason, parse};
use crate::respond::ResponseWriter;
use crate::respond::status::{Code, CodeName, Condition};
use crate::settings::Settings;
use crate::verbs::Verbs;

use answer::{Answer, Failure};
use budget::StepBudget;
use client::Tells;
use compress::Compression;
use fetch::Marks;
use run::Running;
use selected::Selected;

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
    /// Itself: a command is being executed piece by piece.
    Running(Box<Running>),
    /// Nothing any more.
    Closed,
}

/// RFC 9051 3.
enum State {
    /// Nobody has authenticated.
    NotAuthenticated,
    /// Somebody has, and may have selected a mailbox.
    Authenticated {
        who: Authenticated,
        selected: Option<Box<Selected>>,
    },
}

/// What a command is executed with.
struct Context<'a> {
    mailboxes: &'a Mailboxes,
    sharing: &'a Sharing,
    memory: &'a dyn ContentMemory,
    now: Timestamp,
    entropy: &'a mut dyn Entropy,
    /// What this step may do.
    budget: StepBudget,
    /// Those of the session, on loan.
    marks: Cell<Marks>,
}

/// The selected mailbox and what goes with it, borrowed apart from the session.
struct Here<'a> {
    account: AccountId,
    /// Who is logged in.
    holder: AccountId,
    selected: &'a mut Selected,
    out: &'a mut ResponseWriter,
    enabled: Enabled,
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
    /// What is between them and the connection (RFC 4978).
    compression: Option<Box<Compression>>,
    /// The memory for the literals of the command that is read or executed.
    reservations: Vec<Reservation>,
    /// When the first of them was asked for.
    literals_since: Option<Timestamp>,
    events: Vec<Event>,
    bad_commands: u32,
    login_failures: u32,
    changed: bool,
    deadline: Timestamp,
    /// What the client said of itself (RFC 2971), for the records of what it was served.
    client: Option<Box<Client>>,
    /// How far it was told what changed in the mailbox that it opened last.
    tells: Option<Tells>,
    /// Where the part that it fetched last can be gone on with.
    marks: Marks,
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
            compression: None,
            reservations: Vec::new(),
            literals_since: None,
            events: Vec::new(),
            bad_commands: 0,
            login_failures: 0,
            changed: false,
            client: None,
            tells: None,
            marks: Marks::default(),
        };
        session.event(SessionEvent::Connected);
        if let Some(TlsFacts {
            version, cipher, ..
        }) = session.tls.clone()
        {
            session.event(SessionEvent::TlsStarted { version, cipher });
        }
        let list = session.capabilities();
        let greeting = format!("{} Tern ready", session.settings.hostname);
        session
            .out
            .untagged(Condition::Ok, Some(Code::Capability(&list)), &greeting);
        session
    }

    /// Executes one command, or a part of a long one.
    ///
    /// Call it while [`Protocol::wants_work`]; after each call write the output before the next
    /// one, so that what is buffered stays bounded.
    pub fn step(&mut self, verbs: &Verbs<'_>, now: Timestamp, entropy: &mut dyn Entropy) -> Step {
        let mut cx = Context {
            mailboxes: verbs.mailboxes,
            sharing: verbs.sharing,
            memory: verbs.memory,
            now,
            entropy,
            budget: StepBudget::default(),
            marks: Cell::new(std::mem::take(&mut self.marks)),
        };
        let step = self.execute(&mut cx);
        self.marks = cx.marks.take();
        if !matches!(self.phase, Phase::Running(_)) && !self.framer.holds_literals() {
            self.reservations = Vec::new();
            self.literals_since = None;
        }
        step
    }

    fn execute(&mut self, cx: &mut Context<'_>) -> Step {
        match self.phase {
            Phase::Closed => return Step::Close,
            Phase::StartingTls => return Step::StartTls,
            Phase::Verifying { .. } => return Step::Input,
            Phase::Running(_) | Phase::Command | Phase::Sasl { .. } | Phase::Idle { .. } => {}
        }
        if !self.may_go_on(cx) {
            return Step::Close;
        }
        if matches!(self.phase, Phase::Running(_)) {
            return self.run(cx);
        }
        self.note_told(cx);
        let Some(frame) = self.framer.next_frame() else {
            return self.starved(cx);
        };
        let step = match frame {
            Frame::Command(bytes) => {
                let parsed = parse(&bytes, self.enabled.utf8);
                let step = match parsed {
                    Ok(command) => {
                        self.bad_commands = 0;
                        self.command(command, cx)
                    }
                    Err(error) => self.refuse(&error, saves_result(&bytes)),
                };
                if matches!(step, Step::Verify(_)) {
                    wipe(bytes);
                }
                step
            }
            Frame::Line(bytes) => {
                let step = self.line(&bytes, cx);
                wipe(bytes);
                step
            }
            Frame::Continue => {
                // RFC 9051 7.6
                self.out.continuation("OK");
                Step::Continue
            }
            Frame::Reserve(octets) => self.reserve(octets, cx),
            Frame::Refused { head, refusal } => self.refuse_frame(head, refusal),
            Frame::Broken(refusal) => {
                self.event(Event::LimitHit(Limit::Input));
                // RFC 7888 4: a literal that is not read ends the connection.
                let code = matches!(refusal, Refusal::LiteralTooBig).then_some(CodeName::TooBig);
                self.bye(code, &refusal.to_string());
                Step::Close
            }
        };
        match self.phase {
            Phase::Closed => Step::Close,
            _ => step,
        }
    }

    /// What there is to do where the framer has no frame.
    fn starved(&mut self, cx: &Context<'_>) -> Step {
        if let Some(step) = self.decompress() {
            return step;
        }
        if self.wants_push() {
            return self.push_changes(cx);
        }
        Step::Input
    }

    /// Sets memory for a literal aside, before its octets are asked for.
    fn reserve(&mut self, octets: u64, cx: &Context<'_>) -> Step {
        let account = self.authenticated().map(|who| who.account);
        let reservation = cx.memory.reserve(account, octets);
        self.framer.reserved(reservation.is_some());
        self.reservations.extend(reservation);
        self.literals_since.get_or_insert(cx.now);
        self.set_deadline(cx.now);
        Step::Continue
    }

    /// Answers a command that does not parse; `saves` says whether its result was to be saved.
    fn refuse(&mut self, error: &ParseError, saves: bool) -> Step {
        let text = error.reason.to_string();
        let answer = match error.reason {
            // RFC 9051 6.4.4
            Reason::Charset => (Condition::No, Some(Code::BadCharset)),
            Reason::MailboxName => (Condition::No, Some(CodeName::Cannot.into())),
            Reason::SelectedName => {
                self.leave_mailbox();
                (Condition::No, Some(CodeName::Cannot.into()))
            }
            // RFC 6154 3
            Reason::SpecialUse => (Condition::No, Some(CodeName::UseAttr.into())),
            Reason::TooMany | Reason::TooManyTexts => (Condition::No, Some(CodeName::Limit.into())),
            _ => (Condition::Bad, None),
        };
        match &error.tag {
            Some(tag) => self.out.tagged(tag, answer.0, answer.1, &text),
            None => self.out.untagged(Condition::Bad, None, &text),
        }
        if answer.0 == Condition::Bad {
            self.count_bad()
        } else {
            self.save_nothing(saves);
            Step::Continue
        }
    }

    /// RFC 5182 2.1: a search whose result was to be saved and that is answered NO leaves nothing saved, lest
    /// the commands that came right behind it are done to what was found before.
    fn save_nothing(&mut self, saves: bool) {
        if let State::Authenticated { selected, .. } = &mut self.state
            && let Some(selected) = selected.as_deref_mut().filter(|_| saves)
        {
            selected.saved = Arc::default();
        }
    }

    fn refuse_frame(&mut self, head: Head, refusal: Refusal) -> Step {
        let (condition, code) = match refusal {
            Refusal::NoMemory => {
                self.event(Event::LimitHit(Limit::Memory));
                (Condition::No, Some(CodeName::Unavailable.into()))
            }
            Refusal::LiteralTooBig => {
                self.event(Event::LimitHit(Limit::Literal));
                (Condition::No, Some(CodeName::TooBig.into()))
            }
            Refusal::Nul | Refusal::LineTooLong => (Condition::Bad, None),
        };
        // A refused line of an exchange ends the exchange.
        let tag = match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Sasl { tag, .. } | Phase::Idle { tag } => Some(tag),
            _ => head.tag,
        };
        self.save_nothing(head.saves_result && condition == Condition::No);
        match tag {
            Some(tag) => self.out.tagged(&tag, condition, code, &refusal.to_string()),
            None => self
                .out
                .untagged(Condition::Bad, code, &refusal.to_string()),
        }
        match refusal {
            // Not the client's doing.
            Refusal::NoMemory => Step::Continue,
            _ => self.count_bad(),
        }
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
        self.reservations = Vec::new();
        self.event(SessionEvent::Closed);
    }

    fn event(&mut self, event: impl Into<Event>) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event.into());
        }
    }

    /// Input puts the deadline off, except that of the login (RFC 9051 5.4).
    fn set_deadline(&mut self, now: Timestamp) {
        if !matches!(self.state, State::NotAuthenticated) {
            let idle = self.settings.idle_timeout_secs.saturating_mul(1_000);
            let whole = self.settings.literal_timeout_secs.saturating_mul(1_000);
            let by = self.literals_since.map(|since| since.plus_millis(whole));
            let idle = now.plus_millis(idle);
            self.deadline = by.map_or(idle, |by| by.min(idle));
        }
    }

    /// What happened since the last call, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether there is input to look at.
    fn has_input(&self) -> bool {
        let compressed = self.compression.as_ref();
        self.framer.has_work() || compressed.is_some_and(|compression| compression.has_work())
    }

    /// Whether the client waits for changes and there may be some.
    fn wants_push(&self) -> bool {
        self.changed && matches!(self.phase, Phase::Idle { .. })
    }

    /// The selected mailbox and the account that it belongs to, apart from the rest of the session.
    fn here(&mut self) -> Result<Here<'_>, Answer> {
        match &mut self.state {
            State::Authenticated {
                selected: Some(selected),
                who,
            } => Ok(Here {
                account: selected.access.account,
                holder: who.account,
                selected,
                out: &mut self.out,
                enabled: self.enabled,
            }),
            _ => Err(Answer::bad("Select a mailbox first")),
        }
    }

    /// The account that authenticated.
    fn account(&self) -> Result<AccountId, Failure> {
        match &self.state {
            State::Authenticated { who, .. } => Ok(who.account),
            State::NotAuthenticated => Err(Answer::bad("Authenticate first").into()),
        }
    }

    /// The same with what is known of the login.
    fn authenticated_as(&self) -> Option<&Authenticated> {
        match &self.state {
            State::Authenticated { who, .. } => Some(who),
            State::NotAuthenticated => None,
        }
    }

    fn selected(&self) -> Option<&Selected> {
        match &self.state {
            State::Authenticated { selected, .. } => selected.as_deref(),
            State::NotAuthenticated => None,
        }
    }
}

impl Protocol for Session {
    fn receive(&mut self, bytes: &[u8], now: Timestamp) {
        match self.phase {
            Phase::Closed => {}
            Phase::StartingTls => self.refuse_injection(),
            _ => {
                self.spoke();
                match &mut self.compression {
                    Some(compression) => compression.receive(bytes),
                    None => self.framer.receive(bytes),
                }
                self.set_deadline(now);
            }
        }
    }

    fn notify(&mut self) {
        self.changed = true;
    }

    fn wants_work(&self) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::StartingTls | Phase::Verifying { .. } => false,
            Phase::Running(_) => true,
            Phase::Command | Phase::Sasl { .. } | Phase::Idle { .. } => {
                self.has_input() || self.wants_push()
            }
        }
    }

    fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Closed | Phase::Verifying { .. } | Phase::Running(_) => false,
            Phase::StartingTls => true,
            Phase::Command | Phase::Sasl { .. } | Phase::Idle { .. } => !self.has_input(),
        }
    }

    fn has_output(&self) -> bool {
        let before = self.compression.as_ref();
        !self.out.is_empty() || before.is_some_and(|compression| compression.has_output())
    }

    fn take_output(&mut self) -> Vec<u8> {
        let plain = self.out.take();
        match &mut self.compression {
            Some(compression) => compression.output(&plain),
            None => plain,
        }
    }

    fn tls_started(&mut self, facts: TlsFacts) {
        if !matches!(self.phase, Phase::StartingTls) {
            return;
        }
        self.phase = Phase::Command;
        self.framer.clear();
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
        self.authenticated_as()
    }

    fn also_watches(&self) -> Option<AccountId> {
        let foreign = self
            .selected()
            .filter(|selected| !selected.access.is_owners());
        foreign.map(|selected| selected.access.account)
    }

    /// `BYE`, then [`Step::Close`].
    fn end(&mut self, why: Ending) {
        let (code, text) = match why {
            // RFC 9051 5.4
            Ending::TimedOut => (Some(CodeName::Unavailable), "Timeout"),
            Ending::Stopping => (Some(CodeName::Unavailable), "Server is stopping"),
            Ending::Revoked => (None, "Access has been revoked"),
        };
        if why == Ending::TimedOut {
            self.event(Event::LimitHit(Limit::Time));
        }
        match self.phase {
            Phase::Closed => {}
            // The handshake has begun: nothing can be said in the clear any more.
            Phase::StartingTls => self.close(),
            // In the middle of a response nothing can be said either.
            Phase::Running(ref running) if running.is_mid_response() => self.close(),
            _ => self.bye(code, text),
        }
    }

    fn verified(&mut self, outcome: Verified, now: Timestamp) {
        self.finish_login(outcome, now);
    }
}

/// Overwrites a frame that held a secret, where nothing else holds its memory.
fn wipe(bytes: bytes::Bytes) {
    if let Ok(mut bytes) = bytes.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}
