//! DATA and BDAT: content in, and the message handed over (RFC 5321 4.1.1.4, RFC 3030 2).
//!
//! Invariant: 250 is said only after [`Verbs::accept`] returned `Ok`. A chunk that is refused is
//! still read to its end, so no octet of it is taken for a command.

use std::io::Write as _;

use tern_base::{AccountId, Entropy, OriginId, Timestamp};
use tern_session::Step;

use super::{Chunk, Message, Phase, Session, Target, Transaction};
use crate::content::{Defect, Incoming, Transfer};
use crate::envelope::{BodyType, Envelope};
use crate::event::{Event, Limit};
use crate::limits::{MAX_REPLY_TEXT, RESERVATION_STEP};
use crate::parse;
use crate::received::Trace;
use crate::verbs::{AcceptError, Arrival, Verbs};

pub(super) const NO_MEMORY: &str = "452 4.3.1 Not enough memory now, try again later";
const TOO_LARGE: &str = "552 5.3.4 Message too large";

impl Session {
    pub(super) fn data(
        &mut self,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step {
        match &self.transaction {
            Transaction::None => return self.refuse("503 5.5.1 Send MAIL first"),
            // RFC 3030 2
            Transaction::Chunking(_) => return self.refuse("503 5.5.1 BDAT has begun"),
            Transaction::Open(draft) if draft.envelope.recipients.is_empty() => {
                return self.refuse("554 5.5.1 No valid recipients");
            }
            // RFC 3030 3
            Transaction::Open(draft) if draft.envelope.body == BodyType::BinaryMime => {
                return self.refuse("503 5.5.1 BINARYMIME needs BDAT");
            }
            Transaction::Open(_) => {}
        }
        let Some(message) = self.begin(Transfer::Dotted, verbs, now, entropy) else {
            self.event(Event::LimitHit(Limit::Memory));
            self.reply(NO_MEMORY);
            return self.count_idle(Step::Continue);
        };
        self.phase = Phase::Data(message);
        self.content_since = now;
        self.set_content_deadline(now);
        self.reply("354 End data with <CRLF>.<CRLF>");
        Step::Continue
    }

    pub(super) fn bdat(
        &mut self,
        arguments: &str,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step {
        let Some((size, last)) = parse::bdat(arguments) else {
            // How much content follows is unknown, so everything that follows is.
            self.reply("501 5.5.4 Syntax: BDAT size [LAST], closing");
            self.close();
            return Step::Close;
        };
        let max = self.settings.max_message_size;
        if size > max.saturating_mul(2) {
            self.event(Event::LimitHit(Limit::MessageSize));
            self.reply("552 5.3.4 Message too large, closing");
            self.close();
            return Step::Close;
        }
        let target = self.chunk_target(size, verbs, now, entropy);
        self.phase = Phase::Chunk(Chunk {
            left: size,
            size,
            last,
            target,
        });
        self.content_since = now;
        self.set_content_deadline(now);
        Step::Continue
    }

    /// Where a chunk of this size goes; what it can't go to is gone after this.
    fn chunk_target(
        &mut self,
        size: u64,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Target {
        let message = match std::mem::replace(&mut self.transaction, Transaction::None) {
            Transaction::None => return Target::Refused("503 5.5.1 Send MAIL first"),
            Transaction::Open(draft) if draft.envelope.recipients.is_empty() => {
                self.transaction = Transaction::Open(draft);
                return Target::Refused("554 5.5.1 No valid recipients");
            }
            Transaction::Chunking(message) => Some(message),
            Transaction::Open(draft) => {
                let binary = draft.envelope.body == BodyType::BinaryMime;
                let transfer = if binary {
                    Transfer::Binary
                } else {
                    Transfer::Chunked
                };
                self.transaction = Transaction::Open(draft);
                let message = self.begin(transfer, verbs, now, entropy);
                self.transaction = Transaction::None;
                message
            }
        };
        let Some(message) = message else {
            self.event(Event::LimitHit(Limit::Memory));
            return Target::Refused(NO_MEMORY);
        };
        if message.incoming.total().saturating_add(size) > self.settings.max_message_size {
            self.event(Event::LimitHit(Limit::MessageSize));
            return Target::Refused(TOO_LARGE);
        }
        Target::Message(message)
    }

    /// Turns the open transaction into a message on its way in; `None` where no memory can be set
    /// aside, the transaction left as it was.
    fn begin(
        &mut self,
        transfer: Transfer,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Option<Box<Message>> {
        let account = self.account();
        let reservation = verbs.memory().reserve(account, RESERVATION_STEP as u64)?;
        let transaction = std::mem::replace(&mut self.transaction, Transaction::None);
        let Transaction::Open(draft) = transaction else {
            return None;
        };
        let (envelope, envelope_memory) = draft.finish();
        let origin = match account {
            Some(_) => OriginId::new(now, entropy),
            None => OriginId::new(now, entropy).foreign(),
        };
        let trace = self.trace(&envelope, origin, now);
        let incoming = Incoming::new(
            trace,
            transfer,
            self.settings.bare_newline,
            self.settings.max_message_size,
            reservation,
        );
        Some(Box::new(Message {
            envelope,
            _envelope_memory: envelope_memory,
            origin,
            incoming,
            since: now,
        }))
    }

    fn trace(&self, envelope: &Envelope, origin: OriginId, now: Timestamp) -> Vec<u8> {
        let declared = usize::try_from(envelope.declared_size.unwrap_or(0)).unwrap_or(usize::MAX);
        Trace {
            hostname: &self.settings.hostname,
            peer: &self.peer,
            helo: self
                .helo
                .as_ref()
                .map_or("unknown", |helo| helo.name.as_str()),
            extended: self.helo.as_ref().is_some_and(|helo| helo.extended),
            tls: self.tls.as_ref(),
            authenticated: self.authenticated.is_some(),
            envelope,
            origin,
            now,
        }
        .header(declared.min(RESERVATION_STEP))
    }

    /// Takes what belongs to the content that is awaited; returns how much that was.
    pub(super) fn absorb(&mut self, bytes: &[u8]) -> usize {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Data(mut message) => match message.incoming.feed(bytes) {
                Some(taken) => {
                    self.phase = Phase::Complete(message);
                    taken
                }
                None => {
                    self.phase = Phase::Data(message);
                    bytes.len()
                }
            },
            Phase::Chunk(mut chunk) => {
                let taken = usize::try_from(chunk.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                chunk.left -= taken as u64;
                if let Target::Message(message) = &mut chunk.target {
                    message
                        .incoming
                        .feed(bytes.get(..taken).unwrap_or_default());
                }
                self.phase = Phase::Chunk(chunk);
                taken
            }
            other => {
                self.phase = other;
                0
            }
        }
    }

    /// Takes what was buffered behind the command that began the content.
    pub(super) fn absorb_buffered(&mut self, now: Timestamp) {
        if self.input.is_empty() {
            return;
        }
        let lent = self.input.lend();
        let rest = self.input.rest_of(&lent);
        let taken = self.absorb(rest);
        self.input.give_back(lent);
        self.input.consume(taken);
        self.set_content_deadline(now);
    }

    pub(super) fn set_content_deadline(&mut self, now: Timestamp) {
        let received = match &self.phase {
            Phase::Data(message) | Phase::Complete(message) => message.incoming.total(),
            Phase::Chunk(chunk) => chunk.size - chunk.left,
            _ => 0,
        };
        let grace = self.settings.content_timeout_secs.saturating_mul(1_000);
        let idle = now.plus_millis(grace);
        let rate = self.settings.min_content_rate;
        let allowed = received
            .saturating_mul(1_000)
            .checked_div(rate)
            .unwrap_or(u64::MAX);
        let slowest = self
            .content_since
            .plus_millis(grace.saturating_add(allowed));
        self.set_deadline(idle.min(slowest));
    }

    /// When the message that is held began to come in.
    pub(super) fn message_since(&self) -> Option<Timestamp> {
        let message = match (&self.phase, &self.transaction) {
            (Phase::Data(message) | Phase::Complete(message), _) => message,
            (
                Phase::Chunk(Chunk {
                    target: Target::Message(message),
                    ..
                }),
                _,
            ) => message,
            (_, Transaction::Chunking(message)) => message,
            _ => return None,
        };
        Some(message.since)
    }

    pub(super) fn account(&self) -> Option<AccountId> {
        self.authenticated.as_ref().map(|who| who.account)
    }

    pub(super) fn step_content(
        &mut self,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Step {
        let account = self.account();
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Data(mut message) => {
                reserve(&mut message, account, verbs);
                if message.incoming.hopeless() {
                    return self.hopeless();
                }
                self.phase = Phase::Data(message);
                Step::Input
            }
            Phase::Complete(mut message) => {
                reserve(&mut message, account, verbs);
                if message.incoming.hopeless() {
                    return self.hopeless();
                }
                self.set_command_deadline(now);
                self.hand_over(*message, verbs, now, entropy);
                self.continue_or_close()
            }
            Phase::Chunk(mut chunk) => {
                if let Target::Message(message) = &mut chunk.target {
                    reserve(message, account, verbs);
                }
                if chunk.left > 0 {
                    self.phase = Phase::Chunk(chunk);
                    return Step::Input;
                }
                self.end_chunk(chunk, verbs, now, entropy);
                self.set_command_deadline(now);
                self.continue_or_close()
            }
            other => {
                self.phase = other;
                Step::Continue
            }
        }
    }

    fn continue_or_close(&self) -> Step {
        if matches!(self.phase, Phase::Closed) {
            Step::Close
        } else {
            Step::Continue
        }
    }

    fn hopeless(&mut self) -> Step {
        self.event(Event::LimitHit(Limit::MessageSize));
        self.reply("552 5.3.4 Message too large, closing");
        self.close();
        Step::Close
    }

    fn end_chunk(
        &mut self,
        chunk: Chunk,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) {
        match chunk.target {
            Target::Refused(line) if line.starts_with('4') => self.reply(line),
            Target::Refused(line) => {
                self.refuse(line);
            }
            Target::Message(message) if chunk.last => {
                self.hand_over(*message, verbs, now, entropy);
            }
            Target::Message(message) => {
                self.transaction = Transaction::Chunking(message);
                let _ = write!(self.output, "250 2.0.0 {} octets received\r\n", chunk.size);
                if chunk.size == 0 {
                    self.count_idle(Step::Continue);
                }
            }
        }
    }

    fn hand_over(
        &mut self,
        message: Message,
        verbs: &mut dyn Verbs,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) {
        let (content, reservations) = match message.incoming.finish(self.settings.max_hops) {
            Ok(whole) => whole,
            Err(defect) => return self.refuse_content(defect),
        };
        let (size, recipients) = (content.len(), message.envelope.recipients.len());
        let arrival = Arrival {
            origin: message.origin,
            envelope: message.envelope,
            content,
            authenticated: self.authenticated.clone(),
            peer: self.peer.clone(),
            helo: self
                .helo
                .as_ref()
                .map(|helo| helo.name.clone())
                .unwrap_or_default(),
            tls: self.tls.clone(),
        };
        let outcome = verbs.accept(arrival, now, entropy);
        drop(reservations);
        match outcome {
            Ok(accepted) => {
                self.messages += 1;
                self.errors = 0;
                (self.idle_commands, self.idle_recipients) = (0, 0);
                let queue_id = one_line(&accepted.queue_id);
                let _ = write!(self.output, "250 2.0.0 Accepted as {queue_id}\r\n");
                self.event(Event::MessageAccepted {
                    queue_id,
                    size,
                    recipients,
                });
            }
            Err(error) => self.refuse_message(&error),
        }
    }

    fn refuse_content(&mut self, defect: Defect) {
        let (line, limit) = match defect {
            Defect::TooLarge => (TOO_LARGE, Some(Limit::MessageSize)),
            Defect::NoMemory => (NO_MEMORY, Some(Limit::Memory)),
            Defect::Looping => ("554 5.4.6 Too many hops", Some(Limit::Hops)),
            Defect::Nul => ("550 5.6.11 NUL octet in the message", None),
            // As Postfix with smtpd_forbid_bare_newline = reject: refused at the end of data, and
            // the session goes on, for everything up to CRLF.CRLF was this one message.
            Defect::BareNewline => ("550 5.6.11 Bare LF or CR in the message", None),
        };
        if let Some(limit) = limit {
            self.event(Event::LimitHit(limit));
        }
        self.refuse_with(line.to_owned());
    }

    fn refuse_message(&mut self, error: &AcceptError) {
        self.refuse_with(match error {
            AcceptError::Temporary => "451 4.3.0 Try again later".to_owned(),
            AcceptError::StorageFull => "452 4.3.1 No storage left, try again later".to_owned(),
            AcceptError::Loop => "554 5.4.6 Mail loop".to_owned(),
            AcceptError::Malformed => "550 5.6.0 Malformed message".to_owned(),
            AcceptError::Recipients(verdict) => verdict.reply().to_owned(),
            AcceptError::Policy(text) => format!("550 5.7.1 {}", one_line(text)),
        });
    }

    fn refuse_with(&mut self, line: String) {
        let code = line
            .get(..3)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        self.reply(&line);
        let reason = line.get(4..).unwrap_or_default().to_owned();
        self.event(Event::MessageRefused { code, reason });
    }
}

fn reserve(message: &mut Message, account: Option<AccountId>, verbs: &mut dyn Verbs) {
    if let Some(bytes) = message.incoming.wants_memory() {
        let reservation = verbs.memory().reserve(account, bytes as u64);
        message.incoming.grant(bytes, reservation);
    }
}

/// Text from elsewhere, made fit for one reply line.
fn one_line(text: &str) -> String {
    let fits = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars().take(MAX_REPLY_TEXT).map(fits).collect()
}
