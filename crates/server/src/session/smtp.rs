//! SMTP sessions: their verbs over delivery, and their events as log lines.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tern_base::{AccountId, EmailAddress, Entropy, Fault, Timestamp};
use tern_delivery::{
    Delivery, DeliveryError, Incoming, IncomingRecipient, RecipientCheck, Refusal, Submitter,
};
use tern_queue::DsnReturn;
use tern_smtp::{
    AcceptError, Accepted, Arrival, Event, Notify, Peer, Recipient, RecipientVerdict, Reservation,
    Ret, Role, Sender, Session, Settings, Verbs,
};

use crate::late::Late;
use crate::login::{Attempt, Verified};
use crate::net::{Protocol, Step, TlsFacts};

/// The memory for messages on their way in, shared by all sessions.
#[derive(Debug)]
pub(crate) struct Memory {
    left: AtomicU64,
}

impl Memory {
    pub(crate) fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(bytes),
        })
    }

    fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reserved> {
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        taken.ok().map(|_| Reserved {
            memory: Arc::clone(self),
            bytes,
        })
    }
}

/// A share of [`Memory`].
struct Reserved {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.memory.left.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

/// What an SMTP session needs of the rest of the server.
#[derive(Clone)]
pub(crate) struct SmtpVerbs {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) late: Late,
    /// Wakes the worker of the queue.
    pub(crate) queued: Arc<tokio::sync::Notify>,
}

impl Verbs for SmtpVerbs {
    fn recipient(&mut self, sender: &Sender<'_>, recipient: &EmailAddress) -> RecipientVerdict {
        let submitter = sender.authenticated.map(|who| who.account);
        match self.delivery.check_recipient(submitter, recipient) {
            Ok(RecipientCheck::Local | RecipientCheck::Relay) => RecipientVerdict::Accept,
            Ok(RecipientCheck::UnknownUser) => RecipientVerdict::UnknownUser,
            Ok(RecipientCheck::RelayDenied) => RecipientVerdict::RelayDenied,
            Ok(RecipientCheck::MailboxFull) => RecipientVerdict::MailboxFull,
            Ok(RecipientCheck::Disabled) => RecipientVerdict::Disabled,
            Ok(RecipientCheck::TooManyMembers) => RecipientVerdict::NotAllowed,
            Err(error) => {
                tracing::error!(%error, "a recipient could not be looked up");
                RecipientVerdict::Later
            }
        }
    }

    fn may_send_as(&mut self, account: AccountId, mail_from: &EmailAddress) -> bool {
        match self.delivery.may_send_as(account, mail_from) {
            Ok(may) => may,
            Err(error) => {
                tracing::error!(%error, "a sender could not be looked up");
                false
            }
        }
    }

    fn reserve(&mut self, bytes: usize) -> Option<Reservation> {
        let reserved = self.memory.reserve(bytes as u64)?;
        Some(Box::new(reserved))
    }

    fn accept(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, AcceptError> {
        let accepted = self.delivery.accept(incoming(arrival), now, entropy);
        let accepted = accepted.map_err(|error| refusal(&error))?;
        tracing::debug!(
            origin = %accepted.origin,
            message_id = %accepted.message_id,
            local = accepted.local,
            outside = accepted.outside,
            "message delivered"
        );
        self.late.report(&accepted.late);
        if accepted.outside > 0 {
            self.queued.notify_one();
        }
        Ok(Accepted {
            queue_id: accepted.origin.to_string(),
        })
    }
}

fn incoming(arrival: Arrival) -> Incoming {
    let envelope = arrival.envelope;
    let recipients = envelope.recipients.into_iter().map(recipient);
    Incoming {
        origin: arrival.origin,
        mail_from: envelope.mail_from,
        recipients: recipients.collect(),
        ret: envelope.ret.map(|ret| match ret {
            Ret::Full => DsnReturn::Full,
            Ret::Headers => DsnReturn::Headers,
        }),
        envid: envelope.envid,
        smtputf8: envelope.smtputf8,
        content: arrival.content,
        submitter: arrival.authenticated.map(|who| Submitter {
            account: who.account,
            login: who.login,
        }),
    }
}

fn recipient(recipient: Recipient) -> IncomingRecipient {
    let notify = recipient.notify.map(|notify| match notify {
        Notify::Never => tern_queue::Notify::NEVER,
        Notify::On {
            success,
            failure,
            delay,
        } => tern_queue::Notify {
            success,
            failure,
            delay,
        },
    });
    let orcpt = recipient.orcpt;
    IncomingRecipient {
        address: recipient.address,
        notify,
        orcpt: orcpt.map(|original| format!("{};{}", original.kind, original.address)),
    }
}

fn refusal(error: &DeliveryError) -> AcceptError {
    match error {
        DeliveryError::Refused(Refusal::Loop) => AcceptError::Loop,
        DeliveryError::Refused(refusal) => AcceptError::Policy(refusal.text().to_owned()),
        error if error.is_full() => AcceptError::StorageFull,
        DeliveryError::Limit(_) => AcceptError::Policy(error.to_string()),
        error => {
            match error.fault() {
                Fault::Ours => tracing::error!(%error, "a message could not be accepted"),
                _ => tracing::warn!(%error, "a message could not be accepted"),
            }
            AcceptError::Temporary
        }
    }
}

/// Makes the sessions of one SMTP listener.
#[derive(Clone)]
pub(crate) struct SmtpService {
    pub(crate) settings: Arc<Settings>,
    pub(crate) verbs: SmtpVerbs,
}

impl SmtpService {
    pub(crate) fn session(&self, peer: Peer, id: u64, now: Timestamp) -> Box<SmtpProtocol> {
        Box::new(SmtpProtocol {
            session: Session::new(Arc::clone(&self.settings), peer, now),
            verbs: self.verbs.clone(),
            id,
        })
    }
}

/// What a session is told of its peer.
pub(crate) fn smtp_peer(ip: IpAddr, role: Role, tls: Option<TlsFacts>) -> Peer {
    Peer {
        ip,
        name: None,
        role,
        tls: tls.map(tls_facts),
    }
}

fn tls_facts(facts: TlsFacts) -> tern_smtp::TlsFacts {
    tern_smtp::TlsFacts {
        version: facts.version,
        cipher: facts.cipher,
        sni: facts.sni,
    }
}

/// One SMTP session.
pub(crate) struct SmtpProtocol {
    session: Session,
    verbs: SmtpVerbs,
    id: u64,
}

impl Protocol for SmtpProtocol {
    fn receive(&mut self, bytes: &[u8], now: Timestamp) {
        self.session.receive(bytes, now);
    }

    fn notify(&mut self) {}

    fn step(&mut self, now: Timestamp, entropy: &mut dyn Entropy) -> Step {
        match self.session.step(&mut self.verbs, now, entropy) {
            tern_smtp::Step::Continue => Step::Continue,
            tern_smtp::Step::Input => Step::Input,
            tern_smtp::Step::StartTls => Step::StartTls,
            tern_smtp::Step::Close => Step::Close,
            tern_smtp::Step::Verify(credentials) => Step::Verify(Attempt {
                act_as: credentials.act_as,
                login: credentials.login,
                password: credentials.password,
            }),
        }
    }

    fn wants_work(&self) -> bool {
        self.session.wants_work()
    }

    fn has_output(&self) -> bool {
        self.session.has_output()
    }

    fn take_output(&mut self) -> Vec<u8> {
        self.session.take_output()
    }

    fn verified(&mut self, verified: Verified, _now: Timestamp) {
        let verified = match verified {
            Verified::Accepted { account, login } => {
                tern_smtp::Verified::Accepted { account, login }
            }
            Verified::Refused => tern_smtp::Verified::Refused,
            Verified::Throttled => tern_smtp::Verified::Throttled,
            Verified::Unavailable => tern_smtp::Verified::Unavailable,
        };
        self.session.verified(verified);
    }

    fn tls_started(&mut self, facts: TlsFacts) {
        self.session.tls_started(tls_facts(facts));
    }

    fn deadline(&self) -> Timestamp {
        self.session.deadline()
    }

    fn timed_out(&mut self) {
        self.session.timed_out();
    }

    fn shutdown(&mut self) {
        self.session.shutdown();
    }

    fn watches(&self) -> Option<AccountId> {
        None
    }

    fn log(&mut self) {
        let (id, peer) = (self.id, self.session.peer().ip);
        for event in self.session.take_events() {
            match event {
                Event::Connected => tracing::debug!(id, %peer, "smtp connected"),
                Event::TlsStarted { version, cipher } => {
                    tracing::debug!(id, %peer, version, cipher, "smtp TLS started");
                }
                Event::Authenticated { login, mechanism } => {
                    let mechanism = mechanism.as_str();
                    tracing::info!(id, %peer, login, mechanism, "smtp authenticated");
                }
                Event::AuthenticationFailed { login, mechanism } => {
                    let mechanism = mechanism.as_str();
                    tracing::warn!(id, %peer, login, mechanism, "smtp authentication failed");
                }
                Event::RecipientRefused { code, recipient } => {
                    tracing::info!(id, %peer, code, recipient, "recipient refused");
                }
                Event::MessageAccepted {
                    queue_id,
                    size,
                    recipients,
                } => tracing::info!(id, %peer, queue_id, size, recipients, "message accepted"),
                Event::MessageRefused { code, reason } => {
                    tracing::info!(id, %peer, code, reason, "message refused");
                }
                Event::LimitHit(limit) => tracing::warn!(id, %peer, ?limit, "smtp limit hit"),
                Event::InjectionRefused => {
                    tracing::warn!(id, %peer, "smtp command injection refused");
                }
                Event::Closed => tracing::debug!(id, %peer, "smtp closed"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back() {
        let memory = Memory::new(100);
        let first = memory.reserve(60).expect("room");
        assert!(memory.reserve(60).is_none());
        drop(first);
        assert!(memory.reserve(100).is_some());
    }
}
