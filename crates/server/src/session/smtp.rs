//! SMTP sessions: their verbs over delivery, and their events as log lines.

use std::sync::Arc;

use tern_base::{AccountId, EmailAddress, Entropy, Fault, Timestamp};
use tern_delivery::{
    Delivery, DeliveryError, Incoming, IncomingRecipient, Misnamed, RecipientCheck, Refusal,
    Submitter,
};
use tern_directory::Scope;
use tern_mailbox::{Client, Connection, Mailboxes, Sighting};
use tern_queue::DsnReturn;
use tern_session::{Authenticated, ContentMemory, Peer, Protocol as _, SessionEvent, Step};
use tern_smtp::{
    AcceptError, Accepted, Arrival, Event, ForeignFrom, Notify, Recipient, RecipientVerdict, Ret,
    Role, Sender, Session, Settings, Verbs,
};
use tern_store::StoreError;
use tokio::sync::Semaphore;

use crate::clock::{self, OsEntropy};
use crate::memory::{Memory, PeerMemory};
use crate::net::{Served, Service};
use crate::outbox::{Departures, Recipients};

/// What the records call the protocol.
const PROTOCOL: &str = "smtp";

/// Makes the sessions of the SMTP listeners.
pub(crate) struct SmtpDoor {
    pub(crate) settings: Arc<Settings>,
    pub(crate) delivery: Arc<Delivery>,
    /// Where clients that submit are noted.
    pub(crate) mailboxes: Arc<Mailboxes>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) departures: Departures,
    /// To how many recipients an account may write.
    pub(crate) recipients: Recipients,
    /// How many large fan-outs are run at once: each holds its content.
    pub(crate) fan_outs: Arc<Semaphore>,
}

/// Most of those.
const FAN_OUTS: usize = 2;

impl SmtpDoor {
    /// The turns of large fan-outs.
    pub(crate) fn fan_outs() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(FAN_OUTS))
    }

    /// Whether no large fan-out is under way.
    pub(crate) fn are_over(fan_outs: &Semaphore) -> bool {
        fan_outs.available_permits() == FAN_OUTS
    }

    pub(crate) fn session(
        &self,
        role: Role,
        peer: Peer,
        id: u64,
        now: Timestamp,
    ) -> Box<Served<SmtpService>> {
        let service = SmtpService {
            delivery: Arc::clone(&self.delivery),
            mailboxes: Arc::clone(&self.mailboxes),
            memory: self.memory.of(peer.ip),
            departures: self.departures.clone(),
            recipients: self.recipients.clone(),
            foreign_from: self.settings.foreign_from,
            fan_outs: Arc::clone(&self.fan_outs),
            id,
        };
        let session = Session::new(Arc::clone(&self.settings), role, peer, now);
        Box::new(Served { session, service })
    }
}

/// What is behind one SMTP session.
pub(crate) struct SmtpService {
    delivery: Arc<Delivery>,
    mailboxes: Arc<Mailboxes>,
    memory: PeerMemory,
    departures: Departures,
    recipients: Recipients,
    foreign_from: ForeignFrom,
    fan_outs: Arc<Semaphore>,
    id: u64,
}

impl SmtpService {
    /// Notes the client that has authenticated.
    fn note_client(&self, session: &Session) {
        let Some(who) = session.authenticated() else {
            return;
        };
        let sighting = Sighting {
            account: who.account,
            client: client(who),
            address: session.peer().ip.to_string(),
            told: None,
        };
        self.mailboxes.saw_device(sighting, clock::now());
    }
}

impl SmtpService {
    /// Brings the copies of a large fan-out where they go, while the client has its answer.
    fn fan_out(&self, begun: tern_delivery::Accepted) {
        let (delivery, departures) = (Arc::clone(&self.delivery), self.departures.clone());
        let turn = Arc::clone(&self.fan_outs);
        tokio::spawn(async move {
            // Closed by a stop, which leaves the rest to the next start.
            let Ok(_turn) = turn.acquire_owned().await else {
                return;
            };
            let run = move || {
                let done = delivery.fan_out(begun, clock::now(), &mut OsEntropy);
                departures.follow(&done);
            };
            if let Err(error) = tokio::task::spawn_blocking(run).await {
                tracing::error!(%error, "a large delivery broke off, and goes on in a minute");
            }
        });
    }

    /// Refuses what an account submits in somebody else's name.
    fn check_name(&self, arrival: &Arrival) -> Result<(), AcceptError> {
        let Some(who) = &arrival.authenticated else {
            return Ok(());
        };
        if self.foreign_from == ForeignFrom::Allow {
            return Ok(());
        }
        let misnamed = self.delivery.misnamed(who.account, &arrival.content);
        match misnamed.map_err(|error| refusal(&error))? {
            // Programs that write no header are known, and impersonate nobody.
            None | Some(Misnamed::Nobody) => Ok(()),
            Some(Misnamed::Elsewhere(_)) if self.foreign_from == ForeignFrom::Outside => Ok(()),
            Some(misnamed) => Err(AcceptError::Policy(misnamed.to_string())),
        }
    }
}

impl Service for SmtpService {
    type Session = Session;
    const SCOPE: Scope = Scope::Smtp;
    const WATCHES: bool = false;

    fn step(&mut self, session: &mut Session, now: Timestamp, entropy: &mut dyn Entropy) -> Step {
        session.step(self, now, entropy)
    }

    fn log(&mut self, session: &mut Session) {
        let (id, peer) = (self.id, session.peer().ip);
        for event in session.take_events() {
            match event {
                Event::Session(event) => {
                    super::log(id, peer, PROTOCOL, &event);
                    if matches!(event, SessionEvent::Authenticated { .. }) {
                        self.note_client(session);
                    }
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
            }
        }
    }
}

impl Verbs for SmtpService {
    fn recipient(&mut self, sender: &Sender<'_>, recipient: &EmailAddress) -> RecipientVerdict {
        let submitter = sender.authenticated.map(|who| who.account);
        match self.delivery.check_recipient(submitter, recipient) {
            Ok(RecipientCheck::Local | RecipientCheck::Relay) => {
                match submitter.is_none_or(|who| self.recipients.allow(who, 1)) {
                    true => RecipientVerdict::Accept,
                    false => RecipientVerdict::RateLimited,
                }
            }
            Ok(RecipientCheck::UnknownUser) => RecipientVerdict::UnknownUser,
            Ok(RecipientCheck::RelayDenied) => RecipientVerdict::RelayDenied,
            Ok(RecipientCheck::MailboxFull) => RecipientVerdict::MailboxFull,
            Ok(RecipientCheck::Disabled) => RecipientVerdict::Disabled,
            Ok(RecipientCheck::AccountsOnly | RecipientCheck::TooManyMembers) => {
                RecipientVerdict::NotAllowed
            }
            Err(error) => {
                tracing::error!(%error, "a recipient could not be looked up");
                RecipientVerdict::Later
            }
        }
    }

    fn postmaster(&mut self, hostname: &str) -> Option<EmailAddress> {
        match self.delivery.postmaster(hostname) {
            Ok(address) => address,
            Err(error) => {
                tracing::error!(%error, "the postmaster could not be looked up");
                // The check of this one fails as well, and says that it is for now.
                EmailAddress::parse(&format!("postmaster@{hostname}")).ok()
            }
        }
    }

    fn may_send_as(&mut self, account: AccountId, mail_from: &EmailAddress) -> Option<bool> {
        let may = self.delivery.may_send_as(account, mail_from);
        may.inspect_err(|error| tracing::error!(%error, "a sender could not be looked up"))
            .ok()
    }

    fn memory(&self) -> &dyn ContentMemory {
        &self.memory
    }

    fn accept(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, AcceptError> {
        self.check_name(&arrival)?;
        let taken = self.delivery.take_over(incoming(arrival), now, entropy);
        let taken = taken.map_err(|error| refusal(&error))?;
        let accepted = taken.accepted;
        tracing::debug!(
            origin = %accepted.origin,
            message_id = %accepted.message_id,
            local = accepted.local,
            outside = accepted.outside,
            "message delivered"
        );
        let queue_id = accepted.origin.to_string();
        match taken.is_whole {
            true => self.departures.follow(&accepted),
            false => self.fan_out(accepted),
        }
        Ok(Accepted { queue_id })
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
            connection: Some(Connection {
                protocol: String::from(PROTOCOL),
                mechanism: who.mechanism.as_str().to_owned(),
                app_password: who.token.is_some(),
                address: arrival.peer.ip.to_string(),
                tls: arrival.tls.is_some(),
                device: client(&who).id(),
            }),
            login: who.login,
        }),
    }
}

/// A client that submits: it says nothing of itself that would name it.
fn client(who: &Authenticated) -> Client {
    Client {
        protocol: String::from(PROTOCOL),
        token: who.token.clone().unwrap_or_default(),
        ..Client::default()
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

/// What a session says of a message that was not accepted.
fn refusal(error: &DeliveryError) -> AcceptError {
    let verdict = match error {
        DeliveryError::Refused(Refusal::Loop) => return AcceptError::Loop,
        DeliveryError::Refused(Refusal::UnknownUser) => RecipientVerdict::UnknownUser,
        DeliveryError::Refused(Refusal::Disabled) => RecipientVerdict::Disabled,
        // Room may be made: the same verdict as at RCPT.
        DeliveryError::Refused(Refusal::MailboxFull) => RecipientVerdict::MailboxFull,
        DeliveryError::Refused(Refusal::RelayDenied) => RecipientVerdict::RelayDenied,
        DeliveryError::Refused(Refusal::TooManyMembers) => RecipientVerdict::NotAllowed,
        DeliveryError::Refused(refusal @ Refusal::TooLong) => {
            return AcceptError::Policy(refusal.text().to_owned());
        }
        error => return fault_of(error),
    };
    AcceptError::Recipients(verdict)
}

fn fault_of(error: &DeliveryError) -> AcceptError {
    match error.fault() {
        _ if error.is_full() => AcceptError::StorageFull,
        // Something of the message does not fit where it is to be kept: it never will.
        _ if matches!(error, DeliveryError::Store(StoreError::TooLarge { .. })) => {
            tracing::error!(%error, "a message could not be kept");
            AcceptError::Malformed
        }
        Fault::Peer => AcceptError::Malformed,
        Fault::Policy => AcceptError::Policy(error.to_string()),
        Fault::Temporary => {
            tracing::warn!(%error, "a message could not be accepted");
            AcceptError::Temporary
        }
        Fault::Ours => {
            tracing::error!(%error, "a message could not be accepted");
            AcceptError::Temporary
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_accepted_is_said_by_whose_fault_it_is() {
        use tern_mailbox::{Limit, MailboxError};
        let recipients = AcceptError::Recipients;
        let refused = |refusal| DeliveryError::Refused(refusal);
        for (error, said) in [
            (refused(Refusal::Loop), AcceptError::Loop),
            (
                refused(Refusal::UnknownUser),
                recipients(RecipientVerdict::UnknownUser),
            ),
            (
                refused(Refusal::MailboxFull),
                recipients(RecipientVerdict::MailboxFull),
            ),
            (
                refused(Refusal::Disabled),
                recipients(RecipientVerdict::Disabled),
            ),
            (
                refused(Refusal::TooLong),
                AcceptError::Policy(Refusal::TooLong.text().to_owned()),
            ),
            (DeliveryError::NoRecipients, AcceptError::Malformed),
            (StoreError::Full.into(), AcceptError::StorageFull),
            (StoreError::Busy.into(), AcceptError::Temporary),
            (StoreError::Damaged.into(), AcceptError::Temporary),
        ] {
            assert_eq!(refusal(&error), said, "{error}");
        }
        let limit = DeliveryError::from(MailboxError::Limit(Limit::Uids));
        assert!(matches!(refusal(&limit), AcceptError::Policy(_)), "{limit}");
    }
}
