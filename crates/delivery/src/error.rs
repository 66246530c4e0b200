//! Why a message was not accepted, and whose fault that is.

use tern_base::Fault;
use tern_base::codec::Damaged;
use tern_mailbox::MailboxError;
use tern_queue::QueueError;
use tern_store::StoreError;

/// Why one recipient gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No such address: 550 5.1.1
    UnknownUser,
    /// The account takes no mail: 550 5.2.1
    Disabled,
    /// The mailbox is over its quota: 452 4.2.2, or 552 5.2.2 for good
    MailboxFull,
    /// Not an address of this server, and the sender may not relay: 550 5.7.1
    RelayDenied,
    /// The message has been delivered to this address before: 554 5.4.6
    Loop,
    /// The address leads to more recipients than one message may have: 550 5.5.3
    TooManyMembers,
    /// The message is longer than what a mailbox takes: 550 5.2.3
    TooLong,
}

impl Refusal {
    /// The enhanced status code (RFC 3463) for a failure for good.
    pub const fn status(self) -> (u8, u16, u16) {
        match self {
            Self::UnknownUser => (5, 1, 1),
            Self::Disabled => (5, 2, 1),
            Self::MailboxFull => (5, 2, 2),
            Self::RelayDenied => (5, 7, 1),
            Self::Loop => (5, 4, 6),
            Self::TooManyMembers => (5, 5, 3),
            Self::TooLong => (5, 2, 3),
        }
    }

    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::UnknownUser => "There is no such address here.",
            Self::Disabled => "The mailbox does not take mail.",
            Self::MailboxFull => "The mailbox is full.",
            Self::RelayDenied => "This server does not relay to that address.",
            Self::Loop => "The message has been delivered to this address before: a mail loop.",
            Self::TooManyMembers => "The address leads to too many recipients.",
            Self::TooLong => "The message is longer than the mailbox takes.",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::UnknownUser => 1,
            Self::Disabled => 2,
            Self::MailboxFull => 3,
            Self::RelayDenied => 4,
            Self::Loop => 5,
            Self::TooManyMembers => 6,
            Self::TooLong => 7,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Result<Self, Damaged> {
        Ok(match number {
            1 => Self::UnknownUser,
            2 => Self::Disabled,
            3 => Self::MailboxFull,
            4 => Self::RelayDenied,
            5 => Self::Loop,
            6 => Self::TooManyMembers,
            7 => Self::TooLong,
            _ => return Err(Damaged),
        })
    }
}

/// Why delivery did not do what it was asked. Nothing was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// No recipient could be served; the first one's reason.
    #[error("no recipient could be served: {}", .0.text())]
    Refused(Refusal),
    /// The envelope names nobody.
    #[error("the envelope names no recipient")]
    NoRecipients,
    /// One of [`crate::limits`].
    #[error("over the limit: {0}")]
    Limit(&'static str),
    /// A mailbox verb failed.
    #[error(transparent)]
    Mailbox(MailboxError),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeliveryError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Refused(Refusal::UnknownUser | Refusal::Loop) | Self::NoRecipients => Fault::Peer,
            Self::Refused(_) | Self::Limit(_) => Fault::Policy,
            Self::Mailbox(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }

    /// Whether there is no room to store: 452 4.3.1.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Store(StoreError::Full))
    }
}

impl From<MailboxError> for DeliveryError {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::Store(error) => Self::Store(error),
            other => Self::Mailbox(other),
        }
    }
}

impl From<QueueError> for DeliveryError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Store(error) => Self::Store(error),
            QueueError::PrefixTooLong(_) => Self::Limit("octets of a queue item's prefix"),
        }
    }
}

impl From<Damaged> for DeliveryError {
    fn from(_: Damaged) -> Self {
        Self::Store(StoreError::Damaged)
    }
}
