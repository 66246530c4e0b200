//! The other side of SMTP: a session that delivers messages to a remote server.
//!
//! Bytes, answers and the time in; bytes and the next [`ClientStep`] out, as with
//! [`crate::Session`]. The shell resolves names, connects, chooses the [`TlsPolicy`], verifies
//! certificates and decides what is tried again.
//!
//! Invariant: every recipient of every message that was sent gets exactly one [`Outcome`], and
//! `Delivered` only if the server said 2xx to the end of the data after it said 2xx to that
//! recipient; who may have been delivered to and is not known is never `Deferred`. Content leaves with
//! CRLF line ends and stuffed dots only, so nothing is smuggled out. Refuses to go on in the clear where TLS is required, and to convert bodies or addresses
//! for servers that lack 8BITMIME or SMTPUTF8.

mod extensions;
mod reply;
mod stuff;
mod takes;
mod transaction;

use std::sync::Arc;

use serde::Deserialize;
use tern_base::Timestamp;
use tern_session::TlsFacts;

pub use extensions::Extensions;
pub use reply::Reply;
use reply::ReplyReader;
use takes::Takes;
use transaction::{Progress, Transaction};

use crate::envelope::Envelope;

/// The options of outgoing SMTP sessions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// Name of this host in EHLO. A domain name; default `localhost`.
    pub hostname: String,
    /// Longest wait for a whole reply. In seconds; default 300 (RFC 5321 4.5.3.2).
    pub reply_timeout_secs: u64,
    /// Longest wait for the reply to the end of the data, and for the content to be taken where
    /// it is small. In seconds; default 600 (RFC 5321 4.5.3.2.6).
    pub end_of_data_timeout_secs: u64,
    /// Slowest transfer of content that is endured. In octets for each second; default 1000.
    pub min_content_rate: u64,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            hostname: String::from("localhost"),
            reply_timeout_secs: 300,
            end_of_data_timeout_secs: 600,
            min_content_rate: 1_000,
        }
    }
}

/// What TLS is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsPolicy {
    /// Don't ask: it failed a moment ago, or it is on from the start.
    Never,
    /// Where it is offered (RFC 3207).
    Opportunistic,
    /// Or nothing is sent: whether the certificate is to be trusted is for the shell to say.
    Required,
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The envelope, with the recipients that this server is to get.
    pub envelope: Envelope,
    /// The content.
    pub content: Arc<Vec<u8>>,
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has taken the message for this recipient; its reply to the end of the data.
    Delivered(Reply),
    /// It won't, now or later.
    Rejected(Cause),
    /// It may later.
    Deferred(Cause),
    /// It refused MAIL, so of no recipient it said anything. In a session that has taken the same
    /// message for others before, that is about the session.
    NotBegun(Reply),
    /// All of the message went out, and the session ended in this way before the server said
    /// what it made of it: it may have taken it (RFC 5321 4.2.5).
    Unanswered(End),
    /// One too many for this transaction, by what the server takes of recipients (RFC 9422 RCPTMAX,
    /// RFC 5321 4.5.3.1.10). It has got nothing, and nothing was said of the recipient: another
    /// transaction is for them. Others of this one have been asked for, so sending to those that are
    /// left comes to an end.
    Surplus,
}

/// Why a recipient did not get the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server said so.
    Reply(Reply),
    /// The server said so of the message for several recipients together: fewer of them may be
    /// another matter.
    Together(Reply),
    /// The session ended before it could, be it by 421 as the answer to another recipient.
    Ended(End),
    /// The server's SIZE limit is below the message's size: 5.3.4
    TooLarge,
    /// An address or header needs SMTPUTF8, which the server does not offer: 5.6.7
    NeedsSmtpUtf8,
    /// The body needs 8BITMIME, which the server does not offer: 5.6.3
    NeedsConversion,
    /// The body needs BINARYMIME, which the server does not offer: 5.6.3
    NeedsBinaryMime,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// This side said QUIT.
    Quit,
    /// The server said 421, or refused the connection or the greeting. Whether that is for good
    /// is for the queue to judge: another host of the domain may answer.
    Refused(Reply),
    /// TLS is required and not offered, or refused.
    TlsUnavailable,
    /// The TLS handshake failed. Where the policy is opportunistic, connect again with
    /// [`TlsPolicy::Never`].
    TlsFailed,
    /// Something that is not SMTP, or plaintext behind the reply to STARTTLS.
    Protocol,
    /// The connection was lost.
    Lost,
    /// The deadline passed.
    TimedOut,
}

/// What the shell does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// Something was done; call [`Client::step`] again.
    Continue,
    /// Write the output, then wait for input.
    Input,
    /// Do the TLS handshake, then call [`Client::tls_started`] or [`Client::tls_failed`].
    StartTls,
    /// Call [`Client::send`] or [`Client::quit`].
    Idle,
    /// A message is done with: the outcome of each recipient, in the envelope's order.
    Sent(Vec<Outcome>),
    /// Close the connection.
    Close(End),
}

enum Phase {
    Banner,
    Ehlo,
    Helo,
    StartTls,
    Handshake,
    Idle,
    Sending(Box<Transaction>),
    /// The outcomes are to be told, then the session is idle or over.
    Sent(Vec<Outcome>, Option<End>),
    Quit,
    Closed(End),
}

/// An SMTP client session.
pub struct Client {
    settings: Arc<ClientSettings>,
    policy: TlsPolicy,
    tls: Option<TlsFacts>,
    extensions: Extensions,
    phase: Phase,
    replies: ReplyReader,
    output: Vec<u8>,
    deadline: Timestamp,
    /// A transaction may still be open on the server's side.
    needs_reset: bool,
    takes: Takes,
}

impl Client {
    /// A session on a connection that was just made. `tls`: the facts where it is on already.
    pub fn new(
        settings: Arc<ClientSettings>,
        policy: TlsPolicy,
        tls: Option<TlsFacts>,
        now: Timestamp,
    ) -> Self {
        let deadline = now.plus_millis(settings.reply_timeout_secs.saturating_mul(1_000));
        Self {
            settings,
            policy,
            tls,
            extensions: Extensions::default(),
            phase: Phase::Banner,
            replies: ReplyReader::default(),
            output: Vec::new(),
            deadline,
            needs_reset: false,
            takes: Takes::default(),
        }
    }

    /// Takes octets from the server. A reply has to be whole in time: octets alone put nothing off, or a
    /// server that sends one now and then could hold a session for hours.
    pub fn receive(&mut self, bytes: &[u8]) {
        match self.phase {
            Phase::Closed(_) => {}
            // RFC 3207 6: plaintext behind the reply to STARTTLS.
            Phase::Handshake => self.end(End::Protocol),
            _ => self.replies.push(bytes),
        }
    }

    /// Acts on one reply.
    pub fn step(&mut self, now: Timestamp) -> ClientStep {
        match &mut self.phase {
            Phase::Closed(end) => return ClientStep::Close(end.clone()),
            Phase::Handshake => return ClientStep::StartTls,
            Phase::Sent(outcomes, end) => {
                let outcomes = std::mem::take(outcomes);
                self.phase = end.take().map_or(Phase::Idle, Phase::Closed);
                return ClientStep::Sent(outcomes);
            }
            _ => {}
        }
        match self.replies.next() {
            None if matches!(self.phase, Phase::Idle) => ClientStep::Idle,
            None => ClientStep::Input,
            Some(Err(_)) => {
                self.end(End::Protocol);
                ClientStep::Continue
            }
            Some(Ok(reply)) => {
                self.reply(reply);
                self.set_deadline(now);
                ClientStep::Continue
            }
        }
    }

    /// Whether [`Client::step`] would do something.
    pub fn wants_work(&self) -> bool {
        matches!(self.phase, Phase::Closed(_) | Phase::Sent(..)) || self.replies.has_line()
    }

    /// Output for the server, at most about 64 KiB of content at a time; call again while
    /// [`Client::has_output`].
    pub fn take_output(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.output);
        if let Phase::Sending(transaction) = &mut self.phase {
            transaction.stream(&mut out);
        }
        out
    }

    /// Whether there is output.
    pub fn has_output(&self) -> bool {
        let streams = matches!(&self.phase, Phase::Sending(t) if t.is_streaming());
        streams || !self.output.is_empty()
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Gives it back where the session is not [`ClientStep::Idle`]. It is over where the server has
    /// said something that it was not asked for, which would be taken for an answer.
    pub fn send(&mut self, message: Outgoing, now: Timestamp) -> Result<(), Box<Outgoing>> {
        if matches!(self.phase, Phase::Idle) && !self.replies.is_empty() {
            self.end(End::Protocol);
        }
        if !matches!(self.phase, Phase::Idle) {
            return Err(Box::new(message));
        }
        let most = self.takes.recipients(&self.extensions);
        let mut transaction = Transaction::new(message, &self.extensions, most, self.needs_reset);
        let before = self.output.len();
        let progress = transaction.pump(&self.extensions, &mut self.output);
        if self.output.len() > before {
            self.needs_reset = true;
            self.takes.note_message();
        }
        self.put(Box::new(transaction), progress);
        self.set_deadline(now);
        Ok(())
    }

    /// Whether the session is idle and in step, and the server takes another message in it (RFC 9422
    /// MAILMAX).
    pub fn takes_more(&self) -> bool {
        let is_idle = matches!(self.phase, Phase::Idle) && self.replies.is_empty();
        is_idle && self.takes.another(&self.extensions)
    }

    /// All output is with the server. Until when the answer to the whole message is waited for from
    /// here on, where that is what is awaited (RFC 5321 4.5.3.2.6).
    pub fn written(&mut self, now: Timestamp) -> Option<Timestamp> {
        let is_whole = matches!(&self.phase, Phase::Sending(it) if it.is_whole());
        if !is_whole || !self.output.is_empty() {
            return None;
        }
        let millis = self.settings.end_of_data_timeout_secs.saturating_mul(1_000);
        self.deadline = now.plus_millis(millis);
        Some(self.deadline)
    }

    /// Ends the session: politely where it is idle, and at once where it is not, so that nothing of what
    /// was begun goes on.
    pub fn quit(&mut self, now: Timestamp) {
        if matches!(self.phase, Phase::Idle) {
            self.output.extend_from_slice(b"QUIT\r\n");
            self.phase = Phase::Quit;
            self.set_deadline(now);
        } else {
            self.end(End::Quit);
        }
    }

    /// The TLS handshake succeeded: EHLO is said again (RFC 3207 4.2).
    pub fn tls_started(&mut self, facts: TlsFacts, now: Timestamp) {
        if matches!(self.phase, Phase::Handshake) {
            self.tls = Some(facts);
            self.say_ehlo();
            self.set_deadline(now);
        }
    }

    /// The TLS handshake failed.
    pub fn tls_failed(&mut self) {
        self.end(End::TlsFailed);
    }

    /// The connection is gone.
    pub fn connection_lost(&mut self) {
        let end = if matches!(self.phase, Phase::Quit) {
            End::Quit
        } else {
            End::Lost
        };
        self.end(end);
    }

    /// When the session should be told that it has [`Client::timed_out`].
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The deadline has passed.
    pub fn timed_out(&mut self) {
        self.end(End::TimedOut);
    }

    /// What the server offers, since the last EHLO.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Whether content is on its way: from here on the server may take the message whatever
    /// becomes of the session.
    pub fn content_begun(&self) -> bool {
        matches!(&self.phase, Phase::Sending(transaction) if transaction.content_begun())
    }

    /// The TLS in force.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    fn reply(&mut self, reply: Reply) {
        // RFC 5321 3.8: 421 may answer anything and closes the session.
        if reply.code == 421 && !matches!(self.phase, Phase::Quit) {
            return self.end(End::Refused(reply));
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Banner if reply.is_positive() => self.say_ehlo(),
            Phase::Ehlo if reply.is_positive() => {
                self.extensions = Extensions::parse(&reply);
                self.after_ehlo();
            }
            // RFC 5321 3.2: a server that does not know EHLO.
            Phase::Ehlo if reply.is_permanent() => {
                self.line(&["HELO ", &self.settings.hostname.clone()]);
                self.phase = Phase::Helo;
            }
            Phase::Helo if reply.is_positive() => {
                self.extensions = Extensions::default();
                self.after_ehlo();
            }
            Phase::Banner | Phase::Ehlo | Phase::Helo => self.end(End::Refused(reply)),
            Phase::StartTls if reply.is_positive() => {
                self.phase = Phase::Handshake;
                if !self.replies.is_empty() {
                    self.end(End::Protocol);
                }
            }
            Phase::StartTls if self.policy == TlsPolicy::Required => self.end(End::TlsUnavailable),
            Phase::StartTls => self.phase = Phase::Idle,
            Phase::Sending(mut transaction) => {
                let progress = transaction.reply(reply, &self.extensions, &mut self.output);
                self.put(transaction, progress);
            }
            Phase::Quit => self.end(End::Quit),
            // Nothing was asked.
            Phase::Idle => self.end(End::Protocol),
            other @ (Phase::Handshake | Phase::Sent(..) | Phase::Closed(_)) => self.phase = other,
        }
    }

    fn put(&mut self, transaction: Box<Transaction>, progress: Progress) {
        self.phase = match progress {
            Progress::Going => Phase::Sending(transaction),
            Progress::Done => {
                self.needs_reset &= !transaction.content_begun();
                self.takes.note_recipients(transaction.most_taken());
                Phase::Sent(transaction.outcomes(&End::Protocol, true), None)
            }
            Progress::Broken => {
                let outcomes = transaction.outcomes(&End::Protocol, self.output.is_empty());
                self.output.clear();
                Phase::Sent(outcomes, Some(End::Protocol))
            }
        };
    }

    fn say_ehlo(&mut self) {
        self.line(&["EHLO ", &self.settings.hostname.clone()]);
        self.phase = Phase::Ehlo;
    }

    fn after_ehlo(&mut self) {
        let wanted = self.tls.is_none() && self.policy != TlsPolicy::Never;
        self.phase = if wanted && self.extensions.starttls {
            self.line(&["STARTTLS"]);
            Phase::StartTls
        } else if wanted && self.policy == TlsPolicy::Required {
            Phase::Closed(End::TlsUnavailable)
        } else {
            Phase::Idle
        };
    }

    fn end(&mut self, end: End) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Closed(first) => Phase::Closed(first),
            Phase::Sending(transaction) => {
                let outcomes = transaction.outcomes(&end, self.output.is_empty());
                Phase::Sent(outcomes, Some(end))
            }
            Phase::Sent(outcomes, first) => Phase::Sent(outcomes, first.or(Some(end))),
            _ => Phase::Closed(end),
        };
        self.output.clear();
    }

    fn line(&mut self, parts: &[&str]) {
        for part in parts {
            self.output.extend_from_slice(part.as_bytes());
        }
        self.output.extend_from_slice(b"\r\n");
    }

    fn set_deadline(&mut self, now: Timestamp) {
        let s = &self.settings;
        let millis = match &self.phase {
            Phase::Sending(transaction) if transaction.content_begun() => {
                let size = (transaction.size() as u64).saturating_mul(1_000);
                let transfer = size.checked_div(s.min_content_rate).unwrap_or(0);
                s.end_of_data_timeout_secs
                    .saturating_mul(1_000)
                    .saturating_add(transfer)
            }
            _ => s.reply_timeout_secs.saturating_mul(1_000),
        };
        self.deadline = now.plus_millis(millis);
    }
}
