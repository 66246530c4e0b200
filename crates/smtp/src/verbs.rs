//! What a session needs of the rest of the server, and nothing more.
//!
//! Invariant: `Verbs::accept` returns `Ok` only once the message is durable: the 250 that the
//! client gets says so (RFC 5321 6.1). Refuses to hand a session any wider handle.

use std::fmt;

use tern_base::{AccountId, EmailAddress, Entropy, OriginId, Timestamp};
use zeroize::Zeroizing;

use crate::envelope::Envelope;
use crate::peer::{Peer, TlsFacts};

/// The verbs of one session. Called from [`crate::Session::step`] only.
pub trait Verbs {
    /// May this sender write to this recipient?
    fn recipient(&mut self, sender: &Sender<'_>, recipient: &EmailAddress) -> RecipientVerdict;

    /// May this account use this address as reverse-path (RFC 6409 6.1)? Not asked for the null
    /// sender.
    fn may_send_as(&mut self, account: AccountId, mail_from: &EmailAddress) -> bool;

    /// Sets `bytes` of the memory for messages in transit aside; `None` where it is used up. What
    /// is returned gives them back when it is dropped.
    fn reserve(&mut self, bytes: usize) -> Option<Reservation>;

    /// Takes a message over. `Ok` means that it is durable and this server's responsibility.
    fn accept(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Accepted, AcceptError>;
}

/// A share of the memory for messages in transit, given back on drop.
pub type Reservation = Box<dyn Send>;

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
    /// No further recipients in this message: 452 4.5.3
    TooMany,
}

/// A SASL mechanism that this server speaks. SCRAM-SHA-256 (RFC 7677) will be another variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 4616
    Plain,
    /// draft-murchison-sasl-login: obsolete, and still what some clients speak.
    Login,
}

impl Mechanism {
    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// What a client wants to have verified.
pub struct Credentials {
    /// The mechanism by which they came.
    pub mechanism: Mechanism,
    /// Whom the client wants to act as, where it named somebody (RFC 4616 authzid).
    pub act_as: Option<String>,
    /// The login name.
    pub login: String,
    /// The password; wiped when dropped.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("mechanism", &self.mechanism)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// The answer to [`crate::Step::Verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// 235 2.7.0
    Accepted {
        /// The account that the login belongs to.
        account: AccountId,
        /// The login as the directory writes it.
        login: String,
    },
    /// Wrong login or password, told apart to nobody: 535 5.7.8
    Refused,
    /// Too many failures from this place or for this login lately: 454 4.7.0
    Throttled,
    /// Can't be verified now: 454 4.7.0
    Unavailable,
}

/// Who has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The account.
    pub account: AccountId,
    /// The login as the directory writes it.
    pub login: String,
    /// The mechanism used.
    pub mechanism: Mechanism,
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
    /// 450 4.7.1
    #[error("too many messages")]
    RateLimited,
    /// 552 5.3.4
    #[error("the message is too large")]
    TooLarge,
    /// 554 5.4.6
    #[error("the message is looping")]
    Loop,
    /// Not a message by RFC 5322: 550 5.6.0
    #[error("malformed message")]
    Malformed,
    /// A rule refuses it; the text is for the client: 550 5.7.1
    #[error("refused by policy: {0}")]
    Policy(String),
}
