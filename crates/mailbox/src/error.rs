//! Why a mailbox verb was not done.

use tern_base::{Fault, codec::Damaged};
use tern_store::StoreError;

/// Why a mailbox verb was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// There is no such account.
    #[error("no such account")]
    NoAccount,
    /// There is no such mailbox.
    #[error("no such mailbox")]
    NoMailbox,
    /// There is no such message.
    #[error("no such message")]
    NoMessage,
    /// A mailbox of that name is there already.
    #[error("a mailbox of that name exists")]
    Exists,
    /// The account's quota would be exceeded.
    #[error("the account is over its quota")]
    QuotaExceeded,
    /// So would the bound on what is kept of the account, though its owner removed it.
    #[error("the account is over its quota with what has to be kept of it")]
    KeptQuotaExceeded,
    /// One of [`crate::limits`].
    #[error("over the limit: {0}")]
    Limit(&'static str),
    /// A mailbox can't have this name.
    #[error("not a mailbox name: {0}")]
    InvalidName(&'static str),
    /// The mailbox can't be changed in this way.
    #[error("not allowed: {0}")]
    NotAllowed(&'static str),
    /// Whoever asks has no right to do this in a mailbox that they may see.
    #[error("no right to do that in this mailbox")]
    NotPermitted,
    /// The mailbox has mailboxes in it, and so can't be deleted.
    #[error("the mailbox has mailboxes in it")]
    HasChildren,
    /// The mailbox holds messages, and is to be deleted only if it does not.
    #[error("the mailbox holds messages")]
    NotEmpty,
    /// Another mailbox has this special use.
    #[error("another mailbox has this special use")]
    RoleTaken,
    /// A mailbox can't be in this one: it is not there, or is within the mailbox itself.
    #[error("a mailbox can't be in that one")]
    NoParent,
    /// What changed after that modseq is not known any more.
    #[error("the changes since then are not known any more")]
    NoHistory,
    /// The content is sealed: it is on its way out of the mailbox.
    #[error("the message is being removed")]
    Sealed,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MailboxError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoAccount | Self::NoMailbox | Self::NoMessage | Self::Exists => Fault::Peer,
            Self::InvalidName(_) => Fault::Peer,
            Self::QuotaExceeded | Self::KeptQuotaExceeded => Fault::Policy,
            Self::Limit(_) | Self::NotAllowed(_) | Self::Sealed => Fault::Policy,
            Self::NotPermitted => Fault::Policy,
            Self::NoParent | Self::NoHistory => Fault::Peer,
            Self::HasChildren | Self::NotEmpty | Self::RoleTaken => Fault::Policy,
            Self::Store(error) => error.fault(),
        }
    }
}

impl From<Damaged> for MailboxError {
    fn from(_: Damaged) -> Self {
        Self::Store(StoreError::Damaged)
    }
}
