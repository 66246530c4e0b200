//! What a session needs of the rest of the server, and nothing more.
//!
//! Invariant: `Verbs::accept` returns `Ok` only once the message is durable: the 250 that the
//! client gets says so (RFC 5321 6.1). Refuses to hand a session any wider handle.

use tern_base::{AccountId, EmailAddress, Entropy, OriginId, Timestamp};
use tern_session::{Authenticated, ContentMemory, Peer, TlsFacts};

use crate::envelope::Envelope;

/// The verbs of one session. Called from [`crate::Session::step`] only.
pub trait Verbs {
    /// May this sender write to this recipient?
    fn recipient(&mut self, sender: &Sender<'_>, recipient: &EmailAddress) -> RecipientVerdict;

    /// Who is meant by `postmaster` without a domain (RFC 5321 4.5.1) on a host of this name, if
    /// anybody is.
    fn postmaster(&mut self, hostname: &str) -> Option<EmailAddress>;

    /// May this account use this address as reverse-path (RFC 6409 6.1)? `None`: that can't be told
    /// now. Not asked for the null sender.
    fn may_send_as(&mut self, account: AccountId, mail_from: &EmailAddress) -> Option<bool>;

    /// The memory for messages on their way in.
    fn memory(&self) -> &dyn ContentMemory;

    /// Takes a message over. `Ok` means that it is durable and this server's responsibility.
    fn accept(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, AcceptError>;
}

/// Who is asking to have a recipient accepted.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The reverse-path; `None` is the null sender.
    pub mail_from: Option<&'a EmailAddress>,
    /// Who has authenticated; always `Some` on submission.
    pub authenticated: Option<&'a Authenticated>,
    /// The other end.
    pub peer: &'a Peer,
    /// The EHLO or HELO argument.
    pub helo: &'a str,
}

/// The answer to one RCPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecipientVerdict {
    /// 250 2.1.5
    Accept,
    /// No such recipient here: 550 5.1.1
    UnknownUser,
    /// Not a domain of this server, and the sender may not relay: 550 5.7.1
    RelayDenied,
    /// This sender may not write to this recipient: 550 5.7.1
    NotAllowed,
    /// Over quota: 452 4.2.2
    MailboxFull,
    /// The account exists and takes no mail: 550 5.2.1
    Disabled,
    /// Can't be told now: 451 4.3.0
    Later,
    /// The sender sends too much too fast: 450 4.7.1
    RateLimited,
}

/// One message that has come in whole.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The id of this arrival, also in its Received header.
    pub origin: OriginId,
    /// The envelope; it has at least one recipient.
    pub envelope: Envelope,
    /// The content, this server's Received header first. All lines end in CRLF unless the body
    /// is BINARYMIME.
    pub content: Vec<u8>,
    /// Who has authenticated; always `Some` on submission.
    pub authenticated: Option<Authenticated>,
    /// The other end.
    pub peer: Peer,
    /// The EHLO or HELO argument.
    pub helo: String,
    /// The TLS in force, by STARTTLS or from the start.
    pub tls: Option<TlsFacts>,
}

/// What accepting a message gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The id that the 250 names, for the logs of both sides.
    pub queue_id: String,
}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// Something is in the way for now: 451 4.3.0
    #[error("try again later")]
    Temporary,
    /// No room: 452 4.3.1
    #[error("no storage left")]
    StorageFull,
    /// 554 5.4.6
    #[error("the message is looping")]
    Loop,
    /// Not a message by RFC 5322: 550 5.6.0
    #[error("malformed message")]
    Malformed,
    /// A rule refuses it; the text is for the client: 550 5.7.1
    #[error("refused by policy: {0}")]
    Policy(String),
    /// None of its recipients can be served, the first for this reason, with the reply that RCPT
    /// would have got.
    #[error("no recipient could be served: {0:?}")]
    Recipients(RecipientVerdict),
}

impl RecipientVerdict {
    /// The reply of a session.
    pub(crate) const fn reply(self) -> &'static str {
        match self {
            Self::Accept => "250 2.1.5 OK",
            Self::UnknownUser => "550 5.1.1 No such user",
            Self::RelayDenied => "550 5.7.1 Relaying denied",
            Self::NotAllowed => "550 5.7.1 Not allowed to write to this recipient",
            Self::Disabled => "550 5.2.1 Mailbox disabled",
            Self::MailboxFull => "452 4.2.2 Mailbox full",
            Self::Later => "451 4.3.0 Try again later",
            Self::RateLimited => "450 4.7.1 Too many messages, try again later",
        }
    }
}
