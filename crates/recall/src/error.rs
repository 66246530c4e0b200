//! Why a recall verb was not done. A refusal is no error: it is an answer, and on record.

use tern_audit::AuditError;
use tern_base::{Fault, codec::Damaged};
use tern_mailbox::MailboxError;
use tern_store::StoreError;

/// Why a recall verb was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    /// There is no such recall.
    #[error("no such recall")]
    NoRecall,
    /// There is no such hold.
    #[error("no such hold")]
    NoHold,
    /// It can't be done in the recall's state.
    #[error("the recall is {0}")]
    WrongState(&'static str),
    /// The requester may not do it.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// A search would have to look at, or take back, too many messages.
    #[error("the search is too wide: say more of the message, or a shorter time")]
    TooMany,
    /// None of the messages was written to this address, from which alone they are to be taken.
    #[error(
        "nobody was written to as `{0}`: recipients are named as the sender wrote them, members of a group by \
         the group's address"
    )]
    Nobody(String),
    /// A mailbox verb failed.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// The audit log could not be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RecallError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoRecall
            | Self::NoHold
            | Self::WrongState(_)
            | Self::TooMany
            | Self::Nobody(_) => Fault::Peer,
            Self::NotAllowed(_) => Fault::Policy,
            Self::Mailbox(error) => error.fault(),
            Self::Audit(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

impl From<Damaged> for RecallError {
    fn from(_: Damaged) -> Self {
        Self::Store(StoreError::Damaged)
    }
}
